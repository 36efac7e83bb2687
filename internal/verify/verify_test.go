package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/mr"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wordCount has a combiner, and counts its mappers.
func wordCount() mr.App {
	return mr.App{
		Name: "wc", Version: "1",
		NewMapper: func(t *mr.Task) (mr.Mapper, error) {
			t.Counters.Add("tasks", 1)
			return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
				for w := range bytes.FieldsSeq(rec.Data) {
					out.Emit(w, mr.AppendInt64(nil, 1))
				}
				return nil
			}), nil
		},
		NewReducer: mr.SumReducer,
		Combine:    mr.Sum{},

		ExactCounters: true,
	}
}

// places lists where each word stands, a line each, in input order; every
// word with a "z" has no line. Its keys hold spaces and control characters.
func places() mr.App {
	return mr.App{
		Name: "places", Version: "7", Input: mr.NumberedLines,
		Params: []mr.Param{{Name: "sep", Default: " "}},
		NewMapper: func(t *mr.Task) (mr.Mapper, error) {
			return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
				for w := range bytes.SplitSeq(rec.Data, []byte(",")) {
					t.Counters.Add("places", 1)
					out.Emit(w, fmt.Appendf(nil, "%s:%d", rec.Object, rec.Line))
				}
				return nil
			}), nil
		},
		NewReducer: func(task *mr.Task) (mr.Reducer, error) {
			return mr.ReducerFunc(func(key []byte, values iter.Seq[[]byte], out mr.Output) error {
				if bytes.Contains(key, []byte("z")) {
					task.Counters.Add("left out", 1)
					return nil
				}
				for v := range values {
					out.Write(v)
				}
				return nil
			}), nil
		},
		Partition: func(key []byte, n int) int { return len(key) % n },

		ExactCounters: true,
	}
}

// sizes maps whole objects.
func sizes() mr.App {
	return mr.App{
		Name: "sizes", Input: mr.WholeObjects,
		NewMapper: func(*mr.Task) (mr.Mapper, error) {
			return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
				out.Emit([]byte(rec.Object), strconv.AppendInt(nil, int64(len(rec.Data)), 10))
				return nil
			}), nil
		},
		NewReducer: func(*mr.Task) (mr.Reducer, error) {
			return mr.ReducerFunc(func(key []byte, values iter.Seq[[]byte], out mr.Output) error {
				for v := range values {
					out.Write(v)
					break
				}
				return nil
			}), nil
		},
	}
}

var words = map[string]string{
	"a.txt":      "the quick brown fox\njumps over\r\nthe lazy dog\n",
	"b/c.txt":    "the end\n\nno line end at the end",
	"empty.txt":  "",
	"z-last.txt": strings.Repeat("many words are here again and again\n", 40),
}

func wcJob() testJob {
	return testJob{app: wordCount(), reduces: 3, inputs: words, split: 100, prefix: "jobs/one"}
}

func placesJob() testJob {
	return testJob{app: places(), reduces: 4, params: map[string]string{"sep": "-"}, inputs: map[string]string{
		"1": "a,a b,a b c,\x01,a\x01,\n,a,,b\nzz,é\xff,b a,a",
		"2": "a b,a,a b c d\na,a,a",
	}}
}

// run verifies with the app's reference.
func run(t testing.TB, s *fakeStore, lay layout.Layout, app mr.App, opt Options) *Report {
	t.Helper()
	opt.App = app.Name
	opt.Lookup = func(name string) *mr.App {
		if name == app.Name {
			return &app
		}
		return nil
	}
	rep, err := Run(t.Context(), s, lay, opt)
	if err != nil {
		t.Fatal(err)
	}
	if s.open != 0 {
		t.Errorf("%d bodies are still open", s.open)
	}
	return rep
}

func TestIntact(t *testing.T) {
	displaced := wcJob()
	displaced.displaced = 2
	packed, packedDisplaced := wcJob(), displaced
	packed.packed, packedDisplaced.packed = true, true
	noInput := testJob{app: wordCount(), reduces: 2}
	for name, job := range map[string]testJob{
		"wc": wcJob(), "places": placesJob(), "displaced": displaced, "no input": noInput,
		"packed": packed, "packed and displaced": packedDisplaced, "packed, no input": {app: wordCount(), reduces: 2, packed: true},
		"whole objects": {app: sizes(), reduces: 2, inputs: words},
	} {
		for opts, opt := range map[string]Options{
			"default": {},
			// Spools in files, a spill for each pair, merges of two, and
			// every input streamed.
			"tight": {Memory: 200, fanIn: 2, stream: 1, Concurrency: 3},
		} {
			t.Run(name+"/"+opts, func(t *testing.T) {
				s, lay := job.build(t)
				opt.Scratch, opt.Progress = t.TempDir(), new(Progress)
				rep := run(t, s, lay, job.app, opt)
				if done, total := opt.Progress.Bytes(); done != total && job.displaced == 0 || done < total || (total == 0) != (len(job.inputs) == 0) {
					t.Errorf("%d of %d bytes were read", done, total)
				}
				if !rep.OK() {
					t.Fatalf("findings in an intact job:\n%s", show(rep))
				}
				if rep.Structure.State != OK || rep.Proof.State != OK || rep.Reference.State != OK {
					t.Errorf("not all steps were taken: %+v", rep)
				}
				if rep.Proof.Lines != rep.Reference.Lines || rep.Structure.Inputs != len(job.inputs) {
					t.Errorf("counts differ: %+v", rep)
				}
				left, err := os.ReadDir(opt.Scratch)
				if err != nil || len(left) > 0 {
					t.Errorf("temporary files are left: %v, %v", left, err)
				}
			})
		}
	}
}

func show(rep *Report) string {
	var b strings.Builder
	for _, f := range rep.Findings {
		fmt.Fprintln(&b, f)
	}
	return b.String()
}

func TestDamage(t *testing.T) {
	flip := func(b []byte) []byte { b[len(b)/2] ^= 4; return b }
	type mutation func(t *testing.T, s *fakeStore, l layout.Layout)
	rot := func(key func(layout.Layout) string, f func([]byte) []byte) mutation {
		return func(_ *testing.T, s *fakeStore, l layout.Layout) { s.rot(key(l), f) }
	}
	drop := func(key func(layout.Layout) string) mutation {
		return func(t *testing.T, s *fakeStore, l layout.Layout) {
			if s.objs[key(l)] == nil {
				t.Fatalf("no object %s", key(l))
			}
			delete(s.objs, key(l))
		}
	}
	put := func(key func(layout.Layout) string) mutation {
		return func(_ *testing.T, s *fakeStore, l layout.Layout) { s.put(key(l), []byte("x"), nil) }
	}
	job := func(f func(*manifest.Job)) mutation {
		return func(t *testing.T, s *fakeStore, l layout.Layout) { edit(t, s, l.Job(), manifest.JobSchema, f) }
	}
	commit := func(f func(*manifest.Map)) mutation {
		return func(t *testing.T, s *fakeStore, l layout.Layout) { edit(t, s, l.MapCommit(1), manifest.MapSchema, f) }
	}
	reduce := func(f func(*manifest.Reduce)) mutation {
		return func(t *testing.T, s *fakeStore, l layout.Layout) {
			edit(t, s, l.ReduceAttempt(1, "r1.1"), manifest.ReduceSchema, f)
		}
	}
	success := func(f func(*manifest.Success)) mutation {
		return func(t *testing.T, s *fakeStore, l layout.Layout) {
			edit(t, s, l.Success(), manifest.SuccessSchema, f)
		}
	}
	key := func(k string) func(layout.Layout) string {
		return func(l layout.Layout) string { return l.Prefix() + "/" + k }
	}
	packed := func(m int) func(layout.Layout) string {
		return func(l layout.Layout) string { return l.Packed(m) }
	}
	part, pack := key("intermediate/mr-1-2"), packed(1)
	out := key("output/mr-out-1")
	record := key("intermediate/_attempts/reduce-1/r1.1")
	tests := map[string]struct {
		damage mutation
		kind   Kind
		key    func(layout.Layout) string
	}{
		"job: bit flip":            {rot(layout.Layout.Job, flip), BadJob, layout.Layout.Job},
		"job: a piece is left out": {job(func(j *manifest.Job) { j.Tasks[1][0].Length-- }), BadJob, layout.Layout.Job},
		"job: negative reduces":    {job(func(j *manifest.Job) { j.NReduce = -1 }), BadJob, layout.Layout.Job},
		"job: no reduces":          {job(func(j *manifest.Job) { j.NReduce = 0 }), Foreign, key("intermediate/_commit/map-0")},
		"job: more reduces":        {job(func(j *manifest.Job) { j.NReduce++ }), BadRecord, key("intermediate/_commit/map-0")},
		"job: fewer reduces":       {job(func(j *manifest.Job) { j.NReduce-- }), Foreign, key("output/mr-out-2")},
		"job: another id":          {job(func(j *manifest.Job) { j.ID = "wc-2" }), Foreign, out},
		"job: unknown parameter":   {job(func(j *manifest.Job) { j.App.Params = map[string]string{"x": "y"} }), BadJob, layout.Layout.Job},
		"job: other schema":        {job(func(j *manifest.Job) { j.Schema = "mraws/job/v2" }), BadJob, layout.Layout.Job},

		"commit: dropped":          {drop(key("intermediate/_commit/map-1")), Missing, key("intermediate/_commit/map-1")},
		"commit: bit flip":         {rot(key("intermediate/_commit/map-1"), flip), BadRecord, key("intermediate/_commit/map-1")},
		"commit: of another job":   {commit(func(m *manifest.Map) { m.Job = "x" }), BadRecord, key("intermediate/_commit/map-1")},
		"commit: of another task":  {commit(func(m *manifest.Map) { m.Task = 2 }), BadRecord, key("intermediate/_commit/map-1")},
		"commit: a part too few":   {commit(func(m *manifest.Map) { m.Parts = m.Parts[1:] }), BadRecord, key("intermediate/_commit/map-1")},
		"commit: parts swapped":    {commit(func(m *manifest.Map) { m.Parts[0], m.Parts[1] = m.Parts[1], m.Parts[0] }), BadRecord, key("intermediate/_commit/map-1")},
		"commit: bad hash":         {commit(func(m *manifest.Map) { m.Parts[0].Hash = "xyz" }), BadRecord, key("intermediate/_commit/map-1")},
		"commit: other hash":       {commit(func(m *manifest.Map) { m.Parts[2].Hash = m.Parts[1].Hash }), BadSum, part},
		"commit: other size":       {commit(func(m *manifest.Map) { m.Parts[2].Size++ }), Replaced, part},
		"commit: other etag":       {commit(func(m *manifest.Map) { m.Parts[2].ETag = `"x"` }), Replaced, part},
		"commit: altered count":    {commit(func(m *manifest.Map) { m.Parts[2].Sum.Records++ }), BadSum, part},
		"commit: altered checksum": {commit(func(m *manifest.Map) { m.Parts[2].Sum.Hash++ }), BadSum, part},
		"commit: altered bytes":    {commit(func(m *manifest.Map) { m.Parts[2].Sum.Bytes++ }), BadSum, part},
		"commit: emitted too few":  {commit(func(m *manifest.Map) { m.Emitted = 0 }), BadRecord, key("intermediate/_commit/map-1")},
		"commit: input records":    {commit(func(m *manifest.Map) { m.Input.Records++ }), BadSum, key("intermediate/_commit/map-1")},
		"commit: counters":         {commit(func(m *manifest.Map) { m.Counters["tasks"]++ }), BadSummary, layout.Layout.Success},
		"commit: too many":         {put(key("intermediate/_commit/map-99")), Foreign, key("intermediate/_commit/map-99")},

		"partition: dropped":      {drop(part), Missing, part},
		"partition: bit flip":     {rot(part, flip), Corrupt, part},
		"partition: truncated":    {rot(part, func(b []byte) []byte { return b[:len(b)-9] }), Corrupt, part},
		"partition: empty":        {rot(part, func(b []byte) []byte { return nil }), Corrupt, part},
		"partition: rewritten":    {put(part), Replaced, part},
		"partition: foreign":      {put(key("intermediate/mr-1-3")), Foreign, key("intermediate/mr-1-3")},
		"partition: foreign map":  {put(key("intermediate/mr-77-0")), Foreign, key("intermediate/mr-77-0")},
		"partition: strange name": {put(key("intermediate/mr-x")), Foreign, key("intermediate/mr-x")},
		"partition: of another":   {exchange(part, key("intermediate/mr-1-1")), BadSum, part},
		"partition: unsorted":     {rewritePart(func(p []pair) []pair { p[0], p[1] = p[1], p[0]; return p }), Unsorted, part},
		"partition: a key that belongs elsewhere": {
			rewritePart(func(p []pair) []pair { return insertStray(p, 2) }), WrongPartition, part},
		"partition: a record more, record adapted": {
			rewritePart(func(p []pair) []pair { return append(p[:1:1], p...) }), BadSum, key("intermediate/_attempts/reduce-2/r2.1")},

		"packed: dropped":              {drop(pack), Missing, pack},
		"packed: rewritten":            {put(pack), Replaced, pack},
		"packed: bit flip":             {rot(pack, flip), Corrupt, pack},
		"packed: empty":                {rot(pack, func(b []byte) []byte { return nil }), Replaced, pack},
		"packed: foreign map":          {put(packed(77)), Foreign, packed(77)},
		"packed: as it was once":       {put(key("intermediate/mr-2")), Foreign, key("intermediate/mr-2")},
		"packed: in another folder":    {put(key("intermediate/00/mr-2")), Foreign, key("intermediate/00/mr-2")},
		"packed: a plain name":         {put(part), Foreign, part},
		"partition: a packed name":     {put(pack), Foreign, pack},
		"packed: of another":           {exchange(pack, packed(3)), Replaced, pack},
		"packed: commit, other bounds": {commit(func(m *manifest.Map) { m.Parts[1].Offset++ }), BadRecord, key("intermediate/_commit/map-1")},
		"packed: commit, other key":    {commit(func(m *manifest.Map) { m.Packed.Key = "x" }), BadRecord, key("intermediate/_commit/map-1")},
		"packed: commit, other etag":   {commit(func(m *manifest.Map) { m.Packed.ETag = `"x"` }), Replaced, pack},
		"packed: commit, bad hash": {commit(func(m *manifest.Map) { m.Parts[0].Hash = "x"; m.Packed.Hash = manifest.PackedHash(m.Parts) }),
			BadRecord, key("intermediate/_commit/map-1")},
		"packed: commit, other hash": {commit(func(m *manifest.Map) {
			m.Parts[0].Hash = m.Parts[1].Hash
			m.Packed.Hash = manifest.PackedHash(m.Parts)
		}), BadSum, pack},
		"packed: commit of plain ones": {commit(func(m *manifest.Map) { m.Packed = nil }), BadRecord, key("intermediate/_commit/map-1")},

		"output: dropped":      {drop(out), Missing, out},
		"output: bit flip":     {rot(out, flip), BadOutput, out},
		"output: truncated":    {rot(out, func(b []byte) []byte { return b[:len(b)-3] }), BadOutput, out},
		"output: line dropped": {rot(out, editLines(func(l []string) []string { return l[1:] })), Mismatch, out},
		"output: lines swapped": {rot(out, editLines(func(l []string) []string { l[0], l[1] = l[1], l[0]; return l })),
			Unsorted, out},
		"output: unknown key":    {rot(out, editLines(func(l []string) []string { return slices.Insert(l, 1, strings.Fields(l[0])[0]+"x 1") })), ForeignLine, out},
		"output: no key at all":  {rot(out, editLines(func(l []string) []string { return append(l, "~") })), ForeignLine, out},
		"output: another value":  {rot(out, editLines(func(l []string) []string { l[1] += "0"; return l })), Mismatch, out},
		"output: of another job": {func(_ *testing.T, s *fakeStore, l layout.Layout) { s.objs[out(l)].meta[manifest.MetaJob] = "x" }, Foreign, out},
		"output: no attempt":     {func(_ *testing.T, s *fakeStore, l layout.Layout) { delete(s.objs[out(l)].meta, manifest.MetaAttempt) }, BadRecord, out},
		"output: other hash in metadata": {func(_ *testing.T, s *fakeStore, l layout.Layout) { s.objs[out(l)].meta[manifest.MetaHash] = "x" },
			Replaced, out},
		"output: foreign part":  {put(key("output/mr-out-3")), Foreign, key("output/mr-out-3")},
		"output: foreign name":  {put(key("output/part-00000")), Foreign, key("output/part-00000")},
		"output: foreign index": {put(key("output/mr-out-01")), Foreign, key("output/mr-out-01")},

		"reduce: record dropped":     {drop(record), Missing, record},
		"reduce: record damaged":     {rot(record, flip), BadRecord, record},
		"reduce: of another job":     {reduce(func(r *manifest.Reduce) { r.Job = "x" }), BadRecord, record},
		"reduce: of another task":    {reduce(func(r *manifest.Reduce) { r.Task = 0 }), BadRecord, record},
		"reduce: of another attempt": {reduce(func(r *manifest.Reduce) { r.Attempt = "r1.2" }), BadRecord, record},
		"reduce: of another output":  {reduce(func(r *manifest.Reduce) { r.Output.Key = "x" }), BadRecord, record},
		"reduce: altered count":      {reduce(func(r *manifest.Reduce) { r.Read.Records-- }), BadSum, record},
		"reduce: altered checksum":   {reduce(func(r *manifest.Reduce) { r.Read.Hash-- }), BadSum, record},
		"reduce: altered keys":       {reduce(func(r *manifest.Reduce) { r.Keys++ }), BadSum, record},
		"reduce: altered lines":      {reduce(func(r *manifest.Reduce) { r.Output.Lines++ }), BadOutput, out},
		"reduce: altered size":       {reduce(func(r *manifest.Reduce) { r.Output.Size++ }), Replaced, out},
		"reduce: altered hash":       {reduce(func(r *manifest.Reduce) { r.Output.Hash = strings.Repeat("0", 64) }), BadOutput, out},

		"success: dropped":       {drop(layout.Layout.Success), Missing, layout.Layout.Success},
		"success: bit flip":      {rot(layout.Layout.Success, flip), BadSummary, layout.Layout.Success},
		"success: other job":     {success(func(s *manifest.Success) { s.Job = "x" }), BadSummary, layout.Layout.Success},
		"success: other app":     {success(func(s *manifest.Success) { s.App.Version = "2" }), BadSummary, layout.Layout.Success},
		"success: nreduce":       {success(func(s *manifest.Success) { s.NReduce++ }), BadSummary, layout.Layout.Success},
		"success: map tasks":     {success(func(s *manifest.Success) { s.Map.Tasks++ }), BadSummary, layout.Layout.Success},
		"success: reduce tasks":  {success(func(s *manifest.Success) { s.Reduce.Tasks++ }), BadSummary, layout.Layout.Success},
		"success: input":         {success(func(s *manifest.Success) { s.Input.Bytes++ }), BadSummary, layout.Layout.Success},
		"success: emitted":       {success(func(s *manifest.Success) { s.Emitted++ }), BadSummary, layout.Layout.Success},
		"success: shuffled":      {success(func(s *manifest.Success) { s.Shuffled.Hash++ }), BadSum, layout.Layout.Success},
		"success: read":          {success(func(s *manifest.Success) { s.Read.Records++ }), BadSum, layout.Layout.Success},
		"success: skew":          {success(func(s *manifest.Success) { s.Skew = nil }), BadSummary, layout.Layout.Success},
		"success: keys":          {success(func(s *manifest.Success) { s.Keys++ }), BadSummary, layout.Layout.Success},
		"success: outputs":       {success(func(s *manifest.Success) { s.Outputs[0].Lines++ }), BadSummary, layout.Layout.Success},
		"success: a counter":     {success(func(s *manifest.Success) { s.Counters["tasks"]++ }), BadSummary, layout.Layout.Success},
		"success: a new counter": {success(func(s *manifest.Success) { s.Counters["x"]++ }), BadSummary, layout.Layout.Success},

		"input: changed":   {put(key("input/a.txt")), InputChanged, key("input/a.txt")},
		"input: gone":      {drop(key("input/b/c.txt")), InputChanged, key("input/b/c.txt")},
		"input: last gone": {drop(key("input/z-last.txt")), InputChanged, key("input/z-last.txt")},
		"input: rotten":    {rot(key("input/a.txt"), func(b []byte) []byte { b[0] ^= 1; return b }), Mismatch, key("output/mr-out-2")},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			j := wcJob()
			j.packed = strings.HasPrefix(name, "packed: ")
			s, lay := j.build(t)
			tt.damage(t, s, lay)
			rep := run(t, s, lay, j.app, Options{Scratch: t.TempDir()})
			for _, f := range rep.Findings {
				if f.Kind == tt.kind && f.Key == tt.key(lay) {
					return
				}
			}
			t.Errorf("no finding %s: %s among\n%s", tt.kind, tt.key(lay), show(rep))
		})
	}
}

// exchange swaps the contents of two objects and keeps their ETags.
func exchange(a, b func(layout.Layout) string) func(*testing.T, *fakeStore, layout.Layout) {
	return func(_ *testing.T, s *fakeStore, l layout.Layout) {
		x, y := s.objs[a(l)], s.objs[b(l)]
		x.data, y.data = y.data, x.data
	}
}

// rewritePart changes partition 2 of map task 1 and adapts its commit record.
func rewritePart(f func([]pair) []pair) func(*testing.T, *fakeStore, layout.Layout) {
	return func(t *testing.T, s *fakeStore, l layout.Layout) {
		var pairs []pair
		rd := recordio.NewReader(bytes.NewReader(s.objs[l.Partition(1, 2)].data))
		for rd.Next() {
			pairs = append(pairs, pair{slices.Clone(rd.Key()), slices.Clone(rd.Value())})
		}
		data, sum := segmentOf(t, f(pairs))
		o := s.put(l.Partition(1, 2), data, nil)
		edit(t, s, l.MapCommit(1), manifest.MapSchema, func(m *manifest.Map) {
			m.Parts[2] = manifest.Part{Key: o.Key, ETag: o.ETag, Size: o.Size, Hash: fmt.Sprintf("%x", sum.Hash), Sum: sum.Sum}
			m.Emitted += 100
		})
	}
}

// TestPackedFinding: what is wrong in a packed object names the map task and
// the partition, and only those that are damaged.
func TestPackedFinding(t *testing.T) {
	j := wcJob()
	j.packed = true
	s, lay := j.build(t)
	rec, err := manifest.Decode[manifest.Map](s.objs[lay.MapCommit(1)].data, manifest.MapSchema)
	if err != nil {
		t.Fatal(err)
	}
	p := rec.Parts[1]
	s.rot(lay.Packed(1), func(b []byte) []byte { b[p.Offset+p.Size/2] ^= 4; return b })
	rep := run(t, s, lay, j.app, Options{Scratch: t.TempDir()})
	var found []Finding
	for _, f := range rep.Findings {
		if f.Key == lay.Packed(1) {
			found = append(found, f)
		}
	}
	if len(found) != 1 || found[0].Kind != Corrupt || !strings.HasPrefix(found[0].Detail, "partition 1 of map task 1: ") {
		t.Errorf("found\n%s", show(rep))
	}
}

// insertStray adds a key that does not belong into partition r of 3.
func insertStray(pairs []pair, r int) []pair {
	for i := 0; ; i++ {
		key := fmt.Appendf(slices.Clone(pairs[0].key), "%d", i)
		if mr.Partition(key, 3) != r {
			return slices.Insert(pairs, 1, pair{key, mr.AppendInt64(nil, 1)})
		}
	}
}

func editLines(f func([]string) []string) func([]byte) []byte {
	return func(b []byte) []byte {
		lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
		return []byte(strings.Join(f(lines), "\n") + "\n")
	}
}

// TestFlip flips a random bit, or writes a random byte, anywhere in the
// bucket: no object may hide it. Inputs are pinned by their ETags, so there
// the damage is a rewrite.
func TestFlip(t *testing.T) {
	packed := wcJob()
	packed.packed, packed.displaced = true, 2
	for _, j := range []testJob{wcJob(), placesJob(), packed} {
		whole, lay := j.build(t)
		dir := t.TempDir()
		rapid.Check(t, func(rt *rapid.T) {
			s := whole.clone()
			keys := []string{}
			for k, o := range s.objs {
				if len(o.data) > 0 {
					keys = append(keys, k)
				}
			}
			slices.Sort(keys)
			key := rapid.SampledFrom(keys).Draw(rt, "key")
			at := rapid.IntRange(0, len(s.objs[key].data)-1).Draw(rt, "at")
			mask := byte(rapid.IntRange(1, 255).Draw(rt, "mask"))
			flip := func(b []byte) []byte { b[at] ^= mask; return b }
			if _, ok := lay.InputName(key); ok {
				data := flip(slices.Clone(s.objs[key].data))
				s.put(key, data, nil)
			} else {
				s.rot(key, flip)
			}
			if rep := run(t, s, lay, j.app, Options{Scratch: dir}); rep.OK() {
				rt.Fatalf("byte %d of %s with mask %#x: nothing found", at, key, mask)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	j := wcJob()
	s, lay := j.build(t)
	app := j.app
	newer := j.app
	newer.Version = "2"
	lookup := func(a *mr.App) func(string) *mr.App {
		return func(name string) *mr.App {
			if a != nil && name == a.Name {
				return a
			}
			return nil
		}
	}
	broken := errors.New("no route to host")
	failing := s.clone()
	failing.fail = broken
	cancelled, cancel := context.WithCancelCause(t.Context())
	cancel(broken)
	tests := map[string]struct {
		ctx   context.Context
		store *fakeStore
		lay   layout.Layout
		opt   Options
		want  string
	}{
		"no job":        {t.Context(), s, layout.New("other"), Options{}, `no job under prefix "other": there is no other/intermediate/_job.json`},
		"no job, root":  {t.Context(), s, layout.Layout{}, Options{}, "no job at the root of the bucket: there is no intermediate/_job.json"},
		"other app":     {t.Context(), s, lay, Options{App: "indexer", Lookup: lookup(&app)}, `the job's app is "wc", not "indexer"`},
		"other version": {t.Context(), s, lay, Options{App: "wc", Lookup: lookup(&newer)}, `the job's version of app wc is "1", not "2"`},
		"unknown app":   {t.Context(), s, lay, Options{App: "wc"}, `this binary has no app "wc"`},
		"no scratch":    {t.Context(), s, lay, Options{Scratch: "/does/not/exist"}, "make a temporary file"},
		"store":         {t.Context(), failing, lay, Options{}, "no route to host"},
		"cancelled":     {cancelled, s, lay, Options{}, "context canceled"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.opt.Scratch == "" {
				tt.opt.Scratch = t.TempDir()
			}
			rep, err := Run(tt.ctx, tt.store, tt.lay, tt.opt)
			if rep != nil || err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Run = %v, %v, want %s", rep, err, tt.want)
			}
		})
	}
}

// TestUnreadable: what the store itself knows to be damaged, or what vanishes
// after it was listed, is a finding; any other error ends the verification.
func TestUnreadable(t *testing.T) {
	j := wcJob()
	j.displaced = 2
	whole, lay := j.build(t)
	keys := map[string]Kind{
		lay.Job(): BadJob, lay.MapCommit(0): BadRecord, lay.ReduceAttempt(1, "r1.1"): BadRecord, lay.Success(): BadSummary,
		lay.Partition(0, 0): Corrupt, lay.Partition(1, 0): Corrupt, lay.MapAttempt(1, "m1.1", 0): Corrupt,
		lay.Output(2): Corrupt, lay.Input("a.txt"): Corrupt, lay.Input("z-last.txt"): Corrupt,
	}
	for key, damaged := range keys {
		for name, tt := range map[string]struct {
			err  error
			kind Kind
		}{
			"damaged": {object.ErrDamaged, damaged},
			"changed": {object.ErrPrecondition, Replaced},
			"refused": {fs.ErrPermission, ""},
		} {
			t.Run(name+" "+key, func(t *testing.T) {
				s := whole.clone()
				s.read[key] = fmt.Errorf("get %s: %w", key, tt.err)
				app := j.app
				rep, err := Run(t.Context(), s, lay, Options{
					App: "wc", Lookup: func(string) *mr.App { return &app }, Scratch: t.TempDir(), stream: 100,
				})
				if s.open != 0 {
					t.Errorf("%d bodies are still open", s.open)
				}
				if _, ok := lay.InputName(key); ok && tt.kind == Replaced {
					tt.kind = InputChanged
				}
				control := damaged == BadJob || damaged == BadRecord || damaged == BadSummary
				if tt.kind == "" || name == "changed" && control { // these are not pinned
					if !errors.Is(err, tt.err) {
						t.Errorf("Run: %v, want %v", err, tt.err)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if !slices.ContainsFunc(rep.Findings, func(f Finding) bool { return f.Kind == tt.kind && f.Key == key }) {
					t.Errorf("no finding %s: %s among\n%s", tt.kind, key, show(rep))
				}
			})
		}
	}
}

// TestCancel ends the context at every request in turn: Run returns its
// cause and leaves neither files nor bodies nor, as TestMain sees, goroutines.
func TestCancel(t *testing.T) {
	j := wcJob()
	whole, lay := j.build(t)
	stop := errors.New("stop")
	for n := 1; ; n++ {
		s := whole.clone()
		dir := t.TempDir()
		ctx, cancel := context.WithCancelCause(t.Context())
		done := s.after(n, func() { cancel(stop) })
		_, err := Run(ctx, s, lay, Options{App: "wc", Lookup: func(string) *mr.App { return &j.app }, Scratch: dir, stream: 100, Concurrency: 2})
		cancel(nil)
		if s.open != 0 {
			t.Errorf("request %d: %d bodies are still open", n, s.open)
		}
		if left, rerr := os.ReadDir(dir); rerr != nil || len(left) > 0 {
			t.Errorf("request %d: temporary files are left: %v, %v", n, left, rerr)
		}
		if !done() {
			if err != nil || n < 20 {
				t.Errorf("after %d requests: %v", n, err)
			}
			return
		}
		if !errors.Is(err, stop) && !errors.Is(err, context.Canceled) {
			// The last requests may be answered before anybody looks.
			if err != nil || n < 20 {
				t.Errorf("request %d: %v", n, err)
			}
		}
	}
}

// TestUnknownApp checks structure and proof without the code of the app.
func TestUnknownApp(t *testing.T) {
	j := placesJob()
	s, lay := j.build(t)
	rep, err := Run(t.Context(), s, lay, Options{Scratch: t.TempDir()})
	if err != nil || !rep.OK() || rep.Proof.State != OK || rep.Reference.State != Skipped || len(rep.Notes) != 1 {
		t.Errorf("Run = %+v, %v", rep, err)
	}
	j.app.Version = "8"
	rep, err = Run(t.Context(), s, lay, Options{Scratch: t.TempDir(), Lookup: func(string) *mr.App { return &j.app }})
	if err != nil || !rep.OK() || len(rep.Notes) != 2 {
		t.Errorf("Run with another version = %+v, %v", rep, err)
	}
}

// TestUnread: an input that was there before the job and that the job did
// not read is found; one that came later is no fault of the job's.
func TestUnread(t *testing.T) {
	j := wcJob()
	s, lay := j.build(t)
	planned := time.Unix(1e9, 0)
	s.objs[lay.Job()].when = planned
	for i, late := range []time.Duration{-time.Hour, -planning - time.Second, -planning, 0, time.Hour} {
		name := lay.Input("more" + strconv.Itoa(i))
		s.put(name, nil, nil)
		s.objs[name].when = planned.Add(late)
	}
	rep := run(t, s, lay, j.app, Options{Scratch: t.TempDir()})
	var got []string
	for _, f := range rep.Findings {
		if f.Kind == Unread {
			got = append(got, f.Key)
		}
	}
	if d := cmp.Diff([]string{lay.Input("more0"), lay.Input("more1")}, got); d != "" || len(rep.Findings) != 2 || len(rep.Notes) != 1 {
		t.Errorf("%s\n%s", d, show(rep))
	}
	if rep.Reference.State != OK {
		t.Errorf("reference = %+v", rep.Reference)
	}
}

// TestNoInputOfTheJob: objects that a job passes over are not missed, but one
// with the name of a folder and with bytes is.
func TestNoInputOfTheJob(t *testing.T) {
	for _, named := range []bool{false, true} {
		j := wcJob()
		s, lay := j.build(t)
		edit(t, s, lay.Job(), manifest.JobSchema, func(job *manifest.Job) { job.Named = named })
		planned := time.Unix(1e9, 0)
		s.objs[lay.Job()].when = planned
		for _, name := range []string{"_SUCCESS", ".x.crc", "d/_y", "d/"} {
			s.put(lay.Input(name), nil, nil)
			s.objs[lay.Input(name)].when = planned.Add(-time.Hour)
		}
		want := map[bool][]string{true: nil, false: {lay.Input("e/"), lay.Input("more")}}[named]
		for _, name := range []string{"e/", "more"} {
			s.put(lay.Input(name), []byte("x"), nil)
			s.objs[lay.Input(name)].when = planned.Add(-time.Hour)
		}
		rep := run(t, s, lay, j.app, Options{Scratch: t.TempDir()})
		var got []string
		for _, f := range rep.Findings {
			got = append(got, f.Key)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("named %v: %s\n%s", named, d, show(rep))
		}
	}
}

// TestIncomplete: what is missing is said, and nothing else is wrong.
func TestIncomplete(t *testing.T) {
	j := wcJob()
	s, lay := j.build(t)
	for _, key := range []string{lay.Success(), lay.Output(0), lay.Output(2), lay.MapCommit(3)} {
		delete(s.objs, key)
	}
	rep := run(t, s, lay, j.app, Options{Scratch: t.TempDir()})
	for _, f := range rep.Findings {
		if f.Kind != Missing {
			t.Errorf("finding %s", f)
		}
	}
	last := rep.Findings[len(rep.Findings)-1].Detail
	if want := fmt.Sprintf("%d of %d map and 1 of 3 reduce tasks", rep.Maps-1, rep.Maps); rep.Finished || !strings.Contains(last, want) {
		t.Errorf("%s\nwant %q", show(rep), want)
	}
	if rep.Reference.State != Skipped || rep.Reference.Why != "the job is not finished" {
		t.Errorf("reference = %+v", rep.Reference)
	}
}
