package verify

import (
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// listIntermediate compares what lies below intermediate/ with what the
// commit records name.
func (a *audit) listIntermediate(ctx context.Context) error {
	var find finder
	var left []leftover
	shipped := a.newCode()
	elsewhere := make(map[string]*stored) // objects under _attempts/
	for i := range a.objs {
		if o := &a.objs[i]; o.known && o.key != "" {
			elsewhere[o.key] = o
		}
	}
	for obj, err := range a.store.List(ctx, a.lay.IntermediateDir()) {
		if err != nil {
			return err
		}
		if o := a.plainly(obj.Key); o != nil {
			switch {
			case o.none:
				left = append(left, leftover{key: obj.Key})
			case o.known && o.key == "":
				if err := a.seen(ctx, o, obj, &find); err != nil {
					return err
				}
			case o.known:
				o.plain, o.copied = true, obj.Size == o.size
				if !o.copied {
					find.add(Replaced, obj.Key, "it is not a copy of the committed %s", o.key)
				}
			}
			continue
		}
		if shipped.see(obj.Key) {
			continue
		}
		if o := elsewhere[obj.Key]; o != nil {
			if err := a.seen(ctx, o, obj, &find); err != nil {
				return err
			}
		} else if l, ok := a.others(obj, &find); ok {
			left = append(left, l)
		}
	}
	a.countObjects(&find)
	st := &a.rep.Structure
	for _, m := range a.maps {
		if m != nil {
			st.Commits++
			st.InputRecords += m.input.Records
		}
	}
	a.rep.take(&find)
	if err := a.checkCode(ctx, shipped); err != nil {
		return err
	}
	return a.checkLeft(ctx, left)
}

// plainly returns the object whose plain name key is, nil if it is of none.
func (c *committed) plainly(key string) *stored {
	m, r, ok := 0, 0, false
	if c.packed() {
		m, ok = c.lay.ParsePacked(key)
	} else {
		m, r, ok = c.lay.ParsePartition(key)
	}
	if !ok || m >= c.job.Maps() || r >= c.job.NReduce {
		return nil
	}
	return c.obj(m, r)
}

// countObjects counts what the listing had, and finds what it had not.
func (a *audit) countObjects(find *finder) {
	each := len(a.segs) / max(len(a.objs), 1) // segments in an object
	for i := range a.objs {
		o := &a.objs[i]
		m, r := i*each/a.job.NReduce, i*each%a.job.NReduce
		switch {
		case o.found, o.none && o.known:
			a.rep.Structure.Partitions += each
			a.rep.Structure.PartBytes += o.size
			if o.key != "" && !o.plain {
				find.add(Missing, a.plainKey(m, r), "it must be a copy of the committed %s", o.key)
			}
		case o.known && a.packed():
			find.add(Missing, a.segKey(m, r), "the %d partitions of map task %d, which has committed", each, m)
		case o.known:
			find.add(Missing, a.segKey(m, r), "partition %d of map task %d, which has committed", r, m)
		}
	}
}

// seen compares the listing of an object with its record. One that was lost
// and restored is another version and says in its metadata that it has the
// hash of the record, which the proof holds it to. What follows works on the
// object as it is.
func (a *audit) seen(ctx context.Context, o *stored, obj object.Info, find *finder) error {
	if o.size != obj.Size || o.etag != obj.ETag {
		etag, err := a.restored(ctx, obj.Key, hex.EncodeToString(o.hash[:]))
		if err != nil {
			return err
		}
		switch {
		case a.packed() && o.size != obj.Size: // nobody knows where in it the partitions are
			find.add(Replaced, obj.Key, "it has %d bytes, its commit record says %d", obj.Size, o.size)
			o.known = false
			return nil
		case etag == obj.ETag:
		case o.size != obj.Size:
			find.add(Replaced, obj.Key, "it has %d bytes, its commit record says %d", obj.Size, o.size)
		default:
			find.add(Replaced, obj.Key, "it has the ETag %s, its commit record says %s", obj.ETag, o.etag)
		}
	}
	o.size, o.etag, o.found = obj.Size, obj.ETag, true
	return nil
}

// leftover is an object that an attempt which did not commit may have left: in
// the place of partitions that have no records, or of a list of which nothing
// was skipped, or, if attempt is not "", under a name of its own. Nobody reads
// it.
type leftover struct{ key, attempt string }

// checkLeft looks who wrote what is left.
func (a *audit) checkLeft(ctx context.Context, left []leftover) error {
	return a.each(ctx, a.opt.Concurrency, len(left), func(ctx context.Context, i int, find *finder) error {
		l := left[i]
		info, err := a.store.Stat(ctx, l.key)
		switch by := info.Meta[manifest.MetaAttempt]; {
		case errors.Is(err, fs.ErrNotExist):
			return nil // it was there a moment ago
		case err != nil:
			return err
		case info.Meta[manifest.MetaJob] != a.job.ID, l.attempt != "" && by != l.attempt:
			find.add(Foreign, l.key, "no task of this job writes it")
		}
		return nil
	})
}

// restored returns the version of an object that says that it was lost and
// has the hash that its record names; "" for any other.
func (a *audit) restored(ctx context.Context, key, hash string) (etag string, err error) {
	info, err := a.store.Stat(ctx, key)
	if err != nil {
		return "", err
	}
	if m := info.Meta; m[manifest.MetaRestored] == "" || m[manifest.MetaJob] != a.job.ID || m[manifest.MetaHash] != hash {
		return "", nil
	}
	return info.ETag, nil
}

// others judges an object below intermediate/ that holds no partitions which
// count. One that only an attempt which did not commit can have written is
// returned.
func (c *committed) others(obj object.Info, find *finder) (l leftover, ok bool) {
	key := obj.Key
	if m, ok := c.lay.ParseMapCommit(key); ok && m < c.job.Maps() {
		return l, false
	}
	switch {
	case key == c.lay.Job(), key == c.lay.Coordinator(), key == c.lay.Ranges(), placeholder(obj),
		strings.HasPrefix(key, c.lay.SideDir()), strings.HasPrefix(key, c.lay.PreflightDir()):
		return l, false
	}
	if r, attempt, name, ok := c.lay.ParseNamedAttempt(key); ok && r < c.job.Outputs() {
		if _, declared := c.job.NamedFormat(name); declared {
			return leftover{key, attempt}, c.reduces[r] == nil || c.reduces[r].attempt != attempt
		}
	}
	if _, ok := c.lay.ParseEvents(key); ok {
		return l, false // the event log tells of the job, and is no part of its result
	}
	reduce, task, attempt, part, ok := c.lay.ParseAttempt(key)
	switch {
	case !ok, reduce && task >= c.job.Outputs(), !reduce && task >= len(c.job.Tasks), part >= c.job.NReduce,
		!reduce && c.job.MapOnly() && key != c.lay.MapAttemptBad(task, attempt):
		find.add(Foreign, key, "no task of this job writes it")
		return l, false
	case reduce && c.reduces[task] != nil && c.reduces[task].attempt == attempt:
		return l, false
	case !reduce && c.maps[task] != nil && c.maps[task].bad != nil && c.maps[task].bad.Key == key:
		return l, false
	}
	return leftover{key, attempt}, true
}

// placeholder tells whether an object stands for a folder, as some tools make
// them.
func placeholder(obj object.Info) bool { return obj.Size == 0 && strings.HasSuffix(obj.Key, "/") }

// listOutput finds what is foreign below output/.
func (a *audit) listOutput(ctx context.Context) error {
	var find finder
	lists := map[int]bool{} // of bad records
	dirs := []string{a.lay.OutputDir()}
	if a.lay.OutputBucket() != "" {
		dirs = append(dirs, a.lay.OwnOutputDir())
	}
	for _, dir := range dirs {
		for obj, err := range a.store.List(ctx, dir) {
			if err != nil {
				return err
			}
			r, ok := a.lay.ParseOutput(obj.Key)
			if ok && r < a.job.Outputs() || obj.Key == a.lay.Success() || placeholder(obj) || len(dirs) > 1 && obj.Key == a.lay.Owner() {
				continue
			}
			if a.seeNamed(obj, &find) {
				continue
			}
			if m, ok := a.lay.ParseBad(obj.Key); ok && m < len(a.job.Tasks) && !a.job.MaxBad.IsZero() {
				lists[m] = true
				continue
			}
			find.add(Foreign, obj.Key, "no task of this job writes it")
		}
	}
	for r, rec := range a.reduces {
		if rec != nil {
			a.rep.Structure.Outputs++
			a.rep.Structure.OutputBytes += a.outputs[r].Size
		}
	}
	a.missNamed(&find)
	a.rep.take(&find)
	return a.listBad(ctx, lists)
}

// inputCheck compares the input with what the job read.
type inputCheck struct {
	a       *audit
	find    finder
	planned time.Time // when the job's spec was stored, zero until needed
}

// list compares the inputs with the versions that the job pinned. Those in
// other places are looked at one by one, since nobody knows what else there is
// for the job.
func (in *inputCheck) list(ctx context.Context) error {
	var unread finder
	var own, elsewhere []manifest.Object
	for _, o := range in.a.job.Objects {
		if o.Bucket == "" {
			own = append(own, o)
		} else {
			elsewhere = append(elsewhere, o)
		}
	}
	if err := in.lookElsewhere(ctx, elsewhere); err != nil {
		return err
	}
	next, others := 0, 0
	gone := func(until string) { // what the listing has passed over
		for ; next < len(own) && own[next].Name < until; next++ {
			in.find.add(InputChanged, own[next].At(in.a.lay), "it is gone: the reference cannot be compared")
		}
	}
	for obj, err := range in.a.store.List(ctx, in.a.lay.InputDir()) {
		if err != nil {
			return err
		}
		name, ok := in.a.lay.InputName(obj.Key)
		if !ok && (obj.Size == 0 || in.a.job.Named) {
			continue // the placeholder of a folder
		}
		gone(name)
		if next == len(own) || own[next].Name != name {
			if in.a.job.Named || len(elsewhere) > 0 || hidden(name) {
				continue // no input of this job, whenever it came
			}
			missed, err := in.missed(ctx, obj)
			switch {
			case err != nil:
				return err
			case missed:
				unread.add(Unread, obj.Key, "the job did not read it, though it is older than the job: the listing omitted it, or it was written during the listing")
			default:
				others++
			}
			continue
		}
		in.compare(own[next], obj)
		next++
	}
	for ; next < len(own); next++ {
		in.find.add(InputChanged, own[next].At(in.a.lay), "it is gone: the reference cannot be compared")
	}
	if others > 0 {
		in.a.rep.note("%d objects under %s are newer than the job and not part of it", others, in.a.lay.InputDir())
	}
	in.a.changed = in.find.found
	in.a.rep.take(&in.find)
	in.a.rep.take(&unread)
	return nil
}

// compare compares an input with the version that the job pinned.
func (in *inputCheck) compare(o manifest.Object, now object.Info) {
	if o.ETag != now.ETag || o.Size != now.Size {
		in.find.add(InputChanged, o.At(in.a.lay), "the job read %d bytes with ETag %s, now it is %d bytes with ETag %s: the reference cannot be compared",
			o.Size, o.ETag, now.Size, now.ETag)
		return
	}
	in.a.rep.Structure.Inputs++
	in.a.rep.Structure.InputBytes += o.Size
}

// lookElsewhere compares inputs that lie elsewhere.
func (in *inputCheck) lookElsewhere(ctx context.Context, objects []manifest.Object) error {
	found := make([]object.Info, len(objects))
	if err := in.a.each(ctx, in.a.opt.Concurrency, len(objects), func(ctx context.Context, n int, _ *finder) error {
		from, err := in.a.source(ctx, objects[n])
		if err == nil {
			found[n], err = from.Stat(ctx, objects[n].Key)
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	}); err != nil {
		return err
	}
	for n, o := range objects {
		if found[n].ETag == "" {
			in.find.add(InputChanged, o.At(in.a.lay), "it is gone: the reference cannot be compared")
			continue
		}
		in.compare(o, found[n])
	}
	return nil
}

// hidden tells whether a job that names no objects passes over this one: the
// last element of its name begins with "_" or ".".
func hidden(name string) bool {
	_, last := path.Split(name)
	return strings.HasPrefix(last, "_") || strings.HasPrefix(last, ".")
}

// planning is how much older than the job's spec an input must be to have
// been there when the job was planned. Both times are the store's, in whole
// seconds.
const planning = 2 * time.Second

// missed tells whether an input that is not part of the job should be: a
// store that leaves pages of a listing out shows in nothing else.
func (in *inputCheck) missed(ctx context.Context, obj object.Info) (bool, error) {
	if in.planned.IsZero() {
		spec, err := in.a.store.Stat(ctx, in.a.lay.Job())
		if err != nil {
			return false, err
		}
		in.planned = spec.Modified
	}
	return obj.Modified.Before(in.planned.Add(-planning)), nil
}

// compareRecords compares the summary with the sum of the records.
func (s *summary) compareRecords(rep *Report, c *committed) {
	key, got := c.lay.Success(), s.success
	switch {
	case s.summed == notThere:
		rep.add(Missing, key, "the job is not finished: %d of %d map and %d of %d reduce tasks have committed",
			rep.Structure.Commits, len(c.job.Tasks), min(rep.Structure.Outputs, c.job.NReduce), c.job.NReduce)
	case got == nil: // which is a finding already
	case got.Job != c.job.ID:
		rep.add(BadSummary, key, "it is of job %q", got.Job)
	default:
		s.compareSums(rep, c)
	}
}

// compareCounts compares the counters of a summary with those of the records.
func compareCounts(rep *Report, key string, got, want map[string]int64) {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if got[name] != want[name] {
			rep.add(BadSummary, key, "counter %s is %v, the records say %v", name, got[name], want[name])
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			rep.add(BadSummary, key, "counter %s is in no record", name)
		}
	}
}

func (s *summary) compareSums(rep *Report, c *committed) {
	key, got := c.lay.Success(), s.success
	want := manifest.Success{Counters: map[string]int64{}}
	count := func(counters map[string]int64) {
		for name, n := range counters {
			want.Counters[name] += n
		}
	}
	for m, facts := range c.maps {
		if facts == nil {
			return // which is a finding already
		}
		want.Input.Records += facts.input.Records
		want.Input.Bytes += facts.input.Bytes
		want.Emitted += facts.emitted
		if facts.taken {
			want.TakenOver++
		}
		if facts.bad != nil {
			want.Skipped += facts.bad.Records
		}
		if c.job.MapOnly() {
			continue // the counters are those of the outputs below
		}
		for r := range c.job.NReduce {
			want.Shuffled.Add(c.seg(m, r).sum)
		}
		count(facts.counters)
	}
	same := len(got.Outputs) == len(c.reduces)
	skew := new(manifest.Skew)
	for r, rec := range c.reduces {
		if rec == nil {
			return
		}
		want.Read.Add(rec.read)
		want.Keys += rec.keys
		skew.Take(r, rec.read, rec.heaviest)
		same = same && r < len(got.Outputs) && got.Outputs[r] == rec.output
		count(rec.counters)
	}
	differ := func(what string, got, want any) {
		if !reflect.DeepEqual(got, want) {
			rep.add(BadSummary, key, "%s is %v, the records say %v", what, got, want)
		}
	}
	if got.App.Name != c.job.App.Name || got.App.Version != c.job.App.Version || !maps.Equal(got.App.Params, c.job.App.Params) {
		rep.add(BadSummary, key, "app is %v, the spec says %v", got.App, c.job.App)
	}
	want.Describe(c.job.Output)
	differ("format", got.Format, want.Format)
	differ("nreduce", got.NReduce, c.job.NReduce)
	differ("map.tasks", got.Map.Tasks, len(c.job.Tasks))
	differ("reduce.tasks", got.Reduce.Tasks, c.job.NReduce)
	differ("input", got.Input, want.Input)
	differ("emitted", got.Emitted, want.Emitted)
	differ("skipped", got.Skipped, want.Skipped)
	differ("taken_over", got.TakenOver, want.TakenOver)
	differ("shuffled", got.Shuffled, want.Shuffled)
	differ("read", got.Read, want.Read)
	differ("keys", got.Keys, want.Keys)
	want.List(c.besides())
	differ("named_outputs", got.Named, want.Named)
	differ("partitions", got.Partitions, want.Partitions)
	if !reflect.DeepEqual(got.Skew, skew.Of(c.job.NReduce)) {
		rep.add(BadSummary, key, "skew is not that of the reduce records")
	}
	if !same {
		rep.add(BadSummary, key, "outputs are not those of the reduce records")
	}
	compareCounts(rep, key, got.Counters, want.Counters)
	compareWithItself(rep, key, got)
}

// compareWithItself looks at what a summary says twice, and at what only it can say.
func compareWithItself(rep *Report, key string, got *manifest.Success) {
	if got.Shuffled != got.Read {
		rep.add(BadSum, key, "%d records were shuffled and %d read, with checksums %016x and %016x",
			got.Shuffled.Records, got.Read.Records, uint64(got.Shuffled.Hash), uint64(got.Read.Hash))
	}
	if n := got.Map.CommittedRerun + got.Reduce.CommittedRerun; n > 0 {
		rep.note("%d committed tasks were run again", n)
	}
}
