package coordinator

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

// loop is the state that the loop goroutine owns. Its methods run there
// only; its channels are read by anyone.
type loop struct {
	log   zerolog.Logger
	o     Options
	epoch string

	app     *spec // nil until known
	members map[sched.WorkerID]*member
	parked  map[slot]question
	revokes map[sched.WorkerID][]string // not yet told

	job     *manifest.Job // nil until prepared
	core    *sched.Core   // nil until prepared
	maps    []*manifest.Map
	reduces []*manifest.Reduce

	failure error // why the job cannot be finished
	final   *wire.Done
	told    map[sched.WorkerID]bool
	left    map[string]int64 // S3 requests of workers that have left
	looking bool             // a look into the bucket before a Tick is under way

	appKnown, ended, allTold chan struct{} // closed once
}

type member struct {
	host     string
	slots    int
	running  []sched.Running // told at registration, before there was a core
	lastSeen time.Time
	requests map[string]int64 // S3 requests since the worker started
}

type slot struct {
	worker sched.WorkerID
	index  int
}

// question is a parked Ask. The answer channel holds one reply, so that the
// loop never waits.
type question struct {
	seq    uint64
	answer chan *wire.AskReply
}

func newLoop(o Options, epoch string) loop {
	return loop{
		log: o.Log, o: o, epoch: epoch,
		members: map[sched.WorkerID]*member{}, parked: map[slot]question{},
		revokes: map[sched.WorkerID][]string{}, told: map[sched.WorkerID]bool{}, left: map[string]int64{},
		appKnown: make(chan struct{}), ended: make(chan struct{}), allTold: make(chan struct{}),
	}
}

// now is the scheduler's monotonic time.
func (c *Coordinator) now() sched.Time { return sched.Time(time.Since(c.start)) }

// call runs f on the loop and waits for it. It does nothing once ctx has
// ended.
func (c *Coordinator) call(ctx context.Context, f func()) {
	done := make(chan struct{})
	select {
	case c.acts <- func() { f(); close(done) }:
		<-done
	case <-ctx.Done():
	}
}

// run is the loop. It ends with ctx.
func (c *Coordinator) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var lookups sync.WaitGroup
	defer lookups.Wait()
	for {
		if c.loop.core != nil && !c.loop.looking {
			if at, ok := c.loop.core.Next(); ok {
				timer.Reset(max(time.Duration(at-c.now()), time.Millisecond))
			}
		}
		select {
		case f := <-c.acts:
			f()
		case <-timer.C:
			if c.loop.core != nil && !c.loop.looking {
				c.tick(ctx, &lookups)
			}
		case <-ctx.Done():
			return
		}
		c.loop.noteTold()
	}
}

// tick lets leases end. An attempt whose lease is about to end may have
// committed and died before it could report, so the bucket is asked first,
// beside the loop: its task is not run again then.
func (c *Coordinator) tick(ctx context.Context, lookups *sync.WaitGroup) {
	now := c.now()
	due := slices.Clone(c.loop.core.Expiring(now, nil))
	if len(due) == 0 {
		c.loop.step(now, sched.Tick{})
		return
	}
	c.loop.looking = true
	lookups.Go(func() {
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(readers)
		for _, r := range due {
			g.Go(func() error {
				if err := c.look(gctx, r.Task); err != nil && ctx.Err() == nil {
					c.o.Log.Debug().Err(err).Str("attempt", string(r.Attempt)).Msg("no commit found")
				}
				return nil
			})
		}
		_ = g.Wait() // look has told
		c.call(ctx, func() {
			c.loop.looking = false
			c.loop.step(now, sched.Tick{})
		})
	})
}

// look reads a task's commit from the bucket and tells the loop of it.
func (c *Coordinator) look(ctx context.Context, task sched.TaskID) error {
	job := c.loop.job // fixed before there is a core
	if task.Phase == mr.MapPhase {
		rec, err := c.readMap(ctx, job, task.Index)
		if err != nil {
			return err
		}
		if err := c.promote(ctx, rec); err != nil {
			return fmt.Errorf("copy partitions of map task %d: %w", task.Index, err)
		}
		c.call(ctx, func() { c.loop.committedMap(c.now(), task.Index, rec) })
		return nil
	}
	rec, err := c.readReduce(ctx, job, task.Index)
	if err != nil {
		return err
	}
	c.call(ctx, func() { c.loop.committedReduce(c.now(), task.Index, rec) })
	return nil
}

// begin starts the scheduler with what the bucket says is done.
func (l *loop) begin(now sched.Time, s *state) {
	l.job = s.job
	l.maps = make([]*manifest.Map, len(s.job.Tasks))
	l.reduces = make([]*manifest.Reduce, s.job.NReduce)
	l.core = sched.New(sched.Config{
		Maps: len(s.job.Tasks), Reduces: s.job.NReduce, Lease: l.o.Lease,
		MaxFailures: l.o.MaxFailures, MaxLost: l.o.MaxLost, Epoch: l.epoch,
	})
	for m, rec := range s.maps {
		l.committedMap(now, m, rec)
	}
	for r, rec := range s.reduces {
		l.committedReduce(now, r, rec)
	}
	for w, m := range l.members {
		l.step(now, sched.Register{Worker: w, Slots: m.slots, Running: m.running})
	}
	l.step(now, sched.Tick{})
	for s, q := range maps.Clone(l.parked) {
		l.step(now, sched.Ask{Worker: s.worker, Slot: s.index, Seq: q.seq})
	}
}

// step applies one event and carries out its effects.
func (l *loop) step(now sched.Time, ev sched.Event) {
	for _, eff := range l.core.Step(now, ev) {
		switch e := eff.(type) {
		case sched.Grant:
			l.grant(e)
		case sched.Revoke:
			l.revokes[e.Worker] = append(l.revokes[e.Worker], string(e.Attempt))
			l.log.Info().Str("worker", string(e.Worker)).Str("attempt", string(e.Attempt)).Msg("attempt revoked")
		case sched.PhaseDone:
			l.log.Info().Str("job", l.job.ID).Stringer("phase", e.Phase).Msg("phase done")
		case sched.JobDone:
			l.finishWith(nil)
		case sched.JobFailed:
			l.finishWith(&JobError{Cause: fmt.Sprintf("%s task %d: %s", e.Task.Phase, e.Task.Index, e.Cause)})
		}
	}
}

// grant answers a parked question. A grant for a question that has been
// withdrawn stays granted: the slot repeats its question with the same
// number and gets the same answer, or the lease ends.
func (l *loop) grant(e sched.Grant) {
	key := slot{e.Worker, e.Slot}
	q, ok := l.parked[key]
	if !ok || q.seq != e.Seq {
		return
	}
	delete(l.parked, key)
	q.answer <- &wire.AskReply{Job: l.job.ID, Answer: &wire.AskReply_Grant{Grant: &wire.Attempt{
		Phase: wirePhase(e.Task.Phase), Task: int32(e.Task.Index), Id: string(e.Attempt),
	}}}
	l.log.Debug().Str("worker", string(e.Worker)).Str("attempt", string(e.Attempt)).
		Str("task", fmt.Sprintf("%s-%d", e.Task.Phase, e.Task.Index)).Msg("granted")
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
	l.final = &wire.Done{}
	if err != nil {
		l.final.Failure = err.Error()
	}
	for s, q := range l.parked {
		q.answer <- l.doneReply(s.worker)
	}
	clear(l.parked)
}

// doneReply is the last answer that a worker gets.
func (l *loop) doneReply(w sched.WorkerID) *wire.AskReply {
	l.told[w] = true
	r := &wire.AskReply{Answer: &wire.AskReply_Done{Done: l.final}}
	if l.job != nil {
		r.Job = l.job.ID
	}
	return r
}

// noteTold closes allTold when every member that is not gone knows the end.
func (l *loop) noteTold() {
	if l.final == nil {
		return
	}
	for w, m := range l.members {
		if !l.told[w] && time.Since(m.lastSeen) < l.o.Lease {
			return
		}
	}
	select {
	case <-l.allTold:
	default:
		close(l.allTold)
	}
}

// committedMap takes note of a commit record.
func (l *loop) committedMap(now sched.Time, m int, rec *manifest.Map) {
	if l.maps[m] == nil {
		l.maps[m] = rec
	}
	l.step(now, sched.Committed{Task: mapTask(m), Attempt: sched.AttemptID(rec.Attempt)})
}

// committedReduce takes note of an output.
func (l *loop) committedReduce(now sched.Time, r int, rec *manifest.Reduce) {
	if l.reduces[r] == nil {
		l.reduces[r] = rec
	}
	l.step(now, sched.Committed{Task: reduceTask(r), Attempt: sched.AttemptID(rec.Attempt)})
}

// requests adds up the S3 requests of everyone who told.
func (l *loop) requests(own map[string]int64) map[string]int64 {
	sum := maps.Clone(own)
	for op, n := range l.left {
		sum[op] += n
	}
	for _, m := range l.members {
		for op, n := range m.requests {
			sum[op] += n
		}
	}
	return sum
}
