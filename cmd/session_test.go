package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/reset"
)

func testSession(conf config.Config, in io.Reader) (*session, *bytes.Buffer) {
	var out bytes.Buffer
	p := newPrinter(IO{In: in, Err: &out})
	p.progress = conf.Progress
	return &session{frame: &frame{printer: p, commandLine: &commandLine{name: "mraws"}}, target: &target{conf: &config.Loaded{Config: conf}}}, &out
}

func TestColour(t *testing.T) {
	for _, c := range []struct {
		color, noColor, force, term string
		tty, want                   bool
	}{
		{"auto", "", "", "xterm", true, true},
		{"auto", "", "", "xterm", false, false},
		{"auto", "1", "", "xterm", true, false},
		{"auto", "", "", "dumb", true, false},
		{"auto", "", "1", "dumb", false, true},
		{"auto", "", "0", "xterm", false, false},
		{"auto", "1", "1", "xterm", true, false},
		{"always", "1", "", "dumb", false, true},
		{"never", "", "1", "xterm", true, false},
	} {
		t.Setenv("CLICOLOR_FORCE", c.force)
		t.Setenv("NO_COLOR", c.noColor)
		t.Setenv("TERM", c.term)
		if got := colour(&config.Loaded{Config: config.Config{Color: c.color}}, c.tty); got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

func TestLogger(t *testing.T) {
	t.Setenv("TERM", "xterm")
	s, out := testSession(config.Config{}, nil)
	log := func(format string, tty bool) string {
		out.Reset()
		s.term.err = tty
		l := newLogger(&config.Loaded{Config: config.Config{LogFormat: format, LogLevel: "info", Color: "auto"}}, s.io.Err, s.term.err)
		l.Debug().Msg("hidden")
		l.Info().Str("key", "k").Msg("shown")
		return out.String()
	}
	var line map[string]string
	if err := json.Unmarshal([]byte(log("auto", false)), &line); err != nil || line["key"] != "k" || line["message"] != "shown" || line["time"] == "" {
		t.Errorf("%v, %v", line, err)
	}
	if got := log("json", true); !strings.HasPrefix(got, "{") {
		t.Error(got)
	}
	if got := log("auto", true); !strings.Contains(got, "shown") || !strings.Contains(got, "\x1b[") {
		t.Errorf("%q", got)
	}
	if got := log("text", false); !strings.Contains(got, "INF shown key=k") || strings.Contains(got, "\x1b") {
		t.Errorf("%q", got)
	}
	if strings.Contains(out.String(), "hidden") {
		t.Error("a debug line at level info")
	}
	out.Reset()
	t.Setenv("NO_COLOR", "1")
	l := newLogger(&config.Loaded{Config: config.Config{LogFormat: "text", LogLevel: "info", Color: "always"}}, s.io.Err, false)
	if l.Info().Msg("shown"); !strings.Contains(out.String(), "\x1b[") {
		t.Errorf("--color always with NO_COLOR: %q", out)
	}
}

func TestConfirm(t *testing.T) {
	counts := []reset.Count{{Dir: "output/", Objects: 1, Bytes: 2048, Uploads: 2}}
	for in, ok := range map[string]bool{"y\n": true, "YES\n": true, " y \n": true, "n\n": false, "\n": false, "": false, "yesterday\n": false} {
		s, out := testSession(config.Config{Bucket: "b"}, strings.NewReader(in))
		err := s.confirm(t.Context(), "b", counts, "a coordinator runs the job")
		if (err == nil) != ok {
			t.Errorf("%q: %v", in, err)
		}
		if !strings.HasPrefix(out.String(), "  a coordinator runs the job\n  s3://b/output/  1 object, 2.0 KiB, 2 unfinished uploads\n") {
			t.Error(out)
		}
	}
	// A signal ends the question.
	never, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(Signal{os.Interrupt})
	s, _ := testSession(config.Config{}, never)
	err = s.confirm(ctx, "b", counts, "")
	if e := explain(ctx, err); e.Code != ExitInterrupt || !errors.Is(err, context.Canceled) {
		t.Errorf("%+v", e)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}
