package decompress

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/testkit"
)

// blockFiles are files of the kinds that may be cut.
var blockFiles = map[string]manifest.Compression{
	"text.bz2": manifest.Bzip2, "streams.bz2": manifest.Bzip2, "text.bgz": manifest.BGZF,
	"frames.zst": manifest.Zstd, "seekable.zst": manifest.Zstd, "pzstd.zst": manifest.Zstd,
}

// blocks reads the blocks of an object that begin at or behind a byte.
func blocks(d *Decoder, kind manifest.Compression, data []byte, from, most int64) (at []int64, texts []string, err error) {
	o := manifest.Object{Name: "a", Size: int64(len(data)), Compression: kind}
	b := d.Blocks(o, from, most, bytes.NewReader(data[from:]))
	for {
		place, err := b.Next()
		if errors.Is(err, io.EOF) {
			return at, texts, b.Close()
		}
		if err != nil {
			return at, texts, err
		}
		text, err := io.ReadAll(b)
		if err != nil {
			return at, texts, err
		}
		at, texts = append(at, place), append(texts, string(text))
	}
}

// TestBlocks: from any byte on those blocks are found that begin there or behind it.
func TestBlocks(t *testing.T) {
	text, files := testkit.Packed(t)
	for name, kind := range blockFiles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var d Decoder
			defer d.Close()
			data := files[name]
			all, texts, err := blocks(&d, kind, data, 0, 1<<30)
			if err != nil || strings.Join(texts, "") != text || len(all) == 0 {
				t.Fatalf("%d blocks of %d bytes, %v", len(all), len(strings.Join(texts, "")), err)
			}
			places := []int64{1, int64(len(data)) - 1}
			for _, at := range all[1:] {
				places = append(places, at-1, at, at+1)
			}
			for _, from := range places {
				skip := 0
				for skip < len(all) && all[skip] < from {
					skip++
				}
				at, got, err := blocks(&d, kind, data, from, 1<<30)
				if err != nil || len(at) != len(all)-skip || strings.Join(got, "") != strings.Join(texts[skip:], "") {
					t.Errorf("from byte %d: %d blocks, want %d, %v", from, len(at), len(all)-skip, err)
				}
			}
			if _, _, err := blocks(&d, kind, data, 0, 1000); !errors.Is(err, ErrTooLarge) {
				t.Errorf("more than it may give: %v", err)
			}
		})
	}
}

// TestScan48 compares the search for bits with one that looks at every bit.
func TestScan48(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 8, 64).Draw(t, "bytes")
		for range rapid.IntRange(0, 3).Draw(t, "patterns") {
			magic := rapid.SampledFrom([]uint64{bzip2Block, bzip2End}).Draw(t, "pattern")
			at := rapid.IntRange(0, 8*len(b)-48).Draw(t, "at")
			for i := range 48 {
				bit := byte(magic>>(47-i)) & 1
				b[(at+i)/8] = b[(at+i)/8]&^(1<<(7-(at+i)%8)) | bit<<(7-(at+i)%8)
			}
		}
		from := rapid.Int64Range(0, int64(8*len(b))).Draw(t, "from")
		for _, ends := range []bool{false, true} {
			want := int64(-1)
			for bit := from; bit+48 <= int64(8*len(b)) && want < 0; bit++ {
				var w [8]byte
				copy(w[:], b[bit/8:])
				if v := binary.BigEndian.Uint64(w[:]) << (bit % 8) >> 16; v == bzip2Block || ends && v == bzip2End {
					want = bit
				}
			}
			if got := scan48(b, from, ends); got != want {
				t.Fatalf("from bit %d, ends %t: %d, want %d in %x", from, ends, got, want, b)
			}
		}
	})
}

// TestSeveral: whether a zstd object has several frames shows in its first bytes,
// or in its last.
func TestSeveral(t *testing.T) {
	_, files := testkit.Packed(t)
	for name, want := range map[string]bool{"text.zst": false, "frames.zst": true, "pzstd.zst": false, "seekable.zst": true} {
		if got, err := Several(bytes.NewReader(files[name])); got != want || err != nil {
			t.Errorf("%s: %t, %v", name, got, err)
		}
		if got, err := Several(bytes.NewReader(files[name][:1000])); got || err != nil {
			t.Errorf("%s, its first bytes: %t, %v", name, got, err)
		}
		data := files[name]
		if got := Seekable(data[len(data)-SeekTable:]); got != (name == "seekable.zst") {
			t.Errorf("%s is seekable: %t", name, got)
		}
	}
}

// FuzzBlocks: whatever bytes an object has and wherever it is read from, its blocks
// give no more than they may, and fail with an *Error or not at all.
func FuzzBlocks(f *testing.F) {
	_, files := testkit.Packed(f)
	kinds := []manifest.Compression{manifest.BGZF, manifest.Zstd, manifest.Bzip2}
	for name, kind := range blockFiles {
		for i, k := range kinds {
			if k == kind {
				data := files[name]
				f.Add(data[:min(len(data), 40_000)], uint(0), i)
				f.Add(data[len(data)/2:], uint(100), i)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, from uint, kind int) {
		const most = 1 << 20
		var d Decoder
		defer d.Close()
		_, texts, err := blocks(&d, kinds[uint(kind)%3], data, int64(from%uint(len(data)+1)), most)
		var e *Error
		if n := len(strings.Join(texts, "")); n > most || err != nil && (!errors.As(err, &e) || e.At < 0 || e.At > int64(len(data))) {
			t.Fatalf("%d bytes, %v", n, err)
		}
	})
}

// TestDetect: what the first bytes of files say, whole or few of them.
func TestDetect(t *testing.T) {
	_, files := testkit.Packed(t)
	for name, want := range map[string]manifest.Compression{
		"text.gz": manifest.Gzip, "text.bgz": manifest.BGZF, "text.bz2": manifest.Bzip2, "streams.bz2": manifest.Bzip2, "text.xz": manifest.XZ, "text.lz4": manifest.LZ4,
		"text.zst": manifest.Zstd, "pzstd.zst": manifest.Zstd, "text.sz": manifest.Snappy, "text.s2": manifest.S2,
	} {
		if got, err := Detect("a.txt", files[name][:min(len(files[name]), HeadSize)]); got != want || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, text := range []string{"", "B", "BZh9 is no file", "one\n", "PK", "\x1f", "é\n", "]\x00\x00", "Salted", "{\"a\": 1}\n", "P\x2a\x4d\x18"} {
		if got, err := Detect("a.gz", []byte(text)); got != "" || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}
