package dashboard

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/mraws/mraws/internal/escape"
	"github.com/mraws/mraws/internal/jobs"
	"github.com/mraws/mraws/internal/layout"
)

const (
	// listAge is for how long a list of jobs is kept, at least. One that took long is kept
	// for listRest times as long: a bucket with many jobs is not asked all the time.
	listAge, listRest = 5 * time.Second, 20
	// listTime bounds a search.
	listTime = time.Minute
)

// list is the list of jobs, read once for all readers.
type list struct {
	find func(context.Context) (*jobs.List, error)

	mu    sync.Mutex
	jobs  *jobs.List
	until time.Time // when it is too old
}

// get returns the jobs, as they were a short time ago.
func (l *list) get(ctx context.Context) (*jobs.List, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.jobs != nil && time.Now().Before(l.until) {
		return l.jobs, nil
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	found, err := l.find(ctx)
	if err != nil {
		return nil, err
	}
	l.jobs, l.until = found, time.Now().Add(max(listAge, listRest*time.Since(began)))
	return found, nil
}

// jobRow is a job of the list.
type jobRow struct {
	Name    string     `json:"name"`
	Prefix  string     `json:"prefix"`
	ID      string     `json:"id"`
	App     string     `json:"app"`
	State   jobs.State `json:"state"`
	Created *time.Time `json:"created"`
	Seen    *time.Time `json:"seen"`
	Input   *int64     `json:"input_bytes"`
	Output  *int64     `json:"output_bytes"`
	Failure string     `json:"failure,omitempty"`
}

// Lengths of texts that are shown, in bytes.
const shortText, longText = 255, 8 << 10

func newJobRow(j *jobs.Job) jobRow {
	return jobRow{
		Name: j.Name, Prefix: j.Prefix, ID: escape.Short(j.ID, shortText), App: escape.Short(j.App, shortText), State: j.State,
		Created: known(j.Created), Seen: known(j.Seen), Input: size(j.InputBytes), Output: size(j.OutputBytes), Failure: escape.Short(j.Failure, longText),
	}
}

// known is a time, nil for none.
func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// size is a number of bytes, nil for -1.
func size(n int64) *int64 {
	if n < 0 {
		return nil
	}
	return &n
}

// jobs answers /api/jobs.
func (s *Server) jobs(w http.ResponseWriter, r *http.Request) {
	found, err := s.list.get(s.ctx) // another reader may wait for it when this one has gone
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, "the jobs cannot be listed: "+escape.Short(err.Error(), 1000))
		return
	}
	rows := make([]jobRow, len(found.Jobs))
	for i := range found.Jobs {
		rows[i] = newJobRow(&found.Jobs[i])
	}
	answer(w, struct {
		Where   string   `json:"where"`
		Jobs    []jobRow `json:"jobs"`
		Partial string   `json:"partial"`
	}{layout.Place(s.o.Store.Bucket(), layout.New(s.o.Jobs.Base).Root()), rows, found.Partial})
}
