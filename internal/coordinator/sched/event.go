package sched

import (
	"time"

	"github.com/mraws/mraws/mr"
)

// Event is something that happened. An event that a worker sent twice, late
// or out of order is harmless (I4).
type Event interface {
	// sender is the worker that has just been heard, "" for none.
	sender() WorkerID
}

// Planned gives the core its job, once. Before it workers may join and poll,
// and nothing is granted.
type Planned struct {
	// Job names the job; attempts of another one are not adopted.
	Job string
	// Maps and Reduces are the numbers of tasks, M and R.
	Maps, Reduces int
	// Speculate lets tasks that lag have a speculative attempt (speculate.go).
	Speculate bool
	// Work returns the size of a task in bytes, or whatever its time grows
	// with; 0 or less is unknown, and nil means that all are alike. It is
	// first asked of a phase that is open, and always says the same of it.
	Work func(TaskID) int64
	// Done are the commits that the bucket holds already.
	Done []Committed
	// AdoptUntil is until when a worker is believed that it runs an attempt of
	// an earlier coordinator; 0 is never.
	AdoptUntil Time
}

// Register joins a worker, or joins it again after it or the coordinator was
// away. What it still runs for an earlier coordinator is adopted if the task
// is neither committed nor live elsewhere, and else revoked. Attempts of this
// coordinator that it runs and that are live here have their leases extended;
// those that have ended are revoked.
type Register struct {
	Worker  WorkerID
	Host    string // for people, as is Version
	Version string
	Address string // that it called from: workers at one address may be one liar
	Slots   int    // slots are numbered 0..Slots-1; at most MaxSlots
	Job     string // that Running belongs to
	Running []Running
}

// MaxSlots bounds the slots of one worker.
const MaxSlots = 4096

// Running is an attempt that a worker says it runs.
type Running struct {
	Task    TaskID
	Attempt AttemptID
}

// Poll asks for a task for one slot. It is answered by a [Grant] now or later,
// or by nothing: the loop tells everyone when the job is over. The same Seq
// again is the same poll and has the same grant. A higher Seq means that the
// slot is free: a live grant of it that the worker has never mentioned got
// lost on the way and is released. A lower Seq is a late copy and has no
// effect. Seq starts at 1.
type Poll struct {
	Worker WorkerID
	Slot   int
	Seq    uint64
}

// Withdraw takes back a poll that nobody waits for any more: the call ran into
// its deadline or its connection broke. A grant already made stays; the same
// Seq polled again fetches it.
type Withdraw struct {
	Worker WorkerID
	Slot   int
	Seq    uint64
}

// Heartbeat extends the leases of the attempts that it lists and are live on
// this worker; the others listed are revoked, but for those that committed. A
// live attempt that is not listed may be a grant still on its way: its lease
// runs on, and so does that of one that is stalled while another worker
// could take its place (stall.go).
type Heartbeat struct {
	Worker  WorkerID
	Running []AttemptID
	// Progress[i] is the fraction of its work that Running[i] has done, 0
	// if unknown. It may be shorter, or nil. It never decides what is
	// correct, only what may get a speculative attempt.
	Progress []float64
	// Stalled[i] is for how long nothing has moved in a request of
	// Running[i] to the store that is on its way, 0 if there is none. It may
	// be shorter, or nil.
	Stalled []time.Duration
	// WorkerStalled is the same of the whole worker.
	WorkerStalled time.Duration
}

// Committed says that the bucket holds the task's commit by this attempt. It
// and [Planned] are the only events that make a task done, and must come from
// the bucket, never from a worker's word. The attempt may be one that the core
// never knew.
type Committed struct {
	Task    TaskID
	Attempt AttemptID
	// Took is how long the attempt ran, as its record says; 0 is unknown.
	// It counts for attempts that this core did not see run.
	Took time.Duration
}

// Failed says that an attempt ended with an error. The loop looks into the
// bucket first: an attempt may fail after its commit.
//
// One worker's word does not end the job: it may be broken, or lie. While
// there is another that gets work and has not failed the task, that one is to
// try too, and what the first says about the task again does not count.
type Failed struct {
	Worker  WorkerID
	Attempt AttemptID
	// Fatal says that by the worker's word the error will be the same
	// wherever the task runs. The second worker that says so of a task ends
	// the job, and the first if there is no other to ask. Workers at one
	// address count as one while there is a worker at another.
	Fatal bool
	// Proven says that the bucket shows the same: the job ends.
	Proven bool
	Cause  string
}

// Released gives an attempt back unfinished, at no fault of the task.
type Released struct {
	Worker  WorkerID
	Attempt AttemptID
}

// Reported says that an attempt has ended, and that it is not known yet how,
// since the bucket is to be asked first. Its lease is extended, and nobody is
// given a speculative attempt of it. The attempt stays live, beside whatever its slot is
// granted next, until the bucket or the worker tells more.
type Reported struct {
	Worker  WorkerID
	Attempt AttemptID
}

// Drain says that a worker has been asked to end: it gets no new work, and
// what it runs may finish until it leaves. It comes behind the [Heartbeat] or
// [Register] of the same message, so a grant that the worker has not mentioned
// by then will not be run and is released. There is no way back but [Leave].
type Drain struct {
	Worker WorkerID
	// Left is how long the worker stays at most.
	Left time.Duration
}

// Leave takes a worker out. Its live attempts are released.
type Leave struct{ Worker WorkerID }

// OutputGone says that the bucket does not hold the output of a reduce task
// any more that it did hold: somebody deleted it. The task is run again, also
// if all others are committed. It must come from the bucket, as [Committed]
// does, and before the job was called done to anybody. A map task's commit is
// put back by who knows it, and never gone to the core.
type OutputGone struct {
	Task TaskID
	// Again is the attempt that has made it again meanwhile, "" if none has:
	// then the task stays committed, by that one.
	Again AttemptID
}

// Tick ends what is due: leases, holds, exclusions and the patience with silent
// workers, and looks for attempts that lag. The loop sends it at the time
// that [Core.Next] says; earlier or more often is harmless. Before it the
// loop looks into the bucket for the tasks of [Core.Expiring], so that a
// task whose worker died between commit and report is not run again.
type Tick struct{}

func (Planned) sender() WorkerID     { return "" }
func (e Register) sender() WorkerID  { return e.Worker }
func (e Poll) sender() WorkerID      { return e.Worker }
func (Withdraw) sender() WorkerID    { return "" } // the loop's own word
func (e Heartbeat) sender() WorkerID { return e.Worker }
func (Committed) sender() WorkerID   { return "" }
func (e Failed) sender() WorkerID    { return e.Worker }
func (e Released) sender() WorkerID  { return e.Worker }
func (e Reported) sender() WorkerID  { return e.Worker }
func (e Drain) sender() WorkerID     { return e.Worker }
func (e Leave) sender() WorkerID     { return e.Worker }
func (OutputGone) sender() WorkerID  { return "" }
func (Tick) sender() WorkerID        { return "" }

// Effect is something that the loop has to do, or may want to tell.
type Effect interface{ effect() }

// Grant answers a slot's poll: run this attempt.
type Grant struct {
	Worker      WorkerID
	Slot        int
	Seq         uint64
	Task        TaskID
	Attempt     AttemptID
	Speculative bool // beside another attempt of the task
	Again       bool // the answer to a poll that came again: nothing new
}

// Adopted says that an attempt of an earlier coordinator is live here now.
type Adopted struct {
	Worker  WorkerID
	Task    TaskID
	Attempt AttemptID
}

// Ended says that an attempt is not live any more. It comes once for each that
// was granted or adopted, and for the commit of an attempt that was not.
type Ended struct {
	Worker      WorkerID // "" for an attempt that was not live
	Task        TaskID
	Attempt     AttemptID
	Outcome     Outcome
	Speculative bool
	Ran         time.Duration // since it was granted or adopted
	Cause       string        // of a failure or a loss
}

// Outcome is how an attempt ended.
type Outcome uint8

// The outcomes. docs/ARCHITECTURE.md has the words for people.
const (
	OutcomeCommitted  Outcome = iota // it is the commit of its task
	OutcomeFailed                    // it reported an error
	OutcomeLost                      // its lease expired
	OutcomeReleased                  // it was given back, or its grant never arrived
	OutcomeSuperseded                // another attempt committed the task
	OutcomeCanceled                  // the job failed
)

// String is the word for people.
func (o Outcome) String() string {
	return [...]string{"committed", "failed", "lost", "released", "superseded", "canceled"}[o]
}

// Revoke tells a worker to stop an attempt. It is a courtesy, given once or
// more: an attempt that goes on harms nothing.
type Revoke struct {
	Worker  WorkerID
	Attempt AttemptID
}

// Unknown says that the worker of the event is not registered: it has to
// register and repeat what it said.
type Unknown struct{ Worker WorkerID }

// WorkerChanged says that the availability of a worker is another.
type WorkerChanged struct {
	Worker   WorkerID
	From, To Availability
	Until    Time          // of an exclusion
	Silent   time.Duration // of a worker that is lost
}

// PhaseDone says that every task of the phase is committed. It comes once
// for each phase, also for an empty one, and again after an [OutputGone].
type PhaseDone struct{ Phase mr.Phase }

// JobDone says that every task is committed. Nothing is granted after it,
// unless an [OutputGone] opens the job again.
type JobDone struct{}

// JobFailed says that the job cannot end well. It comes at most once, and
// nothing is granted after it.
type JobFailed struct {
	Task    TaskID
	Worker  WorkerID  // of the last attempt
	Attempt AttemptID // the last attempt
	Cause   string    // of the last attempt
	Fatal   bool      // by a fatal failure that was proven or agreed on
	Lost    bool      // by lost attempts, not by reported failures
}

func (Grant) effect()         {}
func (Adopted) effect()       {}
func (Ended) effect()         {}
func (Revoke) effect()        {}
func (Unknown) effect()       {}
func (WorkerChanged) effect() {}
func (PhaseDone) effect()     {}
func (JobDone) effect()       {}
func (JobFailed) effect()     {}
