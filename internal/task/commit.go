package task

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// This file is the only code that publishes results. It never takes an error
// of a write for proof that nothing was written: it looks.

// errSettled says that the task's commit record was found to exist.
var errSettled = errors.New("task is committed")

// mapCommit is the commit of one map attempt.
type mapCommit struct {
	t *attempt
	// settled looks for a commit record, once for all partitions: it returns
	// errSettled, nil if there is none, or an error of the store.
	settled   func() error
	adopted   atomic.Int64
	displaced atomic.Int64
}

// piece is one object of what a map attempt made.
type piece struct {
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
// durable and immutable by then (I2, I3).
func (t *attempt) commitMap(ctx context.Context, segs *segments) error {
	rec := &manifest.Map{Parts: segs.describe()}
	g, gctx := errgroup.WithContext(ctx)
	c := &mapCommit{t: t, settled: sync.OnceValue(func() error { return t.settled(gctx, nil) })}
	g.SetLimit(requests)
	if t.Job.Shuffle == manifest.ShufflePacked {
		g.Go(func() error { return c.putPacked(gctx, segs, rec) })
	} else {
		for r := range rec.Parts {
			if rec.Parts[r].Size == 0 {
				continue
			}
			if gctx.Err() != nil {
				break
			}
			g.Go(func() error { return c.putPart(gctx, segs, r, &rec.Parts[r]) })
		}
	}
	if q := segs.bad; q != nil && q.n > 0 {
		t.res.Skipped = q.n
		g.Go(func() (err error) {
			rec.Bad, err = q.commit(gctx, c)
			return err
		})
	}
	err := g.Wait()
	t.res.Adopted, t.res.Displaced = int(c.adopted.Load()), int(c.displaced.Load())
	if errors.Is(err, errSettled) {
		return nil
	}
	if err != nil {
		return err
	}
	return t.putRecord(ctx, rec)
}

// meta is the metadata of what this attempt writes; hash may be empty.
func (t *attempt) meta(hash string) map[string]string {
	m := map[string]string{manifest.MetaJob: t.Job.ID, manifest.MetaAttempt: t.ID}
	if hash != "" {
		m[manifest.MetaHash] = hash
	}
	return m
}

// describe is what a commit record says of the partitions, wherever they
// are.
func (s *segments) describe() []manifest.Part {
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
	key, info, err := c.put(ctx, piece{
		plain: c.t.Layout.Partition(c.t.Index, r), own: c.t.Layout.MapAttempt(c.t.Index, c.t.ID, r),
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
	p := piece{
		plain: c.t.Layout.Packed(c.t.Index), own: c.t.Layout.MapAttemptPacked(c.t.Index, c.t.ID),
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
func (c *mapCommit) put(ctx context.Context, p piece) (key string, info object.Info, err error) {
	t := c.t
	info, err = c.create(ctx, p.plain, p)
	if err == nil {
		return p.plain, info, nil
	}
	info, err = t.lookAfter(ctx, p.plain, err)
	if isStale(err) {
		return c.displace(ctx, p)
	}
	if err != nil {
		return "", info, err
	}
	if info.Meta[manifest.MetaAttempt] != t.ID {
		// Somebody is or was at this task; if they are done, so are we.
		if err := c.settled(); err != nil {
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
func (c *mapCommit) displace(ctx context.Context, p piece) (key string, info object.Info, err error) {
	t := c.t
	c.displaced.Add(1)
	info, err = c.create(ctx, p.own, p)
	if err != nil {
		if info, err = t.lookAfter(ctx, p.own, err); err != nil {
			return "", info, err
		}
		if info.Meta[manifest.MetaAttempt] != t.ID || info.Meta[manifest.MetaHash] != p.hash {
			return "", info, fmt.Errorf("put %s: it exists, and another attempt wrote it", p.own)
		}
	}
	return p.own, info, nil
}

func (c *mapCommit) create(ctx context.Context, key string, p piece) (object.Info, error) {
	return c.t.Store.PutFile(ctx, key, p.body, p.size,
		object.PutOptions{IfAbsent: true, Meta: c.t.meta(p.hash), ContentType: p.contentType})
}

// lookAfter returns what lies under key after a write that returned werr. It
// returns werr if nothing is there, and a *ConflictError or *staleError if it
// belongs to another job.
func (t *attempt) lookAfter(ctx context.Context, key string, werr error) (object.Info, error) {
	info, err := t.Store.Stat(ctx, key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return info, werr
	case err != nil:
		return info, errors.Join(werr, err)
	case info.Meta[manifest.MetaJob] != t.Job.ID:
		return info, t.stale(ctx, key, info)
	}
	return info, nil
}

// settled looks for the task's commit record: if there is one it notes whose
// it is and returns errSettled; if there is none it returns werr. A stale one
// is none; it returns a *staleError for it if werr is not nil.
func (t *attempt) settled(ctx context.Context, werr error) error {
	rec, err := t.mapRecord(ctx, t.Index)
	var conflict *ConflictError
	if errors.As(err, &conflict) {
		err = unlessConflict(t.staleAt(ctx, conflict.Key), conflict)
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
	t.res.Superseded = rec.Attempt != t.ID
	return errSettled
}

// putRecord creates the commit record; rec has what was uploaded.
func (t *attempt) putRecord(ctx context.Context, rec *manifest.Map) error {
	rec.Schema, rec.Job, rec.Task, rec.Attempt, rec.Worker = manifest.MapSchema, t.Job.ID, t.Index, t.ID, t.Worker
	rec.Started, rec.Seconds = t.started, time.Since(t.started).Seconds()
	rec.Input = manifest.Input{Records: t.Progress.Records.Load(), Bytes: t.inputBytes()}
	rec.Emitted, rec.Counters = t.res.Emitted, t.counters.all()
	key := t.Layout.MapCommit(t.Index)
	if err := rec.Validate(t.Layout, t.Job, t.Index); err != nil {
		return &FatalError{Err: fmt.Errorf("write %s: %w", key, err)}
	}
	data, err := manifest.Encode(rec)
	if err != nil {
		return err
	}
	o := object.PutOptions{IfAbsent: true, Meta: t.meta(manifest.DigestOf(data).String()), ContentType: "application/json"}
	for range mostStale {
		_, err = t.Store.Put(ctx, key, data, o)
		if err != nil {
			err = t.settled(ctx, err)
		}
		var stale *staleError
		switch {
		case errors.Is(err, errSettled):
			return nil
		case !errors.As(err, &stale):
			return err
		}
		t.Log.Warn().Str("key", key).Str("job", stale.job).Msg("a stopped attempt of an earlier job has committed in the place of this one; its record is replaced")
		o.IfAbsent, o.IfMatch = false, stale.etag
	}
	return err
}

// mostStale is how often an attempt tries to commit over what earlier jobs
// wrote late.
const mostStale = 3

// commitReduce commits the output that w holds, and ends w. The record goes first, under
// the attempt's own name, so that whoever finds the output finds in its
// metadata which record describes it.
func (t *attempt) commitReduce(ctx context.Context, w object.Writer, rec *manifest.Reduce) error {
	err := rec.Validate(t.Layout, t.Job, t.Index, t.ID)
	if err != nil {
		return errors.Join(&FatalError{Err: fmt.Errorf("write %s: %w", t.Layout.ReduceAttempt(t.Index, t.ID), err)}, w.Abort())
	}
	data, err := manifest.Encode(rec)
	if err == nil {
		var info object.Info
		info, err = t.Store.Put(ctx, t.Layout.ReduceAttempt(t.Index, t.ID), data, object.PutOptions{
			IfMatch: t.recorded, Meta: t.meta(manifest.DigestOf(data).String()), ContentType: "application/json",
		})
		t.recorded = info.ETag
	}
	if err != nil {
		return errors.Join(err, w.Abort())
	}
	key := t.Layout.Output(t.Index)
	if _, err = w.Commit(ctx); err == nil {
		return nil
	}
	old, err := t.lookAfter(ctx, key, err)
	if err != nil {
		return err
	}
	if old.Meta[manifest.MetaAttempt] == t.ID {
		return nil
	}
	t.res.Superseded = true
	return t.describe(ctx, old, rec)
}

// describe sees to it that the output that is there has the record of the
// attempt that made it: the task counts as committed only with it. Where that is
// lost, or speaks of another output, an attempt that has made the very output
// that is there, as rec says, puts back what it said.
func (t *attempt) describe(ctx context.Context, out object.Info, rec *manifest.Reduce) error {
	attempt := out.Meta[manifest.MetaAttempt]
	key := t.Layout.ReduceAttempt(t.Index, attempt)
	there, etag, err := t.reduceRecord(ctx, key, attempt)
	if err != nil {
		return err
	}
	again := *rec
	again.Attempt = attempt
	if there != nil && there.Output.Size == out.Size {
		return nil
	}
	same, err := t.holds(ctx, out, rec.Output)
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
	t.Log.Warn().Str("key", key).Msg("the record of an output was deleted or damaged; it is written again")
	meta := t.meta(manifest.DigestOf(data).String())
	meta[manifest.MetaAttempt] = attempt
	_, err = t.Store.Put(ctx, key, data, object.PutOptions{IfAbsent: etag == "", IfMatch: etag, Meta: meta, ContentType: "application/json"})
	if errors.Is(err, fs.ErrExist) { // another attempt's, of the same output, or ours
		return nil
	}
	return err
}

// reduceRecord reads the record of a reduce attempt, and tells which version it
// is: nil if it is missing or is no such record.
func (t *attempt) reduceRecord(ctx context.Context, key, attempt string) (rec *manifest.Reduce, etag string, err error) {
	data, info, err := t.Store.Get(ctx, key)
	if errors.Is(err, object.ErrDamaged) {
		info, err = t.Store.Stat(ctx, key)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("read the record of the attempt that wrote %s: %w", t.Layout.Output(t.Index), err)
	}
	if rec, err = manifest.DecodeReduce(data, t.Layout, t.Job, t.Index, attempt); err != nil {
		rec = nil
	}
	return rec, info.ETag, nil
}

// holds reads an object and says whether its bytes are those of an output.
func (t *attempt) holds(ctx context.Context, info object.Info, o manifest.Output) (bool, error) {
	if info.Size != o.Size || o.Size == 0 {
		return info.Size == o.Size, nil
	}
	body, err := t.open(ctx, info.Key, info.ETag, 0, info.Size)
	if err != nil {
		return false, err
	}
	sha := sha256.New()
	_, err = io.Copy(sha, body)
	if err = errors.Join(err, body.Close()); err != nil {
		return false, err
	}
	return hex.EncodeToString(sha.Sum(nil)) == o.Hash, nil
}
