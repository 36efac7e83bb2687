package cmd

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/mraws/mraws/internal/apps"
	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/status"
	"github.com/mraws/mraws/internal/testkit"
)

// evil sets a terminal's title and clears it, hides what stands before it and
// begins a line that nobody wrote.
const evil = "a\x1b]0;title\a\x1b[2J\u009b31m\x9b\u202eb\rc\nmraws: state done"

// obeyed returns what in s a terminal would obey.
func obeyed(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || r == '\u202e') {
			return r
		}
		return -1
	}, s)
}

// TestEscapedEverywhere: names and records reach the terminal escaped by every
// way that there is, and a pipe as they are.
func TestEscapedEverywhere(t *testing.T) {
	clean(t)
	dir := t.TempDir()
	name := filepath.Join(dir, strings.ReplaceAll(evil, "/", ""))
	if err := os.WriteFile(name, []byte("whale "+evil+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	table := apps.Table()
	for _, args := range [][]string{
		{"upload-input", "--dry-run", dir},
		{"upload-input", name + "-absent"},
		{"run", "--app", "wc", name + "-absent"},
		{evil},
		{"upload-input", "--" + evil},
		{"cat", "--local", "--" + evil},
		{"run", "--app", evil, name},
		{"run", "--app", "grep", "--app-arg", evil + "=x", name},
		{"run", "--app", "wc", "--prefix", evil, name},
		{"s3", "--faults", name},
		{"replay", "--local", evil},
	} {
		for _, form := range []string{"text", "json"} {
			r := execute(t, table, append([]string{"-o", form}, args...)...)
			if got := obeyed(r.out + r.err); got != "" || strings.Contains(r.out+r.err, "\nmraws: state") || r.out+r.err == "" {
				t.Errorf("%s %.40q wrote %q:\n%s%s", form, args, got, r.out, r.err)
			}
		}
	}

	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("whale "+evil+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := execute(t, table, "run", "--local", "--app", "grep", "--app-arg", "pattern=whale", "--nreduce", "1", "--prefix", "p", text)
	if r.code != ExitOK || obeyed(r.out+r.err) != "" || !strings.Contains(r.out, `whale a\x1b]0;title\x07\x1b[2J\u009b31m\x9b\u202eb\rc`) {
		t.Errorf("run: code %d, %q\n%s%s", r.code, obeyed(r.out+r.err), r.out, r.err)
	}
	for _, args := range [][]string{{"cat", "--local", "--prefix", "p"}, {"replay", "--local", "--prefix", "p", "reduce-0"}} {
		if r := execute(t, table, args...); r.code != ExitOK || !strings.Contains(r.out, "whale a\x1b]0;title\a\x1b[2J") {
			t.Errorf("%v to a pipe: %+v", args, r)
		}
		shown := onTerminal(t, func(tty *os.File) {
			if code := Execute(t.Context(), "mraws", nil, args, IO{In: strings.NewReader(""), Out: tty, Err: io.Discard}, table, embeddedServer); code != ExitOK {
				t.Errorf("%v: code %d", args, code)
			}
		})
		if shown = strings.ReplaceAll(shown, "\r\n", "\n"); obeyed(shown) != "" || !strings.Contains(shown, `whale a\x1b]0;title`) {
			t.Errorf("%v shows %q", args, shown)
		}
	}
}

// onTerminal returns what write shows on a terminal.
func onTerminal(t *testing.T, write func(tty *os.File)) string {
	t.Helper()
	screen := testkit.NewTerminal(t, 100, 24)
	write(screen.TTY)
	screen.End(t)
	return screen.Raw()
}

// TestForgedReport: whatever stands in an announcement or comes from a
// coordinator, status shows the lines that it has, and no other.
func TestForgedReport(t *testing.T) {
	fill := func(text string) *status.Report {
		r := &status.Report{}
		fillText(reflect.ValueOf(r).Elem(), text, 0)
		r.State = status.Map
		r.Coordinator.State = status.Active
		return r
	}
	want := strings.Count(statusText(fill("x")), "\n")
	got := statusText(fill(evil))
	if strings.Count(got, "\n") != want || obeyed(got) != "" {
		t.Errorf("%d lines, want %d, with %q:\n%s", strings.Count(got, "\n"), want, obeyed(got), got)
	}
}

// fillText sets every text of a value, and one element of each slice and map.
func fillText(v reflect.Value, text string, depth int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Pointer:
		if depth < 8 {
			v.Set(reflect.New(v.Type().Elem()))
			fillText(v.Elem(), text, depth+1)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fillText(v.Field(i), text, depth+1)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fillText(v.Index(0), text, depth+1)
	}
}

// TestEscapedLog: what is logged is escaped in both forms.
func TestEscapedLog(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		s, out := testSession(config.Config{}, nil)
		l := newLogger(&config.Loaded{Config: config.Config{LogFormat: format, LogLevel: "info", Color: "never"}}, s.io.Err, s.term.err)
		l.Warn().Str("key", evil).Strs("keys", []string{evil}).Err(&Error{What: evil}).Msg(evil)
		if got := out.String(); obeyed(got) != "" || strings.Count(got, "\n") != 1 {
			t.Errorf("%s: %q in %q", format, obeyed(got), got)
		}
	}
}

// TestEscapedReport: an error of several lines stays one of its own lines.
func TestEscapedReport(t *testing.T) {
	for _, format := range formats() {
		s, out := testSession(config.Config{}, nil)
		s.report("mraws", explain(context.Background(), &Error{Code: 1, What: evil, Cause: &Error{What: evil + "x"}, Hint: "h\x1b"}), format)
		if got := out.String(); obeyed(got) != "" || strings.Contains(got, "\nmraws: state") {
			t.Errorf("%q in %q", obeyed(got), got)
		}
	}
}
