// Package findings finds in the event log of a job what cost the job most time. Its
// functions are pure: a state of the log and the spec of the job in, findings out.
//
//	findings.go what is found, and the order of it
//	phase.go    a phase: which attempts ran when, on how many slots
//	tail.go     why slots had nothing to do at the end of a phase
//	delays.go   what held up attempts: throttling, spills, small objects, workers
//
// A cost is an estimate: the seconds by which the job would have been shorter. Costs of
// several findings may be the same seconds. docs/explain.md has the method of each.
package findings

import (
	"cmp"
	"slices"

	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/manifest"
)

// Cause is what cost time.
type Cause string

// The causes.
const (
	Skew           Cause = "skew"                // one reduce task had much more to read than others
	Straggler      Cause = "straggler"           // attempts on a worker took longer than others of their size
	SmallObjects   Cause = "small_objects"       // the input is in many small pieces
	Throttling     Cause = "throttling"          // the store asked for fewer requests
	NoWorkers      Cause = "waiting_for_workers" // tasks were ready, and slots were missing
	Spills         Cause = "spills"              // pairs did not fit in memory
	IdleSlots      Cause = "idle_slots"          // there were fewer tasks than slots
	FailedAttempts Cause = "failed_attempts"     // attempts failed, were lost, or were released
)

// Report is what the log of a job says of its time.
type Report struct {
	Seconds  float64     // from the first event to the last
	Until    events.Time // when the last event was
	Over     bool        // all tasks are committed
	Findings []Finding   // that are notable, the costliest first
	Blind    float64     // seconds between two coordinators, of which the log says nothing
}

// Finding is one cause of lost time.
type Finding struct {
	Cause   Cause    `json:"cause"`
	Phases  []string `json:"phases,omitempty"`
	Seconds float64  `json:"seconds"` // by which the job would have been shorter, estimated
	Share   float64  `json:"share"`   // of the time of the job
	Facts
}

// Facts are the figures behind a finding. Those that mean nothing for its cause are zero.
// Times are in seconds.
type Facts struct {
	Task     string  `json:"task,omitempty"` // the one that ended last
	Attempt  string  `json:"attempt,omitempty"`
	Running  bool    `json:"running,omitempty"` // the attempt runs, so that it takes longer than Took
	Worker   string  `json:"worker,omitempty"`
	Host     string  `json:"host,omitempty"`
	Took     float64 `json:"took_seconds,omitempty"`  // of the attempt
	Usual    float64 `json:"usual_seconds,omitempty"` // of an attempt of this size, or of all tasks in the mean
	Factor   float64 `json:"factor,omitempty"`        // of the times of the worker's attempts to the usual, the median
	Bytes    int64   `json:"bytes,omitempty"`         // that the task has to read
	Mean     int64   `json:"mean_bytes,omitempty"`    // of all tasks
	Key      string  `json:"key,omitempty"`           // the heaviest of the task, quoted
	KeyBytes int64   `json:"key_bytes,omitempty"`
	Object   string  `json:"object,omitempty"` // the only one of the task
	// Whole says why the object was not cut, if it could not be.
	Whole     string  `json:"whole,omitempty"`
	Tasks     int     `json:"tasks,omitempty"`
	Slots     int     `json:"slots,omitempty"`      // that there were at the most
	IdleSlots float64 `json:"idle_slots,omitempty"` // in the mean, while none was waited for
	Idle      float64 `json:"idle_seconds,omitempty"`
	Objects   int     `json:"objects,omitempty"` // of the input
	Pieces    int     `json:"pieces,omitempty"`  // that the objects are cut into
	Each      float64 `json:"seconds_each,omitempty"`
	Attempts  int     `json:"attempts,omitempty"` // that were held up
	Held      float64 `json:"held_seconds,omitempty"`
	All       float64 `json:"attempt_seconds,omitempty"` // of all attempts together
	Replies   int64   `json:"replies,omitempty"`
	Spills    int64   `json:"spills,omitempty"`
	Spilled   int64   `json:"spilled_bytes,omitempty"`
	Pairs     int64   `json:"pair_bytes,omitempty"` // that the pairs of a map attempt take in memory, the most
	Failed    int     `json:"failed,omitempty"`
	Lost      int     `json:"lost,omitempty"`
	Released  int     `json:"released,omitempty"`
	Error     string  `json:"error,omitempty"` // of the first attempt that failed
}

const (
	// notable is the part of the time of a job, and leastSeconds how many seconds, that a
	// finding costs at least.
	notable, leastSeconds = 0.05, 0.5
	// Large is the part from which on a finding is worth a word where nobody asked.
	Large = 0.2
)

// Of returns what cost most time.
func Of(s *events.State, job *manifest.Job) Report {
	r := Report{Until: s.Last, Over: s.Over, Seconds: seconds(s.Last - s.First)}
	var all []Finding
	for _, p := range phases(s, job) {
		all = append(all, p.tail()...)
		all = append(all, p.delays()...)
	}
	for _, c := range s.Coordinators {
		if c.Before != 0 {
			r.Blind += seconds(c.Start - c.Before)
		}
	}
	for _, f := range joined(all) {
		if f.Seconds >= max(notable*r.Seconds, leastSeconds) {
			f.Share = min(1, f.Seconds/max(r.Seconds, f.Seconds))
			r.Findings = append(r.Findings, f)
		}
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int { return cmp.Compare(b.Seconds, a.Seconds) })
	return r
}

// joined makes one of the findings of a cause in both phases: the times are added up,
// the rest is that of the costlier one.
func joined(all []Finding) (list []Finding) {
	for _, f := range all {
		i := slices.IndexFunc(list, func(g Finding) bool { return g.Cause == f.Cause })
		if i < 0 {
			list = append(list, f)
			continue
		}
		a, b := list[i], f
		switch {
		case b.Seconds < leastSeconds:
			continue
		case a.Seconds < leastSeconds:
			list[i] = b
			continue
		}
		if b.Seconds > a.Seconds {
			a.Facts, b.Facts = b.Facts, a.Facts
		}
		a.Seconds += b.Seconds
		a.Phases = append(a.Phases, b.Phases...)
		if f.Cause != Straggler && f.Cause != IdleSlots { // whose figures are of one task
			a.add(b.Facts)
		}
		list[i] = a
	}
	return list
}

// add adds the sums of another phase.
func (f *Facts) add(o Facts) {
	f.Attempts, f.Held, f.All, f.Replies = f.Attempts+o.Attempts, f.Held+o.Held, f.All+o.All, f.Replies+o.Replies
	f.Spills, f.Spilled = f.Spills+o.Spills, f.Spilled+o.Spilled
	f.Failed, f.Lost, f.Released = f.Failed+o.Failed, f.Lost+o.Lost, f.Released+o.Released
	f.Error = cmp.Or(f.Error, o.Error)
	f.Idle += o.Idle
	f.Pairs = max(f.Pairs, o.Pairs)
}

func seconds(t events.Time) float64 { return float64(t) / 1000 }

// median returns the lower one of two medians, so that of two workers the faster one is
// usual.
func median(list []float64) float64 {
	if len(list) == 0 {
		return 0
	}
	list = slices.Clone(list)
	slices.Sort(list)
	return list[(len(list)-1)/2]
}
