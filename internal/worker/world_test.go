package worker

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// file is an input object.
type file struct{ name, text string }

// world is a bucket with a job in it.
type world struct {
	store   *fake
	job     *manifest.Job
	app     mr.App
	scratch string
	memory  int64

	maxRecord int // most bytes of a record; 0 is the default
}

// newWorld puts files, which are in byte order of name, under input/ and cuts
// them into pieces of at most split bytes; a task gets up to pack pieces. A
// file whose name says that it is compressed is one piece.
func newWorld(app mr.App, nreduce int, split, pack int, files ...file) *world {
	w := &world{store: newFake(), app: app, memory: 64 << 20}
	w.job = &manifest.Job{
		Schema: manifest.JobSchema, ID: "job-1", NReduce: nreduce, SplitSize: int64(split),
		App: manifest.App{Name: app.Name},
	}
	var l layout.Layout
	var pieces []manifest.Piece
	for i, f := range files {
		_, _ = w.store.write(fine, "put", l.Input(f.name), []byte(f.text), putOptions)
		info := w.store.objects[l.Input(f.name)].info
		kind := manifest.CompressionOf(f.name)
		w.job.Objects = append(w.job.Objects, manifest.Object{Name: f.name, ETag: info.ETag, Size: info.Size, Compression: kind})
		step := int64(split)
		if app.Input != mr.Lines || step <= 0 || kind != "" {
			step = max(info.Size, 1)
		}
		for off := int64(0); off == 0 || off < info.Size; off += step {
			pieces = append(pieces, manifest.Piece{Object: i, Offset: off, Length: min(step, info.Size-off)})
		}
	}
	w.job.Tasks = slices.Collect(slices.Chunk(pieces, max(pack, 1)))
	if w.job.Compressed() {
		w.job.Decompress = manifest.Decompress{Ratio: 200, Limit: 1 << 40}
	}
	return w
}

// eachShuffle runs a test of jobs that store partitions in each way.
func eachShuffle(t *testing.T, f func(t *testing.T, how manifest.Shuffle)) {
	for name, how := range map[string]manifest.Shuffle{"plain": "", "packed": manifest.ShufflePacked} {
		t.Run(name, func(t *testing.T) { f(t, how) })
	}
}

// shuffled makes the job one that stores partitions in this way.
func (w *world) shuffled(how manifest.Shuffle) *world {
	w.job.Shuffle = how
	return w
}

// segment is the key of the object that partition r of map task m is in.
func (w *world) segment(m, r int) string {
	if w.job.Shuffle == manifest.ShufflePacked {
		return layout.Layout{}.Packed(m)
	}
	return layout.Layout{}.Partition(m, r)
}

// env is the environment of a worker.
func (w *world) env(t fataler) *Env {
	t.Helper()
	if err := w.job.Validate(layout.Layout{}); err != nil {
		t.Fatalf("job: %v", err)
	}
	return &Env{
		Store: w.store, Job: w.job, App: w.app, Worker: "w", Scratch: w.scratch, Memory: w.memory,
		Commits: new(Commits), Log: zerolog.Nop(), Progress: new(Progress),
		maxRecord: w.maxRecord,
	}
}

// run runs all tasks, one after the other, and returns the outputs.
func (w *world) run(t fataler) []string {
	t.Helper()
	e := w.env(t)
	for m := range w.job.Tasks {
		e.Progress = new(Progress)
		if _, err := e.Run(context.Background(), Attempt{mr.MapPhase, m, fmt.Sprintf("m%d", m)}); err != nil {
			t.Fatalf("%v", err)
		}
	}
	for r := range w.job.NReduce {
		e.Progress = new(Progress)
		if _, err := e.Run(context.Background(), Attempt{mr.ReducePhase, r, fmt.Sprintf("r%d", r)}); err != nil {
			t.Fatalf("%v", err)
		}
	}
	w.check(t)
	return w.outputs(t)
}

func (w *world) outputs(t fataler) []string {
	t.Helper()
	out := make([]string, w.job.NReduce)
	for r := range out {
		o, err := w.store.get(layout.Layout{}.Output(r))
		if err != nil {
			t.Fatalf("output: %v", err)
		}
		out[r] = string(o.data)
	}
	return out
}

// check looks for what must never be, and for what was left behind.
func (w *world) check(t fataler) {
	t.Helper()
	w.store.check(t)
	if left, err := os.ReadDir(w.scratch); err != nil || len(left) > 0 {
		t.Fatalf("left in scratch: %v, %v", left, err)
	}
	if open := deletedFiles(w.scratch); len(open) > 0 {
		t.Fatalf("left open: %q", open)
	}
}

// deletedFiles lists open descriptors of files below dir, where /proc tells.
func deletedFiles(dir string) (open []string) {
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, fd := range fds {
		if name, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(name, dir+"/") {
			open = append(open, name)
		}
	}
	return open
}

// oracle computes the outputs in memory, from the same application.
func oracle(t fataler, app mr.App, nreduce int, files ...file) []string {
	t.Helper()
	type kv struct{ key, value string }
	var all []kv
	emit := emitFunc(func(k, v []byte) { all = append(all, kv{string(k), string(v)}) })
	m, err := app.NewMapper(&mr.Task{})
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, f := range files {
		for _, rec := range records(app.Input, f) {
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

func records(in mr.Input, f file) (recs []mr.Record) {
	if in == mr.WholeObjects {
		return []mr.Record{{Object: f.name, Data: []byte(f.text)}}
	}
	off := int64(0)
	for i, line := range strings.SplitAfter(f.text, "\n") {
		if line == "" {
			break
		}
		rec := mr.Record{Object: f.name, Offset: off, Data: []byte(strings.TrimSuffix(line, "\n"))}
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

// app makes an App of two functions.
func app(name string, m mr.MapperFunc, r mr.ReducerFunc, combine mr.Combiner) mr.App {
	return mr.App{
		Name: name, Combine: combine,
		NewMapper:  func(*mr.Task) (mr.Mapper, error) { return m, nil },
		NewReducer: func(*mr.Task) (mr.Reducer, error) { return r, nil },
	}
}

// wc counts words, with a combiner.
var wc = app("wc", func(rec mr.Record, out mr.Emitter) error {
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

// where lists, for each word, its places in input order: without a combiner,
// and any change of order shows.
var where = app("where", mapWhere, reduceWhere, nil)

// whereCombined is where with a combiner, associative but not commutative,
// whose values grow.
var whereCombined = app("where-combined", mapWhere, reduceWhere, func(acc, next []byte) []byte {
	return append(append(acc, ','), next...)
})

func mapWhere(rec mr.Record, out mr.Emitter) error {
	for w := range bytes.FieldsSeq(rec.Data) {
		out.Emit(w, fmt.Appendf(nil, "%s:%d:%d", rec.Object, rec.Offset, rec.Line))
	}
	return nil
}

func reduceWhere(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
	var b []byte
	for v := range values {
		b = append(append(b, v...), ',')
	}
	out.Write(b)
	return nil
}
