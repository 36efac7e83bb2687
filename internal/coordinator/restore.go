package coordinator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// A job deletes and replaces nothing that it has committed, but others may. A
// coordinator has in memory what it has read of the control objects, so it puts
// back what is gone, replaced or damaged: the very bytes, so that nothing that
// was committed changes (I3). It does so when a worker reports that it could not
// read one, and with one listing at the end, when it also looks whether every
// output is there: one that is gone is made again (docs/protocol.md).

// maxRemade is how often the job makes one output again before it fails.
const maxRemade = 3

// controlObject is a control object that this coordinator knows.
type controlObject struct {
	key  string
	at   object.Info // of the version that was read or written
	is   func() ([]byte, error)
	meta map[string]string
	// adopt says whether what lies in its place will do as well, and takes note
	// of it; nil where only the same bytes do.
	adopt func(context.Context) (bool, error)
}

// restorer knows the control objects that this coordinator has read or written,
// beside the records of tasks, which the loop has, and puts them back.
type restorer struct {
	*turns
	*bucket
	loop    *loop
	maxLost int

	// Owned by the loop once the job is planned.
	jobAt    object.Info      // _job.json
	ranges   *manifest.Ranges // nil if there are none, or none were read
	rangesAt object.Info      // _ranges.json
	ownerAt  object.Info      // _owner.json, if the output has a place of its own

	mu       sync.Mutex     // held while something is put back
	reported map[string]int // how often an attempt failed over an object, by its key
}

// encoded is the content of a control object.
func encoded(v any) func() ([]byte, error) {
	return func() ([]byte, error) { return manifest.Encode(v) }
}

// known lists the control objects that are known, by key.
func (s *restorer) known(ctx context.Context) (map[string]controlObject, []*reduceCommit) {
	var maps []*mapCommit
	var reduces []*reduceCommit
	all := map[string]controlObject{}
	add := func(k controlObject) { all[k.key] = k }
	s.call(ctx, func() {
		maps, reduces = slices.Clone(s.loop.maps), slices.Clone(s.loop.reduces)
		add(controlObject{key: s.layout.Job(), at: s.jobAt, is: encoded(s.loop.job)})
		if s.layout.OutputBucket() != "" {
			add(controlObject{key: s.layout.Owner(), at: s.ownerAt, is: encoded(s.loop.o.owner(s.loop.job))})
		}
		if ranges := s.ranges; ranges != nil {
			add(controlObject{key: s.layout.Ranges(), at: s.rangesAt, is: encoded(ranges)})
		}
	})
	for m, rec := range maps {
		if rec != nil {
			add(controlObject{
				key: s.layout.MapCommit(m), at: rec.at, is: encoded(rec.Map), meta: s.metaOf(rec.Attempt),
				adopt: func(ctx context.Context) (bool, error) { return s.adoptMap(ctx, m, rec) },
			})
		}
	}
	for r, rec := range reduces {
		if rec != nil {
			add(controlObject{key: s.layout.ReduceAttempt(r, rec.Attempt), at: rec.at, is: encoded(rec.Reduce), meta: s.metaOf(rec.Attempt)})
		}
	}
	return all, reduces
}

// metaOf is the metadata of a record.
func (s *restorer) metaOf(attempt string) map[string]string {
	return map[string]string{manifest.MetaJob: s.loop.job.ID, manifest.MetaAttempt: attempt}
}

// noteVersion takes note of the version of a control object.
func (s *restorer) noteVersion(ctx context.Context, key string, at object.Info) {
	s.call(context.WithoutCancel(ctx), func() {
		m, isMap := s.layout.ParseMapCommit(key)
		switch {
		case key == s.layout.Job():
			s.jobAt = at
		case key == s.layout.Ranges():
			s.rangesAt = at
		case s.layout.OutputBucket() != "" && key == s.layout.Owner():
			s.ownerAt = at
		case isMap:
			rec := *s.loop.maps[m]
			rec.at = at
			s.loop.maps[m] = &rec
		default:
			for r, rec := range s.loop.reduces {
				if rec != nil && key == s.layout.ReduceAttempt(r, rec.Attempt) {
					now := *rec
					now.at = at
					s.loop.reduces[r] = &now
				}
			}
		}
	})
}

// restore sees to it that a control object is what it was when it was read,
// whatever the listing says of it.
func (s *restorer) restore(ctx context.Context, k controlObject) error {
	want, err := k.is()
	if err != nil {
		return err
	}
	for range 3 {
		found, at, err := s.readAt(ctx, k.key)
		if err != nil {
			return fmt.Errorf("read the metadata of %s: %w", k.key, err)
		}
		if bytes.Equal(found, want) {
			s.noteVersion(ctx, k.key, at)
			return nil
		}
		if k.adopt != nil && found != nil {
			if ok, err := k.adopt(ctx); ok || err != nil {
				return err
			}
		}
		// Behind the look: what another job puts there from now on is another
		// version.
		if err := s.displaced(ctx, s.loop.job.ID); err != nil {
			return err
		}
		meta := maps.Clone(k.meta)
		if meta != nil {
			meta[manifest.MetaHash] = manifest.DigestOf(want).String()
		}
		info, err := s.store.Put(ctx, k.key, want, object.PutOptions{
			IfAbsent: at.ETag == "", IfMatch: at.ETag, Meta: meta, ContentType: "application/json",
		})
		if err == nil {
			s.log.Warn().Str("key", k.key).Bool("gone", at.ETag == "").Msg("a control object was deleted or damaged; it is written again")
			info.Size = int64(len(want))
			s.noteVersion(ctx, k.key, info)
			return nil
		}
		if !object.ConditionFailed(err) {
			return fmt.Errorf("write %s again: %w", k.key, err)
		}
	}
	return &JobError{Cause: s.name(k.key) + " is deleted or replaced again and again while the job runs"}
}

// adoptMap says whether the commit record that lies in the place of rec does as
// well: that of an attempt which came after rec was deleted and committed equal
// records. One with others ends the job, since outputs may be made of either.
func (s *restorer) adoptMap(ctx context.Context, m int, rec *mapCommit) (bool, error) {
	now, err := s.readMap(ctx, s.loop.job, m)
	var conflict *ConflictError
	switch {
	case errors.As(err, &conflict), errors.Is(err, fs.ErrNotExist), errors.Is(err, object.ErrDamaged):
		return false, nil // no record of this job: rec goes over it
	case err != nil:
		return false, err
	case now.Attempt == rec.Attempt:
		return false, nil // rec, changed
	case !sameRecords(now.Map, rec.Map):
		return false, &JobError{Cause: fmt.Sprintf("s3://%s/%s was deleted while the job ran, and attempt %s committed an output that differs from that of attempt %s: the app is not deterministic",
			s.store.Bucket(), s.layout.MapCommit(m), now.Attempt, rec.Attempt)}
	}
	s.call(context.WithoutCancel(ctx), func() {
		s.loop.maps[m] = now
		s.loop.recordReplaced(mapTask(m), now.Attempt)
	})
	return true, nil
}

// sameRecords says whether two commit records speak of equal records.
func sameRecords(a, b *manifest.Map) bool {
	same := func(p, q manifest.Part) bool { return p.Hash == q.Hash && p.Sum == q.Sum }
	bad := func(r *manifest.Map) string {
		if r.Bad == nil {
			return ""
		}
		return r.Bad.Hash
	}
	return slices.EqualFunc(a.Parts, b.Parts, same) && slices.Equal(a.Extents, b.Extents) && bad(a) == bad(b)
}

// hasRanges says whether the bucket has to have key ranges.
func (l *loop) hasRanges() bool {
	return l.job.Partitioner.Name == manifest.Range && l.job.NReduce > 1 && len(l.job.Tasks) > 0
}

// noteRanges reads the key ranges of a job with ordered output when all maps
// have gone by them. If they are lost by then, a reduce attempt makes them
// again.
func (s *restorer) noteRanges(ctx context.Context) {
	needed := false
	s.call(ctx, func() { needed = s.loop.hasRanges() && s.ranges == nil })
	if !needed {
		return
	}
	ranges, info, err := jobstate.ReadRanges(ctx, s.store, s.layout, s.loop.job)
	if err != nil {
		if ctx.Err() == nil {
			s.log.Warn().Err(err).Msg("key ranges not read")
		}
		return
	}
	s.call(ctx, func() { s.ranges, s.rangesAt = ranges, info })
}

// sealRanges adds the digest of the key ranges, if the job has any. A damaged
// or foreign object in their place is an error: a seal of it would make it
// right.
func (s *restorer) sealRanges(ctx context.Context, success *manifest.Success) error {
	var has bool
	var ranges *manifest.Ranges
	s.call(ctx, func() { has, ranges = s.loop.hasRanges(), s.ranges })
	if !has {
		return nil
	}
	if ranges == nil {
		var err error
		ranges, _, err = jobstate.ReadRanges(ctx, s.store, s.layout, s.loop.job)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return fmt.Errorf("seal the key ranges: %w", s.unusable(ForeignObject, err))
		}
	}
	data, err := manifest.Encode(ranges)
	if err != nil {
		return fmt.Errorf("seal the key ranges: %w", err)
	}
	success.Sealed.Ranges = manifest.DigestOf(data).String()
	return nil
}

// restoreReported puts back the control object of which an attempt has reported that
// it is missing or damaged, and what else is missing. It says whether the
// attempt failed over that alone.
func (s *restorer) restoreReported(ctx context.Context, key string) bool {
	all, _ := s.known(ctx)
	k, known := all[key]
	if !known {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reported == nil {
		s.reported = map[string]int{}
	}
	if s.reported[key]++; s.reported[key] > 4*s.maxLost {
		return false // somebody deletes it again and again, or the worker lies
	}
	err := s.restore(ctx, k)
	if err == nil {
		err = s.restoreListed(ctx, all)
	}
	if err != nil && ofJob(err) {
		s.call(context.WithoutCancel(ctx), func() { s.loop.finishWith(err) })
	} else if err != nil {
		s.log.Warn().Err(err).Str("key", key).Msg("control objects not written again")
	}
	return err == nil
}

// restoreListed puts back the known control objects that the listing lacks, or
// shows at another version.
func (s *restorer) restoreListed(ctx context.Context, all map[string]controlObject) error {
	missing := maps.Clone(all)
	for o, err := range s.store.List(ctx, s.layout.ControlPrefix()) {
		if err != nil {
			return fmt.Errorf("list the control objects: %w", err)
		}
		if k, known := missing[o.Key]; known && k.at.ETag == o.ETag && k.at.Size == o.Size {
			delete(missing, o.Key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(missing)) {
		if err := s.restore(ctx, missing[key]); err != nil {
			return err
		}
	}
	return nil
}

// review looks before _SUCCESS is written whether everything that it is going
// to speak of is there. Control objects that are not it puts back. It returns
// the outputs that have to be made again, and an error for one in whose place
// something else lies.
func (s *restorer) review(ctx context.Context) ([]int, error) {
	s.noteRanges(ctx) // those that were lost and are made again
	all, outputs := s.known(ctx)
	if _, ok := all[s.layout.Ranges()]; !ok && s.ranged(ctx) {
		return nil, &JobError{Lost: true, Cause: fmt.Sprintf("s3://%s/%s is missing or damaged: it was deleted or changed, and without it the outputs cannot be checked",
			s.store.Bucket(), s.layout.Ranges())}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.restoreListed(ctx, all); err != nil {
		return nil, err
	}
	if k, ok := all[s.layout.Ranges()]; ok { // which is read for the seal
		if err := s.restore(ctx, k); err != nil {
			return nil, err
		}
	}
	return s.reviewOutputs(ctx, outputs)
}

// reviewOutputs looks with one listing whether every output is the one that was
// committed. It returns those that are gone.
func (s *restorer) reviewOutputs(ctx context.Context, outputs []*reduceCommit) (gone []int, err error) {
	there := make([]object.Info, len(outputs))
	for o, err := range s.store.List(ctx, s.layout.OutputDir()) {
		if err != nil {
			return nil, fmt.Errorf("list the output: %w", err)
		}
		if r, ok := s.layout.ParseOutput(o.Key); ok && r < len(there) {
			there[r] = o
		}
	}
	for r, rec := range outputs {
		o, key := there[r], s.layout.Output(r)
		var err error
		if o.Key == "" { // a listing may hide what is there
			o, err = s.store.Stat(ctx, key)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist):
			gone = append(gone, r)
		case err != nil:
			return nil, fmt.Errorf("read the metadata of %s: %w", key, err)
		case o.ETag != rec.output || o.Size != rec.Output.Size:
			now, err := s.readReduce(ctx, s.loop.job, r)
			if err != nil || now.Attempt == rec.Attempt {
				return nil, errors.Join(s.spoiled(key, fmt.Sprintf("it has %d bytes and ETag %s, its reduce task made %d bytes with ETag %s",
					o.Size, o.ETag, rec.Output.Size, rec.output)), storeError(err))
			}
			s.call(ctx, func() { s.loop.committedReduce(s.now(), r, now) }) // it was gone, and is made again
		}
	}
	return gone, nil
}

// storeError is err unless that says something of an object.
func storeError(err error) error {
	var conflict *ConflictError
	if errors.As(err, &conflict) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// ranged says whether the bucket has to have key ranges.
func (s *restorer) ranged(ctx context.Context) (yes bool) {
	s.call(ctx, func() { yes = s.loop.hasRanges() })
	return yes
}

// reopen has outputs made again that are gone.
func (s *restorer) reopen(ctx context.Context, gone []int) error {
	var err error
	s.call(ctx, func() { err = s.loop.reopen(s.now(), gone) })
	return err
}

func (l *loop) reopen(now sched.Time, gone []int) error {
	for _, r := range gone {
		if l.remade[r]++; l.remade[r] > maxRemade {
			return &JobError{Cause: fmt.Sprintf("%s was deleted %d times while the job ran", l.o.Layout.Output(r), l.remade[r])}
		}
	}
	l.ended = make(chan struct{})
	for _, r := range gone {
		l.log.Warn().Str("key", l.o.Layout.Output(r)).Msg("an output was deleted while the job ran; its reduce task is run again")
		l.reduces[r] = nil
		l.step(now, sched.OutputGone{Task: reduceTask(r)})
	}
	// Polls that came when all seemed to be done.
	for s, p := range maps.Clone(l.waiting) {
		l.step(now, sched.Poll{Worker: s.worker, Slot: s.index, Seq: p.seq})
	}
	return nil
}
