package mr

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestFields(t *testing.T) {
	f := NewFields("null", "text", "digits", "number", "int", "float", "yes", "list")
	f.SetText(1, []byte("a\tb\n"))
	f.SetText(2, []byte("-12"))
	f.SetNumber(3, []byte("1.50"))
	f.SetInt(4, math.MinInt64)
	f.SetFloat(5, 3)
	f.SetBool(6, true)
	f.SetNested(7, []byte(`[1]`))
	if i := f.Index("list"); i != 7 || f.Index("other") != -1 || f.Len() != 8 || f.Name(7) != "list" {
		t.Errorf("column list is %d of %d, named %q", i, f.Len(), f.Name(7))
	}
	type row struct {
		Kind  FieldKind
		Text  string
		Int   any
		Float any
	}
	want := []row{
		{NullField, "", `column "null" is null, not a whole number of 64 bits`, `column "null" is null, not a number`},
		{TextField, "a\tb\n", `column "text" is "a\tb\n", not a whole number of 64 bits`, `column "text" is "a\tb\n", not a number`},
		{TextField, "-12", int64(-12), -12.0},
		{NumberField, "1.50", `column "number" is "1.50", not a whole number of 64 bits`, 1.5},
		{NumberField, "-9223372036854775808", int64(math.MinInt64), float64(math.MinInt64)},
		{NumberField, "3", int64(3), 3.0},
		{BoolField, "true", `column "yes" is "true", not a whole number of 64 bits`, `column "yes" is "true", not a number`},
		{NestedField, "[1]", `column "list" is "[1]", not a whole number of 64 bits`, `column "list" is "[1]", not a number`},
	}
	var got []row
	for i := range f.Len() {
		r := row{Kind: f.Kind(i), Text: string(f.Text(i))}
		if n, err := f.Int(i); err != nil {
			r.Int = err.Error()
		} else {
			r.Int = n
		}
		if x, err := f.Float(i); err != nil {
			r.Float = err.Error()
		} else {
			r.Float = x
		}
		got = append(got, r)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got, want := string(f.AppendJSON(nil)), `{"null":null,"text":"a\tb\n","digits":"-12","number":1.50,"int":-9223372036854775808,"float":3,"yes":true,"list":[1]}`; got != want {
		t.Errorf("JSON %s, want %s", got, want)
	}
	if got, want := string(f.AppendTSV(nil)), "\ta\\tb\\n\t-12\t1.50\t-9223372036854775808\t3\ttrue\t[1]"; got != want {
		t.Errorf("TSV %q, want %q", got, want)
	}
	f.Clear()
	if f.Add("x") != 0 || !f.Null(0) {
		t.Error("a column that was added is not the first, or not null")
	}
}

// TestFieldsJSON: texts and numbers are what encoding/json makes of them.
func TestFieldsJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.OneOf(
			rapid.String(), rapid.SampledFrom([]string{"\"", "\\", "\u2028", "\u2029", "\x00", "\x1f", "\xff", "\xe2\x80", "<&>", "\b\f\n\r\t\x7f"}),
		)).Draw(t, "text")
		text := strings.Join(parts, "")
		x := rapid.Float64().Draw(t, "number")
		f := NewFields(text, "x")
		f.SetText(0, []byte(text))
		f.SetFloat(1, x)
		var want bytes.Buffer
		enc := json.NewEncoder(&want)
		enc.SetEscapeHTML(false)
		want.WriteByte('{')
		for _, v := range []any{text, text, "x", x} {
			if err := enc.Encode(v); err != nil {
				t.Skip(err)
			}
		}
		parts = strings.Split(strings.TrimSuffix(want.String()[1:], "\n"), "\n")
		line := "{" + parts[0] + ":" + parts[1] + "," + parts[2] + ":" + parts[3] + "}"
		if got := string(f.AppendJSON(nil)); got != line {
			t.Fatalf("%s, want %s", got, line)
		}
	})
}

func TestFieldsAllocate(t *testing.T) {
	f := NewFields("a", "b", "c", "d")
	text, digits := []byte("some text"), []byte("123456")
	line := make([]byte, 0, 200)
	var sum int64
	read := func() {
		f.Reset()
		f.SetText(0, text)
		f.SetText(1, digits)
		f.SetInt(2, 1<<40)
		f.SetFloat(3, 0.5)
		n, _ := f.Int(1)
		m, _ := f.Int(2)
		x, _ := f.Float(3)
		sum += n + m + int64(x) + int64(len(f.Text(0))+len(f.Text(2)))
		line = f.AppendJSON(line[:0])
	}
	read()
	if allocs := testing.AllocsPerRun(100, read); allocs != 0 {
		t.Errorf("%v allocations a row", allocs)
	}
}

func BenchmarkFields(b *testing.B) {
	f := NewFields("status", "path", "bytes")
	status, path, size := []byte("200"), []byte("/index.html"), []byte("14031")
	b.ReportAllocs()
	var sum int64
	for b.Loop() {
		f.Reset()
		f.SetText(0, status)
		f.SetText(1, path)
		f.SetText(2, size)
		n, err := f.Int(2)
		if err != nil {
			b.Fatal(err)
		}
		sum += n + int64(len(f.Text(0))+len(f.Text(1)))
	}
}
