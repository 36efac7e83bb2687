package input

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func resolve(t fatalf, name string, options map[string]string) Format {
	f, err := Resolve(name, options)
	if err != nil {
		t.Fatalf("resolve: %v", err)
	}
	return f
}

// shown are the records of an object that is cut in places, one a line: offset, size
// and data, or what is wrong. met says that guessed pieces do.
func shown(t fatalf, f Format, o *opener, cuts []int) (all []string, met bool) {
	met = true
	size := int64(len(o.text))
	from, meet := int64(0), int64(0)
	for _, cut := range append(slices.Clone(cuts), len(o.text)) {
		to := f.Cut(size, int64(cut))
		if to < from || to == from && size > 0 {
			continue
		}
		r, err := Read(f, Piece{Object: "o", Size: size, Offset: from, Length: to - from, Open: o.Open}, 0)
		if err != nil {
			t.Fatalf("open [%d, %d): %v", from, to, err)
		}
		all = append(all, piece(t, r)...)
		if c, ok := r.Reader.(*csvReader); ok {
			met = met && c.Extent().Began.Offset == meet
			meet = c.Extent().WentOn.Offset
		}
		if err := r.Close(); err != nil || o.open != 0 {
			t.Fatalf("close: %v, %d bodies left open", err, o.open)
		}
		from = to
	}
	return all, met && (meet == 0 || meet == size || f.Cut(size, 1) == 0)
}

func piece(t fatalf, r *PieceReader) (all []string) {
	for {
		for r.Next() {
			rec := r.Record()
			all = append(all, fmt.Sprintf("%d+%d %s", rec.Offset, r.Size(), rec.Data))
		}
		err := r.Err()
		if err == nil {
			return all
		}
		what, bad := Bad(err)
		if !bad {
			t.Fatalf("read: %v", err)
		}
		rec, length, err := r.Skip()
		if err != nil || rec.Data != nil {
			t.Fatalf("skip: %v, %q", err, rec.Data)
		}
		all = append(all, fmt.Sprintf("%d+%d: %s", rec.Offset, length, what))
	}
}

// TestTables shows what each format makes of an object.
func TestTables(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options map[string]string
		text    string
		want    []string
	}{
		{"json", nil, "{\"a\":1}\n \n[1]\n{\"a\":\n\n{}x", []string{`0+7 {"a":1}`, "10+3: the line is no JSON object", "14+5: the JSON of the line does not end", `21+3: the line is no JSON at its byte 2, 'x'`}},
		{"json", map[string]string{"columns": "b,a.x,c"}, "\uFEFF" + `{"a":{"x":[1, 2]},"b":"\u00e4\ud83d\ude00","b":"z\"","d":0}` + "\n" + `{"a":7,"c":null}`, []string{
			`3+59 {"b":"z\"","a.x":[1, 2],"c":null}`, `63+16 {"b":null,"a.x":null,"c":null}`,
		}},
		{"json", map[string]string{"columns": "a,b", "as": "tsv"}, `{"b":1.50,"a":"x\ty"}`, []string{"0+21 x\\ty\t1.50"}},
		{"csv", nil, "\uFEFFa,b\r\n1,\"x\r\n\"\"y\"\"\"\r\n\r\n,\n\"\",2", []string{`8+12 {"a":"1","b":"x\r\n\"y\""}`, `24+1 {"a":null,"b":null}`, `26+4 {"a":null,"b":"2"}`}},
		{"csv", nil, "a,b\n1\n2,x\"y\n\"3\"4,\n1,2,3\n5,\"6\n7\n", []string{
			"4+1: it has 1 fields in place of 2", "6+5: field 2 has a quote and does not begin with it", "12+5: something follows the quote that ends field 1",
			"18+5: it has 3 fields in place of 2", "24+6: the quote of field 2 does not end",
		}},
		{"csv", map[string]string{"header": "no", "delimiter": ";", "quote": "'", "as": "tsv", "columns": "column1"}, "a;'b;c'\n\"d\";e", []string{"0+7 b;c", "8+5 e"}},
		{"csv", map[string]string{"quote": "none"}, "a,b\n\"x,y\"\n", []string{`4+5 {"a":"\"x","b":"y\""}`}},
		{"csv", nil, "a,a,,a\n1,2,3,4", []string{`7+7 {"a":"1","a_1":"2","column2":"3","a_2":"4"}`}},
		{"tsv", map[string]string{"columns": `"x,y"`}, "x,y\tz\n1\t2\n", []string{`6+3 {"x,y":"1"}`}},
		{"fixed", map[string]string{"size": "3"}, "abcdefgh", []string{"0+3 abc", "3+3 def", "6+2: it has 2 of 3 bytes"}},
		{"delimiter", map[string]string{"by": `\0\n`}, "a\x00b\x00\n\x00\nc", []string{"0+3 a\x00b", "5+0 ", "7+1 c"}},
		{"json", map[string]string{"encoding": "latin-1", "columns": "a"}, "{\"a\":\"\xe4\"}", []string{`0+10 {"a":"ä"}`}},
		{"lines", map[string]string{"encoding": "utf-16"}, "\xfe\xff\x00a\x00\n\xd8\x3d\xde\x00", []string{"0+1 a", "2+4 😀"}},
		{"lines", map[string]string{"encoding": "utf-16"}, "\xff\xfe\x00\xde\x00\xde\x3d\xd8\x3d\xd8\x00\xdea\x00\x3d", []string{"0+17 \uFFFD\uFFFD\uFFFD😀a\uFFFD"}},
		{"csv", map[string]string{"encoding": "utf-16"}, "a\x00\n\x00\xe4\x00\n\x00", []string{`2+2 {"a":"ä"}`}},
	} {
		t.Run(fmt.Sprintf("%s %v", tt.name, tt.options), func(t *testing.T) {
			o := &opener{text: tt.text}
			got, met := shown(t, resolve(t, tt.name, tt.options), o, nil)
			if diff := cmp.Diff(tt.want, got); diff != "" || !met {
				t.Errorf("met: %v, -want +got:\n%s", met, diff)
			}
		})
	}
}

// TestTablesRefuse names what is no format, and what an object does not have.
func TestTablesRefuse(t *testing.T) {
	for want, c := range map[string]struct {
		name    string
		options map[string]string
	}{
		`input CSV: rows as "xml", which is neither json nor tsv`:                                {"csv", map[string]string{"as": "xml"}},
		`rows of JSON as tsv without columns: each line may have others`:                         {"json", map[string]string{"as": "tsv"}},
		`the column "a" has no name, or is there twice`:                                          {"json", map[string]string{"columns": "a,a"}},
		`input CSV: delimiter "ab": it is no single character of ASCII`:                          {"csv", map[string]string{"delimiter": "ab"}},
		`input CSV: the delimiter is the quote`:                                                  {"tsv", map[string]string{"quote": `\t`}},
		`input CSV: header "yes"`:                                                                {"csv", map[string]string{"header": "yes"}},
		`input fixed with records of "0" bytes, not of 1 to 67108864`:                            {"fixed", map[string]string{"size": "0"}},
		`input delimiter by "": it has 0 bytes, not 1 to 64`:                                     {"delimiter", nil},
		`input delimiter by "\\q": it has an escape that is none of \n, \r, \t, \0, \\ and \xNN`: {"delimiter", map[string]string{"by": `\q`}},
		`input with the encoding "ebcdic", which is none of latin-1, utf-16, utf-16be, utf-16le`: {"lines", map[string]string{"encoding": "ebcdic"}},
		`input lines with per-task and an encoding: such an object is not cut`:                   {"lines", map[string]string{"encoding": "utf-16", "per-task": "1"}},
		`the application reads rows, and it is not said of what: csv, tsv, json, parquet`:        {"rows", nil},
	} {
		if _, err := Resolve(c.name, c.options); err == nil || err.Error() != want {
			t.Errorf("%s %v: %v, want %s", c.name, c.options, err, want)
		}
	}
	for text, want := range map[string]string{
		"a,b\n1,2\n": `o has no column "z": its columns are "a,b"`,
		"a,\"b\n1":   `o has no header: of its first row the quote of field 2 does not end`,
	} {
		o := &opener{text: text}
		r, err := Read(resolve(t, "csv", map[string]string{"columns": "z"}), Piece{Object: "o", Size: int64(len(text)), Length: int64(len(text)), Open: o.Open}, 0)
		if err != nil {
			t.Fatal(err)
		}
		var of *ObjectError
		if r.Next() || !errors.As(r.Err(), &of) || of.Error() != want {
			t.Errorf("%v, want %s", r.Err(), want)
		}
		if err := r.Close(); err != nil || o.open != 0 {
			t.Errorf("%v, %d left open", err, o.open)
		}
	}
}

// TestTablesSplit: however an object is cut, its records are the same, good and bad,
// or it shows that pieces do not meet. They do unless a quote is out of its place.
func TestTablesSplit(t *testing.T) {
	formats := []struct {
		name    string
		options map[string]string
		words   []string
	}{
		{"json", nil, []string{"{\"a\":1}\n", "{\"b\":\"x\\n\"}\r\n", "\n", "[\n", "{}", "\n"}},
		{"csv", nil, []string{"a", ",", "\n", "\r\n", "\"x,\ny\"", "\"\"\"\"", "1,2\n", "\"\n", "3,\"4\"\n", "x\"y"}},
		{"csv", map[string]string{"header": "no"}, []string{",", "\n", "\"\n\"", "\"a,b\n\"\"c\"", "1,2\n", "\n"}},
		{"csv", map[string]string{"quote": "none"}, []string{"a", ",", "\n", "\"", "1,2\r\n"}},
		{"tsv", nil, []string{"a", "\t", "\n", "\"x\ty\"", "1\t2\n"}},
		{"fixed", map[string]string{"size": "4"}, []string{"a", "bcd", "\n"}},
		{"delimiter", map[string]string{"by": "ab"}, []string{"a", "b", "ab", "xyz", "\n"}},
		{"delimiter", map[string]string{"by": "aa"}, []string{"a", "aa", "b"}},
		{"delimiter", map[string]string{"by": ";"}, []string{";", "aa", "\n"}},
	}
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(formats).Draw(t, "format")
		head := ""
		switch {
		case c.name == "tsv":
			head = "h\ti\n"
		case c.name == "csv":
			head = rapid.SampledFrom([]string{"h,i\n", "\uFEFFh,\"i\"\r\n", "h\n"}).Draw(t, "head")
		}
		text := head + strings.Join(rapid.SliceOfN(rapid.SampledFrom(c.words), 0, 60).Draw(t, "text"), "")
		f := resolve(t, c.name, c.options)
		o := &opener{text: text, small: rapid.Bool().Draw(t, "small")}
		if rapid.Bool().Draw(t, "views") {
			o.views = rapid.SliceOfN(rapid.IntRange(1, 20), 1, 4).Draw(t, "sizes")
		}
		want, _ := shown(t, f, o, nil)
		cuts := rapid.SliceOfN(rapid.IntRange(0, len(text)), 0, 6).Draw(t, "cuts")
		slices.Sort(cuts)
		got, met := shown(t, f, o, cuts)
		if sound := !strings.Contains(strings.Join(want, " "), "quote"); !met && !sound {
			return
		}
		if diff := cmp.Diff(want, got); diff != "" || !met {
			t.Fatalf("%q cut at %v: met: %v, -whole +cut:\n%s", text, cuts, met, diff)
		}
	})
}
