package input

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mraws/mraws/mr"
)

// wantJSON is what encoding/json makes of the columns a, b.c and d of a line.
func wantJSON(line []byte) (columns [3]string, ok bool) {
	member := func(object json.RawMessage, name string) json.RawMessage {
		d := json.NewDecoder(bytes.NewReader(object))
		if t, err := d.Token(); err != nil || t != json.Delim('{') {
			return nil
		}
		var last json.RawMessage
		for d.More() {
			t, err := d.Token()
			if err != nil {
				return nil
			}
			var value json.RawMessage
			if err := d.Decode(&value); err != nil {
				return nil
			}
			if t == name {
				last = value
			}
		}
		return last
	}
	show := func(value json.RawMessage) string {
		var text string
		switch {
		case value == nil || string(value) == "null":
			return "null"
		case json.Unmarshal(value, &text) == nil:
			return "text " + text
		}
		return string(value)
	}
	if line = bytes.TrimLeft(line, " \t\r\n"); !json.Valid(line) || line[0] != '{' {
		return columns, false
	}
	return [3]string{show(member(line, "a")), show(member(member(line, "b"), "c")), show(member(line, "d"))}, true
}

// FuzzJSON compares with encoding/json. Of three lines, of which each may be as the
// line before it, the scanner remembers the members.
func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"x":1,"a":"b","b":{"c":[1]},"d":null}`), []byte(`{"x":1,"a":"\u00e9","b":{"x":{},"c":2},"d":true}`))
	f.Add([]byte(`{"a":1}`), []byte(`{"a" : 1, "d":-0.5e3, "a":2}`))
	f.Add([]byte(`{"a\"":1,"\u0061":2,"b":{"c":1},"b":3}`), []byte(`{"a":}`))
	f.Add([]byte(`{}`), []byte(`{"a":1,}`))
	f.Add([]byte(`{ "a": "x", "b": {"c": 2} }`), []byte("{\t\"a\" :\"\" ,\"a\":{}, \"b\":[]}"))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		s := jsonScanner{tree: newJSONTree([]string{"a", "b.c", "d"}), fields: mr.NewFields("a", "b.c", "d")}
		all := jsonScanner{fields: mr.NewFields()}
		for _, line := range [][]byte{one, two, one, one} {
			want, ok := wantJSON(line)
			at := s.scan(line)
			if (at < 0) != ok || (all.scan(line) < 0) != ok {
				t.Fatalf("%q: the scan ends at %d, valid is %v", line, at, ok)
			}
			if !ok {
				continue
			}
			for i := range want {
				got := string(s.fields.Text(i))
				switch s.fields.Kind(i) {
				case mr.TextField:
					got = "text " + got
				case mr.NullField:
					got = "null"
				}
				if got != want[i] {
					t.Fatalf("%q: column %s is %q, want %q", line, s.fields.Name(i), got, want[i])
				}
			}
		}
	})
}

// TestRemembered: what a scanner remembers of lines changes nothing in what it makes of the
// next one.
func TestRemembered(t *testing.T) {
	columns := []string{"a", "b.c", "d"}
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.SampledFrom([]string{`"x"`, `""`, "1", "-0.5e3", "null", "true", `"a\"b"`, `"ä"`, "\"\xff\"", "[1, 2]", `{"c":1}`, `{ "c" : "x", "c":2}`, `{"c":`, `"x`, "01", "\"\t\""})
		name := rapid.SampledFrom([]string{`"a"`, `"b"`, `"d"`, `"e"`, `"\u0061"`, `"a name of more than sixteen bytes"`, `"a"`, `a`})
		space := rapid.SampledFrom([]string{"", "", "", " ", "\t", "  "})
		before := jsonScanner{tree: newJSONTree(columns), fields: mr.NewFields(columns...)}
		for range rapid.IntRange(2, 6).Draw(t, "lines") {
			var line strings.Builder
			gap := func() { line.WriteString(space.Draw(t, "space")) }
			gap()
			line.WriteByte('{')
			for i := range rapid.IntRange(0, 5).Draw(t, "members") {
				if i > 0 {
					line.WriteByte(',')
				}
				gap()
				line.WriteString(name.Draw(t, "name"))
				gap()
				line.WriteByte(':')
				gap()
				line.WriteString(value.Draw(t, "value"))
				gap()
			}
			line.WriteByte('}')
			fresh := jsonScanner{tree: newJSONTree(columns), fields: mr.NewFields(columns...)}
			want, got := fresh.scan([]byte(line.String())), before.scan([]byte(line.String()))
			if want >= 0 || got >= 0 {
				if want != got {
					t.Fatalf("%q: wrong at %d, of a first line at %d", line.String(), got, want)
				}
				continue
			}
			if w, g := string(fresh.fields.AppendJSON(nil)), string(before.fields.AppendJSON(nil)); w != g {
				t.Fatalf("%q: %s, of a first line %s", line.String(), g, w)
			}
		}
	})
}

// TestPaths: a dot of a name has a backslash before it.
func TestPaths(t *testing.T) {
	line := `{"a.b":1,"a":{"b":2,"b.c":3,"d\\":4},"e\\.f":5,"":{"":6}}`
	for path, want := range map[string][2]string{
		`a\.b`: {"a.b", "1"}, `a.b`: {"a.b", "2"}, `a.b\.c`: {"a.b.c", "3"}, `a.d\`: {`a.d\`, "4"}, `a.d\\`: {`a.d\`, "4"},
		`e\\\.f`: {`e\.f`, "5"}, `e\\.f`: {`e\.f`, "null"}, `a\.b.c`: {"a.b.c", "null"}, `.`: {".", "6"}, `a\b`: {`a\b`, "null"},
	} {
		f, err := newJSON(map[string]string{optColumns: path})
		if err != nil {
			t.Fatal(err)
		}
		name, _ := json.Marshal(want[0])
		got, _ := shown(t, f, &opener{text: line}, nil)
		if row := fmt.Sprintf("0+%d {%s:%s}", len(line), name, want[1]); len(got) != 1 || got[0] != row {
			t.Errorf("%s: %q, want %s", path, got, row)
		}
	}
	if _, err := ParseColumns(`a.b,a\.b`); err == nil {
		t.Error("two columns of one name are taken")
	}
}

// TestDeep: JSON that is too deep is said to be, and is bad.
func TestDeep(t *testing.T) {
	for _, columns := range []map[string]string{nil, {optColumns: "a"}, {optColumns: "b"}, {optAs: asJSON}} {
		f, err := newJSON(columns)
		if err != nil {
			t.Fatal(err)
		}
		for depth, ok := range map[int]bool{deepestJSON - 1: true, deepestJSON: false} {
			line := `{"a":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + "}"
			got, _ := shown(t, f, &opener{text: line}, nil)
			if says := "the JSON of the line has more than 10000 objects and lists in each other at its byte 10004"; len(got) != 1 || strings.Contains(got[0], says) == ok {
				t.Errorf("%v, %d lists in an object: %.300q", columns, depth, got)
			}
		}
	}
}
