package coordinator

import (
	"context"
	"sync"
	"time"

	"github.com/mraws/mraws/internal/manifest"
)

// A standby of a large job reads ahead, so that it goes on soon after it has
// taken over: commit records never change, so those that it has read it need
// not read again, and the input that it has compared with the job's it need
// not list again. What is added to the input later is noticed by nobody, as
// under the coordinator before.

// aheadEvery is the least time between two rounds of reading ahead. What is
// committed in that time is read when the standby takes over.
const aheadEvery = 30 * time.Second

// memory keeps the records that were read, by the key of what commits: the
// commit record of a map task, the output of a reduce task. The zero value
// keeps nothing.
type memory struct {
	mu   sync.Mutex
	kept map[string]remembered // nil: it keeps nothing
}

type remembered struct {
	etag   string
	record any // *mapCommit or *reduceCommit
}

func (m *memory) start() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept == nil {
		m.kept = map[string]remembered{}
	}
}

func (m *memory) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept = nil
}

// recall returns the record that was read of a key at that version, or else
// reads it.
func recall[T any](m *memory, key, etag string, read func() (*T, error)) (*T, error) {
	m.mu.Lock()
	r := m.kept[key]
	m.mu.Unlock()
	if rec, ok := r.record.(*T); ok && r.etag == etag {
		return rec, nil
	}
	rec, err := read()
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept != nil {
		m.kept[key] = remembered{etag, rec}
	}
	return rec, nil
}

// readAhead reads what is committed of a job, again and again until ctx ends,
// and more seldom the longer it takes. What goes wrong is for prepare to say.
func (c *Coordinator) readAhead(ctx context.Context, job *manifest.Job) {
	c.memory.start()
	for {
		began := time.Now()
		s := &state{job: job, maps: map[int]*mapCommit{}, reduces: map[int]*reduceCommit{}}
		if err := c.recover(ctx, s); err != nil && ctx.Err() == nil {
			c.o.Log.Debug().Err(err).Msg("not all read ahead")
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(aheadEvery, 20*time.Since(began))):
		}
	}
}
