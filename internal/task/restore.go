package task

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/recordio"
)

// What was committed and is lost: somebody deleted a segment, or it was
// replaced or damaged. The reduce attempt that misses it runs the map task
// once more and puts back what is missing, if that has the very hash that the
// commit record names; of packed segments all, since they are one object. The
// record itself stays as it is, and so do objects that are there: to restore is
// no commit, and it is idempotent. If the application gives other output for the
// same input, nobody can bring back what the record names, and the job ends.

// maxRestores is how often one attempt looks for lost segments and puts them
// back, before it fails.
const maxRestores = 3

// loss is what is wrong with a segment.
type loss int

const (
	noLoss       loss = iota
	missing           // it is not there, or something else is
	damaged           // the store cannot give all of its bytes as they were written
	wrongRecords      // its records are not what was committed
)

// lossOf says what an error of the attempt tells of the segments.
func lossOf(err error) loss {
	var seg *SegmentError
	var corrupt *recordio.CorruptError
	switch {
	case !errors.As(err, &seg):
		return noLoss
	case errors.As(err, &corrupt), errors.Is(err, errOtherRecords):
		return wrongRecords
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, object.ErrPrecondition):
		return missing
	case errors.Is(err, object.ErrDamaged), errors.Is(err, io.ErrUnexpectedEOF):
		return damaged
	}
	return noLoss
}

// restorer puts back, for an attempt at a reduce task, the segments that it has
// to read and that are lost.
type restorer struct {
	*committer
	commits *Commits
	// mapAgain runs a map task once more, as attempt id, and calls f with what
	// it has made.
	mapAgain func(ctx context.Context, m int, id string, f func(context.Context, *committer, *segments) error) error
}

// retryAfter restores the lost segments over which the attempt has failed with
// err. It returns true where they are restored and the attempt may begin anew.
// It returns false, and the error that the attempt fails with, in all other
// cases: where nothing was lost, where a segment could not be restored, and
// where only the records were wrong. In that last case the application has
// read them already, so that another attempt has to read what was restored.
func (rs *restorer) retryAfter(ctx context.Context, err error, round int) (again bool, _ error) {
	what := lossOf(err)
	if what == noLoss || ctx.Err() != nil || round >= maxRestores {
		return false, err
	}
	lost, lerr := rs.lostSegments(ctx, what != missing)
	if lerr != nil {
		return false, errors.Join(err, lerr)
	}
	// In an order of its own: others miss the same, and whatever one of them
	// puts back is there for all.
	rand.Shuffle(len(lost), func(i, j int) { lost[i], lost[j] = lost[j], lost[i] })
	for _, m := range lost {
		if rerr := rs.restore(ctx, m, rs.index); rerr != nil {
			return false, rerr
		}
	}
	return what != wrongRecords, err
}

// lostSegments looks at all that the attempt has to read, and returns the map
// tasks of which something is missing or, if it is to read all of it, damaged.
// What was restored before, and lies under another version now, it notes for
// whoever reads it.
func (rs *restorer) lostSegments(ctx context.Context, read bool) (lost []int, err error) {
	parts, err := rs.commits.partition(ctx, rs.bucket, rs.index)
	if err != nil {
		return nil, err
	}
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(requests)
	for m, p := range parts {
		if p.sum.Records == 0 {
			continue
		}
		g.Go(func() error {
			info, there, err := rs.committedObject(gctx, p.key, p.etag, p.objectHash(), p.objectSize())
			if err == nil && (!there || read) && info.ETag != "" { // not to be believed
				there, err = rs.intact(gctx, info, p)
			}
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			if there {
				rs.commits.note(m, rs.index, info)
			} else {
				lost = append(lost, m)
			}
			return nil
		})
	}
	return lost, g.Wait()
}

// committedObject looks for what a commit record names: the very version, or
// an object that was restored and says that it has the same hash. If neither
// is there, info is what lies in its place; it has no ETag if nothing does.
func (b *bucket) committedObject(ctx context.Context, key, etag, hash string, size int64) (info object.Info, there bool, err error) {
	info, err = b.store.Stat(ctx, key)
	switch job := info.Meta[manifest.MetaJob]; {
	case errors.Is(err, fs.ErrNotExist):
		return object.Info{}, false, nil
	case err != nil:
		return info, false, err
	case job != "" && job != b.job.ID:
		return info, false, &ConflictError{Key: key, Job: b.job.ID, Got: job}
	}
	if info.ETag == etag {
		return info, info.Size == size, nil // or it was cut
	}
	return info, info.Meta[manifest.MetaHash] == hash, nil
}

// lostObject is an object that a commit record names and that is to be made
// again.
type lostObject struct {
	madeObject        // plain is the key that the record names
	named      string // the ETag that the record names
	long       int64  // the size that it names
	etag       string // of what lies in its place, "" if nothing does
	// parts are the partitions in it by number, none in the list of what was
	// skipped.
	parts  []int
	packed bool // all of them
}

// restore puts back what is missing of map task m. Of partition suspect, which
// is missing or damaged, it reads what is there now rather than believe it.
func (rs *restorer) restore(ctx context.Context, m, suspect int) error {
	rec, err := rs.mapRecord(ctx, m)
	if err != nil {
		return err
	}
	lost, err := rs.lostOf(ctx, rec, suspect)
	if err != nil || len(lost) == 0 {
		return err
	}
	rs.log.Warn().Int("map", m).Str("key", lost[0].plain).Int("objects", len(lost)).
		Msg("a committed partition is lost or damaged; its map task is run again")
	err = rs.mapAgain(ctx, m, fmt.Sprintf("%s.m%d", rs.id, m), func(ctx context.Context, u *committer, segs *segments) error {
		if err := segs.fill(lost, rec); err != nil {
			return err
		}
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(requests)
		for i := range lost {
			g.Go(func() error { return u.putBack(gctx, &lost[i]) })
		}
		return g.Wait()
	})
	if err != nil {
		return fmt.Errorf("restore %s, committed by map task %d: %w", lost[0].plain, m, err)
	}
	rs.res.Restored += len(lost)
	return nil
}

// committedObjects lists the objects that a commit record names.
func committedObjects(rec *manifest.Map) []lostObject {
	all := make([]lostObject, 0, len(rec.Parts)+1)
	numbers := make([]int, len(rec.Parts))
	for r, p := range rec.Parts {
		numbers[r] = r
		if rec.Packed == nil && p.Size > 0 {
			all = append(all, lostObject{madeObject: madeObject{plain: p.Key, hash: p.Hash}, named: p.ETag, long: p.Size, parts: numbers[r : r+1]})
		}
	}
	if p := rec.Packed; p != nil && p.Size > 0 {
		all = append(all, lostObject{madeObject: madeObject{plain: p.Key, hash: p.Hash}, named: p.ETag, long: p.Size, parts: numbers, packed: true})
	}
	if q := rec.Bad; q != nil {
		all = append(all, lostObject{madeObject: madeObject{plain: q.Key, hash: q.Hash, contentType: "application/x-ndjson"}, named: q.ETag, long: q.Size})
	}
	return all
}

// lostOf lists what is missing of what a commit record names.
func (rs *restorer) lostOf(ctx context.Context, rec *manifest.Map, suspect int) ([]lostObject, error) {
	parts, err := partsOf(rec)
	if err != nil {
		return nil, err
	}
	all := committedObjects(rec)
	gone := make([]bool, len(all))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(requests)
	for i := range all {
		g.Go(func() error {
			p := &all[i]
			info, there, err := rs.committedObject(gctx, p.plain, p.named, p.hash, p.long)
			doubts := p.parts // not to be believed
			if there {
				doubts = slices.DeleteFunc(slices.Clone(doubts), func(r int) bool { return r != suspect })
			}
			if err == nil && info.ETag != "" && len(doubts) > 0 {
				there, err = rs.allIntact(gctx, info, parts, doubts)
			}
			p.etag, gone[i] = info.ETag, !there
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var lost []lostObject
	for i, p := range all {
		if gone[i] {
			lost = append(lost, p)
		}
	}
	return lost, nil
}

// allIntact is intact for those of parts that which numbers.
func (rs *restorer) allIntact(ctx context.Context, info object.Info, parts []part, which []int) (ok bool, err error) {
	for _, r := range which {
		if ok, err = rs.intact(ctx, info, parts[r]); !ok {
			break
		}
	}
	return ok, err
}

// intact reads a segment in an object to its end and says whether it is what was
// committed.
func (rs *restorer) intact(ctx context.Context, info object.Info, p part) (bool, error) {
	size := info.Size // equal records may be compressed otherwise
	if p.packed != nil {
		if size != p.packed.Size {
			return false, nil
		}
		size = p.size
	}
	if size == 0 {
		return p.sum.Records == 0, nil
	}
	body, err := rs.open(ctx, info.Key, info.ETag, p.off, size)
	if errors.Is(err, object.ErrDamaged) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("check %s for damage: %w", info.Key, err)
	}
	failing := &keepError{r: body}
	r := recordio.NewReader(failing)
	for r.Next() {
	}
	sum, err := r.Summary()
	if cerr := errors.Join(failing.err, body.Close()); errors.Is(cerr, object.ErrDamaged) {
		return false, nil
	} else if cerr != nil {
		return false, fmt.Errorf("check %s for damage: %w", info.Key, cerr)
	}
	return err == nil && sum.Hash == p.hash && sum.Sum == p.sum, nil
}

// keepError tells an error of the store from what its reader makes of it.
type keepError struct {
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (k *keepError) Read(p []byte) (int, error) {
	n, err := k.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		k.err = err
	}
	return n, err
}

// fill finds what is lost in what the map task has made now, or returns a
// *FatalError if that is something else than was committed.
func (s *segments) fill(lost []lostObject, rec *manifest.Map) error {
	for i := range lost {
		p := &lost[i]
		hash := ""
		switch q := s.bad; {
		case p.packed:
			hash = manifest.PackedHash(s.recordParts())
			p.body, p.size = &s.spool, s.spool.size
		case len(p.parts) > 0:
			r := p.parts[0]
			hash = hex.EncodeToString(s.parts[r].Hash[:])
			p.body, p.size = s.reader(r), s.parts[r].Bytes
		case q != nil && q.n > 0:
			hash = hex.EncodeToString(q.sha.Sum(nil))
			p.body, p.size = &q.list, q.list.size
		}
		if hash == p.hash {
			continue
		}
		if d := s.differFrom(rec); len(d) > 0 {
			return &FatalError{Err: fmt.Errorf("the app is not deterministic: it gave another output for the same input: %s", strings.Join(d, "; "))}
		}
		// Of packed segments the places count too. A machine whose compressor
		// finds them may have the next attempt.
		return fmt.Errorf("the output is the same, but its compressed size is %d bytes, and was %d when it was committed", p.size, rec.Packed.Size)
	}
	return nil
}

// putBack creates one object again, or replaces what lies in its place. What
// it puts there is what the commit record names, so it does not matter who
// else does the same.
func (c *committer) putBack(ctx context.Context, p *lostObject) (err error) {
	for range maxRestores {
		o := object.PutOptions{IfAbsent: p.etag == "", IfMatch: p.etag, Meta: c.meta(p.hash), ContentType: p.contentType}
		o.Meta[manifest.MetaRestored] = c.id
		if _, err = c.store.PutFile(ctx, p.plain, p.body, p.size, o); err == nil {
			return nil
		}
		info, there, serr := c.committedObject(ctx, p.plain, p.named, p.hash, p.long)
		switch {
		case serr != nil:
			return errors.Join(err, serr)
		case there && info.ETag != p.etag:
			return nil // another's, or ours, and the reply was lost
		case info.ETag == p.etag:
			return err // it did not take place, or will later: another attempt
		}
		p.etag = info.ETag // somebody else has put something there, or taken it away
	}
	return err
}
