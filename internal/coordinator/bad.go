package coordinator

import (
	"fmt"

	"github.com/mraws/mraws/internal/manifest"
)

// badRecords adds up what the committed map tasks skipped, for the budget of
// the whole job.
type badRecords struct {
	skipped int64
	read    int64 // records, with those that were skipped
	left    int64 // most records that tasks can have which have not committed
	tasks   int   // that have not committed
}

// noteBad counts the record of map task m, once, and returns an error when
// the job has more bad records than it may skip: for sure, so that a share is
// measured against all records that may yet come.
func (l *loop) noteBad(m int, rec *manifest.Map) error {
	b := &l.bad
	if rec.Bad != nil {
		b.skipped += rec.Bad.Records
	}
	b.read += rec.Input.Records
	for _, p := range l.job.Tasks[m] {
		b.left -= p.Length
	}
	if b.tasks--; b.tasks == 0 {
		b.left = 0
	}
	if b.skipped <= l.job.MaxBad.Of(b.read+b.left) {
		return nil
	}
	return &JobError{Cause: fmt.Sprintf("%s, max-bad-records is %s: %s",
		manifest.CountBad(b.skipped), l.job.MaxBad, manifest.ListBad(l.firstBad()))}
}

// firstBad returns the first bad records that are known, in input order.
func (l *loop) firstBad() (first []manifest.BadRecord) {
	for _, rec := range l.maps {
		if rec != nil && rec.Bad != nil {
			first = append(first, rec.Bad.First...)
		}
	}
	for _, rec := range l.reduces {
		if rec != nil && rec.Bad != nil {
			first = append(first, rec.Bad.First...)
		}
	}
	return first[:min(len(first), manifest.FirstBad)]
}
