package task

import (
	"errors"
	"fmt"
	"slices"

	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/internal/sortbuf"
	"github.com/mraws/mraws/mr"
)

// collector is the mr.Emitter of a map attempt: it gathers pairs in a buffer
// and spills the buffer as a sorted run when it is full.
type collector struct {
	t         *attempt
	partition func(key []byte, n int) int
	ranged    bool // Keys are range-partitioned; the buffer derives the partition after sorting.
	merger    merger
	buf       sortbuf.Buffer
	sums      *sortbuf.SumTable // is buf, for an application that adds up numbers; else nil
	runs      []sorted          // in the order of time
	levels    []int             // of runs: how often they were merged
	width     int               // least number of neighbours of a level that are merged
}

func (t *attempt) newCollector(cuts *cuts) *collector {
	c := &collector{t: t, partition: cuts.partition, merger: t.merger(t.Job.NReduce, t.App.Combine)}
	c.width = spillWidth(t.shares.readers, t.Job.NReduce)
	if _, sums := t.App.Combine.(mr.Sum); sums {
		c.sums = t.Spare.buffers().SumTable(t.shares.pairs, t.inputBytes())
		c.buf = c.sums
	} else if t.App.Combine != nil {
		c.buf = sortbuf.NewTable(t.shares.pairs, combineFunc(t.App.Combine))
	} else {
		expect := int64(0) // bytes of pairs: unknown
		if t.App.Ordered {
			expect = t.inputBytes() * 3 / 2 // as they sort most of what they read
		}
		c.buf, c.ranged = t.Spare.buffers().List(t.shares.pairs, expect, cuts.bounds), cuts.bounds != nil
	}
	return c
}

// Emit takes a pair. An error ends the attempt from in here.
func (c *collector) Emit(key, value []byte) {
	t := c.t
	if t.failed != nil {
		panic(errAbort) // the mapper recovered from the first one
	}
	if t.res.Emitted++; t.res.Emitted%beatEach == 0 {
		t.live.Beats.Add(1)
	}
	if c.sums != nil && c.sums.AddKnown(key, value) {
		return
	}
	t.key = key // for errors: partitioner and combiner are called below
	size := len(key) + len(value)
	part := 0
	if !c.ranged || int64(size) > t.shares.pairs {
		n := t.Job.NReduce
		if part = c.partition(key, n); uint(part) >= uint(n) {
			t.fail(t.appFailure(fmt.Errorf("partitioner returned %d, want 0 to %d", part, n-1)))
		}
	}
	if size > recordio.DefaultMaxRecord {
		err := &recordio.TooLargeError{Size: int64(size), Max: recordio.DefaultMaxRecord}
		t.fail(recordError(key, err))
	}
	if int64(size) > t.shares.pairs {
		if err := c.spillPair(part, key, value); err != nil {
			t.fail(err)
		}
	} else {
		for !c.buf.Add(part, key, value) {
			if err := c.spill(); err != nil {
				t.fail(err)
			}
		}
	}
	t.key = nil
}

// beatEach is how many pairs make a sign of life.
const beatEach = 1024

// EmitSpans takes many pairs of one value, see mr.SpanEmitter. Where numbers
// are added up it looks for the cells of some keys together.
func (c *collector) EmitSpans(text []byte, spans []uint32, value []byte) {
	if c.sums == nil || len(value) != 8 || c.t.failed != nil {
		for ; len(spans) >= 2; spans = spans[2:] {
			c.Emit(text[spans[0]:spans[1]], value)
		}
		return
	}
	add := uint64(mr.ParseInt64(value))
	for len(spans) >= 2 {
		n := c.sums.Probe(text, spans)
		for i := 0; i < n; i++ {
			known := c.sums.AddProbed(i, n, add)
			c.t.res.Emitted += int64(known)
			if i += known; i < n {
				c.Emit(text[spans[2*i]:spans[2*i+1]], value)
			}
		}
		spans = spans[2*n:]
	}
}

// spill writes the buffer as a run and empties it.
func (c *collector) spill() error {
	if c.t.live.stopped.Load() {
		return errStopped // a call of the application may go on for long
	}
	c.buf.Sort(c.t.Job.NReduce)
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
	c.t.Spare.buffers().Keep(c.buf)
	c.buf, c.runs = nil, nil
	if err != nil {
		return errors.Join(errors.New("free spilled runs"), err)
	}
	return nil
}
