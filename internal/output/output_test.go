package output

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

func TestResolve(t *testing.T) {
	for _, name := range []string{"lines", "csv", "tsv", "json", "parquet"} {
		for _, compression := range []string{"", Gzip, Zstd} {
			options := map[string]string{CompressionOption: compression}
			if compression == "" {
				options = nil
			}
			f, err := Resolve(name, options)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"lines": ""}[name] + endings[compression]
			if name != "lines" {
				want = "." + name + want
			}
			if name == "parquet" {
				want = ".parquet"
			}
			if f.Ending() != want {
				t.Errorf("%s %s: ending %q, want %q", name, compression, f.Ending(), want)
			}
		}
	}
	for _, tt := range []struct {
		name    string
		options map[string]string
		err     string
	}{
		{"words", nil, `unknown output "words"`},
		{"lines", map[string]string{"width": "4"}, `output lines with the unknown option "width"`},
		{"lines", map[string]string{ColumnsOption: "a"}, `output lines with the unknown option "columns"`},
		{"lines", map[string]string{CompressionOption: "lz4"}, `output lines: compression "lz4"; there are gzip and zstd`},
		{"csv", map[string]string{CompressionOption: ""}, `output csv: compression ""; there are gzip and zstd`},
		{"parquet", map[string]string{CompressionOption: "snappy"}, `output parquet: compression "snappy"; there are gzip and zstd`},
		{"json", map[string]string{ColumnsOption: ""}, `output json: column 1 has no name`},
		{"tsv", map[string]string{ColumnsOption: "a,b,a:int"}, `output tsv: there are two columns a`},
		{"csv", map[string]string{ColumnsOption: "a:word"}, `output csv: column a has the unknown type "word"; there are string, text, int, float, bool and json`},
		{"csv", map[string]string{ColumnsOption: "a:"}, `output csv: column a has the unknown type ""; there are string, text, int, float, bool and json`},
		{"csv", map[string]string{ColumnsOption: "a\n"}, `output csv: column "a\n": a name is text of at most 256 bytes without comma, colon and control characters`},
		{"csv", map[string]string{ColumnsOption: strings.TrimSuffix(numbers(MostColumns+1), ",")}, `output csv: 1001 columns; a table has 1 to 1000`},
	} {
		if _, err := Resolve(tt.name, tt.options); err == nil || err.Error() != tt.err {
			t.Errorf("%v, want %s", err, tt.err)
		}
	}
	const columns = "word,path:text,n:int,x:float,ok:bool,more:json"
	list, err := ParseColumns(columns)
	if err != nil || FormatColumns(list) != columns {
		t.Errorf("%v, %v", list, err)
	}
}

func numbers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "c%d,", i)
	}
	return b.String()
}

// encode returns what an encoder writes when write has written.
func encode(t *testing.T, name string, options map[string]string, write func(Encoder) error) []byte {
	t.Helper()
	f, err := Resolve(name, options)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	e, err := f.Encoder(&b, Libraries{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(write(e), e.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestLines: lines are written in the order in which they come, whatever is
// gathered and whatever is too large for that.
func TestLines(t *testing.T) {
	var want bytes.Buffer
	got := encode(t, "lines", nil, func(e Encoder) (err error) {
		for _, n := range []int{0, 1, blockSize - 3, blockSize - 2, blockSize, 3 * blockSize, 7} {
			key, value := strings.Repeat("k", n/3), strings.Repeat("v", n)
			err = errors.Join(err, e.Key([]byte(key)), e.Value([]byte(value)), e.Value(nil), e.Line([]byte(value)))
			want.WriteString(key + " " + value + "\n" + key + " \n" + value + "\n")
		}
		return err
	})
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%d bytes, want %d", len(got), want.Len())
	}
}

// TestLineBreaks: no line can hold one.
func TestLineBreaks(t *testing.T) {
	e, _ := lines{}.Encoder(&bytes.Buffer{}, Libraries{})
	text := []byte("a\nb")
	for what, err := range map[string]error{"key": e.Key(text), "value": e.Value(text), "line": e.Line(text)} {
		var unfit *UnfitError
		if !errors.As(err, &unfit) || !strings.Contains(unfit.What, "line break in the "+what) || (unfit.Data == nil) != (what == "key") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestTables: pairs and lines become rows, in each format that is text.
func TestTables(t *testing.T) {
	options := map[string]string{ColumnsOption: "k,n:int,x:float,ok:bool,j:json,s"}
	write := func(e Encoder) error {
		return errors.Join(
			e.Key([]byte("a\tb")), e.Value([]byte("7\t1.50\ttrue\t{\"a\": [1, null]}\tx\ty")), e.Value([]byte("-007\t1e30\tfalse\t\"q\"\t\"")),
			e.Key(nil), e.Value([]byte("\t\t\t\t")),
			e.Line([]byte("é, \t+3\t-0.25\ttrue\t5\tline\r\nbreak")),
		)
	}
	for name, want := range map[string]string{
		"csv": "k,n,x,ok,j,s\n" + "a\tb,7,1.5,true,\"{\"\"a\"\":[1,null]}\",x\ty\n" + "a\tb,-7,1e+30,false,\"\"\"q\"\"\",\"\"\"\"\n" +
			"\"\",,,,,\"\"\n" + "\"é, \",3,-0.25,true,5,\"line\r\nbreak\"\n",
		"tsv": "k\tn\tx\tok\tj\ts\n" + "\"a\tb\"\t7\t1.5\ttrue\t\"{\"\"a\"\":[1,null]}\"\t\"x\ty\"\n" + "\"a\tb\"\t-7\t1e+30\tfalse\t\"\"\"q\"\"\"\t\"\"\"\"\n" +
			"\"\"\t\t\t\t\t\"\"\n" + "\"é, \"\t3\t-0.25\ttrue\t5\t\"line\r\nbreak\"\n",
		"json": `{"k":"a\tb","n":7,"x":1.5,"ok":true,"j":{"a":[1,null]},"s":"x\ty"}` + "\n" + `{"k":"a\tb","n":-7,"x":1e+30,"ok":false,"j":"q","s":"\""}` + "\n" +
			`{"k":"","n":null,"x":null,"ok":null,"j":null,"s":""}` + "\n" + `{"k":"é, ","n":3,"x":-0.25,"ok":true,"j":5,"s":"line\r\nbreak"}` + "\n",
	} {
		if diff := cmp.Diff(want, string(encode(t, name, options, write))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestDefaultColumns: without columns a line is a key and what is behind its first tab.
// TestText: a column of text has the text of its fields, and a key has a field for each
// column where the first one is of text.
func TestText(t *testing.T) {
	options := map[string]string{ColumnsOption: "a:text,b:text,n:int,c:text"}
	write := func(e Encoder) error {
		return errors.Join(
			e.Key([]byte(`t\tab`+"\t"+`l\nf`)), e.Value([]byte("1\t"+`c\r\n`+`\\n`)), e.Value([]byte("\t")),
			e.Key([]byte("one")), e.Value([]byte("two\t2\tmore\ttabs")),
			e.Line([]byte(`\\`+"\t\t3\t")))
	}
	want := []string{`{"a":"t\tab","b":"l\nf","n":1,"c":"c\r\n\\n"}`, `{"a":"t\tab","b":"l\nf","n":null,"c":""}`, `{"a":"one","b":"two","n":2,"c":"more\ttabs"}`, `{"a":"\\","b":"","n":3,"c":""}`}
	if got := string(encode(t, "json", options, write)); got != strings.Join(want, "\n")+"\n" {
		t.Errorf("%s", got)
	}
	want = []string{"a,b,n,c", "t\tab,\"l\nf\",1,\"c\r\n\\n\"", "t\tab,\"l\nf\",,\"\"", "one,two,2,more\ttabs", `\,"",3,""`}
	if got := string(encode(t, "csv", options, write)); got != strings.Join(want, "\n")+"\n" {
		t.Errorf("%s", got)
	}
	for _, field := range []string{`\`, `a\`, `\q`, `\\\`} {
		f, err := Resolve("json", map[string]string{ColumnsOption: "a:text,b"})
		if err != nil {
			t.Fatal(err)
		}
		e, err := f.Encoder(io.Discard, Libraries{})
		if err != nil {
			t.Fatal(err)
		}
		var unfit *UnfitError
		if err := errors.Join(e.Key([]byte(field)), e.Value(nil)); !errors.As(err, &unfit) || string(unfit.Data) != field {
			t.Errorf("%s: %v", field, err)
		}
	}
}

func TestDefaultColumns(t *testing.T) {
	got := encode(t, "csv", nil, func(e Encoder) error {
		return errors.Join(e.Key([]byte("a b")), e.Value([]byte("1\t2")), e.Value(nil), e.Line([]byte("c\td\te")), e.Line([]byte("alone")))
	})
	if want := "key,value\na b,1\t2\na b,\"\"\nc,d\te\nalone,\"\"\n"; string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
	got = encode(t, "csv", map[string]string{ColumnsOption: "n:int"}, func(e Encoder) error {
		return errors.Join(e.Key([]byte("1")), e.Value(nil), e.Key(nil), e.Value(nil), e.Line([]byte("2")))
	})
	if want := "n\n1\n\"\"\n2\n"; string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestUnfit: an error names column, field and, of a line, the key. The row is not
// written.
func TestUnfit(t *testing.T) {
	for _, tt := range []struct{ format, columns, line, what, data string }{
		{"csv", "w,n:int", "a\tx1", `column "n" takes an int, not`, "x1"},
		{"csv", "w,n:int", "a\t1\t2", `column "n" takes an int, not`, "1\t2"},
		{"csv", "w,n:int", "a\t9223372036854775808", `column "n" takes an int of 64 bits, not`, "9223372036854775808"},
		{"json", "w,n:int", "a\t1.0", `column "n" takes an int, not`, "1.0"},
		{"json", "w,x:float", "a\t1e999", `column "x" takes a float of 64 bits, not`, "1e999"},
		{"json", "w,x:float", "a\t0x1p3", `column "x" takes a float, not`, "0x1p3"},
		{"json", "w,x:float", "a\tNaN", `column "x" takes a number of JSON, not`, "NaN"},
		{"tsv", "w,b:bool", "a\tTRUE", `column "b" takes true or false, not`, "TRUE"},
		{"tsv", "w,j:json", "a\t{", `column "j" takes JSON, not`, "{"},
		{"tsv", "w,j:json", "a\t\"\xff\"", `column "j" takes JSON, not`, "\"\xff\""},
		{"json", "w", "a\xff", `column "w" takes UTF-8, not`, "a\xff"},
		{"json", "w,n:int,m", "a\t1", "a row of 2 fields for the 3 columns w,n:int,m", ""},
	} {
		f, err := Resolve(tt.format, map[string]string{ColumnsOption: tt.columns})
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		e, _ := f.Encoder(&b, Libraries{})
		var unfit *UnfitError
		key, _, _ := strings.Cut(tt.line, "\t")
		if err := e.Line([]byte(tt.line)); !errors.As(err, &unfit) || unfit.What != tt.what || string(unfit.Data) != tt.data || string(unfit.Key) != key {
			t.Errorf("%s of %q: %v, %+v", tt.format, tt.line, err, unfit)
		}
		before := len(f.(table).header(f.(table).columns))
		if err := e.Close(); err != nil || b.Len() != before {
			t.Errorf("%s of %q: %v, wrote %q", tt.format, tt.line, err, b.String())
		}
	}
	if x := encode(t, "csv", map[string]string{ColumnsOption: "x:float"}, func(e Encoder) error {
		return errors.Join(e.Line([]byte("NaN")), e.Line([]byte("-Infinity")), e.Line([]byte("inf")))
	}); string(x) != "x\nnan\n-inf\ninf\n" {
		t.Errorf("%q", x)
	}
}

// TestCompression: the standard library reads gzip, and zstd has a frame for each
// frameSize bytes. The bytes are the same however they were written.
func TestCompression(t *testing.T) {
	text := make([]byte, 2*frameSize+12345)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range text {
		text[i] = byte('a' + r.IntN(3))
	}
	for _, kind := range []string{Gzip, Zstd} {
		for _, n := range []int{0, 1, frameSize, len(text)} {
			var outs [2][]byte
			for i := range outs {
				var b bytes.Buffer
				w, end := compressTo(&b, kind)
				for rest := text[:n]; len(rest) > 0; {
					k := min(len(rest), 1+i*r.IntN(3*frameSize/2))
					if i == 0 {
						k = min(len(rest), 100_000)
					}
					if _, err := w.Write(rest[:k]); err != nil {
						t.Fatal(err)
					}
					rest = rest[k:]
				}
				if err := end(); err != nil {
					t.Fatal(err)
				}
				outs[i] = b.Bytes()
			}
			var in io.Reader
			var err error
			if kind == Gzip {
				in, err = gzip.NewReader(bytes.NewReader(outs[0]))
			} else {
				in, err = zstd.NewReader(bytes.NewReader(outs[0]), zstd.WithDecoderConcurrency(1))
				frames := bytes.Count(outs[0], []byte{0x28, 0xb5, 0x2f, 0xfd})
				if want := max(1, (n+frameSize-1)/frameSize); frames != want {
					t.Errorf("%d bytes in %d frames, want %d", n, frames, want)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(in)
			if err != nil || !bytes.Equal(got, text[:n]) {
				t.Errorf("%s of %d bytes: %v, %d bytes", kind, n, err, len(got))
			}
			if !bytes.Equal(outs[0], outs[1]) {
				t.Errorf("%s of %d bytes depends on how they are written", kind, n)
			}
		}
	}
}

// TestCheck: sizes that no output of so many records has.
func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name, compression string
		records, size     int64
		ok                bool
	}{
		{"lines", "", 0, 0, true}, {"lines", "", 3, 3, true}, {"lines", "", 3, 2, false}, {"lines", "", 0, 1, false},
		{"lines", Gzip, 0, 0, false}, {"lines", Gzip, 1 << 20, 99, true},
		{"csv", "", 0, 10, true}, {"csv", "", 0, 9, false}, {"csv", "", 1, 10, false}, {"csv", "", 2, 14, true}, {"csv", "", 2, 13, false},
		{"csv", Zstd, 0, 0, false}, {"csv", Zstd, 0, 13, true}, {"json", "", 0, 0, true}, {"json", "", 1, 0, false}, {"json", "", 0, 5, false},
		{"parquet", "", 0, 11, false}, {"parquet", "", 5, 400, true},
	} {
		options := map[string]string{}
		if tt.compression != "" {
			options[CompressionOption] = tt.compression
		}
		f, err := Resolve(tt.name, options)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Check(tt.records, tt.size); (err == nil) != tt.ok {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

// broken is a writer that fails.
type broken struct{ err error }

func (b broken) Write([]byte) (int, error) { return 0, b.err }

// TestWriterFails: its error comes back, at the latest from Close.
func TestWriterFails(t *testing.T) {
	failed := errors.New("failed")
	for _, name := range []string{"lines", "csv", "json"} {
		for _, compression := range []string{"", Gzip, Zstd} {
			options := map[string]string{CompressionOption: compression}
			if compression == "" {
				options = nil
			}
			f, err := Resolve(name, options)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range []int{1, blockSize} {
				e, _ := f.Encoder(broken{failed}, Libraries{})
				err := errors.Join(e.Key([]byte("k")), e.Value(bytes.Repeat([]byte{'a'}, n)))
				if closed := e.Close(); !errors.Is(errors.Join(err, closed), failed) {
					t.Errorf("%s %s, %d bytes: %v, then %v", name, compression, n, err, closed)
				}
			}
		}
	}
}

// TestMissingLibrary: a program without Parquet says so.
func TestMissingLibrary(t *testing.T) {
	f, err := Resolve("parquet", nil)
	if err != nil {
		t.Fatal(err)
	}
	var missing *MissingError
	if _, err := f.Encoder(io.Discard, Libraries{}); !errors.As(err, &missing) {
		t.Error(err)
	}
}
