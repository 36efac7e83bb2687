package testkit

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/binary"
	"errors"
	"io"

	"github.com/klauspost/compress/s2"
)

//go:embed testdata/packed
var packed embed.FS

// Packed returns a text of 210 kB, with empty lines, one of 77 kB and no line feed at
// its end, and files that hold it, by name. They are what these programs make: bzip2
// 1.0.8 (text.bz2 of blocks of 100 kB; streams.bz2 of three streams, one of them
// empty), xz 5.4 (streams.xz of two with other checks, the second of many blocks, and
// padding), lz4 1.9.4 (frames.lz4 of two, the first with blocks that need those
// before), zstd 1.5 (text.zst of one frame, frames.zst and seekable.zst of several, the
// latter with a table), pzstd (of frames behind frames to skip), gzip 1.12; text.bgz is
// in the form of samtools, and text.sz and text.s2 are made by klauspost/compress.
func Packed(t TB) (text string, files map[string][]byte) {
	t.Helper()
	files = map[string][]byte{}
	entries, err := packed.ReadDir("testdata/packed")
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, e := range entries {
		if files[e.Name()], err = packed.ReadFile("testdata/packed/" + e.Name()); err != nil {
			t.Fatalf("%v", err)
		}
	}
	r, err := gzip.NewReader(bytes.NewReader(files["text.gz"]))
	if err != nil {
		t.Fatalf("%v", err)
	}
	all, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("%v", err)
	}
	for name, options := range map[string][]s2.WriterOption{"text.sz": {s2.WriterSnappyCompat()}, "text.s2": nil} {
		var b bytes.Buffer
		w := s2.NewWriter(&b, append(options, s2.WriterConcurrency(1), s2.WriterBlockSize(64<<10))...)
		_, err := w.Write(all)
		if err = errors.Join(err, w.Close()); err != nil {
			t.Fatalf("%v", err)
		}
		files[name] = b.Bytes()
	}
	return string(all), files
}

// BGZF returns text in gzip members of so many bytes each, which say how long they are,
// with an empty one at the end (SAM/BAM Format Specification, section 4.1).
func BGZF(t TB, text string, size int) []byte {
	t.Helper()
	var file []byte
	for done := false; !done; {
		part := text[:min(size, len(text))]
		text, done = text[len(part):], part == ""
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		w.Extra = []byte{'B', 'C', 2, 0, 0, 0}
		_, err := io.WriteString(w, part)
		if err = errors.Join(err, w.Close()); err != nil {
			t.Fatalf("%v", err)
		}
		block := b.Bytes()
		binary.LittleEndian.PutUint16(block[16:], uint16(len(block)-1)) // behind 10 bytes, a length, and "BC" with its own
		file = append(file, block...)
	}
	return file
}
