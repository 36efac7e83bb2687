package dashboard

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/mraws/mraws/internal/escape"
	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
)

// mostObjects bounds the objects of an attempt that are shown.
const mostObjects = 100

// attempt answers /api/attempt.
func (s *Server) attempt(w http.ResponseWriter, r *http.Request) {
	f := s.open(w, r)
	if f == nil {
		return
	}
	defer f.leave()
	f.mu.Lock()
	doc := f.fold.describe(r.URL.Query().Get("attempt"))
	f.mu.Unlock()
	if doc == nil {
		refuse(w, http.StatusNotFound, "the event log has no such attempt")
		return
	}
	answer(w, doc)
}

// attemptDoc is one attempt.
type attemptDoc struct {
	Attempt     string       `json:"attempt"`
	Task        string       `json:"task"`
	Worker      string       `json:"worker,omitempty"`
	Host        string       `json:"host,omitempty"`
	Coordinator string       `json:"coordinator,omitempty"`
	Slot        *int         `json:"slot"`
	Start       events.Time  `json:"start,omitzero"`
	End         events.Time  `json:"end,omitzero"`
	Outcome     string       `json:"outcome"`
	Speculative bool         `json:"speculative"`
	Cause       string       `json:"cause,omitempty"`
	Log         []string     `json:"log"`
	Objects     []string     `json:"objects"`
	More        int          `json:"more_objects,omitempty"`
	Work        *events.Work `json:"work"`
}

// describe returns all that is known of an attempt, nil if there is none.
func (f *fold) describe(id string) *attemptDoc {
	n, ok := f.at[id]
	if !ok {
		return nil
	}
	r := &f.rows[n]
	a := *r.Attempt
	d := &attemptDoc{
		Attempt: a.ID, Task: a.Task, Worker: a.Worker, Coordinator: a.Coordinator, Start: a.Start, End: a.End, Outcome: a.Outcome,
		Speculative: a.Speculative, Log: []string{}, Objects: []string{},
	}
	if a.Outcome == "" {
		d.Outcome = "running"
	}
	if a.Slot >= 0 {
		d.Slot = &a.Slot
	}
	if w := f.state.Workers[a.Worker]; w != nil {
		d.Host = w.Host
	}
	if a.Work != nil {
		work := *a.Work
		d.Work = &work
	}
	for i, line := range strings.Split(strings.TrimSpace(a.Cause), "\n") {
		if i == 0 {
			d.Cause = escape.Line(line)
		}
		if line != "" {
			d.Log = append(d.Log, escape.Line(line))
		}
	}
	for i, p := range f.reads(r) {
		if i == mostObjects {
			d.More = len(f.reads(r)) - i
			break
		}
		d.Objects = append(d.Objects, f.object(p))
	}
	return d
}

// reads is what a map task reads, nil if that is not known.
func (f *fold) reads(r *row) []manifest.Piece {
	if f.spec == nil || r.reduce || r.task >= len(f.spec.Tasks) {
		return nil
	}
	return f.spec.Tasks[r.task]
}

// object names a piece of an object.
func (f *fold) object(p manifest.Piece) string {
	o := f.spec.Objects[p.Object]
	name := o.Name
	if o.Bucket == "" {
		name = layout.Place(f.bucket, o.At(f.lay))
	}
	if p.Length != o.Size {
		name += " bytes " + strconv.FormatInt(p.Offset, 10) + " to " + strconv.FormatInt(p.Offset+p.Length-1, 10)
	}
	return name
}
