package decompress

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
)

// FuzzDecompress: whatever bytes an object has, it gives no more than it may,
// fails with an *Error or not at all, and does the same however the bytes
// arrive. Seeds are the golden files, whole and cut.
func FuzzDecompress(f *testing.F) {
	for _, pattern := range []string{"*.gz", "*.zst"} {
		files, err := filepath.Glob(filepath.Join("testdata", pattern))
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range files {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			zst := filepath.Ext(name) == ".zst"
			f.Add(data, zst)
			f.Add(data[:len(data)*2/3], zst)
			f.Add(append(bytes.Clone(data), data...), zst)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, zst bool) {
		const most = 1 << 20
		name := "a.gz"
		if zst {
			name = "a.zst"
		}
		var d Decoder
		defer d.Close()
		text, err := decompress(&d, name, data, most)
		var e *Error
		if len(text) > most || err != nil && !errors.As(err, &e) {
			t.Fatalf("%d bytes, %v", len(text), err)
		}
		if e != nil && (e.Out != int64(len(text)) || e.At < 0 || e.At > int64(len(data))) {
			t.Fatalf("%d bytes, %v", len(text), err)
		}
		s := d.Open(object(name, data), most, iotest.OneByteReader(bytes.NewReader(data)))
		again, err := io.ReadAll(s)
		var o *Error
		errors.As(err, &o)
		if !bytes.Equal(again, text) || (e == nil) != (o == nil) || e != nil && !e.Same(o) || s.Close() != nil {
			t.Fatalf("%d bytes, %v, then %d bytes, %v", len(text), e, len(again), err)
		}
	})
}
