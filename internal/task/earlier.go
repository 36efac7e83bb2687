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
	"time"

	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/recordio"
)

// Earlier is the job from which map tasks are taken over, read once for all attempts of
// a process. Its zero value is empty.
type Earlier struct {
	mu    sync.Mutex
	job   *manifest.Job
	tasks map[string]int // by [manifest.Job.TaskKey]
}

// load reads the spec of the job. It returns nil if that job is not there any more. An
// error is not kept.
func (e *Earlier) load(ctx context.Context, b *bucket) (*manifest.Job, map[string]int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.job != nil {
		return e.job, e.tasks, nil
	}
	job, _, err := jobstate.ReadJob(ctx, b.store, layout.New(b.job.Reuse.Prefix))
	switch {
	case errors.Is(err, fs.ErrNotExist), jobstate.Invalid(err):
		return nil, nil, nil
	case err != nil:
		return nil, nil, err
	case job.ID != b.job.Reuse.Job:
		return nil, nil, nil
	}
	e.job, e.tasks = job, make(map[string]int, len(job.Tasks))
	for m := range job.Tasks {
		e.tasks[job.TaskKey(m)] = m
	}
	return e.job, e.tasks, nil
}

// takeOver fills the segments with those that a task of an earlier job has committed
// which read the same. It returns what to commit of them, or nil if the input has to be
// read: there is no such task, or its segments are lost. The coordinator has compared
// the specs of the two jobs. Whether the bytes are those that were committed, reduce
// attempts find out, as of every segment.
func (t *attempt) takeOver(ctx context.Context, segs *segments) (*manifest.Map, error) {
	job, m, err := t.earlierTask(ctx)
	if job == nil || err != nil {
		return nil, err
	}
	rec, _, err := jobstate.ReadMapCommit(ctx, t.bucket.store, layout.New(t.Job.Reuse.Prefix), job, m)
	switch {
	case errors.Is(err, fs.ErrNotExist), jobstate.Invalid(err):
		return nil, nil
	case err != nil:
		return nil, err
	case rec.Bad != nil || len(rec.Parts) != t.Job.NReduce:
		return nil, nil // its list of bad records would have to come too
	}
	err = t.copySegments(ctx, rec, segs)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, object.ErrPrecondition) {
		t.Log.Warn().Err(err).Str("job", job.ID).Int("task", m).Msg("segments to be taken over are lost; the input is read")
		err = errors.Join(segs.Close())
		*segs = *t.newSegments()
		return nil, err
	}
	return &manifest.Map{Input: rec.Input, Emitted: rec.Emitted, Extents: rec.Extents, Counters: rec.Counters, TakenOver: job.ID}, err
}

// earlierTask returns the job from which tasks are taken over and the number of the one
// in it that reads what this task does; nil if there is none.
func (t *attempt) earlierTask(ctx context.Context) (job *manifest.Job, m int, err error) {
	if t.Job.Reuse == (manifest.Reuse{}) {
		return nil, 0, nil
	}
	if t.Earlier == nil {
		t.Earlier = new(Earlier)
	}
	job, tasks, err := t.Earlier.load(ctx, t.bucket)
	if job == nil || err != nil {
		return nil, 0, err
	}
	m, ok := tasks[t.Job.TaskKey(t.Index)]
	if !ok {
		return nil, 0, nil
	}
	return job, m, nil
}

// takeOverOutput copies into what o creates the output that a task of an earlier
// map-only job has committed which read the same, and what it has besides that. It returns what to commit of it, or
// nothing if the input has to be read: there is no such task, or its output is lost or
// damaged.
func (t *attempt) takeOverOutput(ctx context.Context, o target) (w object.Writer, rec *manifest.Reduce, err error) {
	job, m, err := t.earlierTask(ctx)
	if job == nil || err != nil {
		return nil, nil, err
	}
	from, out, old, err := t.earlierOutput(ctx, job, m)
	if old == nil || err != nil {
		return nil, nil, err
	}
	if w, err = o.create(out.Size); err != nil {
		return nil, nil, err
	}
	to := &sink{live: t.live, to: w, name: t.Layout.Output(t.Index), sha: sha256.New()}
	made := spool{space: t.space, what: "named", limit: t.shares.output / 4}
	defer func() {
		if cerr := made.Close(); cerr != nil {
			if err = errors.Join(err, cerr); rec != nil {
				err = errors.Join(err, w.Abort())
			}
			w, rec = nil, nil
		}
	}()
	var besides []kept
	if err = t.copyOutput(ctx, from, out, old.Output.Hash, to); err == nil {
		besides, err = t.copyBesides(ctx, old, &made)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, object.ErrPrecondition), errors.Is(err, object.ErrDamaged):
		t.Log.Warn().Err(err).Str("job", job.ID).Int("task", m).Msg("an output to be taken over is lost; the input is read")
		return nil, nil, w.Abort()
	case err != nil:
		return nil, nil, errors.Join(err, w.Abort())
	}
	t.res.Emitted = old.Output.Lines
	rec = &manifest.Reduce{
		Schema: manifest.ReduceSchema, Job: t.Job.ID, Task: t.Index, Attempt: t.ID, Worker: t.Worker,
		Started: t.started, Counters: old.Counters,
		Extents: old.Extents, Input: old.Input, TakenOver: job.ID,
		Output: manifest.Output{Key: t.Layout.Output(t.Index), Size: to.size, Lines: old.Output.Lines, Hash: old.Output.Hash},
	}
	if err := o.keep(ctx, besides, rec); err != nil {
		return nil, nil, errors.Join(err, w.Abort())
	}
	rec.Seconds = time.Since(t.started).Seconds()
	return w, rec, nil
}

// copyBesides reads what a task of an earlier job has stored besides its output.
func (t *attempt) copyBesides(ctx context.Context, old *manifest.Reduce, made *spool) (all []kept, err error) {
	for _, n := range old.Besides() {
		f, ok := t.Job.NamedFormat(n.Name)
		if !ok {
			return nil, fmt.Errorf("take over %s, which the job has not: %w", n.Key, fs.ErrNotExist)
		}
		at := made.size
		to := &sink{live: t.live, to: made, name: n.Key, sha: sha256.New()}
		if err := t.copyOutput(ctx, t.Store, object.Info{Key: n.Key, ETag: n.ETag, Size: n.Size}, n.Hash, to); err != nil {
			return nil, err
		}
		all = append(all, kept{t.besides(n.Name, to, n.Lines), io.NewSectionReader(made, at, to.size), f.ContentType()})
	}
	return all, nil
}

// earlierOutput finds output m of an earlier job and the record that describes it, nil
// if there is none, or none of use.
func (t *attempt) earlierOutput(ctx context.Context, job *manifest.Job, m int) (from Place, out object.Info, rec *manifest.Reduce, err error) {
	lay := job.Layout(layout.New(t.Job.Reuse.Prefix))
	if from = t.Store; lay.OutputBucket() != "" {
		if t.Outputs == nil {
			return nil, out, nil, nil
		}
		from = t.Outputs(lay.OutputBucket())
	}
	key := lay.Output(m)
	out, err = from.Stat(ctx, key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, out, nil, nil
	case err != nil:
		return nil, out, nil, fmt.Errorf("read the metadata of %s: %w", key, err)
	}
	out.Key = key
	attempt := out.Meta[manifest.MetaAttempt]
	if out.Meta[manifest.MetaJob] != job.ID || !layout.ValidName(attempt) {
		return nil, out, nil, nil
	}
	rec, _, err = jobstate.ReadReduceCommit(ctx, t.Store, lay, job, m, attempt)
	switch {
	case errors.Is(err, fs.ErrNotExist), jobstate.Invalid(err):
		return nil, out, nil, nil
	case err != nil:
		return nil, out, nil, err
	case rec.Bad != nil || rec.Output.Size != out.Size:
		return nil, out, nil, nil // its list of bad records would have to come too
	}
	return from, out, rec, nil
}

// copyOutput reads an object of an earlier job, whose bytes have to have this SHA-256.
func (t *attempt) copyOutput(ctx context.Context, from Place, out object.Info, hash string, to *sink) error {
	if out.Size > 0 {
		body, err := from.OpenChunks(ctx, out.Key, out.ETag, 0, out.Size, t.bucket.chunk, windowChunks)
		if err != nil {
			return err
		}
		_, err = io.Copy(to, &beating{body, t.live})
		if err = errors.Join(err, body.Close()); err != nil {
			return err
		}
	}
	if now := hex.EncodeToString(to.sha.Sum(nil)); now != hash {
		return fmt.Errorf("read %s: its bytes have SHA-256 %s, its record says %s: %w", out.Key, now, hash, object.ErrDamaged)
	}
	return nil
}

// copySegments reads the segments of a commit record, one after the other.
func (t *attempt) copySegments(ctx context.Context, rec *manifest.Map, segs *segments) error {
	segs.emitted = rec.Emitted
	for r := range rec.Parts {
		p := &rec.Parts[r]
		seg := segment{off: segs.spool.size, largest: p.Largest, Summary: recordio.Summary{Sum: p.Sum, Bytes: p.Size}}
		if _, err := hex.Decode(seg.Hash[:], []byte(p.Hash)); err != nil {
			return fmt.Errorf("hash of a segment: %w", err) // the record has been validated
		}
		segs.parts = append(segs.parts, seg)
		if p.Size == 0 {
			continue
		}
		key, etag, off := p.Key, p.ETag, int64(0)
		if rec.Packed != nil {
			key, etag, off = rec.Packed.Key, rec.Packed.ETag, p.Offset
		}
		body, err := t.bucket.open(ctx, key, etag, off, p.Size)
		if err != nil {
			return err
		}
		_, err = io.Copy(&segs.spool, &beating{body, t.live})
		if err = errors.Join(err, body.Close()); err != nil {
			return err
		}
	}
	return nil
}

// beating tells that an attempt is alive while it reads.
type beating struct {
	io.Reader
	live *live
}

func (b *beating) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	b.live.Beats.Add(1)
	return n, err
}
