package output

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"
)

// rowsOf cuts bytes into rows of two fields.
func rowsOf(data []byte) (rows [][]string) {
	for line := range bytes.SplitSeq(data, []byte{0}) {
		key, value, _ := bytes.Cut(line, []byte{1})
		rows = append(rows, []string{string(bytes.ReplaceAll(key, []byte{'\t'}, nil)), string(value)})
	}
	return rows
}

func addSeeds(f *testing.F) {
	for _, seed := range []string{"", "a\x01b\x00c", "\"\x01\"\"\x00,\x01\n\x00\r\n\x01 \x00\x01", "é\x01\xff\x00\\\x01\u2028\x00\x02\x01\x7f", `\.` + "\x01#"} {
		f.Add([]byte(seed))
	}
}

// FuzzCSV: the standard library reads what is written. It takes "\r\n" in quotes for
// "\n".
func FuzzCSV(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		rows := rowsOf(data)
		for name, comma := range map[string]rune{"csv": ',', "tsv": '\t'} {
			text := encode(t, name, nil, func(e Encoder) error {
				for _, r := range rows {
					if err := errors.Join(e.Key([]byte(r[0])), e.Value([]byte(r[1]))); err != nil {
						return err
					}
				}
				return nil
			})
			in := csv.NewReader(bytes.NewReader(text))
			in.Comma = comma
			got, err := in.ReadAll()
			if err != nil || len(got) != len(rows)+1 {
				t.Fatalf("%s: %v, %d rows of %q", name, err, len(got), text)
			}
			for i, r := range rows {
				for j := range r {
					if want := strings.ReplaceAll(r[j], "\r\n", "\n"); got[i+1][j] != want {
						t.Errorf("%s: %q, want %q", name, got[i+1][j], want)
					}
				}
			}
		}
	})
}

// FuzzJSON: the standard library reads what is written, and what is not UTF-8 is
// refused.
func FuzzJSON(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		var b bytes.Buffer
		e, _ := mustResolve(t, "json").Encoder(&b, Libraries{})
		var rows [][]string
		for _, r := range rowsOf(data) {
			err := errors.Join(e.Key([]byte(r[0])), e.Value([]byte(r[1])))
			if valid := utf8.ValidString(r[0]) && utf8.ValidString(r[1]); valid != (err == nil) {
				t.Fatalf("%q: %v", r, err)
			} else if valid {
				rows = append(rows, r)
			}
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(b.Bytes(), []byte{'\n'}); n != len(rows) {
			t.Errorf("%d lines for %d rows", n, len(rows))
		}
		in := json.NewDecoder(&b)
		for _, r := range rows {
			var got map[string]string
			if err := in.Decode(&got); err != nil || len(got) != 2 || got["key"] != r[0] || got["value"] != r[1] {
				t.Fatalf("%v, %q, want %q", err, got, r)
			}
		}
		if _, err := in.Token(); !errors.Is(err, io.EOF) {
			t.Errorf("more: %v", err)
		}
	})
}

// FuzzTypes: a value of a type is what the standard library reads again from the text
// that is written.
func FuzzTypes(f *testing.F) {
	for _, seed := range []string{"1", "-0", "1e5", "+12", "0.1", "{\"a\":1}", "[1e400]", "nan", "true", " 1", "1_0", "0x10", "\"\\ud800\""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		for _, kind := range []Type{Int, Float, Bool, JSON} {
			c := Column{"c", kind}
			text, err := c.appendValue(nil, []byte(field))
			if err != nil || field == "" {
				continue
			}
			if !json.Valid(text) && kind != Float {
				t.Errorf("%q as %s is %q", field, kind, text)
			}
			again, err := c.appendValue(nil, text)
			if err != nil || !bytes.Equal(text, again) {
				t.Errorf("%q as %s is %q, and that is %q: %v", field, kind, text, again, err)
			}
		}
	})
}

func mustResolve(t *testing.T, name string) Format {
	t.Helper()
	f, err := Resolve(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}
