// Package testkit is what tests of several packages share: a store in memory that
// can fail, and a bucket with a job in it. No product code imports it.
package testkit

import (
	"bytes"
	"fmt"
	"iter"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

// File is an input object.
type File struct{ Name, Text string }

// Job is a bucket with a job in it.
type Job struct {
	Store   *Store
	Spec    *manifest.Job
	App     mr.App
	Scratch string // folder for temporary files
	Memory  int64  // budget of an attempt, bytes

	MaxRecord int // most bytes of a record; 0 is the default
}

// NewJob puts files, which are in byte order of name, under input/ and cuts
// them into pieces of at most split bytes; a task gets up to pack pieces. A
// file whose name says that it is compressed is one piece.
func NewJob(app mr.App, nreduce int, split, pack int, files ...File) *Job {
	w := &Job{Store: NewStore(), App: app, Memory: 64 << 20}
	w.Spec = &manifest.Job{
		Schema: manifest.JobSchema, ID: "job-1", NReduce: nreduce, SplitSize: int64(split),
		Spec: *wire.DescribeApp(app, nil).Spec(nil),
	}
	if app.Ordered {
		w.Spec.Partitioner = manifest.RangesOf(nreduce)
	}
	var l layout.Layout
	var pieces []manifest.Piece
	for i, f := range files {
		_, _ = w.Store.Write(l.Input(f.Name), []byte(f.Text), object.PutOptions{})
		info := w.Store.Objects[l.Input(f.Name)].Info
		kind := manifest.CompressionOf(f.Name)
		w.Spec.Objects = append(w.Spec.Objects, manifest.Object{Name: f.Name, ETag: info.ETag, Size: info.Size, Compression: kind})
		format, step := w.Spec.InputFormat(), int64(split)
		if step <= 0 || kind != "" || format.Cut(info.Size, step) != step {
			step = max(info.Size, 1)
		}
		for off := int64(0); off == 0 || off < info.Size; off += step {
			pieces = append(pieces, manifest.Piece{Object: i, Offset: off, Length: min(step, info.Size-off)})
		}
	}
	w.Spec.Tasks = slices.Collect(slices.Chunk(pieces, max(pack, 1)))
	if w.Spec.Compressed() {
		w.Spec.Decompress = manifest.Decompress{Ratio: 200, Limit: 1 << 40}
	}
	return w
}

// Segment is the key of the object that partition r of map task m is in.
func (w *Job) Segment(m, r int) string {
	if w.Spec.Shuffle == manifest.ShufflePacked {
		return layout.Layout{}.Packed(m)
	}
	return layout.Layout{}.Partition(m, r)
}

// Outputs returns the outputs.
func (w *Job) Outputs(t TB) []string {
	t.Helper()
	out := make([]string, w.Spec.Outputs())
	for r := range out {
		o, err := w.Store.Object(w.Spec.Layout(layout.Layout{}).Output(r))
		if err != nil {
			t.Fatalf("output: %v", err)
		}
		out[r] = string(o.Data)
	}
	return out
}

// Check looks for what must never be, and for what was left behind.
func (w *Job) Check(t TB) {
	t.Helper()
	w.Store.Check(t)
	if left, err := os.ReadDir(w.Scratch); err != nil || len(left) > 0 {
		t.Fatalf("left in scratch: %v, %v", left, err)
	}
	if open := DeletedFiles(w.Scratch); len(open) > 0 {
		t.Fatalf("left open: %q", open)
	}
}

// DeletedFiles lists open descriptors of files below dir, where /proc tells.
func DeletedFiles(dir string) (open []string) {
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, fd := range fds {
		if name, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(name, dir+"/") {
			open = append(open, name)
		}
	}
	return open
}

// Oracle computes the outputs in memory, from the same application.
func Oracle(t TB, app mr.App, nreduce int, files ...File) []string {
	t.Helper()
	type kv struct{ key, value string }
	var all []kv
	emit := emitFunc(func(k, v []byte) { all = append(all, kv{string(k), string(v)}) })
	m, err := app.NewMapper(&mr.Task{})
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, f := range files {
		for _, rec := range Records(app.Input, f) {
			if err := m.Map(rec, emit); err != nil {
				t.Fatalf("%v", err)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b kv) int { return strings.Compare(a.key, b.key) })
	part := app.Partition
	if part == nil {
		part = mr.Partition
	}
	red, err := app.NewReducer(&mr.Task{})
	if err != nil {
		t.Fatalf("%v", err)
	}
	out := make([]string, nreduce)
	for i := 0; i < len(all); {
		j := i
		var values [][]byte
		for ; j < len(all) && all[j].key == all[i].key; j++ {
			values = append(values, []byte(all[j].value))
		}
		key := all[i].key
		w := &outLines{key: key, to: &out[part([]byte(key), nreduce)]}
		if err := red.Reduce([]byte(key), slices.Values(values), w); err != nil {
			t.Fatalf("%v", err)
		}
		i = j
	}
	return out
}

// Records cuts a file into records.
func Records(in mr.Input, f File) (recs []mr.Record) {
	if in == mr.WholeObjects {
		return []mr.Record{{Object: f.Name, Data: []byte(f.Text)}}
	}
	off := int64(0)
	for i, line := range strings.SplitAfter(f.Text, "\n") {
		if line == "" {
			break
		}
		rec := mr.Record{Object: f.Name, Offset: off, Data: []byte(strings.TrimSuffix(line, "\n"))}
		if in == mr.NumberedLines {
			rec.Line = int64(i) + 1
		}
		recs = append(recs, rec)
		off += int64(len(line))
	}
	return recs
}

type emitFunc func(k, v []byte)

func (f emitFunc) Emit(k, v []byte) { f(k, v) }

// outLines appends lines of output to a text.
type outLines struct {
	key string
	to  *string
}

func (o *outLines) Write(v []byte)        { *o.to += o.key + " " + string(v) + "\n" }
func (o *outLines) WriteLine(line []byte) { *o.to += string(line) + "\n" }

// App makes an App of functions; combine may be nil.
func App(name string, m mr.MapperFunc, r mr.ReducerFunc, combine mr.CombinerFunc) mr.App {
	a := mr.App{
		Name:       name,
		NewMapper:  func(*mr.Task) (mr.Mapper, error) { return m, nil },
		NewReducer: func(*mr.Task) (mr.Reducer, error) { return r, nil },
	}
	if combine != nil {
		a.Combine = combine
	}
	return a
}

// WC counts words, with a combiner.
var WC = App("wc", func(rec mr.Record, out mr.Emitter) error {
	one := []byte("1")
	for w := range bytes.FieldsSeq(rec.Data) {
		out.Emit(w, one)
	}
	return nil
}, func(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
	sum := 0
	for v := range values {
		n, err := strconv.Atoi(string(v))
		if err != nil {
			return err
		}
		sum += n
	}
	out.Write(strconv.AppendInt(nil, int64(sum), 10))
	return nil
}, func(acc, next []byte) []byte {
	a, _ := strconv.Atoi(string(acc))
	b, _ := strconv.Atoi(string(next))
	return strconv.AppendInt(acc[:0], int64(a+b), 10)
})

// Where lists, for each word, its places in input order: without a combiner,
// and any change of order shows.
var Where = App("where", MapWhere, ReduceWhere, nil)

// WhereCombined is Where with a combiner, associative but not commutative,
// whose values grow.
var WhereCombined = App("where-combined", MapWhere, ReduceWhere, func(acc, next []byte) []byte {
	return append(append(acc, ','), next...)
})

// MapWhere is the mapper of [Where].
func MapWhere(rec mr.Record, out mr.Emitter) error {
	for w := range bytes.FieldsSeq(rec.Data) {
		out.Emit(w, fmt.Appendf(nil, "%s:%d:%d", rec.Object, rec.Offset, rec.Line))
	}
	return nil
}

// ReduceWhere is the reducer of [Where].
func ReduceWhere(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
	var b []byte
	for v := range values {
		b = append(append(b, v...), ',')
	}
	out.Write(b)
	return nil
}
