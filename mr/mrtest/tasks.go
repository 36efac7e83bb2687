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
	out := &emitter{run: r}
	own := *t
	own.Named = noNamed{out}
	m, err := r.App.NewMapper(&own)
	if err != nil {
		return nil, err
	}
	recs := records(r.App.Input, object, r.Inputs[object])
	if r.App.Input == mr.Rows {
		if recs, err = r.rows(object); err != nil {
			return nil, err
		}
	}
	for _, rec := range recs {
		err := m.Map(rec, out)
		spoil(rec.Data)
		spoilRow(rec.Fields)
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
	if err := r.sameInBatches(t, object, out.pairs); err != nil {
		return nil, err
	}
	return out.pairs, r.sameInBlocks(t, object, out.pairs)
}

// sameInBatches maps the rows of an object again in batches, if the mapper takes them,
// and compares the pairs: with a combiner those that it makes of them.
func (r *run) sameInBatches(t *mr.Task, object string, want []pair) error {
	again := *t
	again.Counters, again.Named = discard{}, noNamed{&emitter{run: r}}
	m, err := r.App.NewMapper(&again)
	if err != nil {
		return err
	}
	b, ok := m.(mr.BatchMapper)
	if !ok || r.App.Input != mr.Rows || r.App.Columns == nil {
		return nil
	}
	recs, err := r.rows(object)
	if err != nil {
		return err
	}
	var columns []string
	if len(recs) > 0 {
		for c := range recs[0].Fields.Len() {
			columns = append(columns, recs[0].Fields.Name(c))
		}
	}
	out := &emitter{run: r}
	var batch mr.Batch
	for i := 1; len(recs) > 0; i++ {
		n := min(len(recs), 1+i%3) // one, two or three rows
		batch.Reset(object, columns)
		for _, rec := range recs[:n] {
			batch.Append(rec.Offset, rec.Fields)
		}
		if row, err := b.MapBatch(&batch, out); err != nil {
			return fmt.Errorf("row %d of a batch at byte %d of %s: %w", row, batch.Offsets[0], object, err)
		}
		for _, rec := range recs[:n] {
			spoilRow(rec.Fields)
		}
		recs = recs[n:]
	}
	if f, ok := m.(interface{ Flush(mr.Emitter) error }); ok {
		if err := f.Flush(out); err != nil {
			return fmt.Errorf("flush: %w", err)
		}
	}
	switch n := int64(len(out.pairs)) + out.folded; {
	case out.err != nil:
		return out.err
	case n != int64(len(want)):
		return fmt.Errorf("%s: MapBatch emits %d pairs, and Map %d", object, n, len(want))
	}
	got := out.pairs
	if r.App.Combine != nil && !t.MapOnly {
		by, err := r.combiner(&again)
		if err != nil {
			return err
		}
		want, got = by.combined(want), by.combined(got)
	}
	if !slices.Equal(want, got) {
		return fmt.Errorf("%s: MapBatch emits other pairs than Map: %v, want %v", object, got, want)
	}
	return nil
}

// combined is a pair for each key, in the order of keys.
func (m merger) combined(pairs []pair) []pair {
	byKey := slices.Clone(pairs)
	slices.SortStableFunc(byKey, func(a, b pair) int { return strings.Compare(a.key, b.key) })
	folded := byKey[:0]
	for _, p := range byKey {
		if n := len(folded); n > 0 && folded[n-1].key == p.key {
			folded[n-1].value = m.merge(folded[n-1].value, p.value)
		} else {
			folded = append(folded, p)
		}
	}
	return folded
}

// sameInBlocks maps an object again in blocks of lines, if the mapper takes
// them, and compares the pairs.
func (r *run) sameInBlocks(t *mr.Task, object string, want []pair) error {
	out := &emitter{run: r}
	again := *t
	again.Counters, again.Named = discard{}, noNamed{out}
	m, err := r.App.NewMapper(&again)
	if err != nil {
		return err
	}
	b, ok := m.(mr.BlockMapper)
	if !ok || r.App.Input != mr.Lines {
		return nil
	}
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
	run    *run
	pairs  []pair
	folded int64 // for which pairs stand, beside themselves
	err    error
}

// EmitFolded implements [mr.FoldEmitter].
func (e *emitter) EmitFolded(key, value []byte, pairs int64) {
	e.folded += pairs - 1
	e.Emit(key, value)
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
func (r *run) reduceTask(t *mr.Task, groups []group) (*output, error) {
	plain, err := r.reduce(t, groups)
	if err != nil || r.App.Combine == nil || r.App.SortValues != "" {
		return plain, err
	}
	by, err := r.combiner(t)
	if err != nil {
		return plain, err
	}
	combined := make([]group, len(groups))
	for i, g := range groups {
		v, err := by.combine(g)
		if err != nil {
			return plain, err
		}
		combined[i] = group{g.key, []string{v}}
	}
	again := *t
	again.Counters = discard{}
	other, err := r.reduce(&again, combined)
	if err != nil {
		return plain, fmt.Errorf("with combined values: %w", err)
	}
	if p, o := plain.text.String(), other.text.String(); p != o {
		return plain, fmt.Errorf("the combiner changes the output:\nwithout: %q\nwith:    %q", p, o)
	}
	for name, text := range plain.named {
		if p, o := text.String(), other.named[name].String(); p != o {
			return plain, fmt.Errorf("the combiner changes the named output %s:\nwithout: %q\nwith:    %q", name, p, o)
		}
	}
	return plain, nil
}

type discard struct{}

func (discard) Add(string, int64) {}

func (r *run) reduce(t *mr.Task, groups []group) (*output, error) {
	out := &output{ordered: r.App.Ordered, named: map[string]*strings.Builder{}}
	for _, d := range r.App.NamedOutputs {
		name, _, _ := mr.ParseNamedOutput(d) // Validate has read it
		out.named[name] = new(strings.Builder)
	}
	own := *t
	own.Named = named{out}
	red, err := r.App.NewReducer(&own)
	if err != nil {
		return out, err
	}
	for _, g := range groups {
		out.key = g.key
		key := []byte(g.key)
		if err := red.Reduce(key, spoiling(g.values), out); err != nil {
			return out, fmt.Errorf("key %q: %w", g.key, err)
		}
		if spoil(key); out.err != nil {
			return out, out.err
		}
	}
	return out, nil
}

type output struct {
	ordered bool
	key     string
	text    strings.Builder
	named   map[string]*strings.Builder // by name
	err     error
}

// named is the mr.Named of a reduce task.
type named struct{ out *output }

func (n named) Emit(name string, key, value []byte) {
	text, ok := n.out.named[name]
	line := string(key)
	if len(value) > 0 {
		line += " " + string(value)
	}
	switch {
	case !ok:
		n.out.err = errors.Join(n.out.err, fmt.Errorf("the app declares no named output %q", name))
	case strings.Contains(line, "\n"):
		n.out.err = errors.Join(n.out.err, fmt.Errorf("line break in a record of the named output %s: %q", name, line))
	default:
		text.WriteString(line + "\n")
	}
}

// noNamed is the mr.Named of a map task, whose job has reduce tasks.
type noNamed struct{ out *emitter }

func (n noNamed) Emit(name string, _, _ []byte) {
	n.out.err = cmp.Or(n.out.err, fmt.Errorf("the named output %s in a map task: the reducer writes named outputs, and the mapper of a job without reduce tasks", name))
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

// merger merges values.
type merger struct{ by mr.Combiner }

// combiner is that of the app, which has one.
func (r *run) combiner(t *mr.Task) (m merger, err error) {
	m.by = r.App.Combine
	if f, ok := m.by.(mr.CombinerTask); ok {
		if m.by, err = f(t); err != nil {
			return m, fmt.Errorf("make the combiner: %w", err)
		}
	}
	return m, nil
}

// combine merges the values of a key from the left and by halves, which must
// give the same bytes.
func (m merger) combine(g group) (string, error) {
	left := g.values[0]
	for _, v := range g.values[1:] {
		left = m.merge(left, v)
	}
	if halves := m.halves(g.values); left != halves {
		return "", fmt.Errorf("key %q: the combiner is not associative: %q from the left, %q by halves", g.key, left, halves)
	}
	return left, nil
}

func (m merger) halves(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	mid := len(values) / 2
	return m.merge(m.halves(values[:mid]), m.halves(values[mid:]))
}

func (m merger) merge(acc, next string) string {
	b := []byte(next)
	merged := m.by.Combine([]byte(acc), b)
	spoil(b)
	return string(merged)
}
