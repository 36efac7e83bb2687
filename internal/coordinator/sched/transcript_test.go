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
			cfg, job := parseConfig(t, f[1:])
			c = New(cfg)
			k = NewChecker(c)
			if job != nil {
				effects, err := k.Step(0, *job)
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range effects {
					say(show(e))
				}
			}
		case "stats", "next", "expiring", "history":
			answer(t, c, k, f, say)
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

func answer(t *testing.T, c *Core, k *Checker, f []string, say func(string)) {
	t.Helper()
	switch f[0] {
	case "stats":
		s, n := c.Stats(), k.Counts()
		words := strings.NewReplacer("{", "", "}", "")
		say(words.Replace(fmt.Sprintf("%+v %+v", s.Map, n.Map)))
		say(words.Replace(fmt.Sprintf("%+v %+v", s.Reduce, n.Reduce)))
		text := fmt.Sprintf("Workers:%d Polls:%d Exclusions:%d", s.Workers, s.Polls, n.Exclusions)
		for m := range c.Members() {
			if m.State != Ready {
				text += fmt.Sprintf(" %s:%v", m.Worker, m.State)
			}
		}
		say(text)
	case "next":
		at, ok := c.Next()
		say(fmt.Sprint(at, " ", ok))
	case "expiring":
		say(fmt.Sprint(c.Expiring(Time(parseDuration(t, f[1])), nil)))
	case "history":
		for _, e := range c.task(parseTask(t, f[1])).history {
			say(fmt.Sprintf("%+v", e))
		}
	}
}

// show writes an effect in the words of the events.
func show(e Effect) string {
	switch e := e.(type) {
	case Grant:
		s := fmt.Sprintf("grant %s/%d#%d %v %s", e.Worker, e.Slot, e.Seq, e.Task, e.Attempt)
		if e.Speculative {
			s += " as speculative"
		}
		if e.Again {
			s += " again"
		}
		return s
	case Adopted:
		return fmt.Sprintf("adopt %s %v %s", e.Worker, e.Task, e.Attempt)
	case Ended:
		s := fmt.Sprintf("%v %s %s after %v", e.Outcome, e.Worker, e.Attempt, e.Ran)
		if e.Worker == "" {
			s = fmt.Sprintf("%v %s", e.Outcome, e.Attempt)
		}
		if e.Cause != "" {
			s += ": " + e.Cause
		}
		return s
	case WorkerChanged:
		s := fmt.Sprintf("%s: %v", e.Worker, e.To)
		switch e.To {
		case Excluded:
			s += fmt.Sprintf(" until %v", e.Until)
		case Lost:
			s += fmt.Sprintf(" after %v", e.Silent)
		}
		return s
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

// parseConfig reads the settings of a core and its job, which is nil where
// neither maps nor reduces are given.
func parseConfig(t *testing.T, f []string) (cfg Config, job *Planned) {
	t.Helper()
	cfg = Config{Epoch: "e1"}
	var rest []string
	for _, kv := range f {
		k, v, _ := strings.Cut(kv, "=")
		switch k {
		case "failures":
			cfg.MaxFailures = number(t, v)
		case "lost":
			cfg.MaxLost = number(t, v)
		case "epoch":
			cfg.Epoch = v
		case "lease":
			cfg.Lease = parseDuration(t, v)
		default:
			rest = append(rest, kv)
		}
	}
	if len(rest) > 0 {
		plan := parsePlan(t, rest)
		job = &plan
	}
	return cfg, job
}

func parsePlan(t *testing.T, f []string) Planned {
	t.Helper()
	job := Planned{AdoptUntil: forever}
	for _, kv := range f {
		k, v, _ := strings.Cut(kv, "=")
		switch k {
		case "maps":
			job.Maps = number(t, v)
		case "reduces":
			job.Reduces = number(t, v)
		case "speculate":
			job.Speculate = true
		case "adopt": // until then
			job.AdoptUntil = Time(parseDuration(t, v))
		case "big": // the map task with this index is 10 times as big as others
			n := number(t, v)
			job.Work = func(id TaskID) int64 {
				if id == mapTask(n) {
					return 1000
				}
				return 100
			}
		default: // map-0=old.m0.1: committed
			job.Done = append(job.Done, Committed{Task: parseTask(t, k), Attempt: AttemptID(v)})
		}
	}
	return job
}

func parseDuration(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// parseEvent reads
//
//	plan maps=2 reduces=1 [map-0=old.m0.1 ...]  and what is committed
//	register w1[@address] 2 [map-0=old.m0.1 ...]  2 slots, and what still runs
//	poll w1/0#1                           worker, slot, number
//	withdraw w1/0#1
//	heartbeat w1 [attempt[=50%] ...]      with progress
//	heartbeat w1 [attempt[!12s] ...] [!12s]  stalled for that long; and the worker
//	committed map-0 attempt [10s]         and how long its record says it ran
//	gone reduce-0 [attempt]               its output is gone, and there again by another
//	failed w1 attempt [fatal] cause...
//	released w1 attempt
//	reported w1 attempt                   and nobody knows yet how it ended
//	drain w1 25s                          and how long it stays at most
//	leave w1
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
	case "plan":
		return parsePlan(t, f[1:])
	case "register":
		worker, address, _ := strings.Cut(arg(1), "@")
		ev := Register{Worker: WorkerID(worker), Address: address, Slots: number(t, arg(2))}
		for _, r := range f[3:] {
			task, id, _ := strings.Cut(r, "=")
			ev.Running = append(ev.Running, Running{parseTask(t, task), AttemptID(id)})
		}
		return ev
	case "poll", "withdraw":
		worker, rest, _ := strings.Cut(arg(1), "/")
		slot, seq, _ := strings.Cut(rest, "#")
		ev := Poll{WorkerID(worker), number(t, slot), uint64(number(t, seq))}
		if f[0] == "withdraw" {
			return Withdraw(ev)
		}
		return ev
	case "heartbeat":
		ev := Heartbeat{Worker: w()}
		for _, id := range f[2:] {
			id, stall, stalls := strings.Cut(id, "!")
			var d time.Duration
			if stalls {
				d = parseDuration(t, stall)
				ev.WorkerStalled = max(ev.WorkerStalled, d)
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
			ev.Took = parseDuration(t, f[3])
		}
		return ev
	case "gone":
		ev := OutputGone{Task: parseTask(t, arg(1))}
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
		return Drain{w(), parseDuration(t, arg(2))}
	case "leave":
		return Leave{w()}
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
