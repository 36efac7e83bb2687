package verify

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/mr"
)

// table is a format with words that its objects are made of.
type table struct {
	name    string
	options map[string]string
	head    string
	words   []string
}

var (
	csvWords  = []string{"a", ",", "\n", "\r\n", "\r", "\"x,\ny\"", "\"x\r\ny\"\"\"", "\"\"", "\"\"\"\"", "1,2\n", "\"\n", "3,\"4\"\n", "x\"y", "\"z\",", "é", "\xff", "\t", "'", "\\", "\u2028"}
	jsonWords = []string{
		"{", "}", "[", "]", ",", ":", "\n", " ", "\"a\":", "\"b\"", "{\"a\":{\"b\":1,\"c\":\"x\"},\"d\":[1, 2]}\n", "{\"a\":1.5e3,\"a\":null}\n", "{\"\\u0061\":\"\\ud83d\\ude00\\ud83d\"}\n",
		"true", "null", "-0", "01", "{\"é\":\"\xff\\n\\u2028\",\"d\":false}\r\n", "{\"a\":\"\",\"d\":{}}", "\uFEFF", "\"\\x\"", "\x00", "{\"d\":12345678901234567890}\n", "{}\n",
	}
	tableKinds = []table{
		{"json", nil, "", jsonWords},
		{"json", map[string]string{"as": "json"}, "", jsonWords},
		{"json", map[string]string{"columns": "d,a.b,a", "encoding": "latin-1"}, "", jsonWords},
		{"json", map[string]string{"columns": "a,d", "as": "tsv"}, "", jsonWords},
		{"csv", nil, "h,i\n", csvWords},
		{"csv", nil, "\uFEFFh,\"i\r\n\"\r\n", csvWords},
		{"csv", nil, "", csvWords},
		{"csv", map[string]string{"header": "no", "as": "tsv"}, "", csvWords},
		{"csv", map[string]string{"columns": "i", "delimiter": "\\t", "quote": "'"}, "h\ti\n", csvWords},
		{"csv", map[string]string{"quote": "none"}, "h,i\n", csvWords},
		{"tsv", map[string]string{"columns": "i,h"}, "h\ti\n", csvWords},
		{"csv", map[string]string{"encoding": "utf-16be"}, "", []string{"\x00a", "\x00,", "\x00\n", "\x00\"", "\xd8\x3d", "\xde\x00", "a", "\xfe\xff"}},
		{"lines", map[string]string{"encoding": "utf-16"}, "\xff\xfe", []string{"a\x00", "\n\x00", "\x3d\xd8", "\x00\xde", "\x00", "\xff\xfe"}},
		{"fixed", map[string]string{"size": "3"}, "", []string{"a", "bcd", "\n"}},
		{"delimiter", map[string]string{"by": "ab"}, "", []string{"a", "b", "ab", "xyz", "\n"}},
		{"delimiter", map[string]string{"by": `\0\x0a`}, "", []string{"a", "\x00", "\n", "\x00\n"}},
	}
)

// TestTables: of any text the verifier and the workers read the same rows, and find the
// same ones bad.
func TestTables(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(tableKinds).Draw(t, "format")
		text := c.head + strings.Join(rapid.SliceOfN(rapid.SampledFrom(c.words), 0, 30).Draw(t, "text"), "")
		sameRows(t, c, text, rapid.Bool().Draw(t, "fields"))
	})
}

// TestUTF16: of any units of UTF-16 the verifier and the workers read the text that
// package unicode/utf16 makes of them, with U+FFFD for each surrogate without the other
// half.
func TestUTF16(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		units := rapid.SliceOfN(rapid.SampledFrom([]uint16{'a', 'é', 0xD83D, 0xDBFF, 0xDC00, 0xDE00, 0xFEFF, 0xFFFE}), 1, 9000).Draw(t, "units")
		data := []byte{0xFE, 0xFF}
		for _, u := range units {
			data = binary.BigEndian.AppendUint16(data, u)
		}
		c := table{name: "lines", options: map[string]string{"encoding": "utf-16"}}
		text := string(utf16.Decode(units))
		want := []string{fmt.Sprintf("0+%d %q", len(text), text)}
		for who, rows := range map[string]func(fatal, table, string, bool) []string{"workers": theirRows, "verifier": ourRows} {
			if diff := cmp.Diff(want, rows(t, c, string(data), false)); diff != "" {
				t.Fatalf("%s: -want +got:\n%s", who, diff)
			}
		}
	})
}

type fatal interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

func sameRows(t fatal, c table, text string, fields bool) {
	t.Helper()
	if diff := cmp.Diff(theirRows(t, c, text, fields), ourRows(t, c, text, fields)); diff != "" {
		t.Fatalf("%s %v of %q: -workers +verifier:\n%s", c.name, c.options, text, diff)
	}
}

func showRow(rec mr.Record, size int64) string {
	if rec.Fields == nil {
		return fmt.Sprintf("%d+%d %q", rec.Offset, size, rec.Data)
	}
	var b strings.Builder
	for i := range rec.Fields.Len() {
		fmt.Fprintf(&b, " %q:%d=%q", rec.Fields.Name(i), rec.Fields.Kind(i), rec.Fields.Text(i))
	}
	return fmt.Sprintf("%d+%d%s", rec.Offset, size, b.String())
}

func theirRows(t fatal, c table, text string, fields bool) (all []string) {
	f, err := input.Resolve(c.name, c.options)
	if err != nil {
		t.Fatal(err)
	}
	size := int64(len(text))
	r, err := input.Read(f, input.Piece{Object: "o", Size: size, Length: size, Rows: input.Rows{Fields: fields}, Open: func(off, n int64) (input.Body, error) {
		return inputBody{input.NewBuffered(strings.NewReader(text[off:off+n]), n), io.NopCloser(nil)}, nil
	}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for {
		for r.Next() {
			all = append(all, showRow(r.Record(), r.Size()))
		}
		err := r.Err()
		if _, bad := input.Bad(err); !bad {
			if err != nil {
				all = append(all, "failed")
			}
			break
		}
		rec, n, err := r.Skip()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fmt.Sprintf("%d+%d bad", rec.Offset, n))
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return all
}

func ourRows(t fatal, c table, text string, fields bool) (all []string) {
	r := Inputs[c.name].Open(c.options, Object{Name: "o", Size: int64(len(text)), Fields: fields, Open: func(off, n int64) (io.ReadCloser, error) {
		return io.NopCloser(iotest.HalfReader(strings.NewReader(text[off : off+n]))), nil
	}})
	for {
		err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		rec, size := r.Record()
		if _, bad := input.Bad(err); bad {
			all = append(all, fmt.Sprintf("%d+%d bad", rec.Offset, size))
			continue
		} else if err != nil {
			all = append(all, "failed")
			break
		}
		all = append(all, showRow(rec, size))
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return all
}

// FuzzJSON holds the reader of JSON against encoding/json.
func FuzzJSON(f *testing.F) {
	for _, w := range jsonWords {
		f.Add(w, "a.b,d")
	}
	f.Fuzz(func(t *testing.T, text, columns string) {
		c := table{name: "json"}
		for _, fields := range []bool{false, true} {
			sameRows(t, c, text, fields)
		}
		if _, err := input.ParseColumns(columns); err == nil {
			c.options = map[string]string{"columns": columns}
			sameRows(t, c, text, true)
		}
	})
}

// FuzzCSV holds the reader of CSV against encoding/csv.
func FuzzCSV(f *testing.F) {
	for _, w := range csvWords {
		f.Add("a,b\n"+w, true)
	}
	f.Fuzz(func(t *testing.T, text string, header bool) {
		c := table{name: "csv", options: map[string]string{}}
		if !header {
			c.options["header"] = "no"
		}
		sameRows(t, c, text, true)
	})
}
