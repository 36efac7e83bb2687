package input

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/mr"
)

// oracle cuts text into lines the slow, obvious way.
func oracle(text string, numbered bool) []mr.Record {
	var recs []mr.Record
	var off int64
	for _, line := range strings.SplitAfter(text, "\n") {
		if line == "" {
			continue
		}
		data := strings.TrimSuffix(line, "\n")
		rec := mr.Record{Object: "o", Offset: off, Data: []byte(data)}
		if numbered {
			rec.Line = int64(len(recs) + 1)
		}
		recs = append(recs, rec)
		off += int64(len(line))
	}
	return recs
}

// collect copies what r returns.
func collect(t fatalf, r Reader) []mr.Record {
	var recs []mr.Record
	for r.Next() {
		rec := r.Record()
		rec.Data = append([]byte{}, rec.Data...)
		recs = append(recs, rec)
	}
	if err := r.Err(); err != nil {
		t.Fatalf("read: %v", err)
	}
	if r.Next() {
		t.Fatalf("Next after the end returned true")
	}
	return recs
}

type fatalf interface{ Fatalf(string, ...any) }

// opener serves ranges of text and notes whether all were closed.
type opener struct {
	text  string
	small bool  // one byte at a time, EOF together with the last
	views []int // bodies are sources that show so many bytes in turn
	open  int
	asked int64
}

func (o *opener) Open(off, n int64) (Body, error) {
	if off < 0 || n <= 0 || off+n > int64(len(o.text)) {
		return nil, fmt.Errorf("range [%d, %d) of %d bytes", off, off+n, len(o.text))
	}
	o.open++
	o.asked += n
	if len(o.views) > 0 {
		return closer{&views{text: o.text[off : off+n], sizes: o.views}, o}, nil
	}
	var r io.Reader = strings.NewReader(o.text[off : off+n])
	if o.small {
		r = iotest.DataErrReader(iotest.OneByteReader(r))
	}
	return closer{NewBuffered(r, n), o}, nil
}

type closer struct {
	Source
	o *opener
}

func (c closer) Close() error { c.o.open--; return nil }

// pieces reads text cut at the given offsets, piece after piece.
func pieces(t fatalf, text string, cuts []int, small bool, views ...int) []mr.Record {
	o := &opener{text: text, small: small, views: views}
	var recs []mr.Record
	from := 0
	for _, to := range append(cuts, len(text)) {
		p := Piece{Object: "o", Size: int64(len(text)), Offset: int64(from), Length: int64(to - from), Open: o.Open}
		r, err := Read(lines{}, p, 0)
		if err != nil {
			t.Fatalf("Read: %v", err)
		}
		lines := collect(t, r)
		recs = append(recs, lines...)
		if err := r.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
		sameInBlocks(t, p, lines)
		from = to
	}
	if o.open != 0 {
		t.Fatalf("%d bodies left open", o.open)
	}
	return recs
}

// sameInBlocks reads a piece by blocks and compares the lines.
func sameInBlocks(t fatalf, p Piece, want []mr.Record) {
	r, err := Read(lines{}, p, 0)
	if err != nil {
		t.Fatalf("Read: %v", err)
	}
	b, ok := r.Blocks()
	if !ok {
		t.Fatalf("lines do not come in blocks")
	}
	var got []mr.Record
	for b.NextBlock() {
		rec := b.Record()
		if len(rec.Data) == 0 && len(got) >= len(want) {
			t.Fatalf("an empty block at %d", rec.Offset)
		}
		off := rec.Offset
		for _, line := range bytes.SplitAfter(rec.Data, []byte("\n")) {
			if len(line) == 0 && len(rec.Data) > 0 {
				continue // behind the last line end
			}
			data := bytes.TrimSuffix(line, []byte("\n"))
			got = append(got, mr.Record{Object: rec.Object, Offset: off, Data: bytes.Clone(data)})
			off += int64(len(line))
		}
	}
	if err := errors.Join(b.Err(), r.Close()); err != nil {
		t.Fatalf("read blocks: %v", err)
	}
	same := func(a, b mr.Record) bool {
		return a.Object == b.Object && a.Offset == b.Offset && bytes.Equal(a.Data, b.Data)
	}
	if !slices.EqualFunc(want, got, same) {
		t.Fatalf("blocks of %+v have %d lines, want %d", p, len(got), len(want))
	}
}

func TestLines(t *testing.T) {
	for _, text := range []string{
		"", "\n", "\r\n", "\r", "a", "a\n", "a\r\n", "a\r", "a\r\r\n", "\n\n", "\na", "a\n\nb",
		"one\ntwo\r\nthree", "\r\n\r\n", "a\x00b\nc\xff\n",
	} {
		for _, in := range []lines{{}, {numbered: true}} {
			o := &opener{text: text}
			r, err := Read(in, Piece{Object: "o", Size: int64(len(text)), Length: int64(len(text)), Open: o.Open}, 0)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(oracle(text, in.numbered), collect(t, r)); diff != "" {
				t.Errorf("%q, input %+v (-want +got):\n%s", text, in, diff)
			}
		}
	}
}

// TestSplits: any way of splitting an object gives the records of the whole.
func TestSplits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"\n", "\r", "\r\n", "a", "bc", "\n\n", "word ", "é"})).Draw(t, "text"), "")
		cuts := rapid.SliceOf(rapid.IntRange(0, len(text))).Draw(t, "cuts")
		views := rapid.SliceOfN(rapid.IntRange(1, 9), 0, 3).Draw(t, "views")
		if diff := cmp.Diff(oracle(text, false), pieces(t, text, slices.Sorted(slices.Values(cuts)), rapid.Bool().Draw(t, "small"), views...)); diff != "" {
			t.Fatalf("%q cut at %v (-want +got):\n%s", text, cuts, diff)
		}
	})
}

// FuzzSplits cuts at offsets that the bytes of cuts give in 256ths.
func FuzzSplits(f *testing.F) {
	f.Add("one\ntwo\r\nthree\n", []byte{0, 60, 61, 255})
	f.Add("\n\n\n", []byte{128})
	f.Add("no line end at all", []byte{10, 100})
	f.Fuzz(func(t *testing.T, text string, at []byte) {
		cuts := make([]int, len(at))
		for i, b := range at {
			cuts[i] = len(text) * int(b) / 255
		}
		if diff := cmp.Diff(oracle(text, false), pieces(t, text, slices.Sorted(slices.Values(cuts)), len(at)%2 == 1)); diff != "" {
			t.Fatalf("%q cut at %v (-want +got):\n%s", text, cuts, diff)
		}
	})
}

// TestLongLines crosses the buffer's size and the steps behind a piece.
func TestLongLines(t *testing.T) {
	var b strings.Builder
	for _, n := range []int{0, 1, maxBlock - 1, maxBlock, maxBlock + 1, 3 * maxBlock, 80, 5*maxBlock + 7} {
		b.WriteString(strings.Repeat("x", n) + "\r\n")
	}
	text := b.String()
	for _, cuts := range [][]int{nil, {1}, {maxBlock}, {maxBlock + 3, maxBlock + 4, 2 * maxBlock, 7 * maxBlock}} {
		same := func(a, b mr.Record) bool { return a.Offset == b.Offset && bytes.Equal(a.Data, b.Data) }
		for _, views := range [][]int{nil, {3 * maxBlock}, {maxBlock, 10, 2*maxBlock + 1}} {
			if !slices.EqualFunc(oracle(text, false), pieces(t, text, cuts, false, views...), same) {
				t.Errorf("cut at %v, seen in %v: records differ", cuts, views)
			}
		}
	}
}

// TestReadsLittleBehind: a piece in the middle asks for little more than its
// own bytes, and one in which no line starts for nothing behind it.
func TestReadsLittleBehind(t *testing.T) {
	text := strings.Repeat(strings.Repeat("x", 79)+"\n", 10000)
	o := &opener{text: text}
	r, err := Read(lines{}, Piece{Object: "o", Size: int64(len(text)), Offset: 1000, Length: 1000, Open: o.Open}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(collect(t, r)); n != 12 {
		t.Errorf("%d records, want 12", n)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if most := int64(1001 + firstStep); o.asked > most {
		t.Errorf("asked for %d bytes, want at most %d", o.asked, most)
	}
	o = &opener{text: text}
	r, err = Read(lines{}, Piece{Object: "o", Size: int64(len(text)), Offset: 801, Length: 10, Open: o.Open}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(collect(t, r)); n != 0 || o.asked != 11 {
		t.Errorf("%d records after asking for %d bytes, want 0 and 11", n, o.asked)
	}
}

func TestTooLong(t *testing.T) {
	for _, tc := range []struct {
		text string
		max  int
		off  int64 // of the record that is too long; -1: none
	}{
		{"abc\nabcd\n", 4, -1}, {"abc\r\n", 4, -1}, {"abcd", 4, -1},
		{"abc\nabcde\n", 4, 4}, {"abcd\r\n", 4, 0}, {"abcde", 4, 0}, {"abcd\r", 4, 0},
		{strings.Repeat("x", 3*maxBlock), maxBlock, 0},
	} {
		r := Lines(NewBuffered(strings.NewReader(tc.text), 0), LinesOptions{Object: "o", First: true, Limit: -1, MaxRecord: tc.max})
		for r.Next() {
		}
		var tooLong *TooLongError
		switch {
		case tc.off < 0 && r.Err() != nil:
			t.Errorf("%.20q: %v", tc.text, r.Err())
		case tc.off >= 0 && !errors.As(r.Err(), &tooLong):
			t.Errorf("%.20q: got %v, want a TooLongError", tc.text, r.Err())
		case tc.off >= 0 && *tooLong != TooLongError{"o", tc.off, tc.max}:
			t.Errorf("%.20q: got %+v", tc.text, *tooLong)
		}
	}
	// A line that another piece owns may be longer: it is never held.
	text := strings.Repeat("x", 4*maxBlock) + "\nabc\n"
	r := Lines(NewBuffered(strings.NewReader(text), 0), LinesOptions{Object: "o", Limit: -1, MaxRecord: 10})
	if n := len(collect(t, r)); n != 1 || cap(r.line) > maxBlock {
		t.Errorf("%d records with a buffer of %d bytes", n, cap(r.line))
	}
}

// TestReadErrors: an error ends the lines after those that were whole, and no
// part of a line passes for one.
func TestReadErrors(t *testing.T) {
	broken := errors.New("broken")
	for _, tc := range []struct {
		name string
		r    io.Reader
		want error
	}{
		{"error", io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken)), broken},
		{"no progress", io.MultiReader(strings.NewReader("a\nb"), stuck{}), io.ErrNoProgress},
		{"short body", &span{open: func(int64, int64) (Body, error) {
			return closer{NewBuffered(strings.NewReader("a\nb"), 4), new(opener)}, nil
		}, end: 4, size: 4}, io.ErrUnexpectedEOF},
		{"open", io.MultiReader(strings.NewReader("a\nb"), &span{open: func(int64, int64) (Body, error) {
			return nil, broken
		}, end: 4, size: 4}), broken},
	} {
		r := Lines(NewBuffered(tc.r, 0), LinesOptions{Object: "o", First: true, Limit: -1})
		n := 0
		for r.Next() {
			n++
		}
		if n != 1 || !errors.Is(r.Err(), tc.want) || r.Next() {
			t.Errorf("%s: %d records, then %v; want 1, then %v", tc.name, n, r.Err(), tc.want)
		}
		if r.Err() != nil && !strings.Contains(r.Err().Error(), "read o at byte") {
			t.Errorf("%s: %q does not name object and offset", tc.name, r.Err())
		}
	}
	skip := Lines(NewBuffered(io.MultiReader(strings.NewReader("ab"), iotest.ErrReader(broken)), 0), LinesOptions{Object: "o", Limit: 100})
	if skip.Next() || !errors.Is(skip.Err(), broken) {
		t.Errorf("an error in the skipped line is lost: %v", skip.Err())
	}
}

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func TestWhole(t *testing.T) {
	for _, text := range []string{"", "a", "a\nb\r\n"} {
		o := &opener{text: text}
		r, err := Read(objects{}, Piece{Object: "o", Size: int64(len(text)), Length: int64(len(text)), Open: o.Open}, 0)
		if err != nil {
			t.Fatal(err)
		}
		want := []mr.Record{{Object: "o", Data: []byte(text)}}
		if diff := cmp.Diff(want, collect(t, r)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
		if o.open != 0 {
			t.Errorf("%q: left open", text)
		}
	}
	for _, tc := range []struct {
		text string
		size int64
		max  int
		want string
	}{
		{"abc", 4, 0, "read o at byte 3: unexpected EOF"},
		{"", 4, 0, "read o at byte 0: unexpected EOF"},
		{"abc", 2, 0, "read o: more than its 2 bytes"},
		{"abc", 3, 2, "record at byte 0 of o is longer than 2 bytes"},
	} {
		r := Whole(strings.NewReader(tc.text), "o", tc.size, tc.max)
		if r.Next() || r.Err() == nil || r.Err().Error() != tc.want {
			t.Errorf("%q of %d bytes: got %v, want %s", tc.text, tc.size, r.Err(), tc.want)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for _, tc := range []struct {
		in Format
		p  Piece
	}{
		{lines{}, Piece{Size: 10, Offset: 5, Length: 6}},
		{lines{}, Piece{Size: 10, Offset: -1, Length: 6}},
		{lines{numbered: true}, Piece{Size: 10, Offset: 5, Length: 5}},
		{objects{}, Piece{Size: 10, Length: 5}},
	} {
		if _, err := Read(tc.in, tc.p, 0); err == nil {
			t.Errorf("input %#v, piece %+v: no error", tc.in, tc.p)
		}
	}
}

func BenchmarkLines(b *testing.B) {
	for _, width := range []int{10, 80, 1000} {
		b.Run(fmt.Sprint(width), func(b *testing.B) {
			text := bytes.Repeat([]byte(strings.Repeat("x", width-1)+"\n"), 16<<20/width)
			src := bytes.NewReader(text)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				src.Reset(text)
				r := Lines(NewBuffered(src, 0), LinesOptions{First: true, Limit: -1})
				for r.Next() {
					_ = r.Record()
				}
			}
		})
	}
}
