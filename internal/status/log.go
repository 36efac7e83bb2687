package status

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/mraws/mraws/internal/escape"
	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/wire"
)

// Log is what the event log says, over all coordinators, where none of them answers. A
// coordinator writes an event some seconds after it.
type Log struct {
	Until   time.Time   `json:"until"` // of the last event; by the clock of its coordinator
	Ended   string      `json:"ended,omitempty"`
	Map     LogPhase    `json:"map"`
	Reduce  LogPhase    `json:"reduce"`
	Workers []LogWorker `json:"workers"`
	// Attempts are those that ran at the last event, the oldest first, and Failures the
	// last that failed or were lost, the newest first.
	Attempts []LogAttempt `json:"attempts"`
	Failures []LogAttempt `json:"failures"`
}

// LogPhase counts attempts of a phase.
type LogPhase struct {
	Running    int `json:"running"`
	Committed  int `json:"committed"`
	Failed     int `json:"failed"`
	Lost       int `json:"lost"`
	Released   int `json:"released"`
	Superseded int `json:"superseded"`
	Canceled   int `json:"canceled"`
	Left       int `json:"left"` // by a coordinator that ended: how they ended is not known
}

// LogWorker is a worker that has joined.
type LogWorker struct {
	Name    string `json:"name"`
	Host    string `json:"host"`
	Slots   int    `json:"slots"`
	Running int    `json:"running"`
	State   string `json:"state"`
	// Sample is what its process took when it was last told; nil if it was not.
	Sample *object.Sample `json:"sample,omitempty"`
}

// LogAttempt is an attempt.
type LogAttempt struct {
	Task        string  `json:"task"`
	ID          string  `json:"id"`
	Worker      string  `json:"worker"`
	Seconds     float64 `json:"seconds"` // that it took, or had run for at the last event
	Speculative bool    `json:"speculative,omitempty"`
	Outcome     string  `json:"outcome,omitempty"`
	Error       string  `json:"error,omitempty"`
}

const (
	mostListed   = 1000 // workers, and attempts that run
	mostFailures = 5
)

// LogReader keeps what was read of the event log of a job, so that [Read], if it is called
// again, reads what is new. Its zero value has read nothing.
type LogReader struct {
	job    string
	reader *events.Reader
	state  *events.State
}

// read reads what is new in the log of a job, which may be another one than before.
func (l *LogReader) read(ctx context.Context, o Options, job string) error {
	if l.reader == nil || l.job != job {
		*l = LogReader{job, events.NewReader(o.Store, o.Layout, job), new(events.State)}
	}
	l.reader.On(o.Store)
	return l.reader.Read(ctx, func(e events.Entry) error { l.state.Apply(e); return nil })
}

// readLog reads the event log of the job into the report, if it has one. That it cannot be
// read is a note.
func (r *Report) readLog(ctx context.Context, o Options, job string) {
	l := o.Log
	if l == nil {
		l = new(LogReader)
	}
	if err := l.read(ctx, o, job); err != nil {
		r.note("the event log cannot be read: %s", wire.Text(err.Error(), 1<<10))
		return
	}
	reader, state := l.reader, l.state
	lacks := reader.Faults()
	if state.Dropped > 0 {
		lacks = append(lacks, "events were dropped")
	}
	if len(lacks) > 0 {
		r.note("the event log is incomplete: %s", escape.Line(strings.Join(lacks, "; ")))
	}
	if !reader.Empty() {
		r.Log = logOf(state)
	}
}

// logOf is what a state says.
func logOf(s *events.State) *Log {
	l := &Log{Until: s.Last.Time(), Workers: []LogWorker{}, Attempts: []LogAttempt{}, Failures: []LogAttempt{}}
	if n := len(s.Coordinators); n > 0 {
		l.Ended = wire.Text(s.Coordinators[n-1].Ended, 1<<10)
	}
	running := map[string]int{}
	var live, failed []*events.Attempt
	for _, tasks := range [][]events.Task{s.Map, s.Reduce} {
		for i := range tasks {
			for _, a := range tasks[i].Attempts {
				switch {
				case a.Running():
					running[a.Worker]++
					live = append(live, a)
				case a.Outcome == "failed" || a.Outcome == "lost":
					failed = append(failed, a)
				}
			}
		}
	}
	l.Map, l.Reduce = logPhase(s.Map), logPhase(s.Reduce)
	for _, name := range s.Names()[:min(len(s.Workers), mostListed)] {
		w := s.Workers[name]
		l.Workers = append(l.Workers, LogWorker{Name: short(name), Host: short(w.Host), Slots: w.Slots, Running: running[name], State: short(w.State), Sample: w.Sample})
	}
	slices.SortStableFunc(live, func(a, b *events.Attempt) int { return cmp.Compare(a.Start, b.Start) })
	slices.SortStableFunc(failed, func(a, b *events.Attempt) int { return cmp.Compare(b.End, a.End) })
	for _, a := range live[:min(len(live), mostListed)] {
		l.Attempts = append(l.Attempts, logAttempt(a, s.Last))
	}
	for _, a := range failed[:min(len(failed), mostFailures)] {
		l.Failures = append(l.Failures, logAttempt(a, a.End))
	}
	return l
}

func logPhase(tasks []events.Task) LogPhase {
	_, n := events.Progress(tasks)
	return LogPhase{
		Running: n["running"], Committed: n["committed"], Failed: n["failed"], Lost: n["lost"], Released: n["released"],
		Superseded: n["superseded"], Canceled: n["canceled"], Left: n[events.Left],
	}
}

func logAttempt(a *events.Attempt, until events.Time) LogAttempt {
	l := LogAttempt{Task: a.Task, ID: short(a.ID), Worker: short(a.Worker), Speculative: a.Speculative, Outcome: a.Outcome, Error: wire.Text(a.Cause, 1<<10)}
	if a.Start > 0 {
		l.Seconds = float64(max(0, until-a.Start)) / 1000
	}
	return l
}
