package verify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/mr"
)

// badRecord is where a record lies that the job skipped.
type badRecord struct {
	place
	length int64
}

// checkBad judges what a record says of the records that map task m skipped.
func (c *committed) checkBad(m int, key string, rec *manifest.Map, find *finder) {
	q := rec.Bad
	switch {
	case q == nil:
		return
	case c.job.MaxBad.IsZero():
		find.add(BadRecord, key, "it skips records, and the job may skip none")
	case q.Key != c.lay.Bad(m) && q.Key != c.lay.MapAttemptBad(m, rec.Attempt):
		find.add(BadRecord, key, "its list of bad records has the key %q", q.Key)
	case !validETag(q.ETag):
		find.add(BadRecord, key, "its list of bad records has the ETag %q", q.ETag)
	case q.Records < 1 || q.Records > rec.Input.Records || len(q.First) != int(min(q.Records, manifest.FirstBad)):
		find.add(BadRecord, key, "it skips %d of %d records and names %d", q.Records, rec.Input.Records, len(q.First))
	}
	if h, err := hex.DecodeString(q.Hash); err != nil || len(h) != 32 {
		find.add(BadRecord, key, "its list of bad records has the hash %q", q.Hash)
	}
}

// readBad reads the list of what map task m skipped.
func (a *audit) readBad(ctx context.Context, m int, find *finder) (err error) {
	facts := a.maps[m]
	if facts == nil || facts.bad == nil {
		return nil
	}
	q := facts.bad
	body, err := a.stream(ctx, q.Key, q.ETag, 0, -1)
	if errors.Is(err, object.ErrPrecondition) {
		if etag, rerr := a.restored(ctx, q.Key, q.Hash); rerr == nil && etag != "" {
			body, err = a.stream(ctx, q.Key, etag, 0, -1)
		}
	}
	if err == nil {
		defer func() { err = errors.Join(err, body.Close()) }()
		err = a.readList(m, body, find)
	}
	switch kind := faultOf(err); {
	case errors.Is(err, fs.ErrNotExist):
		find.add(Missing, q.Key, "the records that map task %d skipped", m)
	case kind != "":
		find.add(kind, q.Key, "%v", err)
	default:
		return err
	}
	return nil
}

func (c *committed) readList(m int, body io.Reader, find *finder) error {
	facts, lines := c.maps[m], newOutputReader(openLines, body)
	defer lines.close()
	q := facts.bad
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		var rec manifest.BadRecord
		if err := json.Unmarshal(line, &rec); err != nil {
			find.add(BadRecord, q.Key, "line %d: %v", lines.n, err)
			return nil
		}
		if n := int(lines.n); n <= len(q.First) && rec != q.First[n-1] {
			find.add(BadRecord, q.Key, "line %d is not what the commit record says", n)
		}
		bad, ok := c.placeOf(m, rec)
		if last := len(facts.skipped) - 1; !ok || last >= 0 && facts.skipped[last].compare(bad.place) >= 0 {
			find.add(BadRecord, q.Key, "line %d names byte %d of %q, where map task %d has no record, or not in this order",
				lines.n, rec.Offset, rec.Object, m)
			return nil
		}
		facts.skipped = append(facts.skipped, bad)
	}
	if lines.n != q.Records || lines.size != q.Size || lines.hash() != q.Hash {
		find.add(Replaced, q.Key, "it has %d lines in %d bytes with SHA-256 %s, its commit record says %d in %d with %s",
			lines.n, lines.size, lines.hash(), q.Records, q.Size, q.Hash)
	}
	return nil
}

// placeOf finds the place of a bad record; ok is false if map task m reads no
// record there.
func (c *committed) placeOf(m int, rec manifest.BadRecord) (bad badRecord, ok bool) {
	reaches := c.maps[m].reaches
	for i, p := range c.job.Tasks[m] {
		var guessed *reach
		if len(reaches) > 0 && reaches[0].piece == i {
			guessed, reaches = &reaches[0], reaches[1:]
		}
		o := &c.job.Objects[p.Object]
		at := place{p.Object, rec.Offset, rec.Within}
		switch {
		case o.Name != rec.Object || o.ETag != rec.ETag || rec.Length < 0:
			continue
		case guessed != nil && (!guessed.holds(at) || o.Compression == "" && rec.Length > o.Size-rec.Offset):
			continue
		case guessed != nil:
			return badRecord{at, rec.Length}, true
		case rec.Offset < p.Offset || rec.Within != 0 && c.job.Input.Name != "parquet" || rec.Within < 0:
			continue
		}
		size, end := o.Size, p.Offset+p.Length
		if o.Compression != "" || c.job.Decompress.Content { // how long it is shows when it is read
			size = c.job.Decompress.Most(o.Size)
			end = size
		}
		if rec.Length <= size-rec.Offset && (rec.Offset < end || size == 0) {
			return badRecord{at, rec.Length}, true
		}
	}
	return bad, false
}

// checkBudget holds all that was skipped against what the job may skip.
func (a *audit) checkBudget() {
	var read int64
	for _, m := range a.maps {
		if m == nil {
			return // which is a finding already
		}
		read += m.input.Records
	}
	if n := a.rep.Structure.Skipped; n > a.job.MaxBad.Of(read) {
		a.rep.add(BadSum, a.lay.CommitDir(), "%d of %d records were skipped, more than %s", n, read, a.job.MaxBad)
	}
}

// skips leads the reference past the records that the job skipped. It holds
// each against the application, which must find it bad too.
type skips struct {
	a    *audit
	m, i int // next: skipped[i] of map task m
}

// next returns the next record that was skipped, and the list that has it.
func (s *skips) next() (bad badRecord, list string, ok bool) {
	for ; s.m < len(s.a.maps); s.m, s.i = s.m+1, 0 {
		if f := s.a.maps[s.m]; f != nil && s.i < len(f.skipped) {
			return f.skipped[s.i], f.bad.Key, true
		}
	}
	return bad, "", false
}

// take tells whether the record at a place was skipped. What was to be skipped
// before it and did not come is a finding.
func (s *skips) take(at place, length int64) (list string, skipped bool) {
	for {
		bad, list, ok := s.next()
		if !ok || at.compare(bad.place) < 0 {
			return "", false
		}
		s.i++
		if bad == (badRecord{at, length}) {
			return list, true
		}
		s.a.rep.add(Mismatch, list, "it names %d bytes at %d of %s, which are no record", bad.length, bad.offset, s.a.job.Objects[bad.object].Name)
	}
}

// nothing is an mr.Emitter.
type nothing struct{}

func (nothing) Emit(_, _ []byte) {}

// mapRecord maps one record, unless the job skipped it: then the application
// must fail over it.
func (q *sequential) mapRecord(at place, rec mr.Record, size int64, mapper mr.Mapper, s mr.Emitter) error {
	if q.a.job.MaxBad.IsZero() {
		return q.a.opt.Code.call(func() error { return mapper.Map(rec, s) })
	}
	try := func(out mr.Emitter) error {
		return q.a.opt.Code.guard("map record", func() error { return mapper.Map(rec, out) })
	}
	list, skipped := q.skips.take(at, size)
	switch {
	case !skipped:
		if err := try(s); err != nil {
			return &inputError{q.a.job.Objects[at.object].At(q.a.lay), Mismatch,
				fmt.Errorf("app %s fails at the record at byte %d, which the job did not skip: %w", q.app.Name, rec.Offset, err)}
		}
	case q.app.Name != q.a.app.Name: // a stand-in, which may not fail
	case q.mute(func() error { return try(nothing{}) }) == nil:
		q.a.rep.add(Mismatch, list, "app %s does not fail at the %d bytes at %d of %s", q.app.Name, size, rec.Offset, rec.Object)
	}
	return nil
}

// skipBad leaves out a record that is too long or not of its format, as wrong says, if
// the job did so too.
func (q *sequential) skipBad(at place, size int64, wrong error) error {
	if q.a.job.MaxBad.IsZero() {
		return wrong
	}
	if _, skipped := q.skips.take(at, size); !skipped {
		return &inputError{q.a.job.Objects[at.object].At(q.a.lay), Mismatch, fmt.Errorf("%w, and the job did not skip it", wrong)}
	}
	return nil
}

// listBad compares the listing of lists with the commit records.
func (a *audit) listBad(ctx context.Context, listed map[int]bool) error {
	var left []leftover
	var displaced []int
	for _, m := range slices.Sorted(maps.Keys(listed)) {
		switch f := a.maps[m]; {
		case f == nil: // which is a finding already
		case f.bad == nil:
			left = append(left, leftover{key: a.lay.Bad(m)})
		case f.bad.Key != a.lay.Bad(m):
			displaced = append(displaced, m)
		}
	}
	err := a.checkLeft(ctx, left)
	if err == nil {
		err = a.each(ctx, a.opt.Concurrency, len(displaced), func(ctx context.Context, i int, find *finder) error {
			return a.checkBadCopy(ctx, displaced[i], find)
		})
	}
	if err != nil {
		return err
	}
	if len(left) > 0 {
		a.rep.note("%d lists below %s are of attempts that did not commit", len(left), a.lay.BadDir())
	}
	for m, f := range a.maps {
		if f == nil || f.bad == nil {
			continue
		}
		a.rep.Structure.Skipped += f.bad.Records
		if !listed[m] && f.bad.Key != a.lay.Bad(m) {
			a.rep.add(Missing, a.lay.Bad(m), "it must be a copy of the committed %s", f.bad.Key)
		}
	}
	a.checkBudget()
	return nil
}

// checkBadCopy reads the plain name of a list that was committed under
// another.
func (a *audit) checkBadCopy(ctx context.Context, m int, find *finder) (err error) {
	key, q := a.lay.Bad(m), a.maps[m].bad
	body, err := a.stream(ctx, key, "", 0, -1)
	sum := sha256.New()
	if err == nil {
		_, err = io.Copy(sum, body)
		err = errors.Join(err, body.Close())
	}
	if kind := faultOf(err); kind != "" {
		find.add(kind, key, "%v", err)
		return nil
	}
	if err == nil && hex.EncodeToString(sum.Sum(nil)) != q.Hash {
		find.add(Replaced, key, "it is not a copy of the committed %s", q.Key)
	}
	return err
}
