package verify

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/recordio"
)

// stored is an object of intermediate data, as a commit record has it: one
// partition of a map task, or all of them where the job packs them.
type stored struct {
	key  string // as recorded; "" is the plain name
	etag string // as recorded; once found, as listed
	size int64  // bytes; as recorded; once found, as listed
	// hash is what its metadata are to say, of a restored one: that of the
	// segment, or of all segments and their sizes.
	hash   [32]byte
	known  bool // a valid record names it, or says that it is none
	none   bool // since nothing has records that would be in it
	found  bool // the listing has it, and it can be read as recorded
	plain  bool // key is not the plain name, and the listing has that too
	copied bool // what it has there may be a copy
}

// segment is partition r of map task m, as its commit record has it.
type segment struct {
	off  int64 // in its object
	size int64 // bytes; as recorded
	hash [32]byte
	sum  recordio.Sum
	gone bool // it could not be read
}

// mapFacts is what is kept of a commit record besides its segments.
type mapFacts struct {
	input    manifest.Input
	emitted  int64
	counters map[string]int64
	bad      *manifest.Quarantine // nil if nothing was skipped
	skipped  []badRecord          // what its list says, as far as that is of use
	reaches  []reach              // of its guessed pieces, in order
	taken    bool                 // over from another job
}

// reduceFacts is what is kept of a reduce record.
type reduceFacts struct {
	attempt  string
	read     recordio.Sum
	keys     int64
	output   manifest.Output
	named    []manifest.NamedOutput // as the summary has them
	counters map[string]int64
	heaviest []manifest.HeavyKey
}

// committed is what the spec and the commit records of a job say that there is.
type committed struct {
	lay     layout.Layout
	job     *manifest.Job
	cuts    map[string]bool // names of objects in several pieces; nil until isCut
	segs    []segment       // [m*R+r]
	objs    []stored        // [m*R+r], or [m] of a job that packs
	maps    []*mapFacts     // [m], nil without a valid record; of a map-only job, what the records of outputs say
	reduces []*reduceFacts  // [r], nil without a valid record
	outputs []object.Info   // [r], zero without an output, without metadata
}

func (c *committed) seg(m, r int) *segment { return &c.segs[m*c.job.NReduce+r] }

// packed tells whether a map task has one object.
func (c *committed) packed() bool { return c.job.Shuffle == manifest.ShufflePacked }

// obj returns the object that a segment is in.
func (c *committed) obj(m, r int) *stored {
	if c.packed() {
		return &c.objs[m]
	}
	return &c.objs[m*c.job.NReduce+r]
}

// plainKey is the plain name of the object that a segment is in.
func (c *committed) plainKey(m, r int) string {
	if c.packed() {
		return c.lay.Packed(m)
	}
	return c.lay.Partition(m, r)
}

// segKey returns the whole key of the object that a segment is in.
func (c *committed) segKey(m, r int) string {
	if k := c.obj(m, r).key; k != "" {
		return k
	}
	return c.plainKey(m, r)
}

// which says which segment is meant, where the key does not, for the
// beginning of a finding.
func (c *committed) which(m, r int) string {
	if !c.packed() {
		return ""
	}
	return fmt.Sprintf("partition %d of map task %d: ", r, m)
}

// readable tells whether a segment can be asked for.
func (c *committed) readable(m, r int) bool {
	return c.obj(m, r).found && !c.seg(m, r).gone && c.seg(m, r).size > 0
}

// empty tells whether a segment has no records, so that nothing is stored.
func (c *committed) empty(m, r int) bool { return c.maps[m] != nil && c.seg(m, r).size == 0 }

// structure is the first step: what must be there is there and says what the
// rest says.
func (a *audit) structure(ctx context.Context) error {
	m, r := a.job.Maps(), a.job.Outputs()
	a.segs, a.objs = make([]segment, m*r), make([]stored, m*r)
	if a.packed() {
		a.objs = a.objs[:m]
	}
	a.maps = make([]*mapFacts, len(a.job.Tasks))
	a.reduces = make([]*reduceFacts, r)
	a.outputs = make([]object.Info, r)
	a.mapSeals, a.reduceSeals = make(recordSeals, m), make(recordSeals, r)
	if err := a.each(ctx, a.opt.recordsAtOnce(r), m, a.readCommit); err != nil {
		return err
	}
	a.checkSealed(a.rep, a.mapSeals, a.sealed.Maps, "commit records", a.lay.CommitDir(), a.lay.MapCommit)
	if err := a.each(ctx, a.opt.Concurrency, r, a.readOutput); err != nil {
		return err
	}
	a.gatherNamed()
	a.checkSeams(a.rep)
	if err := a.each(ctx, a.opt.Concurrency, len(a.maps), a.readBad); err != nil {
		return err
	}
	a.checkSealed(a.rep, a.reduceSeals, a.sealed.Reduces, "records of reduce tasks", a.lay.AttemptsDir(), func(r int) string {
		return a.lay.Output(r)
	})
	for _, step := range []func(context.Context) error{a.listIntermediate, a.checkOwner, a.listOutput, (&inputCheck{a: a}).list} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	a.compareRecords(a.rep, &a.committed)
	a.rep.Structure.State = a.rep.state(0)
	return nil
}

// recordsAtOnce is how many commit records may be held in memory while they
// are read: each says something of every partition.
func (o Options) recordsAtOnce(reduces int) int {
	const of = 1 << 10 // bytes that a partition takes, as JSON and decoded
	most := o.Memory / 4 / (int64(reduces) * of)
	return int(max(1, min(int64(o.Concurrency), most)))
}

// readCommit reads the commit record of map task m.
func (a *audit) readCommit(ctx context.Context, m int, find *finder) error {
	key := a.lay.MapCommit(m)
	c, err := load[manifest.Map](ctx, a.store, key, manifest.MapSchema)
	if err != nil {
		return err
	}
	note(a.mapSeals, m, &c)
	rec := c.v
	switch {
	case c.state == notThere:
		find.add(Missing, key, "map task %d has not committed", m)
	case c.state != "":
		find.add(BadRecord, key, "%s", c.state)
	default:
		a.keepCommit(m, key, rec, find)
	}
	return nil
}

// keepCommit takes over a commit record that is this task's.
func (c *committed) keepCommit(m int, key string, rec *manifest.Map, find *finder) {
	before := find.found
	if err := rec.Validate(c.lay, c.job, m); err != nil {
		find.add(BadRecord, key, "%v", err)
		return
	}
	valid := true
	for r, p := range rec.Parts {
		seg := c.seg(m, r)
		*seg = segment{off: p.Offset, size: p.Size, sum: p.Sum}
		hashed := decodeHash(&seg.hash, p.Hash)
		if !hashed {
			find.add(BadRecord, key, "partition %d has the hash %q", r, p.Hash)
		}
		if valid = valid && hashed; rec.Packed != nil {
			continue
		}
		o := c.obj(m, r)
		*o = stored{etag: p.ETag, size: p.Size, hash: seg.hash, known: hashed, none: p.Size == 0}
		if !o.none && !o.named(p.Key, c.lay.Partition(m, r), c.lay.MapAttempt(m, rec.Attempt, r)) {
			find.add(BadRecord, key, "partition %d has the key %q", r, p.Key)
		}
	}
	if p := rec.Packed; p != nil {
		o := c.obj(m, 0)
		*o = stored{etag: p.ETag, size: p.Size, known: valid, none: p.Size == 0}
		_ = decodeHash(&o.hash, p.Hash) // CheckParts has looked at it
		if !o.none && !o.named(p.Key, c.lay.Packed(m), c.lay.MapAttemptPacked(m, rec.Attempt)) {
			find.add(BadRecord, key, "the packed partitions have the key %q", p.Key)
		}
	}
	reaches := c.checkRead(m, key, rec, find)
	if find.found > before {
		return
	}
	c.maps[m] = &mapFacts{input: rec.Input, emitted: rec.Emitted, counters: rec.Counters, bad: rec.Bad, reaches: reaches, taken: rec.TakenOver != ""}
}

// checkRead judges what a record says of the input that map task m read.
func (c *committed) checkRead(m int, key string, rec *manifest.Map, find *finder) []reach {
	c.checkBad(m, key, rec, find)
	reaches, err := c.reachesOf(m, rec)
	if err != nil {
		find.add(BadRecord, key, "%v", err)
	}
	return reaches
}

// validETag tells whether a version may have this ETag, which is sent to the
// store: one or more visible ASCII characters.
func validETag(etag string) bool {
	return etag != "" && len(etag) <= 1024 && strings.IndexFunc(etag, func(c rune) bool { return c <= ' ' || c > '~' }) < 0
}

// named takes over the key of an object, which is its plain name or the one
// that the attempt may choose; ok is false for another.
func (o *stored) named(key, plain, own string) (ok bool) {
	switch key {
	case plain:
	case own:
		o.key = key
	default:
		o.known = false
		return false
	}
	return true
}

// decodeHash reads 64 hex digits.
func decodeHash(hash *[32]byte, text string) (ok bool) {
	n, err := hex.Decode(hash[:min(len(hash), len(text)/2)], []byte(text)[:min(len(text), 64)])
	return err == nil && n == len(hash) && len(text) == 2*n
}

// readOutput looks at the output of reduce task r and at the record of the
// attempt that its metadata names.
func (a *audit) readOutput(ctx context.Context, r int, find *finder) error {
	key := a.lay.Output(r)
	obj, err := a.store.Stat(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		find.add(Missing, key, "reduce task %d has not committed", r)
		return nil
	}
	if err != nil {
		return err
	}
	a.outputs[r] = object.Info{Key: obj.Key, Size: obj.Size, ETag: obj.ETag}
	job, attempt := obj.Meta[manifest.MetaJob], obj.Meta[manifest.MetaAttempt]
	if job != a.job.ID {
		find.add(Foreign, key, "its metadata says that it is of job %q", job)
	}
	switch {
	case attempt == "":
		find.add(BadRecord, key, "its metadata names no attempt")
		return nil
	case !layout.ValidName(attempt):
		find.add(BadRecord, key, "its metadata names the attempt %q, which is no id", attempt)
		return nil
	}
	return a.readReduce(ctx, r, obj, attempt, find)
}

// readReduce reads the record of the attempt that wrote the output obj.
func (a *audit) readReduce(ctx context.Context, r int, obj object.Info, attempt string, find *finder) error {
	key := a.lay.ReduceAttempt(r, attempt)
	c, err := load[manifest.Reduce](ctx, a.store, key, manifest.ReduceSchema)
	if err != nil {
		return err
	}
	note(a.reduceSeals, r, &c)
	rec := c.v
	if c.state == "" {
		if err := rec.Validate(a.lay, a.job, r, attempt); err != nil {
			c.state = loaded(err.Error())
		} else if a.parts != nil && rec.Output.Hash != listHash(rec.Partitions) {
			c.state = "its output is not the list of its partitions"
		}
	}
	switch {
	case c.state == notThere:
		find.add(Missing, key, "the record of the attempt that wrote %s", obj.Key)
	case c.state != "":
		find.add(BadRecord, key, "%s", c.state)
	default:
		rec.Output.Key, rec.Output.Attempt = obj.Key, attempt // as the summary has it
		if a.job.MapOnly() {
			before, read := find.found, rec.Reading()
			reaches := a.checkRead(r, key, read, find)
			if find.found > before {
				return nil
			}
			a.maps[r] = &mapFacts{input: read.Input, emitted: rec.Output.Lines, counters: rec.Counters, bad: read.Bad, reaches: reaches, taken: rec.TakenOver != ""}
		}
		a.reduces[r] = &reduceFacts{attempt: attempt, read: rec.Read, keys: rec.Keys, output: rec.Output, named: a.keepNamed(r, rec.Besides()), counters: rec.Counters, heaviest: rec.Heaviest}
		if rec.Output.Size != obj.Size {
			find.add(Replaced, obj.Key, "it has %d bytes, its record says %d", obj.Size, rec.Output.Size)
		}
		if h := obj.Meta[manifest.MetaHash]; h != "" && h != rec.Output.Hash {
			find.add(Replaced, obj.Key, "its metadata says SHA-256 %s, its record %s", h, rec.Output.Hash)
		}
	}
	return nil
}
