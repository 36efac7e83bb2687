package verify

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/mraws/mraws/internal/decompress"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// pack is text as an object of that compression, of two members or frames.
func pack(t testing.TB, kind manifest.Compression, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, part := range []string{text[:len(text)/3], text[len(text)/3:]} {
		var w io.WriteCloser
		switch kind {
		case "":
			return []byte(text)
		case manifest.Gzip:
			w = gzip.NewWriter(&b)
		case manifest.Zstd:
			z, err := zstd.NewWriter(&b, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(64<<10))
			if err != nil {
				t.Fatal(err)
			}
			w = z
		}
		_, err := io.WriteString(w, part)
		if err = errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// packedJob has compressed input of each kind, with bad records in it.
func packedJob(app mr.App) testJob {
	j := badJob(app)
	j.inputs["d.gz"] = "good\nbad, and more\nthe " + strings.Repeat("good\n", 200) + "\nbad"
	j.inputs["e.ZST"] = strings.Repeat("the good\n", 200) + strings.Repeat("y", 99)
	return j
}

func TestPacked(t *testing.T) {
	whole := wordCount()
	whole.Input = mr.WholeObjects
	plain := packedJob(whole)
	plain.maxRecord, plain.maxBad = 0, manifest.Budget{}
	for name, job := range map[string]testJob{"lines": packedJob(brittle("bad")), "whole": plain} {
		s, lay := job.build(t)
		rep := run(t, s, lay, job.app, Options{Scratch: t.TempDir(), MaxRecord: job.maxRecord, stream: 1})
		if !rep.OK() || rep.Reference.State != OK || rep.Reference.Records != rep.Structure.InputRecords || name == "lines" && rep.Structure.Skipped != 10 {
			t.Errorf("%s: %+v\n%s", name, rep, show(rep))
		}
	}
}

// TestPackedWrong: what the workers took for the input and what is in it are
// two things.
func TestPackedWrong(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(t *testing.T, s *fakeStore, l layout.Layout)
		want  Kind
		says  string
	}{
		{"damaged", func(_ *testing.T, s *fakeStore, l layout.Layout) {
			s.rot(l.Input("d.gz"), func(b []byte) []byte { b[len(b)-6] ^= 1; return b })
		}, Corrupt, "gzip: invalid checksum"},
		{"read as it is", func(t *testing.T, s *fakeStore, l layout.Layout) {
			edit(t, s, l.Job(), manifest.JobSchema, func(j *manifest.Job) { j.Objects[3].Compression = "" })
		}, Mismatch, ""},
		{"limit", func(t *testing.T, s *fakeStore, l layout.Layout) {
			edit(t, s, l.Job(), manifest.JobSchema, func(j *manifest.Job) { j.Decompress.Limit = 1000 })
		}, Corrupt, "more than the job allows"},
		{"a place that is none", func(t *testing.T, s *fakeStore, l layout.Layout) {
			edit(t, s, l.MapCommit(3), manifest.MapSchema, func(m *manifest.Map) {
				m.Bad.First[0].Offset++
				m.Bad = putList(t, s, m.Bad.Key, m.Bad.First)
			})
		}, Mismatch, "fails at the record at byte 5, which the job did not skip"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			job := packedJob(brittle("bad"))
			s, lay := job.build(t)
			tc.spoil(t, s, lay)
			rep := run(t, s, lay, job.app, Options{Scratch: t.TempDir(), MaxRecord: 30})
			for _, f := range rep.Findings {
				if f.Kind == tc.want && strings.Contains(f.Detail, tc.says) {
					return
				}
			}
			t.Errorf("no %s with %q:\n%s", tc.want, tc.says, show(rep))
		})
	}
}

// FuzzUnpack: the reference and the workers decompress alike, and refuse the
// same objects.
func FuzzUnpack(f *testing.F) {
	for _, pattern := range []string{"*.gz", "*.zst"} {
		files, err := filepath.Glob(filepath.Join("../decompress/testdata", pattern))
		if err != nil || len(files) < 3 {
			f.Fatal(files, err)
		}
		for _, name := range files {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			zst := filepath.Ext(name) == ".zst"
			f.Add(data, zst)
			f.Add(data[:len(data)*2/3], zst)
			f.Add(append(append(bytes.Clone(data), 0), data...), zst)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, zst bool) {
		o := manifest.Object{Name: "a", Size: int64(len(data)), Compression: manifest.Gzip}
		if zst {
			o.Compression = manifest.Zstd
		}
		limits := manifest.Decompress{Ratio: 1, Limit: 1 << 20}
		u := (&committed{job: &manifest.Job{Decompress: limits}}).unpack(o)(bytes.NewReader(data))
		mine, err := io.ReadAll(u)
		if u.Close() != nil || err != nil && !errors.Is(err, errPacked) {
			t.Fatal(err)
		}
		var d decompress.Decoder
		defer d.Close()
		s := d.Open(o, limits.Most(o.Size), bytes.NewReader(data))
		theirs, terr := io.ReadAll(s)
		if s.Close() != nil || (err == nil) != (terr == nil) || err == nil && !bytes.Equal(mine, theirs) {
			t.Fatalf("%d bytes, %v; workers: %d bytes, %v", len(mine), err, len(theirs), terr)
		}
	})
}
