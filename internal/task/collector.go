package task

import (
	"errors"
	"fmt"
	"slices"

	"github.com/mraws/mraws/internal/keyorder"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/internal/sortbuf"
	"github.com/mraws/mraws/mr"
)

// collector is the runner.Emitter of a map attempt: it gathers pairs in a buffer
// and spills the buffer as a sorted run when it is full.
type collector struct {
	live      *live
	limit     int64 // bytes of a pair; a larger one is a run of its own
	partition func(key []byte, n int) int
	ranged    bool // Keys are range-partitioned; the buffer derives the partition after sorting.
	merger    merger
	spare     *sortbuf.Spare
	buf       sortbuf.Buffer
	sums      *sortbuf.SumTable // is buf, for an application that adds up numbers; else nil
	runs      []sorted          // in the order of time
	levels    []int             // of runs: how often they were merged
	width     int               // least number of neighbours of a level that are merged
	emitted   int64             // pairs
	failed    error             // of the first Emit that did
	key       []byte            // that partitioner or combiner are called for
}

func (t *attempt) newCollector(cuts *cuts) *collector {
	c := &collector{
		live: t.live, limit: t.shares.pairs, partition: cuts.partition, spare: t.Spare.buffers(),
		merger: t.merger(t.Job.NReduce, t.app.Combine), width: spillWidth(t.shares.readers, t.Job.NReduce),
	}
	if _, sums := t.app.Combine.(mr.Sum); sums {
		c.sums = c.spare.SumTable(c.limit, t.inputBytes())
		c.buf = c.sums
	} else if t.app.Combine != nil {
		c.buf = sortbuf.NewTable(c.limit, combineFunc(t.app.Combine))
	} else {
		expect := int64(0) // bytes of pairs: unknown
		if t.Job.Partitioner.Name == manifest.Range {
			expect = t.inputBytes() * 3 / 2 // as they sort most of what they read
		}
		list := c.spare.List(c.limit, expect, cuts.bounds)
		list.Share = t.share()
		c.buf, c.ranged = list, cuts.bounds != nil
	}
	return c
}

// share returns what tells how much of its input the attempt has read, 0 to 1.
func (t *attempt) share() func() float64 {
	var all int64
	for _, p := range t.Job.Tasks[t.Index] {
		all += t.Job.Objects[p.Object].Weight(t.bucket.format, p.Length)
	}
	before := t.live.Weight.Load() // of a map attempt within a reduce attempt
	return func() float64 { return float64(t.live.Weight.Load()-before) / float64(max(all, 1)) }
}

// beatEach is how many pairs make a sign of life.
const beatEach = 1024

// Emit takes a pair.
func (c *collector) Emit(key, value []byte) error {
	if c.failed != nil {
		return c.failed
	}
	if c.emitted++; c.emitted%beatEach == 0 {
		c.live.Beats.Add(1)
	}
	if c.sums != nil && c.sums.AddKnown(key, value) {
		return nil
	}
	c.key = key // for errors: partitioner and combiner are called below
	part, n := 0, c.merger.nparts
	large := int64(len(key)+len(value)) > c.limit
	if !c.ranged || large {
		part = c.partition(key, n)
	}
	if large || uint(part) >= uint(n) || !c.buf.Add(part, key, value) {
		if c.failed = c.addRare(part, key, value); c.failed != nil {
			return c.failed
		}
	}
	c.key = nil
	return nil
}

// EmitFolded takes a pair that stands for several, and counts those.
func (c *collector) EmitFolded(key, value []byte, pairs int64) error {
	c.emitted += max(pairs, 1) - 1
	return c.Emit(key, value)
}

// addRare is the rest of Emit for a pair that the buffer has not taken.
func (c *collector) addRare(part int, key, value []byte) error {
	size := int64(len(key) + len(value))
	switch n := c.merger.nparts; {
	case uint(part) >= uint(n):
		return &AppError{Err: fmt.Errorf("partitioner returned %d, want 0 to %d", part, n-1)}
	case size > recordio.MaxRecord:
		return recordError(key, &recordio.TooLargeError{Size: size, Max: recordio.MaxRecord})
	case size > c.limit:
		return c.spillPair(part, key, value)
	}
	for {
		if err := c.spill(); err != nil {
			return err
		}
		if c.buf.Add(part, key, value) {
			return nil
		}
	}
}

// EmitSpans takes many pairs of one value. Where numbers are added up it looks
// for the cells of some keys together.
func (c *collector) EmitSpans(text []byte, spans []uint32, value []byte) error {
	if c.sums == nil || len(value) != 8 || c.failed != nil {
		for ; len(spans) >= 2; spans = spans[2:] {
			if err := c.Emit(text[spans[0]:spans[1]], value); err != nil {
				return err
			}
		}
		return c.failed
	}
	add := uint64(mr.ParseInt64(value))
	for len(spans) >= 2 {
		n := c.sums.Probe(text, spans)
		for i := 0; i < n; i++ {
			known := c.sums.AddProbed(i, n, add)
			c.emitted += int64(known)
			if i += known; i < n {
				if err := c.Emit(text[spans[2*i]:spans[2*i+1]], value); err != nil {
					return err
				}
			}
		}
		spans = spans[2*n:]
	}
	return nil
}

// failure implements mapOutput.
func (c *collector) failure() error { return c.failed }

// blame implements mapOutput.
func (c *collector) blame(e *AppError) {
	if c.key != nil {
		e.Key = shortKey(c.key)
	}
}

// ordering is a collector for a job that names an order: it gets the internal keys of
// package keyorder.
type ordering struct {
	*collector
	order *keyorder.Order
}

// Emit takes a pair.
func (o *ordering) Emit(key, value []byte) error {
	return o.collector.Emit(o.order.Encode(key, value), value)
}

// EmitFolded takes a pair that stands for several.
func (o *ordering) EmitFolded(key, value []byte, pairs int64) error {
	return o.collector.EmitFolded(o.order.Encode(key, value), value, pairs)
}

// EmitSpans takes many pairs of one value.
func (o *ordering) EmitSpans(text []byte, spans []uint32, value []byte) error {
	for ; len(spans) >= 2; spans = spans[2:] {
		if err := o.Emit(text[spans[0]:spans[1]], value); err != nil {
			return err
		}
	}
	return o.failed
}

// blame implements mapOutput.
func (o *ordering) blame(e *AppError) {
	if o.key != nil {
		e.Key = shortKey(o.order.Plain(o.key))
	}
}

// spill writes the buffer as a run and empties it.
func (c *collector) spill() error {
	if c.live.stopped.Load() {
		return errStopped // a call of the application may go on for long
	}
	c.buf.Sort(c.merger.nparts)
	r, err := c.merger.write("spill", resident{c.buf}.source)
	if err != nil {
		return fmt.Errorf("spill: %w", err)
	}
	c.buf.Reset()
	return c.keep(r)
}

// maxWidth bounds the runs of a level, each of which is an open file.
const maxWidth = 8

// spillWidth is how many runs of nparts partitions are merged at a time while
// there are more to come: half of those for which there is memory.
func spillWidth(memory int64, nparts int) int {
	one := recordio.ReaderMemory(recordio.Options{}, 0) + recordio.IndexMemory(nparts)
	return int(min(max(memory/one/2, 2), maxWidth))
}

// keep adds a run. As soon as the last ones are width of the same level, it
// merges them to one of the next level: however much is spilled, there are
// few runs, and each record is merged about once for each level.
func (c *collector) keep(r sorted) error {
	c.runs, c.levels = append(c.runs, r), append(c.levels, 0)
	for {
		first := len(c.runs) - 1
		for first > 0 && c.levels[first-1] == c.levels[len(c.runs)-1] {
			first--
		}
		if len(c.runs)-first < c.width {
			return nil
		}
		group := slices.Clone(c.runs[first:])
		c.runs = slices.Delete(c.runs, first, len(c.runs)) // pass closes what it fails to merge
		for len(group) > 1 {
			var err error
			if group, err = c.merger.pass(group); err != nil {
				return fmt.Errorf("merge spilled runs: %w", err)
			}
		}
		c.runs, c.levels = append(c.runs, group[0]), append(c.levels[:first], c.levels[first]+1)
	}
}

// spillPair writes a pair that is larger than the buffer as a run of its own,
// from the memory of the application, behind what came before it.
func (c *collector) spillPair(part int, key, value []byte) error {
	if c.buf.Len() > 0 {
		if err := c.spill(); err != nil {
			return err
		}
	}
	r, err := c.merger.write("spill", func(p int) recordio.Source {
		if p != part {
			return nil
		}
		return &onePair{key: key, value: value}
	})
	if err != nil {
		return fmt.Errorf("spill: %w", err)
	}
	return c.keep(r)
}

// onePair is a recordio source of one pair.
type onePair struct {
	key, value []byte
	taken      bool
}

func (p *onePair) Next() bool {
	first := !p.taken
	p.taken = true
	return first
}
func (p *onePair) Key() []byte   { return p.key }
func (p *onePair) Value() []byte { return p.value }
func (p *onePair) Err() error    { return nil }

// Close frees the buffer and the runs.
func (c *collector) Close() error {
	err := closeAll(c.runs)
	c.spare.Keep(c.buf)
	c.buf, c.runs = nil, nil
	if err != nil {
		return errors.Join(errors.New("free spilled runs"), err)
	}
	return nil
}
