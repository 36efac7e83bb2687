package dashboard

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"sync"
	"time"

	"github.com/mraws/mraws/internal/escape"
	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/jobs"
	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
)

// follower reads one job for all who look at it, and keeps on through takeovers, until
// nobody has looked for a time.
type follower struct {
	s      *Server
	prefix string
	cancel context.CancelFunc
	ready  chan struct{} // closed once the job was read, or was not found

	// Guarded by the mutex of the server.
	watchers int
	left     time.Time // when the last one left

	mu      sync.Mutex
	fold    *fold // of the job that is below the prefix now
	view    []byte
	report  []byte // of /api/explain
	version int    // of view
	over    bool   // the job is done, and all of it is read
	err     error  // why there is nothing to show
	changed chan struct{}

	// Owned by run.
	facts     facts
	looked    time.Time // at the control objects
	dirty     bool
	problem   string
	explained time.Time     // when the report was made
	explainIn time.Duration // how long that took
	findings  []Finding
	keys      map[string][]heavyKey // of attempts at reduce tasks, by id
}

// facts are what the control objects say.
type facts struct {
	job     *jobs.Job
	says    *manifest.Coordinator // nil for none
	success *manifest.Success     // nil for none
}

// errBusy says that too many jobs are looked at.
var errBusy = errors.New("too many jobs are looked at: try again later")

// follow returns the reader of a job once the job is read. It returns errNoJob where there
// is none, or why it cannot be read.
func (s *Server) follow(ctx context.Context, prefix string) (*follower, error) {
	s.mu.Lock()
	f := s.followers[prefix]
	switch {
	case s.closed:
		s.mu.Unlock()
		return nil, errBusy
	case f == nil && len(s.followers) >= mostJobs && !s.evict():
		s.mu.Unlock()
		return nil, errBusy
	case f == nil:
		f = &follower{s: s, prefix: prefix, ready: make(chan struct{}), changed: make(chan struct{}), keys: map[string][]heavyKey{}}
		s.followers[prefix] = f
		run, cancel := context.WithCancel(s.ctx)
		f.cancel = cancel
		s.running.Go(func() { f.run(run) })
	}
	f.watchers++
	s.mu.Unlock()
	select {
	case <-f.ready:
	case <-ctx.Done():
		f.leave()
		return nil, context.Cause(ctx)
	case <-s.ctx.Done():
		f.leave()
		return nil, errBusy
	}
	f.mu.Lock()
	err := f.err
	f.mu.Unlock()
	if err != nil {
		f.leave()
		return nil, err
	}
	return f, nil
}

// evict ends a reader that nobody needs, and says whether there was one.
func (s *Server) evict() bool {
	for prefix, f := range s.followers {
		if f.watchers == 0 {
			f.cancel()
			delete(s.followers, prefix)
			return true
		}
	}
	return false
}

// leave says that one less looks at the job.
func (f *follower) leave() {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	f.watchers--
	f.left = time.Now()
}

// idle removes the reader if nobody has looked for a time.
func (f *follower) idle() bool {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	if f.watchers > 0 || time.Since(f.left) < f.s.o.linger {
		return false
	}
	f.remove()
	return true
}

func (f *follower) remove() {
	if f.s.followers[f.prefix] == f {
		delete(f.s.followers, f.prefix)
	}
}

// run reads until ctx ends, nobody looks, or the job cannot be read for the first time.
func (f *follower) run(ctx context.Context) {
	defer f.cancel()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for first := true; ; first = false {
		began := time.Now()
		err := f.step(ctx)
		if first {
			if err != nil {
				f.s.mu.Lock()
				f.remove()
				f.s.mu.Unlock()
				f.mu.Lock()
				f.err = err
				f.mu.Unlock()
			}
			close(f.ready)
			if err != nil {
				return
			}
		}
		timer.Reset(max(f.s.o.every, min(time.Duration(f.s.o.rest)*time.Since(began), time.Minute)))
		select {
		case <-ctx.Done():
			return
		case <-f.s.last:
			if f.watched() {
				f.looked = time.Time{}
				_ = f.step(ctx) // what is not known now will never be shown
			}
			return
		case <-timer.C:
		}
		if f.idle() {
			return
		}
	}
}

// watched says whether somebody looks.
func (f *follower) watched() bool {
	f.s.mu.Lock()
	defer f.s.mu.Unlock()
	return f.watchers > 0
}

// step reads what is new, and publishes it. An error is one of the first time only.
func (f *follower) step(ctx context.Context) error {
	err := f.look(ctx)
	if err == nil && f.fold != nil && f.fold.job != "" && !f.over {
		err = f.read(ctx)
	}
	problem := ""
	if err != nil {
		if f.view == nil || ctx.Err() != nil {
			return err
		}
		problem = escape.Short(err.Error(), 1000)
	}
	if problem != f.problem {
		f.problem, f.dirty = problem, true
	}
	if f.dirty {
		f.publish(ctx)
		f.dirty = false
	}
	return nil
}

// look reads the control objects, every few seconds.
func (f *follower) look(ctx context.Context) error {
	if !f.looked.IsZero() && time.Since(f.looked) < f.s.o.control {
		return nil
	}
	o, lay := f.s.o.Jobs, layout.New(f.prefix)
	now := facts{}
	var err error
	if now.job, err = jobs.Read(ctx, o, f.prefix); err != nil {
		return err
	}
	if now.job == nil && f.facts.job == nil {
		return errNoJob
	}
	if now.job == nil { // it was reset
		return errors.New("the job is gone")
	}
	fresh := f.fold == nil || f.fold.job != now.job.ID
	var spec *manifest.Job
	if fresh && now.job.ID != "" {
		if spec, _, err = jobstate.ReadJob(ctx, f.s.o.Store, lay); err != nil && !passable(err) {
			return err
		}
	} else if f.fold != nil {
		spec = f.fold.spec
	}
	if now.says, _, err = jobstate.ReadAnnouncement(ctx, f.s.o.Store, lay); err != nil && !passable(err) {
		return err
	}
	if now.job.State == jobs.Done {
		if now.success, err = f.success(ctx, spec, lay); err != nil && !passable(err) {
			return err
		}
	}
	if f.s.o.Hurry != nil && now.job.State.Live() {
		f.s.o.Hurry(f.prefix)
	}
	f.looked = time.Now()
	// What runs is shown again, since it has run for longer.
	f.dirty = f.dirty || fresh || now.job.State.Live() || now.job.State != f.facts.job.State
	f.facts = now
	if fresh {
		f.mu.Lock()
		f.fold, f.over = newFold(now.job.ID, spec, f.s.o.Store.Bucket(), lay, events.NewReader(f.s.o.Store, lay, now.job.ID)), false
		f.mu.Unlock()
		f.findings, f.explained, f.keys = nil, time.Time{}, map[string][]heavyKey{}
	}
	return nil
}

// passable says whether an error is that an object is not there, or is of no use.
func passable(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || jobstate.Invalid(err)
}

// success reads the summary, wherever the output lies.
func (f *follower) success(ctx context.Context, spec *manifest.Job, lay layout.Layout) (*manifest.Success, error) {
	var from jobstate.Store = f.s.o.Store
	if spec != nil {
		if lay = spec.Layout(lay); lay.OutputBucket() != "" && f.s.o.Jobs.Buckets != nil {
			from = f.s.o.Jobs.Buckets(lay.OutputBucket())
		}
	}
	success, _, err := jobstate.ReadSuccess(ctx, from, lay, "")
	return success, err
}

// read reads the events that are new.
func (f *follower) read(ctx context.Context) error {
	fold := f.fold
	take := func(e events.Entry) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		fold.apply(e)
		f.dirty = true
		return nil
	}
	done := f.facts.job.State == jobs.Done
	if fold.reader.Empty() || done {
		if err := fold.reader.Read(ctx, take); err != nil {
			return err
		}
	}
	for more := !done; more; {
		var err error
		if more, err = fold.reader.More(ctx, take); err != nil {
			return err
		}
	}
	if done {
		f.heavy(ctx)
		f.dirty = true
		f.mu.Lock()
		f.over = true
		f.mu.Unlock()
	}
	return nil
}

// heavyKey is a key that many of the bytes of a partition belong to.
type heavyKey struct {
	Key   string `json:"key"` // quoted
	Bytes int64  `json:"bytes"`
}

// heavy reads which keys the largest partitions have, from the records of their attempts.
func (f *follower) heavy(ctx context.Context) {
	lay := layout.New(f.prefix)
	if f.fold.spec == nil || f.fold.spec.MapOnly() {
		return
	}
	lay = f.fold.spec.Layout(lay)
	for _, t := range largest(f.fold.state.Reduce) {
		rec, _, err := jobstate.ReadReduceCommit(ctx, f.s.o.Store, lay, f.fold.spec, t.number, t.ID)
		if err != nil {
			continue // the event has the heaviest key
		}
		list := []heavyKey{}
		for _, k := range rec.Heaviest {
			list = append(list, heavyKey{escape.Short(k.Text, shortText), k.Bytes})
		}
		f.keys[t.ID] = list
	}
}

// publish makes the view, and tells those who look.
func (f *follower) publish(ctx context.Context) {
	report := f.report
	if f.s.o.Explain != nil && f.fold.spec != nil && f.fold.state.Planned &&
		(f.over || time.Since(f.explained) >= max(f.s.o.control, time.Duration(f.s.o.rest)*f.explainIn)) {
		began := time.Now()
		doc, list := f.s.o.Explain(f.prefix, &f.fold.state, f.fold.spec)
		report, f.findings = encoded(struct {
			Report any `json:"report"`
		}{doc}), list
		f.explained, f.explainIn = time.Now(), time.Since(began)
	}
	now := f.fold.state.Last
	if f.facts.job.State.Live() {
		now = max(now, events.TimeOf(time.Now()))
	}
	view := encoded(viewOf(material{
		fold: f.fold, facts: f.facts, now: now, findings: f.findings, keys: f.keys, maxUSD: f.s.o.MaxUSD, problem: f.problem,
	}))
	f.mu.Lock()
	defer f.mu.Unlock()
	f.view, f.report = view, report
	f.version++
	close(f.changed)
	f.changed = make(chan struct{})
}

// explain answers /api/explain.
func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	f := s.open(w, r)
	if f == nil {
		return
	}
	defer f.leave()
	f.mu.Lock()
	report := f.report
	f.mu.Unlock()
	if report == nil {
		refuse(w, http.StatusNotFound, "the job has no event log yet")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(report)
}
