package decompress

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/internal/manifest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// object is the object of that name that holds data.
func object(name string, data []byte) manifest.Object {
	return manifest.Object{Name: name, Size: int64(len(data)), Compression: manifest.CompressionOf(name)}
}

// decompress decompresses data with d.
func decompress(d *Decoder, name string, data []byte, most int64) ([]byte, error) {
	s := d.Open(object(name, data), most, bytes.NewReader(data))
	out, err := io.ReadAll(s)
	return out, errors.Join(err, s.Close())
}

// fataler is a test, a benchmark or a check of rapid.
type fataler interface {
	Helper()
	Fatal(args ...any)
}

// packed is text as one gzip member.
func packed(t fataler, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(text)
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// packedZstd is text as one zstd frame, with a checksum.
func packedZstd(t fataler, text []byte) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	data := w.EncodeAll(text, nil)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return data
}

// TestGolden reads what other programs wrote: GNU gzip 1.12 (gnu.gz of a file
// with its name in the header, gnu-stdin.gz), Python 3's gzip and zlib modules
// (python.gz; header.gz with every optional field; lines.gz of a member for
// each line; halves.gz with an empty member between two; bgzip.gz in the form
// of samtools, with lengths in extra fields and an empty member at the end;
// padded.gz with zero bytes behind it; stored.gz without compression), and
// zstd 1.5 (zstd.zst at level 19, zstd-stdin.zst without checksum or size,
// frames.zst of two frames with one to skip between them). One decoder reads
// them all.
func TestGolden(t *testing.T) {
	text, err := os.ReadFile("testdata/text.txt")
	if err != nil {
		t.Fatal(err)
	}
	var d Decoder
	defer d.Close()
	for _, pattern := range []string{"*.gz", "*.zst"} {
		files, err := filepath.Glob(filepath.Join("testdata", pattern))
		if err != nil || len(files) < 3 {
			t.Fatalf("%q, %v", files, err)
		}
		for _, name := range files {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got, err := decompress(&d, name, data, int64(len(text)))
			if err != nil || !bytes.Equal(got, text) {
				t.Errorf("%s: %q, %v", name, got, err)
			}
			if _, err := decompress(&d, name, data, int64(len(text))-1); !errors.Is(err, ErrTooLarge) {
				t.Errorf("%s may be one byte smaller: %v", name, err)
			}
		}
	}
}

// TestDamage: whatever is wrong with an object is told, with both places.
func TestDamage(t *testing.T) {
	text := []byte(strings.Repeat("some text, again and again\n", 9))
	gz, zs := packed(t, text), packedZstd(t, text)
	edit := func(data []byte, f func([]byte)) []byte {
		data = bytes.Clone(data)
		f(data)
		return data
	}
	n := len(gz)
	for _, tc := range []struct {
		name, object string
		data         []byte
		want         error  // nil for any other
		says         string // in the message
	}{
		{"empty", "a.gz", nil, ErrEmpty, "decompress a.gz (gzip) at byte 0 of 0, 0 decompressed: the object is empty"},
		{"one byte", "a.gz", gz[:1], ErrTruncated, "at byte 0 of 1,"},
		{"text", "a.gz", text, ErrFormat, "at byte 0 of 243, 0 decompressed: its first bytes do not match"},
		{"zstd in gzip", "a.gz", zs, ErrFormat, ""},
		{"method", "a.gz", edit(gz, func(b []byte) { b[2] = 7 }), nil, "method 7 and flags 0x00"},
		{"reserved flag", "a.gz", edit(gz, func(b []byte) { b[3] = 0x20 }), nil, "method 8 and flags 0x20"},
		{"header checksum", "a.gz", edit(gz, func(b []byte) { b[3] = 2 }), nil, "the header of a gzip member"},
		{"in the header", "a.gz", gz[:7], ErrTruncated, ""},
		{"in the data", "a.gz", gz[:n-12], ErrTruncated, fmt.Sprintf("at byte %d of %d,", n-12, n-12)},
		{"in the trailer", "a.gz", gz[:n-3], ErrTruncated, "243 decompressed"},
		{"checksum", "a.gz", edit(gz, func(b []byte) { b[n-8]++ }), ErrChecksum, fmt.Sprintf("at byte %d of %d, 243 decompressed", n, n)},
		{"length", "a.gz", edit(gz, func(b []byte) { b[n-1]++ }), ErrChecksum, ""},
		{"block type", "a.gz", edit(gz, func(b []byte) { b[10] |= 7 }), nil, "no deflate data"},
		{"garbage", "a.gz", append(bytes.Clone(gz), "garbage"...), ErrTrailing, "243 decompressed"},
		{"half a magic", "a.gz", append(bytes.Clone(gz), 0x1f), ErrTruncated, "243 decompressed"},
		{"garbage behind zeros", "a.gz", append(append(bytes.Clone(gz), 0, 0, 0), gz...), ErrTrailing, ""},
		{"second member", "a.gz", append(bytes.Clone(gz), gz[:n-1]...), ErrTruncated, "486 decompressed"},
		{"empty", "a.zst", nil, ErrEmpty, "decompress a.zst (zstd) at byte 0 of 0, 0 decompressed: the object is empty"},
		{"text", "a.zst", text, ErrFormat, ""},
		{"gzip in zstd", "a.zst", gz, ErrFormat, ""},
		{"in the magic", "a.zst", zs[:3], ErrFormat, ""},
		{"in the data", "a.zst", zs[:len(zs)-5], ErrTruncated, ""},
		{"in the checksum", "a.zst", zs[:len(zs)-1], ErrTruncated, ""},
		{"checksum", "a.zst", edit(zs, func(b []byte) { b[len(b)-1]++ }), ErrChecksum, ""},
		{"garbage", "a.zst", append(bytes.Clone(zs), "garbage"...), ErrTrailing, ""},
		{"zeros", "a.zst", append(bytes.Clone(zs), make([]byte, 8)...), ErrTrailing, ""},
		// RFC 8878, section 3.1.1.1: a window of 16 MiB, and a dictionary.
		{"window", "a.zst", append([]byte("\x28\xb5\x2f\xfd\x00\x70"), zs[6:]...), ErrWindow, "long mode"},
		{"dictionary", "a.zst", append([]byte("\x28\xb5\x2f\xfd\x01\x00\x07"), zs[6:]...), nil, "dictionary"},
	} {
		t.Run(tc.object+" "+tc.name, func(t *testing.T) {
			var d Decoder
			defer d.Close()
			_, err := decompress(&d, tc.object, tc.data, 1<<30)
			var e *Error
			if !errors.As(err, &e) || e.Object != tc.object || e.At > e.Size || e.Size != int64(len(tc.data)) {
				t.Fatalf("%v: %+v", err, e)
			}
			if tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want %v with %q", err, tc.want, tc.says)
			}
			// The decoder goes on with the next object.
			if got, err := decompress(&d, "b.gz", gz, 1<<30); err != nil || !bytes.Equal(got, text) {
				t.Errorf("afterwards: %q, %v", got, err)
			}
		})
	}
}

// TestTruncated: no part of a file passes for all of it.
func TestTruncated(t *testing.T) {
	var d Decoder
	defer d.Close()
	text := []byte("one\ntwo\n")
	two := append(packed(t, text), packed(t, text)...)
	for n := range two {
		if _, err := decompress(&d, "a.gz", two[:n], 1<<30); (err == nil) != (n == len(two)/2) {
			t.Errorf("%d of %d bytes: %v", n, len(two), err)
		}
	}
	frame := packedZstd(t, text)
	for n := range frame {
		if _, err := decompress(&d, "a.zst", frame[:n], 1<<30); err == nil {
			t.Errorf("%d of %d bytes of zstd are no error", n, len(frame))
		}
	}
}

// TestBitFlips: a flipped bit of the data is found, wherever it is; the
// header has bits that say nothing about them.
func TestBitFlips(t *testing.T) {
	var d Decoder
	defer d.Close()
	text := []byte("four score and seven years ago\n")
	for name, data := range map[string][]byte{"a.gz": packed(t, text), "a.zst": packedZstd(t, text)} {
		for bit := range 8 * len(data) {
			bad := bytes.Clone(data)
			bad[bit/8] ^= 1 << (bit % 8)
			if got, err := decompress(&d, name, bad, 1<<30); err == nil && !bytes.Equal(got, text) {
				t.Errorf("%s, bit %d: %q", name, bit, got)
			}
		}
	}
}

// TestStreams: however a text is cut into members or frames, however its
// bytes arrive, and whatever the decoder did before, it comes out whole.
func TestStreams(t *testing.T) {
	var d Decoder
	defer d.Close()
	texts := []string{"", "a\n", "b", strings.Repeat("line\r\n", 30000), random(90000)}
	var gz, zs [][]byte
	for _, text := range texts {
		gz, zs = append(gz, packed(t, []byte(text))), append(zs, packedZstd(t, []byte(text)))
	}
	rapid.Check(t, func(t *rapid.T) {
		zst := rapid.Bool().Draw(t, "zstd")
		var text, data []byte
		for _, i := range rapid.SliceOfN(rapid.IntRange(0, len(texts)-1), 1, 5).Draw(t, "parts") {
			text = append(text, texts[i]...)
			if zst {
				data = append(data, zs[i]...)
			} else {
				data = append(data, gz[i]...)
			}
		}
		name := "a.zst"
		if !zst {
			name = "a.gz"
			data = append(data, make([]byte, rapid.IntRange(0, 3).Draw(t, "padding"))...)
		}
		body := io.Reader(bytes.NewReader(data))
		switch rapid.IntRange(0, 3).Draw(t, "body") {
		case 0:
			body = iotest.OneByteReader(body)
		case 1:
			body = iotest.HalfReader(body)
		case 2:
			body = iotest.DataErrReader(body)
		}
		s := d.Open(object(name, data), int64(len(text)), body)
		out := io.Reader(s)
		if rapid.Bool().Draw(t, "small reads") {
			out = iotest.HalfReader(out)
		}
		got, err := io.ReadAll(out)
		if err = errors.Join(err, s.Close()); err != nil || !bytes.Equal(got, text) || s.Taken() != int64(len(data)) {
			t.Fatalf("%d of %d bytes, %d of %d taken, %v", len(got), len(text), s.Taken(), len(data), err)
		}
	})
}

// random returns n bytes that do not compress.
func random(n int) string {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return string(b)
}

// TestBodyErrors: an error of the body comes through as it is, and none of
// the object.
func TestBodyErrors(t *testing.T) {
	broken := errors.New("broken")
	for name, data := range map[string][]byte{
		"small.gz": packed(t, []byte("text")), "large.gz": packed(t, []byte(random(1<<20))), "large.zst": packedZstd(t, []byte(random(1<<20))),
	} {
		for _, n := range []int{0, 1, 11, len(data) / 2, len(data) - 1} {
			for _, want := range []error{broken, io.ErrUnexpectedEOF} {
				var d Decoder
				s := d.Open(object(name, data), 1<<30, io.MultiReader(bytes.NewReader(data[:n]), iotest.ErrReader(want)))
				_, err := io.Copy(io.Discard, s)
				var e *Error
				if !errors.Is(err, want) || errors.As(err, &e) || s.Close() != nil {
					t.Errorf("%s broken after %d bytes: got %v, want %v", name, n, err, want)
				}
				d.Close()
			}
		}
	}
}

// TestClose: a stream may be closed at any time, and reads no more then.
func TestClose(t *testing.T) {
	data := packed(t, []byte(random(1<<20)))
	var d Decoder
	defer d.Close()
	for _, n := range []int64{-1, 0, 1, 300_000} {
		s := d.Open(object("a.gz", data), 1<<30, bytes.NewReader(data))
		if n >= 0 {
			if _, err := io.CopyN(io.Discard, s, n); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Errorf("after %d bytes: %v", n, err)
		}
		taken := s.Taken()
		if n, err := s.Read(make([]byte, 1)); n != 0 || err == nil || s.Taken() != taken {
			t.Errorf("read after Close: %d bytes, %v", n, err)
		}
	}
}

// TestBomb: far more data than allowed is noticed at the limit, in bounded
// memory.
func TestBomb(t *testing.T) {
	zeros := make([]byte, 1<<20)
	var b bytes.Buffer
	gz := gzip.NewWriter(&b)
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	var zb bytes.Buffer
	z.Reset(&zb)
	for range 12 {
		_, err := gz.Write(zeros)
		_, zerr := z.Write(zeros)
		if err = errors.Join(err, zerr); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(gz.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"a.gz": b.Bytes(), "a.zst": zb.Bytes()} {
		const most = 3<<20 + 1
		var d Decoder
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s := d.Open(object(name, data), most, bytes.NewReader(data))
		n, err := io.Copy(struct{ io.Writer }{io.Discard}, s)
		runtime.ReadMemStats(&after)
		var e *Error
		if !errors.As(err, &e) || !errors.Is(err, ErrTooLarge) || n != most || e.Out != most || e.At > e.Size/3 {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		d.Close()
		if used := after.TotalAlloc - before.TotalAlloc; used > uint64(Memory(object(name, nil).Compression))+1<<20 {
			t.Errorf("%s: %d bytes allocated", name, used)
		}
	}
}

// TestSame: the same damage is known again, also when the bytes come in other
// portions.
func TestSame(t *testing.T) {
	data := packed(t, []byte(random(200_000)))
	other := bytes.Clone(data)
	data[100_000]++
	other[50_000]++
	read := func(body io.Reader) *Error {
		var d Decoder
		defer d.Close()
		s := d.Open(object("a.gz", data), 1<<30, body)
		_, err := io.Copy(io.Discard, s)
		var e *Error
		if !errors.As(err, &e) || s.Close() != nil {
			t.Fatal(err)
		}
		return e
	}
	first := read(bytes.NewReader(data))
	if again := read(iotest.HalfReader(bytes.NewReader(data))); !first.Same(again) {
		t.Errorf("%v is not %v", again, first)
	}
	if cut := read(bytes.NewReader(other[:60_000])); first.Same(cut) {
		t.Errorf("%v is %v", cut, first)
	}
}
