package input

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/mr"
)

// skipping reads all records, and of those that are too long the length.
func skipping(t fatalf, r Reader) (recs []mr.Record, lengths []int64) {
	for {
		for r.Next() {
			rec := r.Record()
			rec.Data = append([]byte{}, rec.Data...)
			recs, lengths = append(recs, rec), append(lengths, int64(len(rec.Data)))
		}
		var long *TooLongError
		if !errors.As(r.Err(), &long) {
			break
		}
		rec, n, err := r.Skip()
		if err != nil || rec.Offset != long.Offset || rec.Data != nil {
			t.Fatalf("skip: %+v, %v, want offset %d", rec, err, long.Offset)
		}
		recs, lengths = append(recs, rec), append(lengths, n)
	}
	if r.Err() != nil || r.Next() {
		t.Fatalf("after the end: %v", r.Err())
	}
	if _, _, err := r.Skip(); err == nil {
		t.Fatalf("a skip of nothing")
	}
	return recs, lengths
}

// TestSkip: whatever the text and the splits, skipping gives every record
// once, those that are too long without data and with the right length.
func TestSkip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom([]string{"\n", "\n", "\r\n", "\r", "a", "ab", "abcd", "abcdef", strings.Repeat("x", 40)})
		text := strings.Join(rapid.SliceOfN(word, 0, 40).Draw(t, "text"), "")
		limit := rapid.IntRange(1, 20).Draw(t, "max")
		numbered := rapid.Bool().Draw(t, "numbered")
		var cuts []int
		if !numbered {
			cuts = rapid.SliceOfN(rapid.IntRange(0, len(text)), 0, 4).Draw(t, "cuts")
			slices.Sort(cuts)
		}
		in := lines{numbered: numbered}
		want := oracle(text, numbered)
		var wantLengths []int64
		for i := range want {
			wantLengths = append(wantLengths, int64(len(want[i].Data)))
			if len(want[i].Data) > limit {
				want[i].Data = nil
			}
		}
		o := &opener{text: text, small: rapid.Bool().Draw(t, "small")}
		var got []mr.Record
		var lengths []int64
		from := 0
		for _, to := range append(cuts, len(text)) {
			r, err := Read(in, Piece{Object: "o", Size: int64(len(text)), Offset: int64(from), Length: int64(to - from), Open: o.Open}, limit)
			if err != nil {
				t.Fatal(err)
			}
			recs, n := skipping(t, r)
			got, lengths = append(got, recs...), append(lengths, n...)
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			from = to
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
		if diff := cmp.Diff(wantLengths, lengths); diff != "" {
			t.Fatalf("lengths, -want +got:\n%s", diff)
		}
	})
}

// TestSkipBounded: a line that is skipped is not held.
func TestSkipBounded(t *testing.T) {
	text := strings.Repeat("x", 9*maxBlock) + "\r\nabc\n"
	r := Lines(NewBuffered(strings.NewReader(text), 0), LinesOptions{Object: "o", First: true, Limit: -1, MaxRecord: 10})
	recs, lengths := skipping(t, r)
	if len(recs) != 2 || lengths[0] != 9*maxBlock+1 || cap(r.line) > maxBlock {
		t.Errorf("records of %d bytes, with a buffer of %d", lengths, cap(r.line))
	}
}

// TestSkipError: an error within a line that is skipped is not lost.
func TestSkipError(t *testing.T) {
	broken := errors.New("broken")
	text := strings.Repeat("x", maxBlock)
	r := Lines(NewBuffered(io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken)), 0), LinesOptions{Object: "o", First: true, Limit: -1, MaxRecord: 10})
	if r.Next() {
		t.Fatal("a line that is too long")
	}
	if _, _, err := r.Skip(); !errors.Is(err, broken) || r.Next() || !errors.Is(r.Err(), broken) {
		t.Errorf("%v, then %v", err, r.Err())
	}
}

func TestSkipWhole(t *testing.T) {
	recs, lengths := skipping(t, Whole(strings.NewReader("abc"), "o", 3, 2))
	if len(recs) != 1 || recs[0].Object != "o" || lengths[0] != 3 {
		t.Errorf("%+v, %d", recs, lengths)
	}
}
