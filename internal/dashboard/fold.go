package dashboard

import (
	"cmp"
	"encoding/json"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
)

// fold is what the event log of one job comes to, with its attempts as rows in the order
// in which they come up, and the order in which the rows have changed. All of it follows
// from the log alone, so that a reader goes on with another server where it was.
type fold struct {
	job    string        // its id
	spec   *manifest.Job // nil if it cannot be read
	bucket string
	lay    layout.Layout // of the job
	reader *events.Reader
	state  events.State

	rows    []row
	at      map[string]int // row by id of the attempt
	live    map[int]bool   // rows of attempts that run
	changes []change
	last    int // number of the last change
	workers []string
	worker  map[string]int // their places
	spent   []spent
}

// spent is processor time that a worker has told of.
type spent struct {
	from, to events.Time
	seconds  float64
}

// row is an attempt.
type row struct {
	*events.Attempt
	change int // the number of its last change
	reduce bool
	task   int
	worker int // place in workers, -1 for none
}

// change is one change of a row, numbered from 1.
type change struct{ n, row int }

func newFold(job string, spec *manifest.Job, bucket string, lay layout.Layout, reader *events.Reader) *fold {
	return &fold{job: job, spec: spec, bucket: bucket, lay: lay, reader: reader, at: map[string]int{}, live: map[int]bool{}, worker: map[string]int{}}
}

// apply applies the next event.
func (f *fold) apply(e events.Entry) {
	before := events.Worker{}
	if w := f.state.Workers[e.Worker]; w != nil {
		before = *w
	}
	f.state.Apply(e)
	if e.Type == events.WorkerSampled {
		f.spend(before, f.state.Workers[e.Worker])
	}
	if e.Type == events.CoordinatorStarted {
		for _, n := range f.running() {
			f.touch(n)
		}
	}
	if e.Worker != "" {
		f.place(e.Worker)
	}
	if e.Event.Attempt == "" {
		return
	}
	t := f.state.Task(e.Task)
	if t == nil {
		return
	}
	i := slices.IndexFunc(t.Attempts, func(a *events.Attempt) bool { return a.ID == e.Event.Attempt })
	if i < 0 {
		return
	}
	n, ok := f.at[e.Event.Attempt]
	if !ok {
		phase, number, _ := strings.Cut(e.Task, "-")
		task, _ := strconv.Atoi(number) // it is one that the job has
		n = len(f.rows)
		f.at[t.Attempts[i].ID] = n
		f.rows = append(f.rows, row{Attempt: t.Attempts[i], reduce: phase == "reduce", task: task, worker: -1})
	}
	f.touch(n)
}

// spend notes what a worker has spent since its sample before. Of its first one it takes
// the percentage, which is since the worker began, as that of the time since it joined.
func (f *fold) spend(before events.Worker, now *events.Worker) {
	if now == nil || now.Sample == nil {
		return
	}
	s := spent{from: before.SampledAt, to: now.SampledAt}
	if before.Sample != nil {
		s.seconds = now.Sample.CPUSeconds - before.Sample.CPUSeconds
	} else {
		s.from = now.Joined
		s.seconds = now.Sample.CPUPercent / 100 * float64(s.to-s.from) / 1000
	}
	if s.seconds > 0 && s.to >= s.from {
		f.spent = append(f.spent, s)
	}
}

// running returns the rows of attempts that run, in order.
func (f *fold) running() []int {
	list := make([]int, 0, len(f.live))
	for n := range f.live {
		list = append(list, n)
	}
	slices.Sort(list)
	return list
}

// place returns the place of a worker.
func (f *fold) place(name string) int {
	n, ok := f.worker[name]
	if !ok {
		n = len(f.workers)
		f.worker[name] = n
		f.workers = append(f.workers, name)
	}
	return n
}

// touch notes that a row has changed.
func (f *fold) touch(n int) {
	r := &f.rows[n]
	if r.worker = -1; r.Worker != "" {
		r.worker = f.place(r.Worker)
	}
	if r.Running() {
		f.live[n] = true
	} else {
		delete(f.live, n)
	}
	f.last++
	r.change = f.last
	f.changes = append(f.changes, change{f.last, n})
	if len(f.changes) > 1024+2*len(f.rows) { // only the last change of a row counts
		f.changes = slices.DeleteFunc(f.changes, func(c change) bool { return f.rows[c.row].change != c.n })
	}
}

// cursor is how far a reader has come: it has all changes up to a number, and so many
// workers and ids of attempts.
type cursor struct {
	job                  string
	change, workers, ids int
}

// String is the cursor as the id of a message, "" for one that has nothing.
func (c cursor) String() string {
	return strconv.Itoa(c.change) + "-" + strconv.Itoa(c.workers) + "-" + strconv.Itoa(c.ids) + "@" + c.job
}

// parseCursor reads the id of a message. What is none has nothing.
func parseCursor(text string) (c cursor) {
	numbers, job, _ := strings.Cut(text, "@")
	parts := strings.Split(numbers, "-")
	if len(parts) != 3 || len(text) > 1000 {
		return cursor{}
	}
	for i, to := range []*int{&c.change, &c.workers, &c.ids} {
		n, err := strconv.Atoi(parts[i])
		if err != nil || n < 0 {
			return cursor{}
		}
		*to = n
	}
	c.job = job
	return c
}

// begin returns where a reader goes on that has come to c: at the beginning if that is
// another job, or ahead of this server.
func (f *fold) begin(c cursor) cursor {
	if c.job != f.job || c.change > f.last || c.workers > len(f.workers) || c.ids > len(f.rows) {
		return cursor{job: f.job}
	}
	return c
}

const (
	// mostRows and mostIDs bound a message.
	mostRows, mostIDs = 5000, 10_000
	// unknown stands for a start that is not known.
	unknown = -1_000_000_000
)

// next returns the messages that bring a reader further: ids, if there are any, and
// attempts. Both are nil if it has everything.
func (f *fold) next(c cursor) (ids, attempts []byte, after cursor) {
	after = c
	if end := min(len(f.rows), c.ids+mostIDs); end > c.ids {
		list := make([]string, 0, end-c.ids)
		for _, r := range f.rows[c.ids:end] {
			list = append(list, r.ID)
		}
		ids = encoded(struct {
			First int      `json:"first"`
			IDs   []string `json:"ids"`
		}{c.ids, list})
		after.ids = end
	}
	if c.workers == len(f.workers) && c.change == f.last && ids == nil {
		return nil, nil, c
	}
	type worker struct {
		ID    string `json:"id"`
		Host  string `json:"host"`
		Slots int    `json:"slots"`
	}
	workers := make([]worker, 0, len(f.workers)-c.workers)
	for _, name := range f.workers[c.workers:] {
		w := worker{ID: name}
		if is := f.state.Workers[name]; is != nil {
			w.Host, w.Slots = is.Host, is.Slots
		}
		workers = append(workers, w)
	}
	after.workers = len(f.workers)
	b := append([]byte(`{"first":`+strconv.Itoa(c.workers)+`,"workers":`), encoded(workers)...)
	b = append(b, `,"rows":[`...)
	n := 0
	for i := sort.Search(len(f.changes), func(i int) bool { return f.changes[i].n > c.change }); i < len(f.changes) && n < mostRows; i++ {
		at := f.changes[i]
		after.change = at.n
		if f.rows[at.row].change != at.n {
			continue
		}
		if n++; n > 1 {
			b = append(b, ',')
		}
		b = f.appendRow(b, at.row)
	}
	return ids, append(b, "]}"...), after
}

// outcomes are the words of [events.Attempt.Outcome] by their numbers in rows.
var outcomes = []string{"", "committed", "failed", "lost", "released", "superseded", "canceled", events.Left}

// appendRow appends an attempt as an array of numbers.
func (f *fold) appendRow(b []byte, n int) []byte {
	r := &f.rows[n]
	start, end, bytes := int64(unknown), int64(-1), int64(0)
	if r.Start != 0 {
		start = int64(r.Start - f.state.First)
	}
	if !r.Running() {
		end = max(0, int64(max(r.End, r.Start)-f.state.First))
	}
	if r.Work != nil {
		bytes = r.Work.Bytes
	}
	flag := func(is bool) int64 {
		if is {
			return 1
		}
		return 0
	}
	b = append(b, '[')
	for i, v := range []int64{
		int64(n), int64(r.worker), int64(r.Slot), flag(r.reduce), int64(r.task), start, end,
		int64(max(0, slices.Index(outcomes, r.Outcome))), flag(r.Speculative), bytes,
	} {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, v, 10)
	}
	return append(b, ']')
}

// encoded is a document as JSON. Plain data has no error.
func encoded(doc any) []byte {
	data, err := json.Marshal(doc)
	if err != nil {
		return []byte("null")
	}
	return data
}

// began is the time that others are counted from, 0 before the first event.
func (f *fold) began() events.Time { return cmp.Or(f.state.First, f.state.PlannedAt) }
