// Package trace is what happens to a job, as plain data. Roles tell it to a
// [Listener], which may be nil: then nothing is made of it. Nothing that a
// listener does changes a decision.
package trace

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Kind is what happened.
type Kind string

// What a coordinator is told, by workers, the bucket and the clock. Each is
// an event of its scheduler.
const (
	JobPlanned       Kind = "job_planned"      // Maps, Reduces
	TaskReused       Kind = "task_reused"      // a task that was committed when the job was planned
	WorkerRegistered Kind = "worker_joined"    // or joined again
	Polled           Kind = "polled"           // a slot waits for a task
	PollWithdrawn    Kind = "poll_withdrawn"   //
	Heartbeat        Kind = "heartbeat"        //
	CommitFound      Kind = "commit_found"     // the bucket shows the task's commit, by Attempt
	FailureReported  Kind = "failure_reported" // and the bucket shows no commit; Cause
	ReleaseReported  Kind = "release_reported" // an attempt is given back
	EndReported      Kind = "end_reported"     // an attempt has ended; how is not known yet
	DrainReported    Kind = "drain_reported"   // a worker takes nothing new
	LeaveReported    Kind = "leave_reported"   // a worker leaves
	OutputGone       Kind = "output_gone"      // an output was deleted; Attempt has made it again, if not ""
	Ticked           Kind = "ticked"           // leases may end
)

// What a coordinator decides. Each is an effect of its scheduler.
const (
	Granted       Kind = "granted"        // Attempt of Task to Worker; Speculative, Again
	Adopted       Kind = "adopted"        // an attempt that an earlier coordinator granted
	Ended         Kind = "ended"          // an attempt is not live any more; Outcome, Cause
	Revoked       Kind = "revoked"        // Worker is told to stop Attempt
	WorkerUnknown Kind = "worker_unknown" // Worker has to join first
	WorkerChanged Kind = "worker_changed" // from From to Outcome
	PhaseDone     Kind = "phase_done"
	JobDone       Kind = "job_done"   // every task is committed
	JobFailed     Kind = "job_failed" // Cause
)

// What a coordinator does to the bucket besides.
const (
	CommitLookedUp Kind = "commit_looked_up" // Outcome: found, absent or error
	RerunFound     Kind = "rerun_found"      // Attempt was granted although the commit was there
	SuccessCreated Kind = "success_created"  // or found to be there; Object
	LeaseAcquired  Kind = "lease_acquired"   // Lasts; from the coordinator From, since Cause; At is when it was asked for
	LeaseRenewed   Kind = "lease_renewed"    // likewise
	LeaseUnrenewed Kind = "lease_unrenewed"  // a renewal failed; Cause
	LeaseTaken     Kind = "lease_taken"      // the coordinator finds that another, From, has its lease
	LeaseReleased  Kind = "lease_released"
)

// AttemptRan is an attempt's end as its worker saw it: Outcome, Object, Bytes
// read, Cause.
const AttemptRan Kind = "attempt_ran"

// Why a lease was acquired.
const (
	Free     = "free"     // nobody had it
	Expired  = "expired"  // it was not renewed for as long as it lasts
	Released = "released" // its holder had ended
	Dead     = "dead"     // the process of its holder was found to be gone
	Ordered  = "ordered"  // by the user
)

// The outcomes of AttemptRan; a coordinator has more ([Ended]).
const (
	Committed  = "committed"
	Superseded = "superseded" // another attempt had committed the task
	Failed     = "failed"
)

// Event is one thing that happened. Fields that mean nothing for its kind are
// zero.
type Event struct {
	Kind        Kind          `json:"kind"`
	At          time.Time     `json:"at"`                    // by the clock of the machine
	Coordinator string        `json:"coordinator,omitempty"` // the epoch of the one that tells
	Job         string        `json:"job,omitempty"`
	Phase       string        `json:"phase,omitempty"` // of Task: map or reduce; "" for no task
	Task        int           `json:"task,omitempty"`
	Attempt     string        `json:"attempt,omitempty"`
	Worker      string        `json:"worker,omitempty"`
	Object      string        `json:"object,omitempty"` // key
	Bytes       int64         `json:"bytes,omitempty"`
	Outcome     string        `json:"outcome,omitempty"`
	From        string        `json:"from,omitempty"`
	Cause       string        `json:"cause,omitempty"`
	Speculative bool          `json:"speculative,omitempty"` // beside another attempt of the task
	Again       bool          `json:"again,omitempty"`       // said before
	Maps        int           `json:"maps,omitempty"`
	Reduces     int           `json:"reduces,omitempty"`
	Lasts       time.Duration `json:"lasts,omitempty"` // nanoseconds
}

// Listener is told of events, one at a time or several at once as its user
// says.
type Listener func(Event)

// Tell tells l of e, with the time if e has none; nil hears nothing.
func (l Listener) Tell(e Event) {
	if l == nil {
		return
	}
	if e.At.IsZero() {
		e.At = time.Now()
	}
	l(e)
}

// Both is told what either is told; nil if both are.
func Both(a, b Listener) Listener {
	if a == nil || b == nil {
		if a == nil {
			return b
		}
		return a
	}
	return func(e Event) {
		a(e)
		b(e)
	}
}

// Read returns the events of a file that [FromEnv] wrote, in the order in
// which they were told.
func Read(r io.Reader) (events []Event, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.DisallowUnknownFields()
		var e Event
		if err := d.Decode(&e); err != nil {
			return nil, fmt.Errorf("event %d: %w", len(events)+1, err)
		}
		events = append(events, e)
	}
	return events, lines.Err()
}
