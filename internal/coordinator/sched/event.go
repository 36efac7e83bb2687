package sched

import (
	"time"

	"github.com/mraws/mraws/mr"
)

// Event is something that happened. An event that a worker sent twice, late
// or out of order is harmless (I4).
type Event interface{ event() }

// Register joins a worker, or joins it again after it or the coordinator was
// away. What it still runs for an earlier coordinator is adopted if the task
// is neither committed nor live elsewhere, and else revoked. Attempts of this
// coordinator that it runs and that are live here have their leases extended;
// those that have ended are revoked.
type Register struct {
	Worker  WorkerID
	Slots   int // slots are numbered 0..Slots-1; at most MaxSlots
	Running []Running
}

// MaxSlots bounds the slots of one worker.
const MaxSlots = 4096

// Running is an attempt that a worker says it runs.
type Running struct {
	Task    TaskID
	Attempt AttemptID
}

// Ask is a slot's question for work. It is answered by a [Grant] now or
// later, or by nothing: the shell tells everyone when the job is over. The
// same Seq again is the same question and has the same grant. A higher Seq
// means that the slot is free: a live grant of it that the worker has never
// mentioned got lost on the way and is released. A lower Seq is a late copy
// and has no effect. Seq starts at 1.
type Ask struct {
	Worker WorkerID
	Slot   int
	Seq    uint64
}

// CancelAsk takes back a question that nobody waits for any more: the call
// ran into its deadline or its connection broke. A grant already made stays;
// the same Seq asked again fetches it.
type CancelAsk struct {
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
	// correct, only what may get a backup.
	Progress []float64
	// Stalled[i] is for how long nothing has moved in a request of
	// Running[i] to the store that is on its way, 0 if there is none. It may
	// be shorter, or nil.
	Stalled []time.Duration
	// Stuck is the same of the whole worker.
	Stuck time.Duration
}

// Committed says that the bucket holds the task's commit by this attempt. It
// is the only event that makes a task done, and must come from the bucket,
// never from a worker's word. The attempt may be one that the core never knew.
type Committed struct {
	Task    TaskID
	Attempt AttemptID
	// Took is how long the attempt ran, as its record says; 0 is unknown.
	// It counts for attempts that this core did not see run.
	Took time.Duration
}

// Failed says that an attempt ended with an error. The shell looks into the
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
	// the job, and the first if there is no other to ask.
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
// given a backup of it. The attempt stays live, beside whatever its slot is
// granted next, until the bucket or the worker tells more.
type Reported struct {
	Worker  WorkerID
	Attempt AttemptID
}

// Gone forgets a worker. Its live attempts are released if it left politely,
// and lost if it was declared dead.
type Gone struct {
	Worker WorkerID
	Polite bool
}

// Drain says that a worker has been asked to end: it gets no new work, and
// what it runs may finish until it leaves. It comes behind the [Heartbeat] or
// [Register] of the same message, so a grant that the worker has not mentioned
// by then will not be run and is released. There is no way back but [Gone].
type Drain struct {
	Worker WorkerID
	// Left is how long the worker stays at most.
	Left time.Duration
}

// Lost says that the bucket does not hold the output of a reduce task any more
// that it did hold: somebody deleted it. The task is run again, also if all
// others are committed. It must come from the bucket, as [Committed] does, and
// before the job was called done to anybody. A map task's commit is put back by
// who knows it, and never lost to the core.
type Lost struct {
	Task TaskID
	// Again is the attempt that has made it again meanwhile, "" if none has:
	// then the task stays committed, by that one.
	Again AttemptID
}

// Tick ends what is due: leases, holds and exclusions, and looks for
// attempts that lag. The shell sends it at the time
// that [Core.Next] says; earlier or more often is harmless. Before it the
// shell looks into the bucket for the tasks of [Core.Expiring], so that a
// task whose worker died between commit and report is not run again.
type Tick struct{}

func (Register) event()  {}
func (Ask) event()       {}
func (CancelAsk) event() {}
func (Heartbeat) event() {}
func (Committed) event() {}
func (Failed) event()    {}
func (Released) event()  {}
func (Reported) event()  {}
func (Gone) event()      {}
func (Drain) event()     {}
func (Lost) event()      {}
func (Tick) event()      {}

// Effect is something that the shell has to do.
type Effect interface{ effect() }

// Grant answers a slot's question: run this attempt. It may come twice for
// one question; the second is the same.
type Grant struct {
	Worker  WorkerID
	Slot    int
	Seq     uint64
	Task    TaskID
	Attempt AttemptID
	Backup  bool // beside another attempt of the task
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

// Excluded says that a worker gets no new work until then, since too many
// tasks failed on it.
type Excluded struct {
	Worker WorkerID
	Until  Time
}

// Readmitted says that a worker that was excluded gets work again.
type Readmitted struct{ Worker WorkerID }

// Stuck says that a worker gets no new work until its requests to the store
// move again.
type Stuck struct{ Worker WorkerID }

// Unstuck says that they do.
type Unstuck struct{ Worker WorkerID }

// PhaseDone says that every task of the phase is committed. It comes once
// for each phase, also for an empty one, and again after a [Lost].
type PhaseDone struct{ Phase mr.Phase }

// JobDone says that every task is committed. No effects but Revoke and
// Unknown come after it, unless a [Lost] opens the job again.
type JobDone struct{}

// JobFailed says that the job cannot end well. It comes at most once, and no
// effects but Revoke and Unknown come after it. [Core.History] has the rest
// of the story.
type JobFailed struct {
	Task    TaskID
	Worker  WorkerID  // of the last attempt
	Attempt AttemptID // the last attempt
	Cause   string    // of the last attempt
	Fatal   bool      // by a fatal failure that was proven or agreed on
	Lost    bool      // by lost attempts, not by reported failures
}

func (Grant) effect()      {}
func (Revoke) effect()     {}
func (Unknown) effect()    {}
func (Excluded) effect()   {}
func (Readmitted) effect() {}
func (Stuck) effect()      {}
func (Unstuck) effect()    {}
func (PhaseDone) effect()  {}
func (JobDone) effect()    {}
func (JobFailed) effect()  {}
