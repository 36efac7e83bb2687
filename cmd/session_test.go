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
	"time"

	"github.com/rs/zerolog"

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
		color, noColor, term string
		tty, want            bool
	}{
		{"auto", "", "xterm", true, true},
		{"auto", "", "xterm", false, false},
		{"auto", "1", "xterm", true, false},
		{"auto", "", "dumb", true, false},
		{"always", "1", "dumb", false, true},
		{"never", "", "xterm", true, false},
	} {
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
		l := s.newLogger(&config.Loaded{Config: config.Config{LogFormat: format, LogLevel: "info", Color: "auto"}})
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
	if s.conf.Color = "always"; strings.Contains(out.String(), "hidden") {
		t.Error("a debug line at level info")
	}
}

func TestProgressLines(t *testing.T) {
	s, out := testSession(config.Config{Progress: "auto"}, nil)
	p := s.newProgress("upload", 200, false)
	p.set(100) // within a second of the start
	if out.Len() != 0 {
		t.Error(out)
	}
	p.last = p.last.Add(-2e9)
	p.set(10) // less than 10%
	p.set(100)
	p.set(150) // at once
	p.last = p.last.Add(-11e9)
	p.set(151)
	p.end()
	if got := out.String(); got != "upload: 50%, 100 of 200\nupload: 75%, 151 of 200\n" {
		t.Error(got)
	}
	out.Reset()
	s.progress = "json"
	p = s.newProgress("upload", 0, true)
	p.last = p.last.Add(-2e9)
	p.set(0) // nothing has moved
	if out.Len() != 0 {
		t.Error(out)
	}
	p.last = p.last.Add(-11e9)
	p.set(0)
	if got := out.String(); got != `{"schema":"mraws/progress/v1","what":"upload","done":0,"total":0}`+"\n" {
		t.Error(got)
	}
	out.Reset()
	s.progress = "none"
	p = s.newProgress("upload", 1, true)
	p.last = p.last.Add(-20e9)
	p.set(1)
	p.end()
	if out.Len() != 0 {
		t.Error(out)
	}
}

func TestConfirm(t *testing.T) {
	counts := []reset.Count{{Dir: "output/", Objects: 1, Bytes: 2048, Uploads: 2}}
	for in, ok := range map[string]bool{"y\n": true, "YES\n": true, " y \n": true, "n\n": false, "\n": false, "": false, "yesterday\n": false} {
		s, out := testSession(config.Config{Bucket: "b"}, strings.NewReader(in))
		err := confirm(t.Context(), s.io, "b", counts, "a coordinator runs the job")
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
	err = confirm(ctx, s.io, "b", counts, "")
	if e := explain(ctx, err); e.Code != ExitInterrupt || !errors.Is(err, context.Canceled) {
		t.Errorf("%+v", e)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// TestProgressOfAService: where stderr is a log, progress is a line of it.
func TestProgressOfAService(t *testing.T) {
	for _, service := range []bool{false, true} {
		s, out := testSession(config.Config{Progress: "auto"}, nil)
		s.log, s.logsProgress = zerolog.New(out), service
		p := s.newProgress("map", 10, false)
		p.last = time.Now().Add(-time.Minute)
		p.set(5)
		want := "map: 50%, 5 of 10\n"
		if service {
			want = `{"level":"info","phase":"map","done":5,"total":10,"message":"progress"}` + "\n"
		}
		if got := out.String(); got != want {
			t.Errorf("service is %v: %q, want %q", service, got, want)
		}
	}
}
