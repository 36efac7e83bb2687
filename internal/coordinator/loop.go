package coordinator

import (
	"maps"
	"time"

	"github.com/rs/zerolog"

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

	job     *manifest.Job              // nil until prepared
	core    *sched.Core                // nil until prepared
	apply   stepFunc                   // core.Step
	check   func(*sched.Core) stepFunc // wraps core.Step in tests
	maps    []*mapCommit
	reduces []*reduceCommit
	remade  map[int]int // how often an output was found to be gone, by its number
	weights weights
	bad     badRecords
	// conflicts has what attempts said that failed over an object which does
	// not belong to the job.
	conflicts map[sched.AttemptID]string
	// otherInput has the attempts that failed over input that the bucket shows to
	// be gone or another.
	otherInput map[sched.AttemptID]bool
	reran      [2]int // by phase: attempts granted although a commit was there (Coordinator.rerun)

	failure error // why the job cannot be finished
	final   *wire.Done
	told    map[sched.WorkerID]bool
	// askedBefore has the requests of workers that have left, once asked is full.
	askedBefore map[string]int64
	// hopeless has the addresses from which a task was called hopeless.
	hopeless map[sched.TaskID]map[string]bool
	led      time.Time                           // when the coordinator took over from another; zero if there was none
	asked    map[sched.WorkerID]map[string]int64 // S3 requests of each worker since it started, also of those that left
	looking  bool                                // a look into the bucket before a Tick is under way
	swept    time.Time                           // when silent workers were last looked for

	expected int           // members that are waited for; 0 before expect
	changed  chan struct{} // holds one: there are more members, or fewer

	mapped chan struct{} // closed once all maps are committed

	appKnown, ended, allTold, allBack chan struct{} // each is closed once
}

// stepFunc is the signature of [sched.Core.Step].
type stepFunc = func(sched.Time, sched.Event) []sched.Effect

type member struct {
	host     string
	slots    int
	job      string          // that running belongs to
	running  []sched.Running // told at registration
	lastSeen time.Time
	drain    *sched.Drain // once it drains
	from     string       // the address that it called from
	counted  time.Time    // when it last told of its requests
	doubted  bool         // it has told of some that it cannot have made
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
		conflicts: map[sched.AttemptID]string{}, otherInput: map[sched.AttemptID]bool{}, revokes: map[sched.WorkerID][]string{}, told: map[sched.WorkerID]bool{},
		asked: map[sched.WorkerID]map[string]int64{}, askedBefore: map[string]int64{}, hopeless: map[sched.TaskID]map[string]bool{}, swept: time.Now(),
		mapped: make(chan struct{}), appKnown: make(chan struct{}), ended: make(chan struct{}), allTold: make(chan struct{}), allBack: make(chan struct{}), changed: make(chan struct{}, 1),
	}
}

// leastStall is how long a request to the store may stand still however short
// the lease is: some stores are slow.
const leastStall = 5 * time.Second

// speculates says whether tasks that lag may be run a second time.
func (l *loop) speculates() bool { return l.o.Speculate && !l.job.SideEffects }

// begin starts the scheduler with what the bucket says is done.
func (l *loop) begin(now sched.Time, s *state) {
	l.job = s.job
	l.maps = make([]*mapCommit, len(s.job.Tasks))
	l.reduces = make([]*reduceCommit, s.job.NReduce)
	l.bad = badRecords{left: s.job.MostRecords(), tasks: len(s.job.Tasks)}
	l.weights = newWeights(s.job)
	l.core = sched.New(sched.Config{
		Maps: len(s.job.Tasks), Reduces: s.job.NReduce, Lease: l.o.Lease,
		Stall:       max(l.o.Lease, leastStall),
		MaxFailures: l.o.MaxFailures, MaxLost: l.o.MaxLost, Epoch: l.epoch,
		Speculate: l.speculates(), Work: l.weights.of,
	})
	l.apply = l.core.Step
	if l.check != nil {
		l.apply = l.check(l.core)
	}
	for m, rec := range s.maps {
		l.committedMap(now, m, rec)
	}
	for r, rec := range s.reduces {
		l.committedReduce(now, r, rec)
	}
	for w, m := range l.members {
		l.step(now, sched.Register{Worker: w, Slots: m.slots, Running: l.ours(m)})
		if m.drain != nil {
			l.step(now, *m.drain)
		}
	}
	l.step(now, sched.Tick{})
	for s, q := range maps.Clone(l.parked) {
		l.step(now, sched.Ask{Worker: s.worker, Slot: s.index, Seq: q.seq})
	}
}

// expect closes allBack once there are n members.
func (l *loop) expect(n int) {
	l.expected = n
	l.noteBack()
}

// noteMembers takes note of a change among the members: the announcement
// says how many there are.
func (l *loop) noteMembers() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
	l.noteBack()
}

func (l *loop) noteBack() {
	if l.expected > 0 && len(l.members) >= l.expected {
		l.expected = 0
		close(l.allBack)
	}
}

// step applies one event and carries out its effects.
func (l *loop) step(now sched.Time, ev sched.Event) {
	for _, eff := range l.apply(now, ev) {
		switch e := eff.(type) {
		case sched.Grant:
			l.grant(e)
		case sched.Revoke:
			l.revokes[e.Worker] = append(l.revokes[e.Worker], string(e.Attempt))
			l.log.Info().Str("worker", string(e.Worker)).Str("attempt", string(e.Attempt)).Msg("attempt revoked")
		case sched.Excluded:
			l.log.Warn().Str("worker", string(e.Worker)).Str("for", time.Duration(e.Until-now).Round(time.Millisecond).String()).
				Msg("worker excluded: several tasks failed on it")
		case sched.Readmitted:
			l.log.Info().Str("worker", string(e.Worker)).Msg("worker readmitted")
		case sched.Stuck:
			l.log.Warn().Str("worker", string(e.Worker)).
				Msg("worker suspended: it transfers no data to or from the store")
		case sched.Unstuck:
			l.log.Info().Str("worker", string(e.Worker)).Msg("worker resumed: it reaches the store")
		case sched.PhaseDone:
			if e.Phase == mr.MapPhase {
				close(l.mapped)
			}
			l.log.Info().Str("job", l.job.ID).Stringer("phase", e.Phase).Msg("phase done")
		case sched.JobDone:
			l.finishWith(nil)
		case sched.JobFailed:
			l.finishWith(l.failed(e))
		}
	}
}

// failed is the error of a job that the scheduler has given up.
func (l *loop) failed(e sched.JobFailed) error {
	if what, ok := l.conflicts[e.Attempt]; ok {
		return &ConflictError{What: what, Hint: hintForeign}
	}
	return &JobError{Cause: name(e.Task) + ": " + e.Cause, Input: l.otherInput[e.Attempt]}
}

// grant answers a parked question. A grant for a question that has been
// withdrawn stays granted: the slot repeats its question with the same
// number and gets the same answer, or the lease ends.
func (l *loop) grant(e sched.Grant) {
	if e.Backup {
		l.log.Info().Str("worker", string(e.Worker)).Str("attempt", string(e.Attempt)).
			Stringer("task", e.Task).Msg("task is slow: speculative attempt granted")
	}
	key := slot{e.Worker, e.Slot}
	q, ok := l.parked[key]
	if !ok || q.seq != e.Seq {
		return
	}
	delete(l.parked, key)
	q.answer <- &wire.AskReply{Job: l.job.ID, Spec: l.job.Digest.String(), Answer: &wire.AskReply_Grant{Grant: &wire.Attempt{
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
	l.final = &wire.Done{}
	if err != nil {
		l.final.Failure = wire.Text(err.Error(), maxText)
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
func (l *loop) committedMap(now sched.Time, m int, rec *mapCommit) {
	if l.maps[m] == nil {
		l.maps[m] = rec
		l.weights.add(rec.Map)
		if err := l.noteBad(m, rec.Map); err != nil {
			l.finishWith(err)
		}
	}
	l.step(now, sched.Committed{Task: mapTask(m), Attempt: sched.AttemptID(rec.Attempt), Took: took(rec.Seconds)})
}

// committedReduce takes note of an output. One that is another attempt's than
// before was deleted, and made again by an attempt that nobody stopped.
func (l *loop) committedReduce(now sched.Time, r int, rec *reduceCommit) {
	switch was := l.reduces[r]; {
	case was == nil:
		l.reduces[r] = rec
	case was.Attempt != rec.Attempt:
		l.reduces[r] = rec
		l.step(now, sched.Lost{Task: reduceTask(r), Again: sched.AttemptID(rec.Attempt)})
	}
	l.step(now, sched.Committed{Task: reduceTask(r), Attempt: sched.AttemptID(rec.Attempt), Took: took(rec.Seconds)})
}

// requests adds up the S3 requests of everyone who told.
func (l *loop) requests(own map[string]int64) map[string]int64 {
	sum := maps.Clone(own)
	for op, n := range l.askedBefore {
		sum[op] += n
	}
	for _, requests := range l.asked {
		for op, n := range requests {
			sum[op] += n
		}
	}
	return sum
}
