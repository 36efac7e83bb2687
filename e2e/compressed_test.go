package e2e

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/mraws/mraws/internal/testkit"
)

// gzipped is each text as a member of one gzip file.
func gzipped(t *testing.T, texts ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	for _, text := range texts {
		w := gzip.NewWriter(&b)
		_, err := io.WriteString(w, text)
		if err = errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// zstandard is text as a zstd frame.
func zstandard(t *testing.T, text string) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	data := w.EncodeAll([]byte(text), nil)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return data
}

// upload writes files and uploads them.
func (b *fixture) upload(files map[string][]byte) {
	b.t.Helper()
	args := []string{"upload-input"}
	for name, data := range files {
		path := filepath.Join(b.dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			b.t.Fatal(err)
		}
		args = append(args, path)
	}
	b.run(0, args...)
}

// TestCompressed: a job over the same text gives the same bytes, however much
// of it is compressed and how, and the verifier agrees.
func TestCompressed(t *testing.T) {
	b := newFixture(t)
	files := map[string][]byte{"pg-book0.txt": []byte(book(0))}
	for i := 1; i < 4; i++ {
		files[fmt.Sprintf("pg-book%d.txt.gz", i)] = gzipped(t, book(i)[:9999], "", book(i)[9999:])
		if i := i + 2; i < 6 {
			files[fmt.Sprintf("pg-book%d.txt.zst", i)] = zstandard(t, book(i))
		}
	}
	delete(files, "pg-book3.txt.gz")
	// Between books 6 and 7 no words must grow together.
	files["pg-book6.txt.GZ"] = gzipped(t, book(6), "\n", book(7))
	b.upload(files)
	b.run(0, "run", "--app", "wc", "--nreduce", "4", "--split-size", "4KiB", "--verify")
	want := map[int]string{}
	for r, text := range reference(t, "wc", 4) {
		want[r] = text
	}
	if d := cmp.Diff(want, b.outputs()); d != "" {
		t.Errorf("not the output of the plain text:\n%s", d)
	}
	s := b.success()
	if want := len(files) - 1 + (len(book(0))+4<<10-1)/(4<<10); s.Map.Tasks != want { // one book is cut
		t.Errorf("%d map tasks, want %d", s.Map.Tasks, want)
	}
	out, _ := b.run(0, "replay", "map-6")
	wants(t, out, `"Ishmael"`)
	_, stderr := b.run(7, "run", "--app", "wc", "--nreduce", "4", "--decompress", "off")
	wants(t, stderr, "input read otherwise (decompress):", `"pg-book1.txt.gz"`, "hint:")
	b.run(0, "reset", "--yes")
	b.run(0, "run", "--app", "wc", "--nreduce", "4", "--decompress", "off", "--verify")
	if cmp.Equal(want, b.outputs()) {
		t.Error("--decompress off decompresses")
	}
}

// TestCutCompressed: objects that are cut between their blocks give what their text
// gives, whole or cut, and the verifier, which reads them from end to end, agrees on
// each map task. What cannot be cut is said.
func TestCutCompressed(t *testing.T) {
	text, packed := testkit.Packed(t)
	plain, files := map[string][]byte{}, map[string][]byte{}
	for _, name := range []string{"text.bz2", "streams.bz2", "text.bgz", "frames.zst", "seekable.zst", "text.zst", "text.xz"} {
		plain[name], files[name] = []byte(text), packed[name]
	}
	b := newFixture(t)
	b.upload(plain)
	b.run(0, "run", "--app", "wc", "--nreduce", "3")
	want := b.outputs()
	b.run(0, "reset", "--yes", "--input")
	b.upload(files)
	for split, tasks := range map[string]int{"64KiB": 20, "1GiB": len(files)} {
		_, stderr := b.run(0, "run", "--app", "wc", "--nreduce", "3", "--split-size", split, "--verify")
		if d := cmp.Diff(want, b.outputs()); d != "" {
			t.Errorf("split size %s: not the output of the plain text:\n%s", split, d)
		}
		if got := b.success().Map.Tasks; got < tasks || split == "1GiB" && got != tasks {
			t.Errorf("split size %s: %d map tasks, want %d", split, got, tasks)
		}
		if split != "1GiB" {
			wants(t, stderr, "2 objects cannot be split", "text.xz (xz, ", "text.zst (zstd of one frame, ")
			out, _ := b.run(0, "replay", "map-7")
			wants(t, out, `"alpha"`)
		}
		b.run(0, "reset", "--yes")
	}
}

// TestDamagedGzip: the first attempt that meets damage ends the job, and the
// error names the object and both places.
func TestDamagedGzip(t *testing.T) {
	good := gzipped(t, book(1))
	n := len(good)
	for name, tc := range map[string]struct {
		data []byte
		says []string
	}{
		"cut":      {good[:n/2], []string{fmt.Sprintf("(gzip) at byte %d of %d, ", n/2, n/2), " decompressed: it is cut off", "upload the object again"}},
		"checksum": {append(append([]byte{}, good[:n-8]...), "CRC?size"...), []string{fmt.Sprintf("at byte %d of %d, %d decompressed: damaged", n, n, len(book(1)))}},
		"trailing": {append(append([]byte{}, good...), "more"...), []string{"other bytes follow"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newFixture(t)
			b.upload(map[string][]byte{"good.gz": good, "bad.gz": tc.data})
			_, stderr := b.run(4, "run", "--app", "wc", "--nreduce", "2", "--workers", "1", "--max-bad-records", "50%")
			wants(t, stderr, append(tc.says, "decompress bad.gz")...)
			if n := strings.Count(stderr, `"attempt failed"`); n > 1 {
				t.Errorf("%d attempts failed:\n%s", n, stderr)
			}
			_, stderr = b.run(4, "replay", "map-0")
			wants(t, stderr, "the task cannot succeed", "decompress bad.gz")
		})
	}
}
