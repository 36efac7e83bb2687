package task

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/internal/decompress"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/mr"
)

// gz is each text as a gzip member.
func gz(t testkit.TB, texts ...string) string {
	t.Helper()
	var b bytes.Buffer
	for _, text := range texts {
		w := gzip.NewWriter(&b)
		_, err := io.WriteString(w, text)
		if err = errors.Join(err, w.Close()); err != nil {
			t.Fatalf("%v", err)
		}
	}
	return b.String()
}

// zst is each text as a zstd frame.
func zst(t testkit.TB, texts ...string) string {
	t.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(64<<10))
	if err != nil {
		t.Fatalf("%v", err)
	}
	var b []byte
	for _, text := range texts {
		b = w.EncodeAll([]byte(text), b)
	}
	if err := w.Close(); err != nil {
		t.Fatalf("%v", err)
	}
	return string(b)
}

// TestCompressed: whatever the application, however the input is cut into
// members or frames and mixed with plain objects, the outputs are those of
// the plain text under the same names.
func TestCompressed(t *testing.T) {
	scratch := t.TempDir()
	numbered, whole := testkit.Where, testkit.WC
	numbered.Input, whole.Input = mr.NumberedLines, mr.WholeObjects
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SampledFrom([]mr.App{testkit.Where, testkit.WhereCombined, testkit.WC, numbered, whole}).Draw(t, "app")
		word := rapid.SampledFrom([]string{"the", "cat", " ", " ", "\n", "\n", "\r\n", "é", "dog\n", prose(3000)})
		var plain, packed []file
		for i := range rapid.IntRange(1, 4).Draw(t, "files") {
			var texts []string
			for range rapid.IntRange(1, 3).Draw(t, "members") {
				texts = append(texts, strings.Join(rapid.SliceOfN(word, 0, 9).Draw(t, "text"), ""))
			}
			text := strings.Join(texts, "")
			name := string(rune('a' + i))
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				packed = append(packed, file{name, text})
			case 1:
				name += ".gz"
				packed = append(packed, file{name, gz(t, texts...)})
			case 2:
				name += ".zst"
				packed = append(packed, file{name, zst(t, texts...)})
			}
			plain = append(plain, file{name, text})
		}
		w := newFixture(a, rapid.IntRange(1, 3).Draw(t, "reduces"), rapid.SampledFrom([]int{0, 7, 1000}).Draw(t, "split"), rapid.IntRange(1, 5).Draw(t, "pack"), packed...)
		w.Scratch, w.Memory = scratch, rapid.SampledFrom([]int64{minSlotMemory, 64 << 20}).Draw(t, "memory")
		if diff := cmp.Diff(oracle(t, a, w.Spec.NReduce, plain...), w.run(t)); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
	})
}

// noise returns n bytes that hardly compress, as lines of text.
func noise(n int) string {
	b := make([]byte, n)
	x := uint32(7)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = ' ' + byte(x>>24)%95
		if i%80 == 79 {
			b[i] = '\n'
		}
	}
	return string(b)
}

// mapOnce runs map task 0 of a new attempt.
func (w *fixture) mapOnce(t *testing.T, store Store) (*Progress, error) {
	t.Helper()
	e := w.env(t)
	if store != nil {
		e.Store = store
	}
	_, err := e.Run(context.Background(), Attempt{mr.MapPhase, 0, "m"})
	w.Check(t)
	if _, gone := w.Store.Object(layout.Layout{}.MapCommit(0)); (gone == nil) != (err == nil) {
		t.Errorf("the commit record: %v; the attempt: %v", gone, err)
	}
	return e.Progress, err
}

// TestDamagedInput: damage ends the job, whatever may be skipped, and the
// error names the object, both places and what to do.
func TestDamagedInput(t *testing.T) {
	text := noise(200_000)
	good := gz(t, text)
	flip := func(at int) string {
		b := []byte(good)
		b[at] ^= 0x40
		return string(b)
	}
	for _, tc := range []struct {
		name, object, data string
		limit              int64
		want               error
		says               []string
	}{
		{"checksum", "a.gz", flip(len(good) - 8), 0, decompress.ErrChecksum, []string{
			fmt.Sprintf("attempt m: read a.gz at byte 200000: decompress a.gz (gzip) at byte %d of %d, 200000 decompressed: damaged", len(good), len(good)),
			"upload the object again"}},
		{"data", "a.gz", flip(len(good) / 2), 0, nil, []string{"decompress a.gz (gzip) at byte ", "damaged", "upload the object again"}},
		{"truncated", "a.gz", good[:len(good)/2], 0, decompress.ErrTruncated, []string{"is cut off"}},
		{"garbage", "a.gz", good + "x", 0, decompress.ErrTrailing, nil},
		{"plain", "a.gz", text, 0, decompress.ErrFormat, []string{"read a.gz at byte 0:", "rename the object"}},
		{"empty", "a.zst", "", 0, decompress.ErrEmpty, []string{"decompress a.zst (zstd) at byte 0 of 0", "rename the object"}},
		{"bomb", "a.gz", good, 199_999, decompress.ErrTooLarge, []string{"199999 decompressed: it decompresses to more than the limit"}},
	} {
		for _, input := range []mr.Input{mr.Lines, mr.WholeObjects} {
			t.Run(fmt.Sprintf("%s %d", tc.name, input), func(t *testing.T) {
				a := testkit.WC
				a.Input = input
				w := newFixture(a, 1, 0, 1, file{tc.object, tc.data})
				w.Scratch = t.TempDir()
				w.Spec.MaxBad = manifest.Budget{Records: 1e9}
				if tc.limit > 0 {
					w.Spec.Decompress.Limit = tc.limit
				}
				_, err := w.mapOnce(t, nil)
				var fatal *FatalError
				if !errors.As(err, &fatal) || tc.want != nil && !errors.Is(err, tc.want) {
					t.Fatalf("got %v, want %v, fatal", err, tc.want)
				}
				if input == mr.Lines {
					for _, s := range tc.says {
						if !strings.Contains(err.Error(), s) {
							t.Errorf("%v\ndoes not say %q", err, s)
						}
					}
				}
			})
		}
	}
}

// flipper is a store that flips a bit of what it sends, at a place of the
// object, the first few times.
type flipper struct {
	*testkit.Store
	mu   sync.Mutex
	at   int64
	left int
}

func (f *flipper) Stream(ctx context.Context, key, etag string, off, n int64) (object.Stream, error) {
	return testkit.Stream(f.OpenChunks(ctx, key, etag, off, n, n, 1))
}

func (f *flipper) OpenChunks(ctx context.Context, key, etag string, off, n, chunk int64, window int) (io.ReadCloser, error) {
	body, err := f.Store.OpenChunks(ctx, key, etag, off, n, chunk, window)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil || f.at < off || f.at >= off+n || f.left == 0 {
		return body, err
	}
	f.left--
	data, err := io.ReadAll(body)
	data[f.at-off] ^= 1
	return io.NopCloser(bytes.NewReader(data)), errors.Join(err, body.Close())
}

// TestDamagedOnTheWay: damage that does not come back fails the attempt and
// not the job.
func TestDamagedOnTheWay(t *testing.T) {
	data := gz(t, noise(300_000))
	for times, want := range map[int]string{0: "", 1: "a second read was intact", 2: "upload the object again"} {
		w := newFixture(testkit.WC, 1, 0, 1, file{"a.gz", data})
		w.Scratch = t.TempDir()
		_, err := w.mapOnce(t, &flipper{Store: w.Store, at: int64(len(data)) / 2, left: times})
		var fatal *FatalError
		if errors.As(err, &fatal) != (times == 2) || (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("flipped %d times: %v", times, err)
		}
		if err == nil || times == 2 {
			continue
		}
		if _, err := w.mapOnce(t, nil); err != nil {
			t.Errorf("the next attempt: %v", err)
		}
	}
}

// picky is an app that fails over a line with anything but x.
var picky = testkit.App("picky", func(rec mr.Record, _ mr.Emitter) error {
	if i := bytes.IndexFunc(rec.Data, func(r rune) bool { return r != 'x' }); i >= 0 {
		return fmt.Errorf("there is %q", rec.Data[i])
	}
	return nil
}, testkit.ReduceWhere, nil)

// TestRubbish: an app that fails over what came of a damaged object is not to
// blame; over a sound one it is.
func TestRubbish(t *testing.T) {
	lines := strings.Repeat("xxx\n", 1000)
	stored := new(bytes.Buffer)
	z, err := gzip.NewWriterLevel(stored, gzip.NoCompression)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.WriteString(z, lines)
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	data := stored.String()
	at := strings.Index(data, "xxx\n") + 400
	for _, tc := range []struct {
		data  string
		fatal bool
		says  string
	}{
		{data[:at] + "y" + data[at+1:], true, `damaged: its checksum or length is not that of its data: upload the object again (the app failed first: record at byte 400 of a.gz: there is 'y'; the record is "yxx")`},
		{gz(t, lines+"y\n"+lines), false, `record at byte 4000 of a.gz: there is 'y'; the record is "y"`},
	} {
		w := newFixture(picky, 1, 0, 1, file{"a.gz", tc.data})
		w.Scratch = t.TempDir()
		_, err := w.mapOnce(t, nil)
		var fatal *FatalError
		if err == nil || errors.As(err, &fatal) != tc.fatal || !strings.HasSuffix(err.Error(), tc.says) {
			t.Errorf("got %v\nwant %s", err, tc.says)
		}
	}
}

// TestCompressedBad: places of bad records are those in the decompressed
// bytes.
func TestCompressedBad(t *testing.T) {
	w := newFixture(brittle(testkit.Where), 1, 0, 3, file{"a.gz", gz(t, "the cat\na bad", " cat\nthe dog\n", strings.Repeat("long ", 9))}, file{"b", "bad\n"})
	w.Scratch, w.MaxRecord = t.TempDir(), 40
	w.Spec.MaxBad = manifest.Budget{PPM: 900_000}
	w.run(t)
	etag := func(i int) string { return w.Spec.Objects[i].ETag }
	want := []manifest.BadRecord{
		{Object: "a.gz", ETag: etag(0), Offset: 8, Length: 9, Error: "a bad line"},
		{Object: "a.gz", ETag: etag(0), Offset: 26, Length: 45, Error: "longer than 40 bytes"},
		{Object: "b", ETag: etag(1), Offset: 0, Length: 3, Error: "a bad line"},
	}
	if diff := cmp.Diff(want, w.skipped(t)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	whole := brittle(testkit.Where)
	whole.Input = mr.WholeObjects
	w = newFixture(whole, 1, 0, 3, file{"a.gz", gz(t, "fine")}, file{"b.gz", gz(t, strings.Repeat("x", 100), "y")})
	w.Scratch, w.MaxRecord = t.TempDir(), 40
	w.Spec.MaxBad = manifest.Budget{Records: 1}
	w.run(t)
	want = []manifest.BadRecord{{Object: "b.gz", ETag: etag(1), Length: 101, Error: "longer than 40 bytes"}}
	if diff := cmp.Diff(want, w.skipped(t)); diff != "" {
		t.Errorf("whole objects, -want +got:\n%s", diff)
	}
}

// TestCompressedReplay: a replay does the same, and counts lines in the
// decompressed bytes.
func TestCompressedReplay(t *testing.T) {
	w := newFixture(testkit.Where, 2, 0, 2, file{"a.gz", gz(t, noise(150_000), "more\n")}, file{"b.zst", zst(t, "text")})
	w.Scratch = t.TempDir()
	w.run(t)
	r, _, err := w.replay(t, mr.MapPhase, 0)
	if err != nil || r.Committed != "m0" || r.Different != nil || r.Records != 1877 {
		t.Errorf("%+v, %v", r, err)
	}
	w = newFixture(brittle(testkit.Where), 2, 0, 2, file{"a.gz", gz(t, noise(150_000), "and bad\n")})
	w.Scratch = t.TempDir()
	_, _, err = w.replay(t, mr.MapPhase, 0)
	var te *AppError
	if !errors.As(err, &te) || te.Offset != 150_000 || te.Line != 1876 {
		t.Errorf("%v: %+v", err, te)
	}
}

// TestCompressedProgress: progress counts decompressed bytes, and weighs what
// was read of the object.
func TestCompressedProgress(t *testing.T) {
	text := noise(400_000)
	w := newFixture(testkit.WC, 1, 0, 2, file{"a.gz", gz(t, text)}, file{"b", "one\ntwo\n"})
	w.Scratch = t.TempDir()
	p, err := w.mapOnce(t, nil)
	if err != nil {
		t.Fatal(err)
	}
	lines := int64(strings.Count(text, "\n"))
	if n := p.Bytes.Load(); n != 400_000-lines+6 {
		t.Errorf("%d bytes", n)
	}
	o := w.Spec.Objects[0]
	if n := p.Weight.Load(); n != o.Weight(w.Spec.InputFormat(), o.Size)+6 {
		t.Errorf("weight %d, want %d", n, o.Weight(w.Spec.InputFormat(), o.Size)+6)
	}
}

// TestCompressedStops: however an attempt ends in the middle of an object,
// nothing is left behind.
func TestCompressedStops(t *testing.T) {
	halt := errors.New("halt")
	for name, end := range map[string]func(context.CancelCauseFunc){
		"panic": func(context.CancelCauseFunc) { panic("at the tenth") }, "cancelled": func(cancel context.CancelCauseFunc) { cancel(halt) },
	} {
		ctx, cancel := context.WithCancelCause(context.Background())
		n := 0
		a := testkit.App(name, func(mr.Record, mr.Emitter) error {
			if n++; n == 10 {
				end(cancel)
			}
			return nil
		}, testkit.ReduceWhere, nil)
		w := newFixture(a, 1, 0, 1, file{"a.gz", gz(t, noise(600_000))})
		w.Scratch, w.Memory = t.TempDir(), minSlotMemory
		_, err := w.env(t).Run(ctx, Attempt{mr.MapPhase, 0, "m"})
		var te *AppError
		if name == "panic" && (!errors.As(err, &te) || te.Stack == "") || name == "cancelled" && !errors.Is(err, halt) {
			t.Errorf("%s: %v", name, err)
		}
		cancel(nil)
		w.Check(t)
	}
}

// TestDecompressMemory: what decompressing takes is off the budget.
func TestDecompressMemory(t *testing.T) {
	w := newFixture(testkit.WC, 1, 0, 1, file{"a", "x"}, file{"b.gz", ""}, file{"c.zst", ""})
	w.Spec.Tasks = append(w.Spec.Tasks, slices.Concat(w.Spec.Tasks...))
	gzip, zstd := decompress.Memory(manifest.Gzip), decompress.Memory(manifest.Zstd)
	for i, want := range []int64{0, gzip, zstd, gzip + zstd} {
		at := &attempt{Env: &Env{Job: w.Spec, Memory: 64 << 20}, Attempt: Attempt{Phase: mr.MapPhase, Index: i}}
		if got, _ := at.decompressMemory(); got != want {
			t.Errorf("task %d: %d, want %d", i, got, want)
		}
		at.Phase = mr.ReducePhase
		if got, _ := at.decompressMemory(); got != 0 {
			t.Errorf("reduce: %d", got)
		}
	}
	at := &attempt{Env: &Env{Job: w.Spec, Memory: minSlotMemory}, Attempt: Attempt{Phase: mr.MapPhase, Index: 2}}
	if got, _ := at.decompressMemory(); got != minSlotMemory/2 {
		t.Errorf("a small slot: %d", got)
	}
}

// BenchmarkCompressed maps 64 MiB of text, in one object and in 2,000 packed
// ones, as it is and compressed. MB/s are of the text.
func BenchmarkCompressed(b *testing.B) {
	lines := testkit.App("lines", func(mr.Record, mr.Emitter) error { return nil }, testkit.ReduceWhere, nil)
	for _, a := range []mr.App{lines, testkit.WC} {
		for _, n := range []int{1, 2000} {
			for _, ending := range []string{"", ".gz", ".zst"} {
				b.Run(fmt.Sprintf("%s/%d%s", a.Name, n, ending), func(b *testing.B) {
					var files []file
					for i := range n {
						text := prose(64 << 20 / n)
						switch ending {
						case ".gz":
							text = gz(b, text)
						case ".zst":
							text = zst(b, text)
						}
						files = append(files, file{fmt.Sprintf("f%05d%s", i, ending), text})
					}
					w := newFixture(a, 10, 0, n, files...)
					w.Scratch, w.Memory = b.TempDir(), 256<<20
					b.SetBytes(64 << 20)
					b.ReportAllocs()
					for i := 0; b.Loop(); i++ {
						if _, err := w.env(b).Run(context.Background(), Attempt{mr.MapPhase, 0, fmt.Sprint(i)}); err != nil {
							b.Fatal(err)
						}
						b.StopTimer()
						w.forget()
						b.StartTimer()
					}
				})
			}
		}
	}
}
