package sched

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/mr"
)

var update = flag.Bool("update", false, "write what the core says into testdata/*.txt")

// TestTranscripts runs every testdata/*.txt: lines of time and event, each
// followed by the effects, which start with "  -> ". See parseEvent for the
// events; "9s passes" ticks up to then whenever the core wants it; "new"
// makes the core, and "stats", "next", "expiring TIME" and
// "history TASK" show what it answers.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			got := replay(t, string(want))
			if *update {
				if err := os.WriteFile(f, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" && !*update {
				t.Errorf("%s (-want +got), go test -run Transcripts -update accepts it:\n%s", f, diff)
			}
		})
	}
}

func replay(t *testing.T, script string) string {
	t.Helper()
	var out strings.Builder
	var c *Core
	var k *Checker
	for n, line := range strings.Split(strings.TrimSuffix(script, "\n"), "\n") {
		if strings.HasPrefix(line, "  -> ") {
			continue
		}
		out.WriteString(line + "\n")
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		say := func(s string) { out.WriteString("  -> " + s + "\n") }
		switch f[0] {
		case "new":
			c = New(parseConfig(t, f[1:]))
			k = NewChecker(c)
		case "stats", "next", "expiring", "history":
			answer(t, c, f, say)
		default:
			now, err := time.ParseDuration(f[0])
			if err != nil || len(f) < 2 {
				t.Fatalf("line %d: %q is no event", n+1, line)
			}
			said := false
			step := func(at Time, ev Event, prefix string) {
				effects, err := k.Step(at, ev)
				if err != nil {
					t.Fatalf("line %d: %q: %v", n+1, line, err)
				}
				for _, e := range effects {
					said = true
					say(prefix + show(e))
				}
			}
			if f[1] == "passes" {
				for at, ok := c.Next(); ok && at <= Time(now); at, ok = c.Next() {
					step(at, Tick{}, "at "+at.String()+" ")
				}
			} else {
				step(Time(now), parseEvent(t, f[1:]), "")
			}
			if !said {
				say("nothing")
			}
		}
	}
	return out.String()
}

func answer(t *testing.T, c *Core, f []string, say func(string)) {
	t.Helper()
	switch f[0] {
	case "stats":
		s := c.Stats()
		for _, p := range []PhaseStats{s.Map, s.Reduce} {
			say(strings.Trim(fmt.Sprintf("%+v", p), "{}"))
		}
		workers := fmt.Sprintf("Workers:%d Parked:%d Excluded:%d Exclusions:%d", s.Workers, s.Parked, s.Excluded, s.Exclusions)
		if s.Draining > 0 {
			workers += fmt.Sprintf(" Draining:%d", s.Draining)
		}
		say(workers)
	case "next":
		at, ok := c.Next()
		say(fmt.Sprint(at, " ", ok))
	case "expiring":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			t.Fatal(err)
		}
		say(fmt.Sprint(c.Expiring(Time(d), nil)))
	case "history":
		for _, e := range c.History(parseTask(t, f[1])) {
			say(fmt.Sprintf("%+v", e))
		}
	}
}

// show writes an effect in the words of the events.
func show(e Effect) string {
	switch e := e.(type) {
	case Grant:
		s := fmt.Sprintf("grant %s/%d#%d %v %s", e.Worker, e.Slot, e.Seq, e.Task, e.Attempt)
		if e.Backup {
			s += " as a backup"
		}
		return s
	case Excluded:
		return fmt.Sprintf("exclude %s until %v", e.Worker, e.Until)
	case Readmitted:
		return fmt.Sprintf("readmit %s", e.Worker)
	case Stuck:
		return fmt.Sprintf("stuck %s", e.Worker)
	case Unstuck:
		return fmt.Sprintf("unstuck %s", e.Worker)
	case Revoke:
		return fmt.Sprintf("revoke %s %s", e.Worker, e.Attempt)
	case Unknown:
		return fmt.Sprintf("unknown %s", e.Worker)
	case PhaseDone:
		return fmt.Sprintf("%v phase done", e.Phase)
	case JobDone:
		return "job done"
	case JobFailed:
		return fmt.Sprintf("job failed: %v by %s on %s: %s (fatal=%t lost=%t)", e.Task, e.Attempt, e.Worker, e.Cause, e.Fatal, e.Lost)
	}
	return fmt.Sprintf("%T %+v", e, e)
}

func parseConfig(t *testing.T, f []string) Config {
	t.Helper()
	cfg := Config{Epoch: "e1"}
	for _, kv := range f {
		k, v, _ := strings.Cut(kv, "=")
		n, _ := strconv.Atoi(v)
		switch k {
		case "maps":
			cfg.Maps = n
		case "reduces":
			cfg.Reduces = n
		case "failures":
			cfg.MaxFailures = n
		case "lost":
			cfg.MaxLost = n
		case "epoch":
			cfg.Epoch = v
		case "speculate":
			cfg.Speculate = true
		case "big": // the map task with this index is 10 times as big as others
			cfg.Work = func(id TaskID) int64 {
				if id == mapTask(n) {
					return 1000
				}
				return 100
			}
		case "lease":
			d, err := time.ParseDuration(v)
			if err != nil {
				t.Fatal(err)
			}
			cfg.Lease = d
		default:
			t.Fatalf("no setting %q", kv)
		}
	}
	return cfg
}

// parseEvent reads
//
//	register w1 2 [map-0=old.m0.1 ...]    2 slots, and what still runs
//	ask w1/0#1                            worker, slot, number
//	cancel w1/0#1
//	heartbeat w1 [attempt[=50%] ...]      with progress
//	heartbeat w1 [attempt[!12s] ...] [!12s]  stalled for that long; and the worker
//	committed map-0 attempt [10s]         and how long its record says it ran
//	lost reduce-0 [attempt]               its output is gone, and there again by another
//	failed w1 attempt [fatal] cause...
//	released w1 attempt
//	reported w1 attempt                   and nobody knows yet how it ended
//	drain w1 25s                          and how long it stays at most
//	left w1
//	dead w1
//	tick
func parseEvent(t *testing.T, f []string) Event {
	t.Helper()
	arg := func(i int) string {
		if i >= len(f) {
			t.Fatalf("%q lacks an argument", strings.Join(f, " "))
		}
		return f[i]
	}
	w := func() WorkerID { return WorkerID(arg(1)) }
	switch f[0] {
	case "register":
		ev := Register{Worker: w(), Slots: number(t, arg(2))}
		for _, r := range f[3:] {
			task, id, _ := strings.Cut(r, "=")
			ev.Running = append(ev.Running, Running{parseTask(t, task), AttemptID(id)})
		}
		return ev
	case "ask", "cancel":
		worker, rest, _ := strings.Cut(arg(1), "/")
		slot, seq, _ := strings.Cut(rest, "#")
		ev := Ask{WorkerID(worker), number(t, slot), uint64(number(t, seq))}
		if f[0] == "cancel" {
			return CancelAsk(ev)
		}
		return ev
	case "heartbeat":
		ev := Heartbeat{Worker: w()}
		for _, id := range f[2:] {
			id, stall, stalls := strings.Cut(id, "!")
			var d time.Duration
			if stalls {
				var err error
				if d, err = time.ParseDuration(stall); err != nil {
					t.Fatal(err)
				}
				ev.Stuck = max(ev.Stuck, d)
			}
			if id == "" {
				continue
			}
			ev.Stalled = append(ev.Stalled, d)
			name, percent, told := strings.Cut(strings.TrimSuffix(id, "%"), "=")
			ev.Running = append(ev.Running, AttemptID(name))
			if told {
				ev.Progress = append(ev.Progress, float64(number(t, percent))/100)
			}
		}
		return ev
	case "committed":
		ev := Committed{Task: parseTask(t, arg(1)), Attempt: AttemptID(arg(2))}
		if len(f) > 3 {
			var err error
			if ev.Took, err = time.ParseDuration(f[3]); err != nil {
				t.Fatal(err)
			}
		}
		return ev
	case "lost":
		ev := Lost{Task: parseTask(t, arg(1))}
		if len(f) > 2 {
			ev.Again = AttemptID(f[2])
		}
		return ev
	case "failed":
		ev := Failed{Worker: w(), Attempt: AttemptID(arg(2)), Fatal: arg(3) == "fatal", Proven: arg(3) == "proven"}
		ev.Cause = strings.Join(f[3:], " ")
		return ev
	case "reported":
		return Reported{w(), AttemptID(arg(2))}
	case "released":
		return Released{w(), AttemptID(arg(2))}
	case "drain":
		left, err := time.ParseDuration(arg(2))
		if err != nil {
			t.Fatal(err)
		}
		return Drain{w(), left}
	case "left", "dead":
		return Gone{w(), f[0] == "left"}
	case "tick":
		return Tick{}
	}
	t.Fatalf("no event %q", f[0])
	return nil
}

func parseTask(t *testing.T, s string) TaskID {
	t.Helper()
	phase, index, _ := strings.Cut(s, "-")
	id := TaskID{Index: number(t, index)}
	if phase == "reduce" {
		id.Phase = mr.ReducePhase
	}
	return id
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
