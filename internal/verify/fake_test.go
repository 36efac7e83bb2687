package verify

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/output"
	"github.com/mraws/mraws/internal/output/parquet"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

// fakeStore is a bucket in memory. put gives an object a new ETag, as S3
// does; rot changes bytes behind the store's back.
type fakeStore struct {
	mu   sync.Mutex
	objs map[string]*fakeObject
	open int   // bodies that have not been closed
	fail error // of every call, when set
	// read is the error of bodies, by key: what a Stat and a listing still
	// show as whole.
	read map[string]error
	// Of requests for one object: so many until hook is called.
	left int
	hook func()
}

type fakeObject struct {
	data []byte
	etag string
	meta map[string]string
	when time.Time
}

func newFakeStore() *fakeStore {
	return &fakeStore{objs: map[string]*fakeObject{}, read: map[string]error{}}
}

func (s *fakeStore) put(key string, data []byte, meta map[string]string) object.Info {
	sum := sha256.Sum256(data)
	s.objs[key] = &fakeObject{data: data, etag: fmt.Sprintf("%q", hex.EncodeToString(sum[:8])), meta: meta}
	return s.objs[key].info(key)
}

func (s *fakeStore) rot(key string, f func([]byte) []byte) {
	s.objs[key].data = f(slices.Clone(s.objs[key].data))
}

// after calls f at the nth request for an object; done tells whether it has.
func (s *fakeStore) after(n int, f func()) (done func() bool) {
	s.left, s.hook = n, f
	return func() bool { return s.left <= 0 }
}

// clone returns a copy that can be damaged by itself.
func (s *fakeStore) clone() *fakeStore {
	c := newFakeStore()
	for k, o := range s.objs {
		copied := *o
		c.objs[k] = &copied
	}
	return c
}

func (o *fakeObject) info(key string) object.Info {
	return object.Info{Key: key, Size: int64(len(o.data)), ETag: o.etag, Meta: o.meta, Modified: o.when}
}

func (s *fakeStore) get(ctx context.Context, key string) (*fakeObject, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left--; s.left == 0 && s.hook != nil {
		s.hook()
	}
	if s.fail != nil {
		return nil, s.fail
	}
	o := s.objs[key]
	if o == nil {
		return nil, fmt.Errorf("get %q: %w", key, fs.ErrNotExist)
	}
	return o, nil
}

func (s *fakeStore) Get(ctx context.Context, key string) ([]byte, object.Info, error) {
	o, err := s.get(ctx, key)
	if err != nil {
		return nil, object.Info{}, err
	}
	if err := s.read[key]; err != nil {
		return nil, object.Info{}, err
	}
	return slices.Clone(o.data), o.info(key), nil
}

func (s *fakeStore) Stat(ctx context.Context, key string) (object.Info, error) {
	o, err := s.get(ctx, key)
	if err != nil {
		return object.Info{}, err
	}
	return o.info(key), nil
}

func (s *fakeStore) OpenChunks(ctx context.Context, key, etag string, off, n, _ int64, _ int) (io.ReadCloser, error) {
	o, err := s.get(ctx, key)
	if err != nil {
		return nil, err
	}
	if etag != "" && etag != o.etag {
		return nil, fmt.Errorf("get %q: %w", key, object.ErrPrecondition)
	}
	data := o.data[off:]
	if n >= 0 {
		data = data[:n]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open++
	if err := s.read[key]; err != nil {
		return &fakeBody{Reader: io.MultiReader(bytes.NewReader(data[:len(data)/2]), iotest.ErrReader(err)), s: s}, nil
	}
	return &fakeBody{Reader: bytes.NewReader(data), s: s}, nil
}

type fakeBody struct {
	io.Reader
	s    *fakeStore
	once sync.Once
}

func (b *fakeBody) Close() error {
	b.once.Do(func() {
		b.s.mu.Lock()
		defer b.s.mu.Unlock()
		b.s.open--
	})
	return nil
}

func (s *fakeStore) List(ctx context.Context, prefix string) iter.Seq2[object.Info, error] {
	return func(yield func(object.Info, error) bool) {
		if s.fail != nil {
			yield(object.Info{}, s.fail)
			return
		}
		for _, k := range slices.Sorted(maps.Keys(s.objs)) {
			o := s.objs[k].info(k)
			o.Meta = nil
			if strings.HasPrefix(k, prefix) && !yield(o, nil) {
				return
			}
		}
	}
}

// testJob is a job to be built: a tiny engine of the plainest kind.
type testJob struct {
	place   manifest.Place // of the output; zero is output/
	app     mr.App
	reduces int
	inputs  map[string]string
	split   int64 // bytes; 0 is one task for each object
	prefix  string
	params  map[string]string
	// displaced is a map task whose partitions lie under _attempts/.
	displaced int
	packed    bool
	maxBad    manifest.Budget
	maxRecord int
	bounds    [][]byte          // of the key ranges, of an app with ordered output
	output    string            // format; "" is lines
	options   map[string]string // of it
	input     string            // format; "" is what the app declares
	// elsewhere says which objects of the input lie in another bucket, and in
	// which; nil is for none.
	elsewhere func(*manifest.Object) *fakeStore
}

type pair struct{ key, value []byte }

type emit func(key, value []byte)

func (e emit) Emit(key, value []byte) { e(slices.Clone(key), slices.Clone(value)) }

type lineWriter struct {
	key []byte
	buf bytes.Buffer
	n   int64

	records [][2]string // as written has them
}

func (w *lineWriter) WriteLine(line []byte) {
	w.records = append(w.records, [2]string{"", string(line)})
	fmt.Fprintf(&w.buf, "%s\n", line)
	w.n++
}

func (w *lineWriter) Write(value []byte) {
	w.records = append(w.records, [2]string{string(w.key), string(value)})
	fmt.Fprintf(&w.buf, "%s %s\n", w.key, value)
	w.n++
}

// build runs the job and returns its bucket.
func (j testJob) build(t testing.TB) (*fakeStore, layout.Layout) {
	t.Helper()
	s, lay := newFakeStore(), layout.New(j.prefix).WithOutput(j.place.Bucket, j.place.Dir)
	job := &manifest.Job{
		Schema: manifest.JobSchema, ID: "wc-01jd9z6t3m", NReduce: j.reduces, SplitSize: max(j.split, 1<<20), MaxBad: j.maxBad,
		Spec: *wire.DescribeApp(j.app, nil).Spec(j.params),
	}
	job.OutputAt = j.place
	if j.output != "" {
		job.Output = manifest.Choice{Name: j.output, Options: j.options, Given: true}
	}
	if j.input != "" {
		job.Input = manifest.Choice{Name: j.input, Given: true}
	}
	lay = job.Layout(lay)
	if j.app.Ordered {
		job.Partitioner = manifest.RangesOf(j.reduces)
	}
	for i, name := range slices.Sorted(maps.Keys(j.inputs)) {
		kind := manifest.CompressionOf(name)
		in, at := manifest.Object{Name: name, Compression: kind}, s
		if j.elsewhere != nil {
			at = cmp.Or(j.elsewhere(&in), s)
		}
		if in.Bucket != "" {
			job.Buckets = map[string]manifest.Access{in.Bucket: {Unsigned: true}}
		}
		o := at.put(in.In(lay), pack(t, kind, j.inputs[name]), nil)
		in.ETag, in.Size = o.ETag, o.Size
		job.Objects = append(job.Objects, in)
		step := o.Size
		if j.split > 0 && j.app.Input == mr.Lines && kind == "" {
			step = j.split
		}
		for off := int64(0); off == 0 || off < o.Size; off += max(step, 1) {
			job.Tasks = append(job.Tasks, []manifest.Piece{{Object: i, Offset: off, Length: min(step, o.Size-off)}})
		}
	}
	if j.packed {
		job.Shuffle = manifest.ShufflePacked
	}
	if job.Compressed() {
		job.Decompress = manifest.Decompress{Ratio: 200, Limit: 1 << 40}
	}
	if err := job.Validate(lay); err != nil {
		t.Fatal(err)
	}
	putControl(t, s, lay.Job(), job)
	if j.app.Ordered {
		ranges := &manifest.Ranges{Schema: manifest.RangesSchema, Job: job.ID, Bounds: j.bounds}
		j.app.Partition = ranges.Partitioner()
		putControl(t, s, lay.Ranges(), ranges)
	}
	success := &manifest.Success{
		Schema: manifest.SuccessSchema, Job: job.ID, App: job.App, NReduce: j.reduces,
		Map: manifest.Attempts{Tasks: len(job.Tasks)}, Reduce: manifest.Attempts{Tasks: j.reduces},
		Counters: map[string]int64{},
	}
	success.Describe(job.Output)
	shuffled := make([][]pair, j.reduces)
	for m := range job.Tasks {
		j.runMap(t, s, lay, job, m, shuffled, success)
	}
	for r := range j.reduces {
		j.runReduce(t, s, lay, job, r, shuffled[r], success)
	}
	putSealed(t, s, lay, success)
	return s, lay
}

func (j testJob) runMap(t testing.TB, s *fakeStore, lay layout.Layout, job *manifest.Job, m int, shuffled [][]pair, success *manifest.Success) {
	rec := &manifest.Map{Schema: manifest.MapSchema, Job: job.ID, Task: m, Attempt: fmt.Sprintf("m%d.1", m), Worker: "w1"}
	var counted counts
	parts := make([][]pair, j.reduces)
	var bad []manifest.BadRecord
	part := partitioner(&j.app, j.app.Partition, j.reduces)
	mapper, err := j.app.NewMapper(&mr.Task{Context: t.Context(), Phase: mr.MapPhase, Index: m, Params: j.params, Counters: &counted})
	if err != nil {
		t.Fatal(err)
	}
	take := emit(func(k, v []byte) {
		r, err := part(k)
		if err != nil {
			t.Fatal(err)
		}
		rec.Emitted++
		parts[r] = append(parts[r], pair{k, v})
	})
	for _, p := range job.Tasks[m] {
		rec.Input.Bytes += p.Length
		o := job.Objects[p.Object]
		if o.Compression != "" {
			o.Size = int64(len(j.inputs[o.Name]))
			p.Length = o.Size
		}
		rd, err := input.Read(job.InputFormat(), input.Piece{Object: o.Name, Size: o.Size, Offset: p.Offset, Length: p.Length,
			Open: func(off, n int64) (input.Body, error) {
				r := io.NopCloser(strings.NewReader(j.inputs[o.Name][off : off+n]))
				return inputBody{input.NewBuffered(r, n), r}, nil
			}}, j.maxRecord)
		if err != nil {
			t.Fatal(err)
		}
		skip := func(r mr.Record, length int64, err error) {
			if j.maxBad.IsZero() {
				t.Fatal(err)
			}
			bad = append(bad, manifest.BadRecord{Object: o.Name, ETag: o.ETag, Offset: r.Offset, Length: length, Line: r.Line, Error: err.Error()})
		}
		for {
			for rd.Next() {
				rec.Input.Records++
				var held []pair
				err := mapper.Map(rd.Record(), emit(func(k, v []byte) { held = append(held, pair{k, v}) }))
				if err != nil {
					skip(rd.Record(), int64(len(rd.Record().Data)), err)
					continue
				}
				for _, p := range held {
					take(p.key, p.value)
				}
			}
			if rd.Err() == nil {
				break
			}
			long := rd.Err()
			r, n, err := rd.Skip()
			if err != nil {
				t.Fatal(err)
			}
			rec.Input.Records++
			skip(r, n, long)
		}
		if e, ok := rd.Extent(); ok && job.Guessed(job.InputFormat(), p) {
			rec.Extents = append(rec.Extents, manifest.Extent(e))
		}
	}
	if f, ok := mapper.(interface{ Flush(mr.Emitter) error }); ok {
		if err := f.Flush(take); err != nil {
			t.Fatal(err)
		}
	}
	if len(bad) > 0 {
		key := lay.Bad(m)
		if m == j.displaced-1 {
			s.put(key, listOf(t, bad), nil) // the copy
			key = lay.MapAttemptBad(m, rec.Attempt)
		}
		rec.Bad = putList(t, s, key, bad)
		success.Skipped += rec.Bad.Records
	}
	var all []byte // of all partitions
	for r, pairs := range parts {
		pairs = j.combine(pairs)
		shuffled[r] = append(shuffled[r], pairs...)
		data, sum := segmentOf(t, pairs)
		if len(pairs) == 0 {
			data = nil
		}
		p := manifest.Part{Size: int64(len(data)), Hash: hex.EncodeToString(sum.Hash[:]), Sum: sum.Sum}
		if j.packed {
			p.Offset, all = int64(len(all)), append(all, data...)
		} else if len(data) > 0 {
			o := j.putSegment(s, lay.Partition(m, r), lay.MapAttempt(m, rec.Attempt, r), m, data, job, p.Hash)
			p.Key, p.ETag = o.Key, o.ETag
		}
		rec.Parts = append(rec.Parts, p)
		success.Shuffled.Add(sum.Sum)
	}
	if j.packed {
		rec.Packed = &manifest.Packed{Hash: manifest.PackedHash(rec.Parts)}
		if len(all) > 0 {
			o := j.putSegment(s, lay.Packed(m), lay.MapAttemptPacked(m, rec.Attempt), m, all, job, rec.Packed.Hash)
			rec.Packed.Key, rec.Packed.ETag, rec.Packed.Size = o.Key, o.ETag, o.Size
		}
	}
	success.Input.Records += rec.Input.Records
	success.Input.Bytes += rec.Input.Bytes
	success.Emitted += rec.Emitted
	rec.Counters = counted.n
	for name, n := range rec.Counters {
		success.Counters[name] += n
	}
	putControl(t, s, lay.MapCommit(m), rec)
}

// putSegment puts an object of map task m under its plain name or, for the
// displaced one, under the name of its attempt.
func (j testJob) putSegment(s *fakeStore, plain, own string, m int, data []byte, job *manifest.Job, hash string) object.Info {
	key := plain
	if m == j.displaced-1 {
		s.put(plain, slices.Clone(data), nil) // the copy that the coordinator makes
		key = own
	}
	return s.put(key, data, map[string]string{manifest.MetaJob: job.ID, manifest.MetaHash: hash})
}

func listOf(t testing.TB, bad []manifest.BadRecord) (data []byte) {
	t.Helper()
	for _, b := range bad {
		var err error
		if data, err = manifest.EncodeLine(data, b); err != nil {
			t.Fatal(err)
		}
	}
	return data
}

// putList writes a list of bad records and returns what a commit record says
// of it.
func putList(t testing.TB, s *fakeStore, key string, bad []manifest.BadRecord) *manifest.Quarantine {
	t.Helper()
	data := listOf(t, bad)
	sum := sha256.Sum256(data)
	o := s.put(key, data, nil)
	return &manifest.Quarantine{Key: key, ETag: o.ETag, Size: o.Size, Hash: hex.EncodeToString(sum[:]),
		Records: int64(len(bad)), First: bad[:min(len(bad), manifest.FirstBad)]}
}

// combine sorts pairs by key, stably, and folds equal keys if the app can.
func (j testJob) combine(pairs []pair) []pair {
	slices.SortStableFunc(pairs, func(a, b pair) int { return bytes.Compare(a.key, b.key) })
	if j.app.Combine == nil {
		return pairs
	}
	var out []pair
	for _, p := range pairs {
		if n := len(out); n > 0 && bytes.Equal(out[n-1].key, p.key) {
			out[n-1].value = j.app.Combine.Combine(out[n-1].value, p.value)
		} else {
			out = append(out, p)
		}
	}
	return out
}

func segmentOf(t testing.TB, pairs []pair) ([]byte, recordio.Summary) {
	var buf bytes.Buffer
	w := recordio.NewWriter(&buf, recordio.Options{})
	for _, p := range pairs {
		if err := w.Write(p.key, p.value); err != nil {
			t.Fatal(err)
		}
	}
	sum, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes(), sum
}

func (j testJob) runReduce(t testing.TB, s *fakeStore, lay layout.Layout, job *manifest.Job, r int, pairs []pair, success *manifest.Success) {
	rec := &manifest.Reduce{Schema: manifest.ReduceSchema, Job: job.ID, Task: r, Attempt: fmt.Sprintf("r%d.1", r), Worker: "w1"}
	var counted counts
	slices.SortStableFunc(pairs, func(a, b pair) int { return bytes.Compare(a.key, b.key) })
	named := namedRecords{}
	reducer, err := j.app.NewReducer(&mr.Task{Context: t.Context(), Phase: mr.ReducePhase, Index: r, Params: j.params, Counters: &counted, Named: named})
	if err != nil {
		t.Fatal(err)
	}
	var lines lineWriter
	for i := 0; i < len(pairs); {
		lines.key = pairs[i].key
		var values [][]byte
		for ; i < len(pairs) && bytes.Equal(pairs[i].key, lines.key); i++ {
			rec.Read.AddRecord(pairs[i].key, pairs[i].value)
			values = append(values, slices.Clone(pairs[i].value))
		}
		rec.Keys++
		if err := reducer.Reduce(lines.key, slices.Values(values), &lines); err != nil {
			t.Fatal(err)
		}
	}
	data := lines.buf.Bytes()
	if job.Output.Partitioned() {
		data = j.putPartitions(t, s, lay, job, rec, lines.records)
	} else if tableOf(job.Output) != nil {
		data = written(t, job.Output, lines.records)
	}
	for _, n := range job.Output.Named() {
		if records := named[n.Name]; len(records) > 0 {
			data := written(t, manifest.Choice{Name: n.Format, Options: n.Options}, records)
			rec.Named = append(rec.Named, putBeside(s, lay, job, rec, n.Name, data, len(records)))
		}
	}
	listed := rec.Besides()
	for i := range listed {
		listed[i].Key, listed[i].ETag, listed[i].Attempt = job.NamedKey(lay, listed[i].Name, r), "", rec.Attempt
	}
	success.List(slices.Concat(success.Named, success.Partitions, listed))
	hash := sha256.Sum256(data)
	key := lay.Output(r)
	s.put(key, data, map[string]string{manifest.MetaJob: job.ID, manifest.MetaAttempt: rec.Attempt})
	rec.Output = manifest.Output{Key: key, Size: int64(len(data)), Lines: lines.n, Hash: hex.EncodeToString(hash[:])}
	success.Read.Add(rec.Read)
	success.Keys += rec.Keys
	if job.NReduce > 1 && rec.Read.Records > 0 {
		if success.Skew == nil {
			success.Skew = new(manifest.Skew)
		}
		success.Skew.Take(r, rec.Read, nil)
	}
	out := rec.Output
	out.Attempt = rec.Attempt
	success.Outputs = append(success.Outputs, out)
	rec.Counters = counted.n
	for name, n := range rec.Counters {
		success.Counters[name] += n
	}
	putControl(t, s, lay.ReduceAttempt(r, rec.Attempt), rec)
}

// namedRecords is an mr.Named, as written has the records of each output.
type namedRecords map[string][][2]string

func (n namedRecords) Emit(name string, key, value []byte) {
	record := [2]string{string(key), string(value)}
	if len(value) == 0 {
		record = [2]string{"", string(key)}
	}
	n[name] = append(n[name], record)
}

// putPartitions puts the objects of a partitioned output, and returns the list of them.
func (j testJob) putPartitions(t testing.TB, s *fakeStore, lay layout.Layout, job *manifest.Job, rec *manifest.Reduce, records [][2]string) (list []byte) {
	t.Helper()
	f := job.OutputFormat().(*output.Partitioned)
	rows := map[string][][][]byte{}
	e, err := f.Split(func(name []byte, fields [][]byte) error {
		var row [][]byte
		for _, field := range fields {
			row = append(row, bytes.Clone(field))
		}
		rows[string(name)] = append(rows[string(name)], row)
		return nil
	})
	for _, r := range records {
		err = errors.Join(err, e.Key([]byte(r[0])), e.Value([]byte(r[1])))
	}
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		var b bytes.Buffer
		w, werr := f.Rows(&b, output.Libraries{Parquet: parquet.NewWriter})
		err = errors.Join(err, werr)
		for _, row := range rows[name] {
			err = errors.Join(err, w.Row(row))
		}
		err = errors.Join(err, w.Close())
		n := putBeside(s, lay, job, rec, name, b.Bytes(), len(rows[name]))
		rec.Partitions = append(rec.Partitions, n)
		list = append(list, partitionLine(n)...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// partitionLine is the line of a partition in the list that an output is.
func partitionLine(n manifest.NamedOutput) string {
	return fmt.Sprintf("{\"partition\":%q,\"size\":%d,\"lines\":%d,\"hash\":%q}\n", n.Name, n.Size, n.Lines, n.Hash)
}

// putBeside puts an object besides the output of a task: that of the attempt, and its copy.
func putBeside(s *fakeStore, lay layout.Layout, job *manifest.Job, rec *manifest.Reduce, name string, data []byte, records int) manifest.NamedOutput {
	n := manifest.NamedOutput{
		Name: name, Key: lay.NamedAttempt(rec.Task, rec.Attempt, name), Task: rec.Task,
		Size: int64(len(data)), Lines: int64(records), Hash: manifest.DigestOf(data).String(),
	}
	meta := map[string]string{manifest.MetaJob: job.ID, manifest.MetaAttempt: rec.Attempt, manifest.MetaHash: n.Hash}
	n.ETag = s.put(n.Key, data, meta).ETag
	s.put(job.NamedKey(lay, name, rec.Task), data, meta)
	return n
}

// putControl writes a control object, with the hash that lets verify find
// damage in what no other object repeats.
func putControl(t testing.TB, s *fakeStore, key string, v any) {
	t.Helper()
	data, err := manifest.Encode(v)
	if err != nil {
		t.Fatal(err)
	}
	meta := map[string]string{manifest.MetaHash: manifest.DigestOf(data).String()}
	switch rec := v.(type) {
	case *manifest.Map:
		meta[manifest.MetaJob], meta[manifest.MetaAttempt] = rec.Job, rec.Attempt
	case *manifest.Reduce:
		meta[manifest.MetaJob], meta[manifest.MetaAttempt] = rec.Job, rec.Attempt
	}
	s.put(key, data, meta)
}

// putSealed writes the summary with the seal of what is in the bucket.
func putSealed(t testing.TB, s *fakeStore, lay layout.Layout, success *manifest.Success) {
	t.Helper()
	digest := func(key string) (d manifest.Digest) {
		if o := s.objs[key]; o != nil {
			d = manifest.DigestOf(o.data)
		}
		return d
	}
	success.Sealed = manifest.Sealed{
		Job:  digest(lay.Job()).String(),
		Maps: manifest.DigestOfAll(success.Map.Tasks, func(m int) manifest.Digest { return digest(lay.MapCommit(m)) }),
		Reduces: manifest.DigestOfAll(success.Reduce.Tasks, func(r int) manifest.Digest {
			out := s.objs[lay.Output(r)]
			if out == nil {
				return manifest.Digest{}
			}
			return digest(lay.ReduceAttempt(r, out.meta[manifest.MetaAttempt]))
		}),
	}
	if s.objs[lay.Ranges()] != nil {
		success.Sealed.Ranges = digest(lay.Ranges()).String()
	}
	data, err := manifest.EncodeSealed(success)
	if err != nil {
		t.Fatal(err)
	}
	s.put(lay.Success(), data, nil)
}

// reseal seals what is in the bucket now, as a forger would; nothing where the
// job is not finished.
func reseal(t testing.TB, s *fakeStore, lay layout.Layout) {
	t.Helper()
	if s.objs[lay.Success()] == nil {
		return
	}
	v, err := manifest.Decode[manifest.Success](s.objs[lay.Success()].data, manifest.SuccessSchema)
	if err != nil {
		t.Fatal(err)
	}
	putSealed(t, s, lay, v)
}

// edit changes a control object as a forger would: with a right hash, and with
// a new seal.
func edit[T any](t testing.TB, s *fakeStore, key, schema string, f func(*T)) {
	t.Helper()
	v, err := manifest.Decode[T](s.objs[key].data, schema)
	if err != nil {
		t.Fatal(err)
	}
	f(v)
	putControl(t, s, key, v)
	root, _, _ := strings.Cut(key, "intermediate/")
	root, _, _ = strings.Cut(root, "output/")
	reseal(t, s, layout.New(root))
}
