package mrtest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mraws/mraws/mr"
)

// mapTask maps one object and returns its pairs in order of emission.
func (r *run) mapTask(t *mr.Task, object string) ([]pair, error) {
	m, err := r.App.NewMapper(t)
	if err != nil {
		return nil, err
	}
	out := &emitter{run: r}
	for _, rec := range records(r.App.Input, object, r.Inputs[object]) {
		err := m.Map(rec, out)
		spoil(rec.Data)
		if err != nil {
			return nil, fmt.Errorf("record at byte %d of %s: %w", rec.Offset, object, err)
		}
	}
	if f, ok := m.(interface{ Flush(mr.Emitter) error }); ok {
		if err := f.Flush(out); err != nil {
			return nil, fmt.Errorf("flush: %w", err)
		}
	}
	if out.err != nil {
		return nil, out.err
	}
	return out.pairs, r.sameInBlocks(t, object, out.pairs)
}

// sameInBlocks maps an object again in blocks of lines, if the mapper takes
// them, and compares the pairs.
func (r *run) sameInBlocks(t *mr.Task, object string, want []pair) error {
	again := *t
	again.Counters = discard{}
	m, err := r.App.NewMapper(&again)
	if err != nil {
		return err
	}
	b, ok := m.(mr.BlockMapper)
	if !ok || r.App.Input != mr.Lines {
		return nil
	}
	out := &emitter{run: r}
	var off int64
	for i, rest := 0, r.Inputs[object]; rest != ""; i++ {
		n, lines := 0, 0
		for ; lines <= i%3 && n < len(rest); lines++ { // one, two or three lines
			if end := strings.IndexByte(rest[n:], '\n'); end >= 0 {
				n += end + 1
			} else {
				n = len(rest)
			}
		}
		data := []byte(rest[:n])
		if err := b.MapBlock(mr.Record{Object: object, Offset: off, Lines: int64(lines), Data: data}, out); err != nil {
			return fmt.Errorf("block at byte %d of %s: %w", off, object, err)
		}
		spoil(data)
		off, rest = off+int64(n), rest[n:]
	}
	if f, ok := m.(interface{ Flush(mr.Emitter) error }); ok {
		if err := f.Flush(out); err != nil {
			return fmt.Errorf("flush: %w", err)
		}
	}
	if !slices.Equal(want, out.pairs) {
		return fmt.Errorf("%s: MapBlock emits other pairs than Map: %v, want %v", object, out.pairs, want)
	}
	return out.err
}

// records cuts an object into records.
func records(in mr.Input, object, text string) []mr.Record {
	if in == mr.WholeObjects {
		return []mr.Record{{Object: object, Data: []byte(text)}}
	}
	var recs []mr.Record
	var off int64
	for line := range strings.Lines(text) {
		rec := mr.Record{Object: object, Offset: off, Data: []byte(strings.TrimSuffix(line, "\n"))}
		if in == mr.NumberedLines {
			rec.Line = int64(len(recs) + 1)
		}
		recs = append(recs, rec)
		off += int64(len(line))
	}
	return recs
}

type emitter struct {
	run   *run
	pairs []pair
	err   error
}

func (e *emitter) Emit(key, value []byte) {
	p := pair{0, string(key), string(value)}
	if !e.run.App.Ordered {
		p.partition = e.run.App.Partition(key, e.run.NReduce)
	}
	if p.partition < 0 || p.partition >= e.run.NReduce {
		e.err = cmp.Or(e.err, fmt.Errorf("key %q: partition %d is outside 0..%d", key, p.partition, e.run.NReduce-1))
		return
	}
	e.pairs = append(e.pairs, p)
}

// reduceTask returns the output of one partition. With a combiner it reduces
// twice, with the values as they were emitted and with one combined value
// for each key, since an engine may do either.
func (r *run) reduceTask(t *mr.Task, groups []group) (string, error) {
	plain, err := r.reduce(t, groups)
	if err != nil || r.App.Combine == nil {
		return plain, err
	}
	combined := make([]group, len(groups))
	for i, g := range groups {
		v, err := r.combine(g)
		if err != nil {
			return "", err
		}
		combined[i] = group{g.key, []string{v}}
	}
	again := *t
	again.Counters = discard{}
	other, err := r.reduce(&again, combined)
	if err != nil {
		return "", fmt.Errorf("with combined values: %w", err)
	}
	if plain != other {
		return "", fmt.Errorf("the combiner changes the output:\nwithout: %q\nwith:    %q", plain, other)
	}
	return plain, nil
}

type discard struct{}

func (discard) Add(string, int64) {}

func (r *run) reduce(t *mr.Task, groups []group) (string, error) {
	red, err := r.App.NewReducer(t)
	if err != nil {
		return "", err
	}
	out := &output{ordered: r.App.Ordered}
	for _, g := range groups {
		out.key = g.key
		key := []byte(g.key)
		if err := red.Reduce(key, spoiling(g.values), out); err != nil {
			return "", fmt.Errorf("key %q: %w", g.key, err)
		}
		if spoil(key); out.err != nil {
			return "", out.err
		}
	}
	return out.text.String(), nil
}

type output struct {
	ordered bool
	key     string
	text    strings.Builder
	err     error
}

func (o *output) Write(value []byte) {
	if strings.Contains(o.key, "\n") || strings.Contains(string(value), "\n") {
		o.err = errors.Join(o.err, fmt.Errorf("line break in the output of key %q: %q", o.key, value))
		return
	}
	o.text.WriteString(o.key + " " + string(value) + "\n")
}

func (o *output) WriteLine(line []byte) {
	switch {
	case !o.ordered:
		o.err = errors.Join(o.err, fmt.Errorf("key %q: WriteLine of an app that is not Ordered", o.key))
		return
	case !strings.HasPrefix(string(line), o.key), strings.Contains(string(line), "\n"):
		o.err = errors.Join(o.err, fmt.Errorf("a line that does not begin with its key %q, or has a line break: %q", o.key, line))
		return
	}
	o.text.WriteString(string(line) + "\n")
}

// combine merges the values of a key from the left and by halves, which must
// give the same bytes.
func (r *run) combine(g group) (string, error) {
	left := g.values[0]
	for _, v := range g.values[1:] {
		left = r.merge(left, v)
	}
	if halves := r.halves(g.values); left != halves {
		return "", fmt.Errorf("key %q: the combiner is not associative: %q from the left, %q by halves", g.key, left, halves)
	}
	return left, nil
}

func (r *run) halves(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	mid := len(values) / 2
	return r.merge(r.halves(values[:mid]), r.halves(values[mid:]))
}

func (r *run) merge(acc, next string) string {
	b := []byte(next)
	merged := r.App.Combine.Combine([]byte(acc), b)
	spoil(b)
	return string(merged)
}
