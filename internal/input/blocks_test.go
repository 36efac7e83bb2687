package input

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// stored are the Blocks of an object that is cut into blocks in these places and whose
// blocks hold what they are: a place in the text is one in the object.
type stored struct {
	starts []int64 // and the size
	next   int     // in starts
	off    int64   // of body
	left   int64   // of the block at hand
	body   io.Reader
	closed bool
}

func (s *stored) Next() (int64, error) {
	if s.next+1 >= len(s.starts) {
		return 0, io.EOF
	}
	at := s.starts[s.next]
	if _, err := io.CopyN(io.Discard, s.body, at-s.off); err != nil {
		return 0, err
	}
	s.next++
	s.off, s.left = at, s.starts[s.next]-at
	return at, nil
}

func (s *stored) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n, err := io.ReadFull(s.body, p[:min(int64(len(p)), s.left)])
	s.off += int64(n)
	s.left -= int64(n)
	return n, err
}

func (s *stored) Close() error { s.closed = true; return nil }

// blocksAt makes Piece.Blocks of the places where blocks begin, behind 0. Of two that it
// makes the first has to be closed before.
func blocksAt(t fatalf, size int, starts []int64) func(int64, io.Reader) Blocks {
	all := append(append([]int64{0}, starts...), int64(size))
	var open *stored
	return func(from int64, body io.Reader) Blocks {
		if open != nil && !open.closed {
			t.Fatalf("two readers of blocks are open")
		}
		i, _ := slices.BinarySearch(all, from)
		open = &stored{starts: all, next: i, off: from, body: body}
		return open
	}
}

// inBlocks are the records of an object in pieces that end in these places, as shown
// has them, with the places of records in the text. met says that pieces do.
func inBlocks(t fatalf, f Format, text string, starts, cuts []int64) (all []string, met bool) {
	met = true
	size := int64(len(text))
	o := &opener{text: text}
	blocks := blocksAt(t, len(text), starts)
	var meet Position
	from := int64(0)
	for _, to := range append(slices.Clone(cuts), size) {
		r, err := Read(f, Piece{Object: "o", Size: size, Offset: from, Length: to - from, Open: o.Open, Blocks: blocks}, 0)
		if err != nil {
			t.Fatalf("open [%d, %d): %v", from, to, err)
		}
		for {
			for r.Next() {
				all = append(all, fmt.Sprintf("%d+%d %s", r.Record().Offset+r.Within(), r.Size(), r.Record().Data))
			}
			if r.Err() == nil {
				break
			}
			what, bad := Bad(r.Err())
			if !bad {
				t.Fatalf("read [%d, %d): %v", from, to, r.Err())
			}
			rec, length, err := r.Skip()
			if err != nil {
				t.Fatalf("skip: %v", err)
			}
			all = append(all, fmt.Sprintf("%d+%d: %s", rec.Offset+r.Within(), length, what))
		}
		e, ok := r.Extent()
		if !ok || e.Began.Compare(e.WentOn) > 0 {
			t.Fatalf("blocks at %v, the piece [%d, %d) has %v, %v", starts, from, to, e, ok)
		}
		met = met && e.Began == meet
		meet = e.WentOn
		if err := r.Close(); err != nil || o.open != 0 {
			t.Fatalf("close: %v, %d bodies are open", err, o.open)
		}
		from = to
	}
	if (meet != Position{Offset: size}) {
		t.Fatalf("blocks at %v, pieces at %v: the last went on to %v of %d: %q", starts, cuts, meet, size, text)
	}
	return all, met
}

// wholeText are the records of a text that is one piece.
func wholeText(t fatalf, f Format, text string) []string {
	all, _ := shown(t, f, &opener{text: text}, nil)
	return all
}

// TestRowsInBlocks: rows of an object that is cut between blocks are those of its text,
// wherever blocks and pieces begin: at every place, also within quotes, line breaks and
// marks.
func TestRowsInBlocks(t *testing.T) {
	for name, tt := range map[string]struct {
		format  string
		options map[string]string
		text    string
	}{
		"quotes":         {"csv", nil, "a,b\n1,\"x\ny\"\"\n2,3\n\"\n\"p\",q\n5,\"\n\"\n6,7\n"},
		"no line feed":   {"csv", nil, "a,b\n1,\"x\n2,3\n\"\n4,5"},
		"CRLF":           {"csv", nil, "\xef\xbb\xbfa,b\r\n1,\"x\r\n2,3\r\n\"\r\n\r\n4,5\r\n\r\n\r\n"},
		"all quoted":     {"csv", nil, "\"a\",\"b\"\n\"1\",\"\n2,3\n4,5\n\"\n\"6\",\"7\"\n"},
		"ends in quotes": {"csv", nil, "a,b\n1,2\n3,\"x\n4,5\n6,7\n\"\n"},
		"bad rows":       {"csv", nil, "a,b\n1\n2,3\n4,5,6\n7,8\n\n9\n"},
		"no quotes":      {"csv", map[string]string{"quote": "none"}, "a,b\n1,\"x\n2,3\n\n\n4,5"},
		"no header":      {"csv", map[string]string{"header": "no"}, "1,\"x\n2\"\n3,4\n"},
		"header alone":   {"csv", nil, "a,\"b\nc\"\n"},
		"one column":     {"csv", nil, "a\n\"x\n\"\n1\n\"\n2\n\"\n"},
		"tsv":            {"tsv", map[string]string{"as": "tsv"}, "a\tb\n1\t\"x\n2\t3\"\n4\t5\n"},
		"json":           {"json", nil, "\xef\xbb\xbf{\"a\":1}\n\n  \n{\"a\":\"x\\n\"}\r\n{\"a\":\n{\"b\":[1,2]}"},
		"json columns":   {"json", map[string]string{"columns": "a.b", "as": "tsv"}, "{\"a\":{\"b\":1}}\nx\n{\"c\":1}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f := resolve(t, tt.format, tt.options)
			want, size := wholeText(t, f, tt.text), int64(len(tt.text))
			if len(want) == 0 && name != "header alone" {
				t.Fatal("no records")
			}
			check := func(starts, cuts []int64) {
				t.Helper()
				if got, met := inBlocks(t, f, tt.text, starts, cuts); !met || !slices.Equal(got, want) {
					t.Fatalf("blocks at %v, pieces at %v meet: %v, %q, want %q", starts, cuts, met, got, want)
				}
			}
			for at := int64(1); at < size; at++ {
				check([]int64{at}, []int64{at})
				check([]int64{at}, []int64{size / 2}) // a piece without a block of its own
				for last := at + 1; last < size; last += 5 {
					check([]int64{at, last}, []int64{at, last})
				}
			}
			var each []int64
			for at := int64(1); at < size; at++ {
				each = append(each, at)
			}
			check(each, each)
			check(each, []int64{size / 3, size / 2})
		})
	}
}

// TestBatchesInBlocks: batches of rows of pieces between blocks have the rows of the
// text.
func TestBatchesInBlocks(t *testing.T) {
	for format, text := range map[string]string{"csv": article(300, false), "json": strings.Repeat("{\"text\":\"a\"}\n{\"text\":\"b\"}\n", 900)} {
		f := resolve(t, format, nil)
		var got, want []string
		take := func(to *[]string, p Piece) {
			p.Object, p.Size, p.Open = "o", int64(len(text)), (&opener{text: text}).Open
			p.Rows = Rows{Fields: true, Columns: []string{"text"}}
			r, err := Read(f, p, 0)
			if err != nil {
				t.Fatal(err)
			}
			rows, ok := r.Batches()
			if !ok {
				t.Fatal("no batches")
			}
			for rows.NextBatch() {
				for i := range rows.Batch().Len() {
					*to = append(*to, string(rows.Batch().Record(i).Fields.Text(0)))
				}
			}
			if err := errors.Join(r.Err(), r.Close()); err != nil {
				t.Fatal(err)
			}
		}
		size := int64(len(text))
		take(&want, Piece{Length: size})
		blocks, from := blocksAt(t, len(text), []int64{size / 7, size / 3, size - 20}), int64(0)
		for _, to := range []int64{size / 5, size / 2, size} {
			take(&got, Piece{Offset: from, Length: to - from, Blocks: blocks})
			from = to
		}
		if len(want) < 300 || !slices.Equal(got, want) {
			t.Errorf("%s: %d rows, want %d", format, len(got), len(want))
		}
	}
}

// TestQuoteInBlocks: where a quote does not end, which pieces cannot know, they do not
// meet, or have the rows of the whole.
func TestQuoteInBlocks(t *testing.T) {
	text := "a,b\n1,2\n3,\"x\n4,5\n6,7\n"
	f := resolve(t, "csv", nil)
	want, wrong := wholeText(t, f, text), 0
	for at := int64(1); at < int64(len(text)); at++ {
		got, met := inBlocks(t, f, text, []int64{at}, []int64{at})
		if met && !slices.Equal(got, want) {
			t.Fatalf("cut at %d: %q, want %q", at, got, want)
		}
		if !met {
			wrong++
		}
	}
	if wrong == 0 {
		t.Error("all pieces meet")
	}
}

// TestRandomInBlocks: whatever the text, the blocks and the pieces are, pieces that meet
// have the records of the whole.
func TestRandomInBlocks(t *testing.T) {
	formats := []Format{resolve(t, "csv", nil), resolve(t, "csv", map[string]string{"quote": "none"}), resolve(t, "json", nil)}
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.SampledFrom(formats).Draw(t, "format")
		var b strings.Builder
		b.WriteString("a,b\n")
		for _, part := range rapid.SliceOfN(rapid.SampledFrom([]string{"1,2\n", "\"\n\"", "\"", ",", "\n", "x", "\r\n", "3,\"4\n5,6\n\"\n", "{\"a\":1}\n", "\"\",7\n"}), 1, 30).Draw(t, "text") {
			b.WriteString(part)
		}
		places := func(name string) []int64 {
			all := rapid.SliceOfNDistinct(rapid.Int64Range(1, int64(b.Len())-1), 0, 5, rapid.ID).Draw(t, name)
			slices.Sort(all)
			return all
		}
		text := b.String()
		want := wholeText(t, f, text)
		if got, met := inBlocks(t, f, text, places("blocks"), places("pieces")); met && !slices.Equal(got, want) {
			t.Fatalf("%q, want %q", got, want)
		}
	})
}

// TestLargeInBlocks: a text whose blocks are as large as those of bzip2 and BGZF, with
// rows of CSV in its fields, and one whose fields are longer than what is looked at.
func TestLargeInBlocks(t *testing.T) {
	huge := "a,b\n1,\"" + strings.Repeat("x\n", farthestProbe) + "\"\n2,3\n"
	for name, text := range map[string]string{"quotes": article(3000, false), "plain": article(3000, true), "huge": huge} {
		f := resolve(t, "csv", nil)
		want := wholeText(t, f, text)
		r := rand.New(rand.NewPCG(5, 6))
		for _, block := range []int64{20_000, 65_280, 900_000} {
			var starts []int64
			for at := block - r.Int64N(block/2); at < int64(len(text)); at += block - r.Int64N(block/2) {
				starts = append(starts, at)
			}
			cuts := []int64{int64(len(text)) / 5, int64(len(text)) / 2, int64(len(text)) - 10}
			if got, met := inBlocks(t, f, text, starts, cuts); !met || !slices.Equal(got, want) {
				t.Errorf("%s, blocks of %d bytes: %d rows, want %d", name, block, len(got), len(want))
			}
		}
	}
}

// TestEncodedNotResumed: text that is not UTF-8 is read as a whole, since a block may
// begin within a character.
func TestEncodedNotResumed(t *testing.T) {
	for _, name := range []string{"lines", "json", "csv"} {
		f := resolve(t, name, map[string]string{"encoding": "latin-1"})
		if f.Resumes() {
			t.Errorf("%s is read from the middle", name)
		}
		if _, err := Read(f, Piece{Object: "o", Size: 9, Offset: 3, Length: 6, Blocks: blocksAt(t, 9, nil)}, 0); err == nil || !bytes.Contains([]byte(err.Error()), []byte("cannot be read from the middle")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
