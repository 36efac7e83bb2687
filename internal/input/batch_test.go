package input

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/mr"
)

// row is a record of a table, for comparisons.
type row struct {
	Offset, Line int64
	Fields       string
	Kinds        []mr.FieldKind
}

func rowOf(rec mr.Record) row {
	r := row{Offset: rec.Offset, Line: rec.Line, Fields: string(rec.Fields.AppendJSON(nil))}
	for i := range rec.Fields.Len() {
		r.Kinds = append(r.Kinds, rec.Fields.Kind(i))
	}
	return r
}

// rowsIn reads the rows of an object in pieces of so many bytes, one by one or in
// batches, and returns how the pieces ended too.
func rowsIn(t *rapid.T, f Format, text string, piece, view int, batches bool) (rows []row, ends []string) {
	for off := 0; off < len(text) || off == 0; off += piece {
		p := Piece{
			Object: "o", Size: int64(len(text)), Offset: int64(off), Length: int64(min(piece, len(text)-off)),
			Open: func(off, n int64) (Body, error) { return &pieceBody{text[off : off+n], view}, nil },
			Rows: Rows{Fields: true},
		}
		r, err := Read(f, p, 0)
		if err != nil {
			t.Fatal(err)
		}
		size := int64(0)
		for {
			for batches {
				b, ok := r.Batches()
				if !ok {
					t.Fatal("no batches")
				}
				if !b.NextBatch() {
					break
				}
				size += b.Size()
				if b.Batch().Len() == 0 {
					t.Fatal("an empty batch")
				}
				for i := range b.Batch().Len() {
					rows = append(rows, rowOf(b.Batch().Record(i)))
				}
			}
			for !batches && r.Next() {
				size += r.Size()
				rows = append(rows, rowOf(r.Record()))
			}
			ends = append(ends, fmt.Sprint(size, r.Err()))
			if _, bad := Bad(r.Err()); !bad {
				break
			}
			if _, _, err := r.Skip(); err != nil {
				t.Fatal(err)
			}
		}
		if x, ok := r.Extent(); ok {
			ends = append(ends, fmt.Sprint(x))
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return rows, ends
}

// pieceBody is a body that shows so many bytes at a time.
type pieceBody struct {
	rest string
	most int
}

func (v *pieceBody) Peek() ([]byte, error) { return []byte(v.rest[:min(len(v.rest), v.most)]), nil }
func (v *pieceBody) Discard(n int) error   { v.rest = v.rest[n:]; return nil }
func (v *pieceBody) Close() error          { return nil }

// TestBatches reads random tables, good and bad, row by row and in batches.
func TestBatches(t *testing.T) {
	fields := map[string]*rapid.Generator[string]{
		"csv": rapid.SampledFrom([]string{
			"", "1", "a", "-2.50", `"a,b"`, `"a""b"`, "\"a\nb\"", `""`, `"x"`, `a"b`, `"a"b`, `"`, "\r", "\xff", "long long text", "ä",
		}),
		"json": rapid.SampledFrom([]string{
			"", "1", "-0.5e3", `"a"`, `"a\"b"`, `"\u00e4"`, "\"\xff\"", `"ä"`, "null", "true", "false", `{"b":1}`, "[1,2]", `{"b":"x\\"}`, "01", `"a`, `"a	b"`, `"some longer text for words"`,
		}),
	}
	rapid.Check(t, func(t *rapid.T) {
		format := rapid.SampledFrom([]string{"csv", "json"}).Draw(t, "format")
		options := map[string]string{"columns": "c,a"}
		if format == "json" {
			options["columns"] = rapid.SampledFrom([]string{"c,a", "a.b,c", "a,a.b"}).Draw(t, "columns")
		}
		f, err := Resolve(format, options)
		if err != nil {
			t.Fatal(err)
		}
		end := rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "end")
		var text strings.Builder
		if rapid.Bool().Draw(t, "mark") {
			text.WriteString("\xef\xbb\xbf")
		}
		if format == "csv" {
			text.WriteString("a,b,c" + end)
		}
		good := rapid.Bool().Draw(t, "good")
		for range rapid.IntRange(0, 60).Draw(t, "rows") {
			n := 3
			if !good && rapid.IntRange(0, 9).Draw(t, "odd") == 0 {
				n = rapid.IntRange(0, 4).Draw(t, "fields")
			}
			var parts []string
			for i := range n {
				v := fields[format].Draw(t, "field")
				if format == "json" {
					if v == "" || good && (v == "01" || v == `"a` || strings.Contains(v, "\t")) {
						continue
					}
					v = fmt.Sprintf("%q:%s", "abcd"[i:i+1], v)
				} else if good && (v == `a"b` || v == `"a"b` || v == `"`) {
					v = ""
				}
				parts = append(parts, v)
			}
			line := strings.Join(parts, ",")
			if format == "json" {
				line = "{" + line + "}"
			}
			text.WriteString(line + end)
			if rapid.IntRange(0, 20).Draw(t, "blank") == 0 {
				text.WriteString(end)
			}
		}
		piece, view := rapid.IntRange(20, 4000).Draw(t, "piece"), rapid.IntRange(1, 3000).Draw(t, "view")
		want, wantEnds := rowsIn(t, f, text.String(), piece, view, false)
		got, gotEnds := rowsIn(t, f, text.String(), piece, view, true)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q (-rows +batches):\n%s", text.String(), diff)
		}
		if diff := cmp.Diff(wantEnds, gotEnds); diff != "" {
			t.Fatalf("%q (-rows +batches):\n%s", text.String(), diff)
		}
	})
}
