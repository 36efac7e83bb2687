package mr_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mraws/mraws/mr"
)

func TestParseNamedOutput(t *testing.T) {
	for text, want := range map[string]string{
		"errors":                "errors  ",
		"a-1_b.c":               "a-1_b.c  ",
		"errors=lines":          "errors lines ",
		"rows=parquet":          "rows parquet ",
		strings.Repeat("a", 64): strings.Repeat("a", 64) + "  ",
		"":                      "  the name \"\" has not 1 to 64 bytes",
		strings.Repeat("a", 65): "  the name \"" + strings.Repeat("a", 65) + "\" has not 1 to 64 bytes",
		"_x":                    `  the name "_x" is not made of letters, digits, '-', '_' and '.', the first of them a letter or a digit`,
		"..":                    `  the name ".." is not made of letters, digits, '-', '_' and '.', the first of them a letter or a digit`,
		"a/b":                   `  the name "a/b" is not made of letters, digits, '-', '_' and '.', the first of them a letter or a digit`,
		"a,b":                   `  the name "a,b" is not made of letters, digits, '-', '_' and '.', the first of them a letter or a digit`,
		"output":                `  the name "output" is that of a folder of a job`,
		"errors=":               `  named output errors has the unknown format ""`,
		"errors=xml":            `  named output errors has the unknown format "xml"`,
	} {
		name, format, err := mr.ParseNamedOutput(text)
		got := name + " " + format + " "
		if err != nil {
			got += err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestCheckNamedOutputs(t *testing.T) {
	var many []string
	for i := range mr.MostNamedOutputs {
		many = append(many, fmt.Sprintf("n%d", i))
	}
	for _, c := range []struct {
		declared []string
		says     string
	}{
		{nil, ""},
		{many, ""},
		{append(many, "one-more"), "33 named outputs, more than 32"},
		{[]string{"a", "b", "a=csv"}, "the named output a is declared twice"},
		{[]string{"a", "-"}, "is not made of letters"},
	} {
		err := mr.CheckNamedOutputs(c.declared)
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%d: %v, want %q", len(c.declared), err, c.says)
		}
	}
	app := mr.App{Name: "x", NewMapper: func(*mr.Task) (mr.Mapper, error) { return nil, nil }, NewReducer: func(*mr.Task) (mr.Reducer, error) { return nil, nil }, NamedOutputs: []string{"a", "a"}}
	if err := app.Validate(); err == nil || !strings.Contains(err.Error(), "NamedOutputs: the named output a is declared twice") {
		t.Error(err)
	}
}
