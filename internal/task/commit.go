package task

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// This file is the only code that publishes results. A write that returned an
// error may have taken place, so after an error it reads what the bucket holds.

// errCommitted says that the task's commit record exists.
var errCommitted = errors.New("task is committed")

// committer publishes what one attempt makes.
type committer struct {
	*bucket
	log     zerolog.Logger
	index   int    // of the task
	id      string // of the attempt
	worker  string
	started time.Time
	live    *live
	// uploading is how long a map attempt uploaded what it had made.
	uploading time.Duration
	pulse     *object.Pulse // nil for none
	res       *Result       // what came of it
	recorded  string        // ETag of the record of a reduce attempt that has to make its output again
}

// mapCommit is the commit of one map attempt.
type mapCommit struct {
	*committer
	// foundRecord is findRecord, called once for all partitions.
	foundRecord func() error
	adopted     atomic.Int64
	displaced   atomic.Int64
}

// madeObject is one object of what a map attempt made.
type madeObject struct {
	plain       string // where it is to be
	own         string // where it is if other bytes are there: a name that is ours alone
	hash        string // hex SHA-256 that tells whether bytes are other bytes
	body        io.ReaderAt
	size        int64
	contentType string
}

// commitMap uploads the partitions that have records, packed or each by
// itself, and the list of what was skipped, each under its plain name unless
// other bytes are there, and then creates the commit record, which is THE
// COMMIT POINT: at most one attempt creates it (I1), and all that it names is
// durable and immutable by then (I2, I3). rec says what the attempt has counted.
func (c *committer) commitMap(ctx context.Context, segs *segments, rec *manifest.Map) error {
	rec.Parts = segs.recordParts()
	began := time.Now()
	g, gctx := errgroup.WithContext(ctx)
	m := &mapCommit{committer: c, foundRecord: sync.OnceValue(func() error { return c.findRecord(gctx, nil) })}
	g.SetLimit(requests)
	if c.job.Shuffle == manifest.ShufflePacked {
		g.Go(func() error { return m.putPacked(gctx, segs, rec) })
	} else {
		for r := range rec.Parts {
			if rec.Parts[r].Size == 0 {
				continue
			}
			if gctx.Err() != nil {
				break
			}
			g.Go(func() error { return m.putPart(gctx, segs, r, &rec.Parts[r]) })
		}
	}
	if q := segs.bad; q != nil && q.n > 0 {
		c.res.Skipped = q.n
		g.Go(func() (err error) {
			rec.Bad, err = q.commit(gctx, m)
			return err
		})
	}
	err := g.Wait()
	c.uploading = time.Since(began)
	c.res.Adopted, c.res.Displaced = int(m.adopted.Load()), int(m.displaced.Load())
	if errors.Is(err, errCommitted) {
		return nil
	}
	if err != nil {
		return err
	}
	return c.putRecord(ctx, rec)
}

// meta is the metadata of what this attempt writes; hash may be empty.
func (c *committer) meta(hash string) map[string]string {
	m := map[string]string{manifest.MetaJob: c.job.ID, manifest.MetaAttempt: c.id}
	if hash != "" {
		m[manifest.MetaHash] = hash
	}
	return m
}

// recordParts is what a commit record says of the partitions, wherever they
// are.
func (s *segments) recordParts() []manifest.Part {
	parts := make([]manifest.Part, len(s.parts))
	for r := range s.parts {
		seg := &s.parts[r]
		parts[r] = manifest.Part{Size: seg.Bytes, Hash: hex.EncodeToString(seg.Hash[:]), Sum: seg.Sum, Largest: seg.largest}
	}
	return parts
}

// putPart makes partition r durable. The size is that of the object, which
// need not be ours: equal records may be compressed otherwise.
func (c *mapCommit) putPart(ctx context.Context, segs *segments, r int, p *manifest.Part) error {
	key, info, err := c.put(ctx, madeObject{
		plain: c.layout.Partition(c.index, r), own: c.layout.MapAttempt(c.index, c.id, r),
		hash: p.Hash, body: segs.reader(r), size: p.Size,
	})
	p.Key, p.ETag, p.Size = key, info.ETag, info.Size
	return err
}

// putPacked makes all partitions durable in one object: the spool as it is.
// One with equal records that are compressed otherwise is no equal object,
// since the record says where in it each partition begins. Nothing is no
// object.
func (c *mapCommit) putPacked(ctx context.Context, segs *segments, rec *manifest.Map) error {
	p := madeObject{
		plain: c.layout.Packed(c.index), own: c.layout.MapAttemptPacked(c.index, c.id),
		hash: manifest.PackedHash(rec.Parts), body: &segs.spool, size: segs.spool.size,
	}
	for r := range rec.Parts {
		rec.Parts[r].Offset = segs.parts[r].off
	}
	rec.Packed = &manifest.Packed{Size: p.size, Hash: p.hash}
	if p.size == 0 {
		return nil
	}
	key, info, err := c.put(ctx, p)
	rec.Packed.Key, rec.Packed.ETag = key, info.ETag
	return err
}

// put makes p durable and returns where: it creates it, or adopts what
// another attempt created if that has the same hash, or else creates it below
// _attempts/. Adoption needs equal content, so that a record always describes
// one execution of the application.
func (c *mapCommit) put(ctx context.Context, p madeObject) (key string, info object.Info, err error) {
	info, err = c.create(ctx, p.plain, p)
	if err == nil {
		return p.plain, info, nil
	}
	info, err = c.lookAfter(ctx, p.plain, err)
	if isStale(err) {
		return c.displace(ctx, p)
	}
	if err != nil {
		return "", info, err
	}
	if info.Meta[manifest.MetaAttempt] != c.id {
		// Another attempt has run this task. If it has committed the task,
		// this attempt has nothing left to do.
		if err := c.foundRecord(); err != nil {
			return "", info, err
		}
		if info.Meta[manifest.MetaHash] != p.hash {
			return c.displace(ctx, p)
		}
		c.adopted.Add(1)
	}
	return p.plain, info, nil
}

// displace creates p under the name that is ours alone.
func (c *mapCommit) displace(ctx context.Context, p madeObject) (key string, info object.Info, err error) {
	c.displaced.Add(1)
	info, err = c.create(ctx, p.own, p)
	if err != nil {
		if info, err = c.lookAfter(ctx, p.own, err); err != nil {
			return "", info, err
		}
		if info.Meta[manifest.MetaAttempt] != c.id || info.Meta[manifest.MetaHash] != p.hash {
			return "", info, fmt.Errorf("put %s: it exists, and another attempt wrote it", p.own)
		}
	}
	return p.own, info, nil
}

func (c *mapCommit) create(ctx context.Context, key string, p madeObject) (object.Info, error) {
	return c.store.PutFile(ctx, key, p.body, p.size,
		object.PutOptions{IfAbsent: true, Meta: c.meta(p.hash), ContentType: p.contentType})
}

// findRecord reads the commit record of the map task. If a record exists it
// notes in the result whether another attempt wrote it, and returns
// errCommitted. If none exists it returns werr, the error of the write that made
// the caller ask, or nil. A record of an earlier job counts as none
// (stale.go); with werr not nil it returns a *staleError for it, so that the
// caller can replace that version. It returns other errors of the store as they are.
func (c *committer) findRecord(ctx context.Context, werr error) error {
	rec, err := c.mapRecord(ctx, c.index)
	var conflict *ConflictError
	if errors.As(err, &conflict) {
		err = unlessConflict(c.staleAt(ctx, conflict.Key), conflict)
		if isStale(err) && werr == nil {
			return nil
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return werr
	case err != nil:
		return err
	}
	c.res.Superseded = rec.Attempt != c.id
	return errCommitted
}

// putRecord creates the commit record; rec has what was uploaded.
func (c *committer) putRecord(ctx context.Context, rec *manifest.Map) error {
	rec.Schema, rec.Job, rec.Task, rec.Attempt, rec.Worker = manifest.MapSchema, c.job.ID, c.index, c.id, c.worker
	rec.Started, rec.Seconds, rec.Delays = c.started, time.Since(c.started).Seconds(), c.delays()
	rec.S3 = object.TrafficOf(ctx)
	c.res.Recorded = rec.S3
	key := c.layout.MapCommit(c.index)
	if err := rec.Validate(c.layout, c.job, c.index); err != nil {
		return &FatalError{Err: fmt.Errorf("write %s: %w", key, err)}
	}
	data, err := manifest.Encode(rec)
	if err != nil {
		return err
	}
	o := object.PutOptions{IfAbsent: true, Meta: c.meta(manifest.DigestOf(data).String()), ContentType: "application/json"}
	for range mostStale {
		_, err = c.store.Put(ctx, key, data, o)
		if err != nil {
			err = c.findRecord(ctx, err)
		}
		var stale *staleError
		switch {
		case errors.Is(err, errCommitted):
			return nil
		case !errors.As(err, &stale):
			return err
		}
		c.log.Warn().Str("key", key).Str("job", stale.job).Msg("a stopped attempt of an earlier job has committed in the place of this one; its record is replaced")
		o.IfAbsent, o.IfMatch = false, stale.etag
	}
	return err
}

// delays is what has held the attempt up so far.
func (c *committer) delays() manifest.Delays {
	seconds := func(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }
	throttled, took := c.pulse.Throttled()
	return manifest.Delays{
		WaitSeconds: seconds(time.Duration(c.live.waited.Load())), UploadSeconds: seconds(c.uploading),
		Throttled: throttled, ThrottledSeconds: seconds(took),
		Spills: c.live.Spills.Load(), SpilledBytes: c.live.Spilled.Load(), SpillSeconds: seconds(time.Duration(c.live.spilling.Load())),
	}
}

// mostStale is how often an attempt tries to commit over what earlier jobs
// wrote late.
const mostStale = 3

// commitReduce commits the output that w holds, and ends w. The record goes first, under
// the attempt's own name, so that whoever finds the output finds in its
// metadata which record describes it.
func (c *committer) commitReduce(ctx context.Context, w object.Writer, rec *manifest.Reduce) error {
	rec.Delays = c.delays()
	rec.S3 = object.TrafficOf(ctx)
	c.res.Recorded = rec.S3
	err := rec.Validate(c.layout, c.job, c.index, c.id)
	if err != nil {
		return errors.Join(&FatalError{Err: fmt.Errorf("write %s: %w", c.layout.ReduceAttempt(c.index, c.id), err)}, w.Abort())
	}
	data, err := manifest.Encode(rec)
	if err == nil {
		var info object.Info
		info, err = c.store.Put(ctx, c.layout.ReduceAttempt(c.index, c.id), data, object.PutOptions{
			IfMatch: c.recorded, Meta: c.meta(manifest.DigestOf(data).String()), ContentType: "application/json",
		})
		c.recorded = info.ETag
	}
	if err != nil {
		return errors.Join(err, w.Abort())
	}
	key := c.layout.Output(c.index)
	if _, err = w.Commit(ctx); err == nil {
		return nil
	}
	old, err := c.lookAfter(ctx, key, err)
	if err != nil {
		return err
	}
	if old.Meta[manifest.MetaAttempt] == c.id {
		return nil
	}
	c.res.Superseded = true
	return c.restoreRecord(ctx, old, rec)
}

// restoreRecord sees to it that the output that is there has the record of the
// attempt that made it: the task counts as committed only with it. Where that is
// lost, or speaks of another output, an attempt that has made the very output
// that is there, as rec says, puts back what it said.
func (c *committer) restoreRecord(ctx context.Context, out object.Info, rec *manifest.Reduce) error {
	attempt := out.Meta[manifest.MetaAttempt]
	key := c.layout.ReduceAttempt(c.index, attempt)
	there, etag, err := c.reduceRecord(ctx, c.index, attempt)
	if err != nil {
		return err
	}
	again := *rec
	again.Attempt = attempt
	if there != nil && there.Output.Size == out.Size {
		return nil
	}
	same, err := c.holds(ctx, out, rec.Output)
	if err != nil {
		return err
	}
	if !same {
		return &FatalError{Err: fmt.Errorf("%s is there, of %d bytes, and %s does not describe it, or is lost; this attempt made %d other bytes: delete that output and its reduce task is run again",
			out.Key, out.Size, key, rec.Output.Size)}
	}
	data, err := manifest.Encode(&again)
	if err != nil {
		return err
	}
	c.log.Warn().Str("key", key).Msg("the record of an output was deleted or damaged; it is written again")
	meta := c.meta(manifest.DigestOf(data).String())
	meta[manifest.MetaAttempt] = attempt
	_, err = c.store.Put(ctx, key, data, object.PutOptions{IfAbsent: etag == "", IfMatch: etag, Meta: meta, ContentType: "application/json"})
	if errors.Is(err, fs.ErrExist) { // another attempt's, of the same output, or ours
		return nil
	}
	return err
}
