package task

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/coordinator"
	"github.com/mraws/mraws/internal/decompress"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/mr"
)

// kindOf is how each of the packed files is compressed, and whether it may be cut.
var kindOf = map[string]struct {
	kind manifest.Compression
	cut  bool
}{
	"text.bz2": {manifest.Bzip2, true}, "streams.bz2": {manifest.Bzip2, true}, "text.xz": {manifest.XZ, false}, "streams.xz": {manifest.XZ, false},
	"text.lz4": {manifest.LZ4, false}, "frames.lz4": {manifest.LZ4, false}, "text.zst": {manifest.Zstd, true}, "frames.zst": {manifest.Zstd, true},
	"pzstd.zst": {manifest.Zstd, true}, "seekable.zst": {manifest.Zstd, true}, "text.gz": {manifest.Gzip, false}, "text.bgz": {manifest.BGZF, true},
	"text.sz": {manifest.Snappy, false}, "text.s2": {manifest.S2, false},
}

// byContent makes a job of these files one whose objects tell how they are
// compressed. One that may be cut is cut into n pieces.
func byContent(t testkit.TB, w *fixture, n int) *fixture {
	t.Helper()
	w.Spec.Decompress = manifest.Decompress{Ratio: 200, Limit: 1 << 40, Content: true}
	w.Spec.Tasks = nil
	for i := range w.Spec.Objects {
		o := &w.Spec.Objects[i]
		o.Compression = "" // nobody has looked
		if cut := kindOf[o.Name]; cut.cut && n > 1 {
			o.Compression = cut.kind
			tasks, err := coordinator.Plan([]manifest.Object{*o}, w.Spec.InputFormat(), max((8*o.Size+int64(n)-1)/int64(n), 1), coordinator.PackNever)
			if err != nil {
				t.Fatalf("%v", err)
			}
			for _, p := range tasks {
				p[0].Object = i
			}
			w.Spec.Tasks = append(w.Spec.Tasks, tasks...)
			continue
		}
		w.Spec.Tasks = append(w.Spec.Tasks, []manifest.Piece{{Object: i, Length: o.Size}})
	}
	return w
}

// TestKinds: an object of each kind gives the lines that it holds, whatever its name
// is, whole and cut into any number of pieces; and neighbours meet.
func TestKinds(t *testing.T) {
	text, files := testkit.Packed(t)
	lines := testkit.App("lines", func(rec mr.Record, out mr.Emitter) error {
		out.Emit(rec.Data, nil)
		return nil
	}, testkit.ReduceWhere, nil)
	want := oracle(t, lines, 1, file{"a", text})
	if len(files) != len(kindOf) {
		t.Errorf("%d files, %d kinds", len(files), len(kindOf))
	}
	for name, data := range files {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, n := range []int{1, 2, 3, 7, 40} {
				w := byContent(t, newFixture(lines, 1, 0, 1, file{name, string(data)}), n)
				w.Scratch = t.TempDir()
				if cut := len(w.Spec.Tasks) > 1; cut != (kindOf[name].cut && n > 1) {
					t.Fatalf("%d tasks", len(w.Spec.Tasks))
				} else if cut {
					if extents := extentsOf(t, w); !meet(extents, int64(len(data))) {
						t.Errorf("in %d pieces: %v", n, extents)
					}
					w.forget()
				}
				if got := w.run(t); !slices.Equal(got, want) {
					t.Errorf("in %d pieces: %d bytes of output, want %d", n, len(got[0]), len(want[0]))
				}
			}
			other := byContent(t, newFixture(lines, 1, 0, 1, file{"a.txt", string(data)}), 1)
			other.Scratch = t.TempDir()
			if got := other.run(t); !slices.Equal(got, want) {
				t.Error("under another name it gives something else")
			}
		})
	}
}

// TestDamagedKinds: of a file of each kind, whole or cut, that was cut off, has a bit
// that is another, or rubbish behind its end, some task says so, with the name and a
// place, or pieces do not meet.
func TestDamagedKinds(t *testing.T) {
	_, files := testkit.Packed(t)
	lines := testkit.App("lines", func(mr.Record, mr.Emitter) error { return nil }, testkit.ReduceWhere, nil)
	for name, data := range files {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			flip := func(at int) []byte {
				bad := bytes.Clone(data)
				bad[at] ^= 4
				return bad
			}
			damaged := map[string][]byte{
				"truncated": data[:len(data)*2/3], "a bit": flip(len(data) / 2), "an early bit": flip(len(data) / 5), "garbage": append(bytes.Clone(data), "garbage\n"...),
			}
			for what, bad := range damaged {
				if kindOf[name].kind == manifest.Snappy || kindOf[name].kind == manifest.S2 {
					if what == "garbage" { // "g" is a chunk that may not be skipped
						bad = append(bytes.Clone(data), "\x02garbage\n"...)
					}
				}
				for _, n := range []int{1, 5} {
					if n > 1 && !kindOf[name].cut {
						continue
					}
					w := byContent(t, newFixture(lines, 1, 0, 1, file{name, string(bad)}), n)
					w.Scratch = t.TempDir()
					e := w.env(t)
					var failed []error
					for m := range w.Spec.Tasks {
						e.Progress = new(Progress)
						if _, err := e.Run(context.Background(), Attempt{mr.MapPhase, m, fmt.Sprintf("m%d", m)}); err != nil {
							failed = append(failed, err)
						}
					}
					if len(failed) == 0 && n > 1 && !meet(committedExtents(t, w), int64(len(bad))) {
						continue // of which the coordinator's error names object and place
					}
					var damage *decompress.Error
					var fatal *FatalError
					if err := errors.Join(failed...); !errors.As(err, &damage) || !errors.As(err, &fatal) || damage.Object != name || !strings.Contains(err.Error(), " at byte ") {
						t.Errorf("%s, in %d pieces: %v", what, n, err)
					}
				}
			}
		})
	}
}

// TestPlainByName: text is text, whatever the end of its name says; and an empty
// object is empty.
func TestPlainByName(t *testing.T) {
	text := "one two\nthree\n"
	for _, name := range []string{"a.gz", "a.zst", "a.bz2", "a.br", "a.xz"} {
		w := byContent(t, newFixture(testkit.WC, 1, 0, 2, file{name, text}, file{"b.gz", ""}), 1)
		w.Scratch = t.TempDir()
		if got := w.run(t); got[0] != "one 1\nthree 1\ntwo 1\n" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// TestRefused: what nobody here can read is named, with what to do, and no line of
// it gets to the application.
func TestRefused(t *testing.T) {
	tar := make([]byte, 1024)
	copy(tar[257:], "ustar\x0000")
	for name, tt := range map[string]struct{ data, want string }{
		"a.zip":    {"PK\x03\x04rest", "input a.zip is a ZIP archive, which is not read: unpack it, and upload what is in it"},
		"b":        {"7z\xbc\xaf\x27\x1crest", "is a 7z archive"},
		"c":        {"Rar!\x1a\x07\x01\x00", "is a RAR archive"},
		"d":        {string(tar), "is a tar archive"},
		"e.txt":    {"Salted__12345678", "is encrypted with openssl, which is not read: decrypt it before"},
		"f":        {"age-encryption.org/v1\n-> X25519", "is encrypted with age"},
		"g":        {"-----BEGIN PGP MESSAGE-----\n", "is encrypted with OpenPGP"},
		"h.log":    {"\x1f\x9d\x90\x00", "is compressed with compress"},
		"i":        {"\x5d\x00\x00\x80\x00\xff\xff\xff\xff\xff\xff\xff\xff\x00", "is compressed with lzma"},
		"j.br":     {"\x0b\x02\x80text\x03", "is compressed with Brotli, as its name says"},
		"k.gpg":    {"\x85\x01\x0c\x03", "is encrypted with OpenPGP, as its name says"},
		"l.tar.gz": {gz(t, string(tar)), "it holds a tar archive, which is not read: unpack it"},
	} {
		w := byContent(t, newFixture(testkit.App("none", func(mr.Record, mr.Emitter) error {
			t.Errorf("%s: a record", name)
			return nil
		}, testkit.ReduceWhere, nil), 1, 0, 1, file{name, tt.data}), 1)
		w.Scratch = t.TempDir()
		_, err := w.env(t).Run(context.Background(), Attempt{mr.MapPhase, 0, "m"})
		var fatal *FatalError
		if err == nil || !errors.As(err, &fatal) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
		w.Check(t)
	}
}

// TestCutUnseen: a compressed object that was cut as if it were not, since the coordinator
// could not look at it, ends the job with its name.
func TestCutUnseen(t *testing.T) {
	_, files := testkit.Packed(t)
	for name, data := range files {
		w := byContent(t, newFixture(testkit.WC, 1, 0, 1, file{"input", string(data)}), 1)
		w.Scratch = t.TempDir()
		half := int64(len(data) / 2)
		w.Spec.Tasks = [][]manifest.Piece{{{Length: half}}, {{Offset: half, Length: int64(len(data)) - half}}}
		_, err := w.env(t).Run(context.Background(), Attempt{mr.MapPhase, 0, "m"})
		var fatal *FatalError
		if !errors.As(err, &fatal) || !strings.Contains(err.Error(), "input input is compressed with "+string(kindOf[name].kind)+", and was cut as if it were not") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSkippedInBlocks: a record of a cut object that is skipped has its block and its
// place there, also one that is too long.
func TestSkippedInBlocks(t *testing.T) {
	text, files := testkit.Packed(t)
	app := testkit.App("bad", func(rec mr.Record, _ mr.Emitter) error {
		if bytes.HasSuffix(rec.Data, []byte(" 7")) {
			return errors.New("seven")
		}
		return nil
	}, testkit.ReduceWhere, nil)
	want := 1 // the long one
	for line := range strings.Lines(text) {
		if strings.HasSuffix(strings.TrimSuffix(line, "\n"), " 7") {
			want++
		}
	}
	for _, name := range []string{"text.bz2", "text.bgz", "frames.zst"} {
		w := byContent(t, newFixture(app, 1, 0, 1, file{name, string(files[name])}), 6)
		w.Scratch, w.MaxRecord, w.Spec.MaxBad = t.TempDir(), 10_000, manifest.Budget{Records: 1000}
		extentsOf(t, w)
		n, last := 0, manifest.BadRecord{Offset: -1}
		for m := range w.Spec.Tasks {
			rec := mapRecord(t, w, m)
			if rec.Bad == nil {
				continue
			}
			o, err := w.Store.Object(layout.Layout{}.Bad(m))
			if err != nil {
				t.Fatal(err)
			}
			for _, bad := range badLines(t, o.Data) {
				if n++; last.Position().Compare(bad.Position()) >= 0 {
					t.Errorf("%s: %v behind %v", name, bad.Position(), last.Position())
				}
				last = bad
			}
		}
		if n != want {
			t.Errorf("%s: %d records skipped, want %d", name, n, want)
		}
	}
}

// badLines reads a list of records that were skipped.
func badLines(t *testing.T, data []byte) (all []manifest.BadRecord) {
	t.Helper()
	for line := range bytes.Lines(data) {
		var bad manifest.BadRecord
		if err := json.Unmarshal(line, &bad); err != nil {
			t.Fatal(err)
		}
		all = append(all, bad)
	}
	return all
}
