package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/mraws/mraws/internal/keyorder"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/mr"
)

// tally is what one run of the mappers did, told apart by the map task of the
// job whose records they were at: that is what commit records speak of.
type tally struct {
	job     *manifest.Job
	maps    []*mapFacts // [m]
	code    *Code
	m, i    int              // task of the last record, and its piece in that
	records []int64          // [m]
	emitted []int64          // [m]
	sums    [][]recordio.Sum // [m][r], nil where the app combines what it emits

	mu       sync.Mutex
	counters []map[string]int64 // [m]
}

func newTally(c *committed, sums bool, code *Code) *tally {
	job, n := c.job, len(c.job.Tasks)
	t := &tally{job: job, maps: c.maps, code: code, records: make([]int64, n), emitted: make([]int64, n), counters: make([]map[string]int64, n)}
	if sums {
		t.sums = make([][]recordio.Sum, n)
		for m := range t.sums {
			t.sums[m] = make([]recordio.Sum, job.NReduce)
		}
	}
	return t
}

// enter moves to the piece of a record: pieces come in input order, and a
// record is of the one that it starts in.
func (t *tally) enter(at place) {
	for len(t.job.Tasks) > 0 {
		if t.job.Tasks[t.m][t.i].Object > at.object || at.compare(t.end()) < 0 {
			return
		}
		m, i := t.m, t.i+1
		if i == len(t.job.Tasks[m]) {
			m, i = m+1, 0
		}
		if m == len(t.job.Tasks) || t.job.Tasks[m][i].Object > at.object {
			return // the record is of an object without bytes
		}
		t.m, t.i = m, i
	}
}

// end is where the records of the piece at hand end: where its reader says, if it
// had to guess.
func (t *tally) end() place {
	if f := t.maps[t.m]; f != nil {
		for _, r := range f.reaches {
			if r.piece == t.i {
				return r.to
			}
		}
	}
	p := t.job.Tasks[t.m][t.i]
	return place{p.Object, p.Offset + p.Length, 0}
}

// read takes note of a record.
func (t *tally) read(at place) {
	t.enter(at)
	t.records[t.m]++
}

// emit takes note of a pair.
func (t *tally) emit(r int, key, value []byte) {
	t.code.move()
	t.emitted[t.m]++
	if t.sums != nil {
		t.sums[t.m][r].AddRecord(key, value)
	}
}

// Add implements mr.Counters.
func (t *tally) Add(name string, n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counters[t.m] == nil {
		t.counters[t.m] = map[string]int64{}
	}
	t.counters[t.m][name] += n
}

// counts is an mr.Counters that is read in the end.
type counts struct {
	mu sync.Mutex
	n  map[string]int64
}

func (c *counts) Add(name string, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int64{}
	}
	c.n[name] += n
}

// emitsAs tells whether map task m emitted the same by both.
func (t *tally) emitsAs(other *tally, m int) bool {
	return t.emitted[m] == other.emitted[m] && (t.sums == nil || slices.Equal(t.sums[m], other.sums[m]))
}

// agrees tells whether map task m did what its commit record says.
func (c *committed) agrees(t *tally, m int) bool {
	return c.maps[m] == nil || c.emitted(t, m) && maps.Equal(t.counters[m], c.maps[m].counters)
}

// emitted tells whether map task m emitted what its commit record says.
func (c *committed) emitted(t *tally, m int) bool {
	f := c.maps[m]
	if f == nil {
		return true // which is a finding already
	}
	if t.emitted[m] != f.emitted {
		return false
	}
	if t.sums != nil {
		for r, sum := range t.sums[m] {
			if sum != c.seg(m, r).sum {
				return false
			}
		}
	}
	return true
}

// agreesAll tells whether all of them did.
func (c *committed) agreesAll(t *tally) bool {
	for m := range c.maps {
		if !c.agrees(t, m) {
			return false
		}
	}
	return true
}

// checkRecords compares how many records each map task read.
func (q *sequential) checkRecords() {
	for m, f := range q.a.maps {
		if f != nil && f.input.Records != q.tally.records[m] {
			q.a.rep.add(BadSum, q.a.lay.MapCommit(m), "it says that %d records were read, its pieces have %d", f.input.Records, q.tally.records[m])
		}
	}
}

// checkTasks compares what each map task emitted and counted. The reference
// maps the input without regard to tasks, which tells for most applications.
// Where it does not agree, mappers are run over the tasks as they were, twice:
// what these do alike, and the record says otherwise, is a finding. A counter
// alone is one only if the app has exact counters.
func (q *sequential) checkTasks(ctx context.Context) error {
	a := q.a
	if a.agreesAll(q.tally) {
		return nil
	}
	first, err := q.byTask(ctx)
	if err != nil || a.agreesAll(first) {
		return err
	}
	var second *tally
	var counters finder
	fickle, others := 0, 0
	for m, f := range a.maps {
		if a.agrees(first, m) {
			continue
		}
		if !q.app.ExactCounters && compareCounters(&counters, a.lay.MapCommit(m), f.counters, first.counters[m]) {
			others++
		}
		if !q.app.ExactCounters && a.emitted(first, m) {
			continue
		}
		if second == nil {
			if second, err = q.byTask(ctx); err != nil {
				return err
			}
		}
		if !first.emitsAs(second, m) || q.app.ExactCounters && !maps.Equal(first.counters[m], second.counters[m]) {
			fickle++
		} else {
			q.explain(first, m)
		}
	}
	if fickle > 0 {
		a.rep.note("app %s does not emit or count the same each time: what %d map tasks emitted and counted was not compared", q.app.Name, fickle)
	}
	q.noteCounters(others, mr.MapPhase, &counters)
	return nil
}

// explain says what is wrong with the commit record of map task m.
func (q *sequential) explain(t *tally, m int) {
	key, f := q.a.lay.MapCommit(m), q.a.maps[m]
	if t.emitted[m] != f.emitted {
		q.a.rep.add(BadSum, key, "it says that %d pairs were emitted, the app emits %d", f.emitted, t.emitted[m])
	}
	if q.a.app.ExactCounters {
		var find finder
		compareCounters(&find, key, f.counters, t.counters[m])
		q.a.rep.take(&find)
	}
	if t.sums == nil {
		return
	}
	for r, sum := range t.sums[m] {
		if rec := q.a.seg(m, r).sum; sum != rec {
			q.a.rep.add(BadSum, key, "it says that partition %d has %s, the app emits %s", r, showSum(rec), showSum(sum))
			return // one is enough: what is wrong in others is most likely the same
		}
	}
}

// noteCounters says of how many tasks the counters differ, with the first, for
// an app whose counters may depend on more than its records.
func (q *sequential) noteCounters(tasks int, phase mr.Phase, find *finder) {
	if tasks > 0 {
		f := find.list[0]
		q.a.rep.note("counters of %d %s tasks differ from those of the reference: %s: %s; this is no finding, since app %s does not declare ExactCounters",
			tasks, phase, f.Key, f.Detail, q.a.app.Name)
	}
}

// compareCounters finds counters that differ, and tells whether there are any.
func compareCounters(find *finder, key string, got, want map[string]int64) bool {
	before := find.found
	all := maps.Clone(got)
	if all == nil {
		all = map[string]int64{}
	}
	maps.Copy(all, want)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if got[name] != want[name] {
			find.add(BadSum, key, "it says that counter %q is %d, the app counts %d", name, got[name], want[name])
		}
	}
	return find.found > before
}

// byTask maps the input with a mapper for each map task of the job, and keeps
// nothing but what it counts.
func (q *sequential) byTask(ctx context.Context) (*tally, error) {
	t := newTally(&q.a.committed, q.tally.sums != nil, q.a.opt.Code)
	q.a.opt.Progress.total.Add(q.a.rep.Structure.InputBytes) // which is read once more
	again := &sequential{a: q.a, app: q.app, input: q.input, columns: q.columns, params: q.params, side: &sideFiles{}, objects: q.objects, skips: skips{a: q.a}, tally: t}
	out := &counting{tally: t, part: q.a.partitioner(q.app), order: q.a.codes}
	err := again.mapTasks(ctx, out, func(int) error { return nil })
	return t, errors.Join(err, out.err)
}

// mapTasks maps the whole input with a mapper for each map task of the job. It calls
// next before what task m emits, for each m in turn.
func (q *sequential) mapTasks(ctx context.Context, out emitter, next func(m int) error) error {
	t := q.tally
	var mapper mr.Mapper
	of := -1 // its task
	// move goes on to the mapper of another task, past those of tasks between
	// them, which have no records.
	move := func(to int) (err error) {
		for of < to {
			if t.m = max(of, 0); of >= 0 {
				err = q.flush(mapper, out)
			}
			if of++; err != nil || of == len(t.records) {
				return err
			}
			if t.m, err = of, next(of); err != nil {
				return err
			}
			if mapper, err = q.app.NewMapper(q.task(ctx, mr.MapPhase, of)); err != nil {
				return fmt.Errorf("make mapper: %w", err)
			}
		}
		return nil
	}
	err := q.mapInputs(ctx, out, func(fetched) error { return nil }, func() (mr.Mapper, error) {
		err := move(t.m)
		return mapper, err
	})
	if err == nil {
		err = move(len(t.records))
	}
	return err
}

// counting is an mr.Emitter that keeps no pairs.
type counting struct {
	tally *tally
	order *keyorder.Order
	part  func(key []byte) (int, error)
	err   error
}

func (c *counting) Emit(key, value []byte) {
	if c.err != nil {
		return
	}
	key = c.order.Encode(key, value)
	r, err := c.part(key)
	if err != nil {
		c.err = err
		return
	}
	c.tally.emit(r, key, value)
}

// failed is the error that ended the counting.
func (c *counting) failed() error { return c.err }
