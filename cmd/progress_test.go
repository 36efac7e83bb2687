package cmd

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/testkit"
)

// TestWhenToTell plays work before a clock: there is a line every 10 s, the first after 2 s,
// and sooner every 10%, but not within a second.
func TestWhenToTell(t *testing.T) {
	type at struct {
		ms   int
		name string
		done int64
	}
	for _, tt := range []struct {
		name string
		play []at
		want []int // the milliseconds of the lines
	}{
		{"slow", []at{{900, "map", 0}, {1900, "map", 1}, {2000, "map", 1}, {11_900, "map", 2}, {12_000, "map", 2}, {22_100, "map", 2}}, []int{2000, 12_000, 22_100}},
		{"fast", []at{{200, "map", 30}, {900, "map", 70}, {1000, "map", 75}, {1200, "map", 90}, {2000, "map", 84}, {2100, "map", 85}}, []int{1000, 2100}},
		{"less than 10%", []at{{1000, "map", 10}, {3000, "map", 19}, {5000, "map", 20}, {7000, "map", 29}, {14_900, "map", 29}, {15_000, "map", 29}}, []int{1000, 5000, 15_000}},
		{"another phase", []at{{2000, "map", 90}, {3000, "reduce", 5}, {3500, "reduce", 10}}, []int{2000, 3500}},
		{"what was done is lost", []at{{2000, "map", 50}, {4000, "map", 30}, {11_000, "map", 30}, {12_000, "map", 30}, {14_000, "map", 40}}, []int{2000, 12_000, 14_000}},
	} {
		began := time.Unix(0, 0)
		tell := teller{last: began}
		var got []int
		for _, p := range tt.play {
			if tell.due(began.Add(time.Duration(p.ms)*time.Millisecond), bar{name: p.name, done: p.done, total: 100}) {
				got = append(got, p.ms)
			}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

// TestTold is the same view in all forms that are not for a terminal.
func TestTold(t *testing.T) {
	upload := view{bars: []bar{{name: "upload", done: 1 << 20, total: 4 << 20, speed: speed{rate: 1 << 19, left: 6 * time.Second}}}, done: 1 << 20, total: 4 << 20}
	reset := view{bars: []bar{{name: "reset", done: 1200, total: 2400, things: true, speed: speed{stalled: 12 * time.Second}}}, done: 1200, total: 2400}
	var s jobScreen
	job := s.view(time.Unix(0, 0), aJob())
	for _, tt := range []struct {
		form string
		v    view
		want string
	}{
		{"plain", upload, "upload: 25%, 1 of 4 MiB, 512 KiB/s, 6s left\n"},
		{"plain", reset, "reset: 50%, 1,200 of 2,400, stalled 12s\n"},
		{"plain", job, "map: 64%, 24.5 of 38 GiB, tasks 41/64 map, 0/16 reduce, 8 running, 2 retried, 1 speculative, 1 failed, 1 lost, workers 5, 1 silent\n"},
		{"json", upload, `{"schema":"mraws/progress/v1","what":"upload","done":1048576,"total":4194304,"per_second":524288,"left_seconds":6}` + "\n"},
		{"json", job, `{"schema":"mraws/progress/v1","what":"map","done":41,"total":64,"bytes":26306674688,"bytes_total":40802189312,"running":8,"retried":2,"speculative":1,"failed":1,"lost":1,"workers":5}` + "\n"},
		{"log", upload, `{"level":"info","phase":"upload","done":1048576,"total":4194304,"left":"6s","message":"progress"}` + "\n"},
		{"log", job, `{"level":"info","phase":"map","done":41,"total":64,"bytes":26306674688,"bytes_total":40802189312,"message":"progress"}` + "\n"},
	} {
		to, out := testSession(config.Config{}, nil)
		to.log = zerolog.New(out)
		to.tell(tt.form, tt.v)
		if got := out.String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.form, got, tt.want)
		}
	}
}

// TestForms: which form progress has, by the key progress and by where it goes.
func TestForms(t *testing.T) {
	for _, tt := range []struct {
		progress, term string
		tty, service   bool
		want           string
	}{
		{"auto", "xterm", true, false, "bar"},
		{"auto", "xterm", true, true, "bar"},
		{"auto", "dumb", true, false, "plain"},
		{"auto", "dumb", true, true, "log"},
		{"auto", "xterm", false, false, "plain"},
		{"auto", "xterm", false, true, "log"},
		{"plain", "xterm", true, true, "plain"},
		{"json", "xterm", true, false, "json"},
		{"none", "xterm", true, false, "none"},
	} {
		t.Setenv("TERM", tt.term)
		p := newPrinter(IO{Err: io.Discard})
		p.progress, p.term.err, p.logsProgress = tt.progress, tt.tty, tt.service
		if got := p.form(); got != tt.want {
			t.Errorf("%+v: %s", tt, got)
		}
	}
}

// TestBars: bars are drawn below what is written meanwhile, in place of those before, also
// when the terminal becomes narrower, and stay at the end. No colour, nothing but ASCII.
func TestBars(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "1")
	screen := testkit.NewTerminal(t, 60, 20)
	to := newPrinter(IO{Err: screen.TTY})
	to.progress = "auto"
	p := to.newProgress("upload", 1<<20, true)
	p.set(1 << 19)
	screen.Wait(t, "half", func(s string) bool { return strings.Contains(s, "50%") })
	to.note("a line meanwhile")
	fmt.Fprint(to.io.Err, "half a line")
	screen.Wait(t, "above the bar", func(s string) bool { return strings.HasPrefix(s, "a line meanwhile\nupload  [") })
	if strings.Contains(screen.Screen(), "half a line") {
		t.Errorf("half a line is in the bar's place:\n%s", screen.Screen())
	}
	fmt.Fprintln(to.io.Err, " and the rest")
	p.set(1 << 20)
	p.end()
	to.note("a line after")
	screen.End(t)
	want := `a line meanwhile
half a line and the rest
upload  [=======] 100%       1/1 MiB
a line after`
	if diff := cmp.Diff(want, screen.Screen()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if raw := screen.Raw(); strings.ContainsFunc(raw, func(r rune) bool { return r > '~' }) || strings.Contains(raw, "\x1b[3") {
		t.Errorf("%q", raw)
	}
}
