package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

// loop is the state that the loop goroutine owns. Its methods run there
// only; its channels are read by anyone.
type loop struct {
	log   zerolog.Logger
	o     Options
	epoch string

	app      *spec       // nil until known
	core     *sched.Core // has the workers; the tasks once job is known
	apply    stepFunc    // core.Step
	unknown  bool        // the worker of the event that was applied last is not registered
	waiting  map[slot]poll
	revokes  map[sched.WorkerID][]string // not yet told
	counts   requestCounts
	budget   budget
	counters counters
	history  *events.Log // nil for none
	samples  samples

	job     *manifest.Job // nil until prepared
	maps    []*mapCommit
	reduces []*reduceCommit
	remade  map[int]int // how often an output was found to be gone, by its number
	weights weights
	idle    idle
	bad     badRecords
	seams   seams
	// conflicts has what attempts said that failed over an object which does
	// not belong to the job.
	conflicts map[sched.AttemptID]string
	// otherInput has the attempts that failed over input that the bucket shows to
	// be gone or another.
	otherInput map[sched.AttemptID]bool

	// ending is the attempt whose end is being reported, and what it has asked of S3.
	ending struct {
		attempt sched.AttemptID
		s3      object.Traffic
	}

	failure error // why the job cannot be finished
	final   *wire.Done
	more    bool // another job of the chain follows
	told    map[sched.WorkerID]bool
	after   sched.Time // until when a worker may run what an earlier coordinator granted; 0 if there was none
	looking bool       // a look into the bucket before a Tick is under way

	expected int           // workers that are waited for; 0 before expect
	changed  chan struct{} // holds one: there are more workers, or fewer
	mapped   chan struct{} // closed once all maps are committed

	appKnown, ended, allTold, allBack chan struct{} // each is closed once
}

// stepFunc is the signature of [sched.Core.Step].
type stepFunc = func(sched.Time, sched.Event) []sched.Effect

type slot struct {
	worker sched.WorkerID
	index  int
}

// poll is a call of Poll that waits. The answer channel holds one reply, so
// that the loop never waits.
type poll struct {
	seq    uint64
	answer chan *wire.PollReply
}

// leastStall is how long a request to the store may stand still however short
// the lease is: some stores are slow.
const leastStall = 5 * time.Second

func newLoop(o Options, epoch string) loop {
	core := sched.New(sched.Config{
		Lease: o.Lease, Stall: max(o.Lease, leastStall), MaxFailures: o.MaxFailures, MaxLost: o.MaxLost, Epoch: epoch,
	})
	return loop{
		log: o.Log, o: o, epoch: epoch, core: core, apply: core.Step,
		waiting: map[slot]poll{}, revokes: map[sched.WorkerID][]string{}, told: map[sched.WorkerID]bool{}, samples: samples{}, counts: newRequestCounts(), counters: counters{lookups: map[string]int32{}, reran: map[string]int{}},
		conflicts: map[sched.AttemptID]string{}, otherInput: map[sched.AttemptID]bool{}, remade: map[int]int{},
		mapped: make(chan struct{}), appKnown: make(chan struct{}), ended: make(chan struct{}), allTold: make(chan struct{}), allBack: make(chan struct{}), changed: make(chan struct{}, 1),
	}
}

// speculates says whether tasks that lag may be run a second time.
func (l *loop) speculates() bool { return l.o.Speculate && !l.job.SideEffects }

// begin gives the scheduler the job, with what the bucket says is done.
func (l *loop) begin(now sched.Time, s *state) {
	l.job = s.job
	l.maps = make([]*mapCommit, s.job.Maps())
	l.reduces = make([]*reduceCommit, s.job.Outputs())
	l.bad = badRecords{left: s.job.MostRecords(), tasks: len(s.job.Tasks)}
	l.weights, l.seams = newWeights(s.job), newSeams(s.job)
	plan := sched.Planned{
		Job: s.job.ID, Maps: s.job.Maps(), Reduces: s.job.Outputs(),
		Speculate: l.speculates(), Work: l.weights.of, AdoptUntil: l.after,
	}
	for m, rec := range s.maps {
		l.noteMap(m, rec)
		plan.Done = append(plan.Done, mapDone(m, rec))
	}
	for r, rec := range s.reduces {
		l.noteReduce(r, rec)
		plan.Done = append(plan.Done, reduceDone(r, rec))
	}
	l.history.Begin(l.job.ID, len(l.maps)+len(l.reduces))
	if l.failure == nil {
		l.step(now, plan)
	}
	l.noteIdle(now)
}

// expect closes allBack once there are n workers.
func (l *loop) expect(n int) {
	l.expected = n
	l.noteBack()
}

func (l *loop) noteBack() {
	if l.expected > 0 && l.core.Stats().Workers >= l.expected {
		l.expected = 0
		close(l.allBack)
	}
}

// step applies one event, and tells of it and carries out its effects. It says whether the
// worker of the event is registered.
func (l *loop) step(now sched.Time, ev sched.Event) (known bool) {
	l.unknown = false
	l.core.Allow(l.affordable())
	effects := l.apply(now, ev)
	l.tapEvent(ev)
	for _, eff := range effects {
		l.tapEffect(eff)
		switch e := eff.(type) {
		case sched.Grant:
			l.grant(e)
		case sched.Adopted:
			l.log.Info().Str("worker", string(e.Worker)).Str("attempt", string(e.Attempt)).Msg("attempt of the previous coordinator goes on")
		case sched.Ended:
			l.attemptEnded(e)
		case sched.Revoke:
			if id := string(e.Attempt); !slices.Contains(l.revokes[e.Worker], id) {
				l.revokes[e.Worker] = append(l.revokes[e.Worker], id)
				l.log.Info().Str("worker", string(e.Worker)).Str("attempt", id).Msg("attempt revoked")
			}
		case sched.Unknown:
			l.unknown = true
		case sched.WorkerChanged:
			l.workerChanged(now, e)
		case sched.PhaseDone:
			if e.Phase == mr.MapPhase {
				close(l.mapped)
			}
			if l.job.MapOnly() { // whose tasks are map tasks for people
				if e.Phase == mr.MapPhase {
					continue
				}
				e.Phase = mr.MapPhase
			}
			l.log.Info().Str("job", l.job.ID).Stringer("phase", e.Phase).Msg("phase done")
		case sched.JobDone:
			l.finishWith(nil)
		case sched.JobFailed:
			l.finishWith(l.failed(e))
		default:
			panic(fmt.Sprintf("the effect %T of the scheduler is not handled", e))
		}
	}
	l.stopUnlessAffordable()
	return !l.unknown
}

func (l *loop) attemptEnded(e sched.Ended) {
	if e.Outcome == sched.OutcomeLost {
		l.log.Warn().Str("worker", string(e.Worker)).Str("attempt", string(e.Attempt)).Msg("attempt lost: " + e.Cause)
	}
}

// workerChanged takes note of a worker that has come, has gone, or may be given
// work or not.
func (l *loop) workerChanged(now sched.Time, e sched.WorkerChanged) {
	l.noteIdle(now)
	line := func(level zerolog.Level, text string) {
		l.log.WithLevel(level).Str("worker", string(e.Worker)).Msg(text)
	}
	switch e.To {
	case sched.Excluded:
		l.log.Warn().Str("worker", string(e.Worker)).Str("for", time.Duration(e.Until-now).Round(time.Millisecond).String()).
			Msg("worker excluded: several tasks failed on it")
	case sched.Stalled:
		line(zerolog.WarnLevel, "worker suspended: it transfers no data to or from the store")
	case sched.Draining:
		l.answerAll(e.Worker, waitReply)
		line(zerolog.InfoLevel, "worker drains: it gets no new task")
	case sched.Lost:
		l.gone(e.Worker)
		line(zerolog.WarnLevel, "worker lost: no heartbeat for "+seconds(e.Silent))
	case sched.Gone:
		l.gone(e.Worker)
		line(zerolog.InfoLevel, "worker left")
	default: // it gets work
		switch e.From {
		case sched.Absent:
			l.rosterChanged()
		case sched.Excluded:
			line(zerolog.InfoLevel, "worker readmitted")
		case sched.Stalled:
			line(zerolog.InfoLevel, "worker resumed: it reaches the store")
		}
	}
}

// rosterChanged takes note of a change among the workers: the announcement
// says how many there are.
func (l *loop) rosterChanged() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
	l.noteBack()
}

// gone drops all that the loop knows of a worker, but for its count of
// requests.
func (l *loop) gone(w sched.WorkerID) {
	delete(l.revokes, w)
	delete(l.samples, w)
	l.answerAll(w, unknownReply)
	l.rosterChanged()
}

// answerAll answers all polls of a worker.
func (l *loop) answerAll(w sched.WorkerID, answer func() *wire.PollReply) {
	for key, p := range l.waiting {
		if key.worker == w {
			delete(l.waiting, key)
			p.answer <- answer()
		}
	}
}

// failed is the error of a job that the scheduler has given up.
func (l *loop) failed(e sched.JobFailed) error {
	if what, ok := l.conflicts[e.Attempt]; ok {
		return &ConflictError{Kind: ForeignObject, What: what}
	}
	return &JobError{Cause: l.name(e.Task) + ": " + e.Cause, Reads: l.reads(e.Task, e.Cause), Input: l.otherInput[e.Attempt], Commands: l.job.App.Kind == manifest.Executables}
}

// grant answers a poll. A grant for a poll that has been withdrawn stays
// granted: the slot polls with the same number and gets the same answer, or the
// lease ends.
func (l *loop) grant(e sched.Grant) {
	if e.Speculative && !e.Again {
		l.log.Info().Str("worker", string(e.Worker)).Str("attempt", string(e.Attempt)).
			Stringer("task", e.Task).Msg("task is slow: speculative attempt granted")
	}
	key := slot{e.Worker, e.Slot}
	p, ok := l.waiting[key]
	if !ok || p.seq != e.Seq {
		return
	}
	delete(l.waiting, key)
	p.answer <- &wire.PollReply{Job: l.job.ID, Spec: l.job.Digest.String(), Answer: &wire.PollReply_Grant{Grant: &wire.Attempt{
		Phase: wirePhase(e.Task.Phase), Task: int32(e.Task.Index), Id: string(e.Attempt),
	}}}
	l.log.Debug().Str("worker", string(e.Worker)).Str("attempt", string(e.Attempt)).
		Stringer("task", e.Task).Msg("granted")
}

// finishWith ends scheduling; workers are told once finish has written
// _SUCCESS, or at once if the job failed.
func (l *loop) finishWith(failure error) {
	select {
	case <-l.ended:
		return
	default:
	}
	l.failure = failure
	close(l.ended)
}

// end tells everybody how the job ended.
func (l *loop) end(err error) {
	if l.final != nil {
		return
	}
	l.final = &wire.Done{More: l.more && err == nil}
	if err != nil {
		l.final.Failure = wire.Text(err.Error(), maxText)
		l.final.Cancelled = errors.As(err, new(*CancelledError)) || errors.As(err, new(*BudgetError))
	}
	for s, p := range l.waiting {
		p.answer <- l.doneReply(s.worker)
	}
	clear(l.waiting)
}

// doneReply is the last answer that a worker gets.
func (l *loop) doneReply(w sched.WorkerID) *wire.PollReply {
	l.told[w] = true
	r := &wire.PollReply{Answer: &wire.PollReply_Done{Done: l.final}}
	if l.job != nil {
		r.Job = l.job.ID
	}
	return r
}

// noteTold closes allTold when every worker that is not gone knows the end.
func (l *loop) noteTold(now sched.Time) {
	if l.final == nil {
		return
	}
	for m := range l.core.Members() {
		if !l.told[m.Worker] && time.Duration(now-m.Heard) < l.o.Lease {
			return
		}
	}
	select {
	case <-l.allTold:
	default:
		close(l.allTold)
	}
}

// noteMap takes note of a commit record of a map task, once.
func (l *loop) noteMap(m int, rec *mapCommit) {
	if l.maps[m] != nil {
		return
	}
	l.maps[m] = rec
	l.noteRecord(rec.S3)
	l.weights.add(rec.Map)
	l.noteRead(m, rec.Map)
}

// noteReduce takes note of the record of an output that is there for the first
// time.
func (l *loop) noteReduce(r int, rec *reduceCommit) {
	l.reduces[r] = rec
	l.noteRecord(rec.S3)
	if rec.Input != nil && l.remade[r] == 0 { // else it was counted before the output was deleted
		l.noteRead(r, rec.Reading())
	}
}

// noteRead takes note of what a task has read of the input.
func (l *loop) noteRead(m int, rec *manifest.Map) {
	for _, err := range []error{l.noteBad(m, rec), l.seams.join(m, rec)} {
		if err != nil {
			l.finishWith(err)
		}
	}
}

func mapDone(m int, rec *mapCommit) sched.Committed {
	return sched.Committed{Task: mapTask(m), Attempt: sched.AttemptID(rec.Attempt), Took: took(rec.Seconds)}
}

func reduceDone(r int, rec *reduceCommit) sched.Committed {
	return sched.Committed{Task: reduceTask(r), Attempt: sched.AttemptID(rec.Attempt), Took: took(rec.Seconds)}
}

// committedMap takes note of a map task that the bucket shows to be committed. One
// that ends the job is not told to the scheduler, which would open reduces.
func (l *loop) committedMap(now sched.Time, m int, rec *mapCommit) {
	if l.noteMap(m, rec); l.failure != nil {
		return
	}
	l.step(now, mapDone(m, rec))
}

// committedReduce takes note of an output. One that is another attempt's than
// before was deleted, and made again by an attempt that nobody stopped.
func (l *loop) committedReduce(now sched.Time, r int, rec *reduceCommit) {
	switch was := l.reduces[r]; {
	case was == nil:
		l.noteReduce(r, rec)
	case was.Attempt != rec.Attempt:
		l.reduces[r] = rec
		l.noteRecord(rec.S3)
		l.step(now, sched.OutputGone{Task: reduceTask(r), Again: sched.AttemptID(rec.Attempt)})
	}
	l.step(now, reduceDone(r, rec))
}

// run is the loop. It ends with ctx.
func (c *Coordinator) run(ctx context.Context) {
	timer := time.NewTimer(c.o.Lease)
	defer timer.Stop()
	var lookups sync.WaitGroup
	defer lookups.Wait()
	defer close(c.stopped)
	for {
		timer.Reset(c.pause())
		select {
		case f := <-c.acts:
			f()
		case <-timer.C:
			if !c.loop.looking {
				c.expire(ctx, &lookups, map[sched.AttemptID]bool{})
			}
		case <-ctx.Done():
			return
		}
		c.loop.noteTold(c.now())
	}
}

// pause is how long the loop may wait for something to do.
func (c *Coordinator) pause() time.Duration {
	if !c.loop.looking {
		if at, ok := c.loop.core.Next(); ok {
			return min(max(time.Duration(at-c.now()), time.Millisecond), c.o.Lease)
		}
	}
	return c.o.Lease
}
