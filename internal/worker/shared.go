package worker

import (
	"context"
	"sync"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/runner"
	"github.com/mraws/mraws/internal/task"
)

// Shared is what workers of one process, on the same bucket and prefix, have read of jobs: specs, commit records and key ranges. None
// of that ever changes, so it is read and held once for all of them. Its zero
// value is empty.
type Shared struct {
	mu   sync.Mutex
	jobs map[string]*loaded // by job id
}

// loaded is a job's spec with the commit records read so far.
type loaded struct {
	once    sync.Once
	job     *manifest.Job
	runner  runner.Runner
	commits *task.Commits
	ranges  *task.Ranges
	earlier *task.Earlier
	objects func() []string // names of the input, made when they are asked for
	err     error
	ready   bool // all of it is there; guarded by the mutex of Shared
}

// load returns what is known of a job, whose spec it reads once, however many
// slots ask for it at the same time. An error is not kept.
func (s *Shared) load(ctx context.Context, id string, read func() (*manifest.Job, runner.Runner, error)) (*loaded, error) {
	for {
		s.mu.Lock()
		if s.jobs == nil {
			s.jobs = make(map[string]*loaded)
		}
		l := s.jobs[id]
		if l == nil {
			l = &loaded{}
			s.jobs[id] = l
		}
		s.mu.Unlock()
		mine := false
		l.once.Do(func() {
			mine = true
			l.job, l.runner, l.err = read()
			l.commits, l.ranges, l.earlier = new(task.Commits), new(task.Ranges), new(task.Earlier)
			l.objects = sync.OnceValue(func() []string { return l.job.Names() })
		})
		s.mu.Lock()
		if l.err == nil {
			l.ready = true
			s.mu.Unlock()
			return l, nil
		}
		if s.jobs[id] == l {
			delete(s.jobs, id) // read it again next time
		}
		s.mu.Unlock()
		if mine || ctx.Err() != nil {
			return l, l.err
		}
		// The other's error may be the end of its attempt: try ourselves.
	}
}

// renew lets later attempts at a job read anew what one that has been abandoned
// may be in the middle of reading for all.
func (s *Shared) renew(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.jobs[id]
	if l == nil || !l.ready {
		return
	}
	n := &loaded{job: l.job, runner: l.runner, objects: l.objects, commits: new(task.Commits), ranges: new(task.Ranges), earlier: new(task.Earlier), ready: true}
	n.once.Do(func() {})
	s.jobs[id] = n
}

// layout is that of a job whose own folders are those of lay, as far as its spec has
// been read.
func (s *Shared) layout(id string, lay layout.Layout) layout.Layout {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.jobs[id]; l != nil && l.ready {
		return l.job.Layout(lay)
	}
	return lay
}

// knows says whether a spec has been read: that of a job, or any for "".
func (s *Shared) knows(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id == "" {
		return len(s.jobs) > 0
	}
	return s.jobs[id] != nil
}
