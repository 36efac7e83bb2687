package parquet

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/input"
)

// numbers has columns whose values are taken as they lie, in each encoding, and with
// nulls.
type numbers struct {
	Small   int32    `parquet:"small,dict"`
	Large   int64    `parquet:"large,delta"`
	Float   float64  `parquet:"float"`
	Coded   float64  `parquet:"coded,dict"`
	Text    string   `parquet:"text,dict"`
	Maybe   *int64   `parquet:"maybe,optional"`
	MaybeD  *int64   `parquet:"maybed,optional,dict"`
	MaybeF  *float64 `parquet:"maybef,optional"`
	MaybeT  *string  `parquet:"maybet,optional"`
	Inner   *inner   `parquet:"inner,optional"`
	Decimal int32    `parquet:"decimal,decimal(1:5)"`
}

func drawNumbers(r *rand.Rand, n int) (all []numbers) {
	for range n {
		row := numbers{
			Small: int32(r.IntN(5)) - 2, Large: r.Int64() >> r.IntN(60), Float: r.NormFloat64(), Coded: float64(r.IntN(3)) / 2,
			Text: []string{"", "a", "some text"}[r.IntN(3)], Decimal: int32(r.IntN(99)),
		}
		if r.IntN(3) > 0 {
			n, x, s := r.Int64N(9), r.Float64(), strings.Repeat("t", r.IntN(4))
			row.Maybe, row.MaybeD, row.MaybeF, row.MaybeT = &n, &n, &x, &s
		}
		if r.IntN(4) > 0 {
			if row.Inner = (&inner{X: int32(r.IntN(7))}); r.IntN(2) > 0 {
				row.Inner.Y = text("y")
			}
		}
		all = append(all, row)
	}
	return all
}

// inBatches are the rows that workers read in batches of these columns.
func inBatches(t testing.TB, text string, columns []string, rows bool, from, to int) (all []string, size int64, err error) {
	r, err := Read(input.Piece{Object: "o", Size: int64(len(text)), Offset: int64(from), Length: int64(to - from), Open: opener(text), Rows: input.Rows{Fields: true}}, input.Table{Columns: columns})
	if err != nil {
		t.Fatal(err)
	}
	b, ok := r.Batches()
	for ok {
		switch {
		case rows && r.Next():
			all = append(all, fmt.Sprintf("%s %d", show(r.Record(), 0), r.Record().Fields.Kind(0)))
		case !rows && b.NextBatch():
			for i := range b.Batch().Len() {
				rec := b.Batch().Record(i)
				all = append(all, fmt.Sprintf("%s %d", show(rec, 0), rec.Fields.Kind(0)))
			}
		default:
			return all, size, r.Err()
		}
		size += r.Size()
	}
	t.Fatal("no batches")
	return nil, 0, nil
}

// TestBatches: batches have the rows that come one by one.
func TestBatches(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	files := map[string]string{"samples": write(t, samples(500), 170), "numbers": write(t, drawNumbers(r, 5000), 2300)}
	for name, file := range files {
		columns := []string{"text", "id", "float", "double", "yes", "price", "unsigned", "nested", "name", "inner.y", "pointer", "uuid", "at"}
		if name == "numbers" {
			columns = []string{"maybet", "small", "large", "float", "coded", "text", "maybe", "maybed", "maybef", "inner.x", "inner.y", "decimal"}
		}
		for range 30 {
			r.Shuffle(len(columns), func(i, j int) { columns[i], columns[j] = columns[j], columns[i] })
			some := columns[:1+r.IntN(len(columns))]
			a, b := r.IntN(len(file)), r.IntN(len(file))
			a, b = min(a, b), max(a, b)
			want, wantSize, err := inBatches(t, file, some, true, a, b)
			if err != nil {
				t.Fatal(err)
			}
			got, size, err := inBatches(t, file, some, false, a, b)
			if diff := cmp.Diff(want, got); err != nil || diff != "" || size != wantSize {
				t.Fatalf("%s, columns %v: %v, %d bytes, want %d, -rows +batches:\n%s", name, some, err, size, wantSize, diff)
			}
		}
	}
}

// TestBatchesDamaged: nobody panics over damaged bytes, and batches fail over what rows
// fail over.
func TestBatchesDamaged(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	file := write(t, drawNumbers(r, 300), 100)
	columns := []string{"small", "large", "coded", "text", "maybe", "maybed", "maybet", "inner.x"}
	failed := 0
	for i := range 600 {
		b := []byte(file)
		for range 1 + i%3 {
			b[r.IntN(len(b))] ^= byte(1 << r.IntN(8))
		}
		want, _, werr := inBatches(t, string(b), columns, true, 0, len(b))
		got, _, err := inBatches(t, string(b), columns, false, 0, len(b))
		if fmt.Sprint(err) != fmt.Sprint(werr) {
			t.Errorf("%d: %v, row by row %v", i, err, werr)
		}
		if err != nil {
			failed++
			got, want = got[:min(len(got), len(want))], want[:min(len(got), len(want))]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d: -rows +batches:\n%s", i, diff)
		}
	}
	if failed == 0 {
		t.Error("nothing has failed")
	}
}
