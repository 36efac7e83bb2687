package parquet

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/verify"
	"github.com/mraws/mraws/mr"
)

type inner struct {
	X int32   `parquet:"x"`
	Y *string `parquet:"y,optional"`
}

// sample has a column of each kind.
type sample struct {
	ID      int64            `parquet:"id"`
	Name    *string          `parquet:"name,optional,dict"`
	Price   int64            `parquet:"price,decimal(2:18)"`
	Float   float32          `parquet:"float"`
	Double  float64          `parquet:"double"`
	Yes     bool             `parquet:"yes"`
	Unsign  uint64           `parquet:"unsigned"`
	At      time.Time        `parquet:"at,timestamp(microsecond)"`
	Day     int32            `parquet:"day,date"`
	Old     deprecated.Int96 `parquet:"old"`
	UUID    uuid.UUID        `parquet:"uuid,uuid"`
	Inner   *inner           `parquet:"inner,optional"`
	List    []string         `parquet:"list,list"`
	Plain   []int32          `parquet:"plain"`
	Nested  []inner          `parquet:"nested,list"`
	Map     map[string]int32 `parquet:"map"`
	Text    []byte           `parquet:"text,snappy"`
	Pointer *int32           `parquet:"pointer,optional"`
}

func text(s string) *string { return &s }

func samples(n int) (all []sample) {
	for i := range n {
		s := sample{
			ID: int64(i), Price: int64(i*7 - 5), Float: 0.1, Double: float64(i) / 3, Yes: i%2 == 0, Unsign: math.MaxUint64 - uint64(i),
			At: time.UnixMicro(1700000000123456 + int64(i)).UTC(), Day: int32(19000 + i), Old: deprecated.Int96{1000, 0, 2440589}, UUID: uuid.UUID{1, 2, 15: byte(i)},
			Text: fmt.Appendf(nil, "text \"%d\"\n", i),
		}
		if i%3 > 0 {
			s.Name = text([]string{"ann", "bob"}[i%2])
			s.Inner = &inner{X: int32(i)}
			s.List = []string{"a", "b\tc"}[:i%3]
			s.Plain = []int32{1, 2}
		}
		if i%4 == 1 && s.Inner != nil {
			s.Inner.Y, s.Nested = text("é"), []inner{{X: 1, Y: text("z")}, {X: 2}}
			s.Map = map[string]int32{"k": 5}
			s.Pointer = new(int32)
		}
		all = append(all, s)
	}
	return all
}

// write writes rows in row groups of so many, in small pages.
func write[T any](t testing.TB, rows []T, each int, options ...parquet.WriterOption) string {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, append([]parquet.WriterOption{parquet.PageBufferSize(256)}, options...)...)
	for len(rows) > 0 {
		n := min(each, len(rows))
		if _, err := w.Write(rows[:n]); err != nil {
			t.Fatal(err)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		rows = rows[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

type body struct {
	input.Buffered
	io.Closer
}

func opener(text string) input.Opener {
	return func(off, n int64) (input.Body, error) {
		return body{input.NewBuffered(strings.NewReader(text[off:off+n]), n), io.NopCloser(nil)}, nil
	}
}

func show(rec mr.Record, size int64) string {
	data := rec.Data
	if rec.Fields != nil {
		data = rec.Fields.AppendJSON(nil)
	}
	return fmt.Sprintf("%d:%d+%d %s", rec.Offset, rec.Line, size, data)
}

// workers are the rows of the pieces of an object that is cut in places, and what is
// wrong with it.
func workers(t testing.TB, text string, o input.Table, rows input.Rows, cuts ...int) (all []string, err error) {
	from := 0
	rows.Parquet = Read
	for _, to := range append(cuts, len(text)) {
		r, err := Read(input.Piece{Object: "o", Size: int64(len(text)), Offset: int64(from), Length: int64(to - from), Open: opener(text), Rows: rows}, o)
		if err != nil {
			t.Fatal(err)
		}
		for {
			for r.Next() {
				all = append(all, show(r.Record(), r.Size()))
			}
			what, bad := input.Bad(r.Err())
			if !bad {
				break
			}
			rec, n, err := r.Skip()
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, fmt.Sprintf("%d+%d: %s", rec.Offset, n, what[:11]))
		}
		if r.Err() != nil {
			return all, r.Err()
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		from = to
	}
	return all, nil
}

func verifier(text string, columns []string, tsv, fields bool) (all []string, err error) {
	r := Rows(verify.Object{Name: "o", Size: int64(len(text)), Fields: fields, Open: func(off, n int64) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(text[off : off+n])), nil
	}}, columns, tsv)
	for {
		err := r.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		rec, size := r.Record()
		if what, bad := input.Bad(err); bad {
			all = append(all, fmt.Sprintf("%d+%d: %s", rec.Offset, size, what[:11]))
			continue
		}
		if err != nil {
			return all, err
		}
		all = append(all, show(rec, size))
	}
}

func TestRows(t *testing.T) {
	file := write(t, samples(6), 100)
	all, err := workers(t, file, input.Table{}, input.Rows{})
	if err != nil || len(all) != 6 {
		t.Fatalf("%d rows, %v", len(all), err)
	}
	for i, want := range map[int]string{
		0: `{"id":0,"name":null,"price":-0.05,"float":0.1,"double":0,"yes":true,"unsigned":18446744073709551615,"at":"2023-11-14T22:13:20.123456Z","day":"2022-01-08","old":"1970-01-02T00:00:00.000001","uuid":"01020000-0000-0000-0000-000000000000","inner":null,"list":[],"plain":[],"nested":[],"map":{},"text":"text \"0\"\n","pointer":null}`,
		5: `{"id":5,"name":"bob","price":0.30,"float":0.1,"double":1.6666666666666667,"yes":false,"unsigned":18446744073709551610,"at":"2023-11-14T22:13:20.123461Z","day":"2022-01-13","old":"1970-01-02T00:00:00.000001","uuid":"01020000-0000-0000-0000-000000000005","inner":{"x":5,"y":"é"},"list":["a","b\tc"],"plain":[1,2],"nested":[{"x":1,"y":"z"},{"x":2,"y":null}],"map":{"k":5},"text":"text \"5\"\n","pointer":0}`,
	} {
		if _, got, _ := strings.Cut(all[i], " "); got != want {
			t.Errorf("row %d is\n%s, want\n%s", i, got, want)
		}
	}
	tsv, err := workers(t, file, input.Table{Columns: []string{"inner.y", "text", "id", "list"}, TSV: true}, input.Rows{})
	if _, got, _ := strings.Cut(tsv[5], " "); err != nil || got != "é\ttext \"5\"\\n\t5\t[\"a\",\"b\\\\tc\"]" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestSplit: rows come once however an object is cut, and are those that the verifier
// reads.
func TestSplit(t *testing.T) {
	file := write(t, samples(500), 70)
	for _, columns := range [][]string{nil, {"id"}, {"inner.y", "nested", "name"}, {"map", "price", "plain"}} {
		for _, fields := range []bool{false, true} {
			rows, o := input.Rows{Fields: fields}, input.Table{Columns: columns}
			want, err := workers(t, file, o, rows)
			if err != nil || len(want) != 500 {
				t.Fatalf("%d rows, %v", len(want), err)
			}
			ours, err := verifier(file, columns, false, fields)
			if diff := cmp.Diff(want, ours); err != nil || diff != "" {
				t.Errorf("columns %v: %v, -workers +verifier:\n%s", columns, err, diff)
			}
			for range 20 {
				a, b := 1+rand.IntN(len(file)-1), 1+rand.IntN(len(file)-1)
				got, err := workers(t, file, o, rows, min(a, b), max(a, b))
				if diff := cmp.Diff(want, got); err != nil || diff != "" {
					t.Fatalf("columns %v, cut at %d and %d: %v, -whole +cut:\n%s", columns, a, b, err, diff)
				}
			}
		}
	}
}

// TestDamaged: whatever bytes are others, nobody panics, no rows are more or fewer than
// the footer says, and the verifier finds the same row groups bad. What has no checksum,
// such as how a page says that it is encoded, may make other values of one of them.
func TestDamaged(t *testing.T) {
	file := write(t, samples(120), 30)
	random := rand.New(rand.NewPCG(1, 2))
	broken, bad := 0, 0
	for i := range 600 {
		b := []byte(file)
		for range 1 + i%4 {
			b[random.IntN(len(b))] ^= byte(1 << random.IntN(8))
		}
		if i%50 == 0 {
			b = b[:random.IntN(len(b))]
		}
		var columns []string
		if i%2 == 0 {
			columns = []string{"id", "name", "nested"}
		}
		theirs, terr := workers(t, string(b), input.Table{Columns: columns}, input.Rows{Sound: true})
		ours, oerr := verifier(string(b), columns, false, false)
		if (terr == nil) != (oerr == nil) {
			t.Fatalf("%d: workers %v, verifier %v", i, terr, oerr)
		}
		if terr != nil {
			broken++
			continue
		}
		if n := strings.Count(strings.Join(theirs, "\n"), ": row group "); n > 0 {
			bad++
		} else if len(theirs) != 120 {
			t.Fatalf("%d: %d rows without an error", i, len(theirs))
		}
		if diff := cmp.Diff(places(theirs), places(ours)); diff != "" {
			t.Fatalf("%d: -workers +verifier:\n%s", i, diff)
		}
	}
	if broken == 0 || bad == 0 {
		t.Errorf("%d objects broken, %d with bad row groups", broken, bad)
	}
	t.Logf("%d objects broken, %d with bad row groups", broken, bad)
}

// places are rows without what they hold.
func places(rows []string) (all []string) {
	for _, row := range rows {
		place, _, _ := strings.Cut(row, " {")
		all = append(all, place)
	}
	return all
}

func TestNoParquet(t *testing.T) {
	file := write(t, samples(1), 1)
	for text, want := range map[string]string{
		"PAR1 short":                       "o is no Parquet: it has 10 bytes",
		strings.Repeat("x", 40):            `o is no Parquet: it does not end with PAR1, but with "xxxx"`,
		file[:len(file)-4] + "PARE":        "o is Parquet with an encrypted footer, which is not read",
		"PAR1aaaaaaaa\xff\xff\x00\x00PAR1": "o is no Parquet: it says that its footer has 65535 of its 20 bytes",
	} {
		_, err := workers(t, text, input.Table{}, input.Rows{})
		var of *input.ObjectError
		if !errors.As(err, &of) || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	_, err := workers(t, file, input.Table{Columns: []string{"inner.z"}}, input.Rows{})
	if err == nil || !strings.HasPrefix(err.Error(), `o has no column "inner.z": its columns are "id,name,`) {
		t.Error(err)
	}
	if _, err := workers(t, file, input.Table{Columns: []string{"inner", "inner.x"}}, input.Rows{}); err == nil || err.Error() != "o has inner.x in two of the columns" {
		t.Error(err)
	}
}

// TestNoRows: row groups without rows are passed over, as pyarrow 26 writes them: their
// columns lie at byte 0.
func TestNoRows(t *testing.T) {
	for name, tt := range map[string]struct {
		file string // base64
		want []string
	}{
		"only one":       {"UEFSMRUEFQAVAkwVABUAEgAAABUEGSw1ABgGc2NoZW1hFQIAFQQlAhgBYQAWABkcGRwmABwVBBklAAYZGAFhFQIWABYcFh4mACYIKRwVBBUAFQIAAAAWHBYAJggWHgAoIHBhcnF1ZXQtY3BwLWFycm93IHZlcnNpb24gMjYuMC4xGRwcAAAAdAAAAFBBUjE=", nil},
		"between others": {"UEFSMRUEFSAVJEwVBBUAEgAAEDwBAAAAAAAAAAIAAAAAAAAAFQAVEhUWLBUEFRAVBhUGHAAAAAkgAgAAAAQBAQMCFQQVABUCTBUAFQASAAAAFQQVEBUUTBUCFQASAAAIHAMAAAAAAAAAFQAVEhUWLBUCFRAVBhUGHAAAAAkgAgAAAAIBAQIAFQQZLDUAGAZzY2hlbWEVAgAVBCUCGAFhABYGGTwZHCYAHBUEGTUABhAZGAFhFQIWBBZ0FnwmSCYIKSwVBBUAFQIAFQAVEBUCADwpBhkmAAQAAAAWdBYEJggWfAAZHCYAHBUEGSUABhkYAWEVAhYAFhwWHiYAJoQBKRwVBBUAFQIAAAAWHBYAJoQBFh4AGRwmABwVBBk1AAYQGRgBYRUCFgIWZBZsJtIBJqIBKSwVBBUAFQIAFQAVEBUCADwpBhkmAAIAAAAWZBYCJqIBFmwAKCBwYXJxdWV0LWNwcC1hcnJvdyB2ZXJzaW9uIDI2LjAuMRkcHAAAAPcAAABQQVIx", []string{`{"a":1}`, `{"a":2}`, `{"a":3}`}},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := base64.StdEncoding.DecodeString(tt.file)
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := workers(t, string(text), input.Table{}, input.Rows{Sound: true}, len(text)/2)
			if err != nil {
				t.Fatal(err)
			}
			ours, err := verifier(string(text), nil, false, false)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(theirs, ours); diff != "" {
				t.Errorf("-workers +verifier:\n%s", diff)
			}
			var rows []string
			for _, row := range theirs {
				rows = append(rows, row[strings.IndexByte(row, '{'):])
			}
			if diff := cmp.Diff(tt.want, rows); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func BenchmarkRead(b *testing.B) {
	type row struct {
		A, B, C, D, E, F, G, H, I, J int64
		Status                       string `parquet:"status,dict"`
		Bytes                        int64  `parquet:"bytes"`
	}
	rows := make([]row, 200000)
	for i := range rows {
		rows[i] = row{A: int64(i), B: int64(i * 7), Status: []string{"200", "404", "500"}[i%3], Bytes: int64(i % 5000)}
	}
	file := write(b, rows, 100000, parquet.PageBufferSize(1<<20))
	b.ReportAllocs()
	n, sum := 0, int64(0)
	for b.Loop() {
		r, err := Read(input.Piece{Object: "o", Size: int64(len(file)), Length: int64(len(file)), Open: opener(file), Rows: input.Rows{Fields: true}}, input.Table{Columns: []string{"status", "bytes", "A"}})
		if err != nil {
			b.Fatal(err)
		}
		for r.Next() {
			f := r.Record().Fields
			v, _ := f.Int(1)
			sum += v + int64(len(f.Text(0)))
			n++
		}
		if r.Err() != nil {
			b.Fatal(r.Err())
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/row")
	b.ReportMetric(0, "ns/op")
}
