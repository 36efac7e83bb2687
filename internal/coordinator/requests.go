package coordinator

import (
	"maps"
	"time"

	"github.com/mraws/mraws/internal/coordinator/sched"
)

// operations are the requests that a worker may count.
func operations() []string {
	return []string{
		"AbortMultipartUpload", "CompleteMultipartUpload", "CopyObject", "CreateBucket", "CreateMultipartUpload",
		"DeleteObject", "DeleteObjects", "GetBucketLocation", "GetObject", "HeadBucket", "HeadObject", "ListMultipartUploads",
		"ListObjectsV2", "ListParts", "PutObject", "UploadPart", "UploadPartCopy",
	}
}

const (
	// mostRate is more requests than a slot makes in a second.
	mostRate = 20_000
	// burst is what it may have made besides.
	burst = 100_000
	// maxAsked bounds the workers whose requests are kept apart, with those
	// that have left.
	maxAsked = 4 * maxWorkers
)

// requestCounts are the S3 requests of each worker since it started, also of
// those that left. What a worker counts is a claim, so it is bounded
// (docs/protocol.md, "What a token holder can do").
type requestCounts struct {
	of     map[sched.WorkerID]*requestCount
	before map[string]int64 // of workers that have left, once too many are kept
}

type requestCount struct {
	by      map[string]int64
	told    time.Time
	doubted bool // it has told of some that it cannot have made
}

func newRequestCounts() requestCounts {
	return requestCounts{of: map[sched.WorkerID]*requestCount{}, before: map[string]int64{}}
}

// note keeps a worker's counts, which only grow, so that the last one told
// holds and a repetition changes nothing. A count that no worker of its slots
// can have made since then is left at what it was; it says whether there was
// one for the first time.
func (rc *requestCounts) note(m sched.Member, requests map[string]int64, since time.Time) (doubtful bool) {
	if requests == nil {
		return false
	}
	c := rc.of[m.Worker]
	if c == nil {
		c = &requestCount{told: since}
		rc.of[m.Worker] = c
	}
	most := int64(m.Slots) * (burst + int64(time.Since(c.told).Seconds()*mostRate))
	now := make(map[string]int64, len(c.by))
	known := 0
	for _, op := range operations() {
		n, told := requests[op]
		if !told {
			n = c.by[op]
		} else {
			known++
		}
		if n < 0 || n-c.by[op] > most {
			n, doubtful = c.by[op], true
		}
		if n = max(n, c.by[op]); n > 0 { // a late copy tells less
			now[op] = n
		}
	}
	first := !c.doubted
	c.doubted = c.doubted || doubtful || known < len(requests)
	c.by, c.told = now, time.Now()
	return first && c.doubted
}

// fold adds up the requests of one that has left, once too many are kept.
func (rc *requestCounts) fold(here func(sched.WorkerID) bool) {
	if len(rc.of) <= maxAsked {
		return
	}
	for w, c := range rc.of {
		if !here(w) {
			for op, n := range c.by {
				rc.before[op] += n
			}
			delete(rc.of, w)
			return
		}
	}
}

// sum adds up the S3 requests of everyone who told, and own.
func (rc *requestCounts) sum(own map[string]int64) map[string]int64 {
	sum := maps.Clone(own)
	for op, n := range rc.before {
		sum[op] += n
	}
	for _, c := range rc.of {
		for op, n := range c.by {
			sum[op] += n
		}
	}
	return sum
}

// noteRequests takes note of the requests that a worker counts.
func (l *loop) noteRequests(w sched.WorkerID, requests map[string]int64) {
	m, ok := l.core.Member(w)
	if !ok {
		return
	}
	since := time.Now().Add(-24 * time.Hour) // for an earlier coordinator too
	if l.job != nil && l.job.Created.Before(since) {
		since = l.job.Created
	}
	if l.counts.note(m, requests, since) {
		l.log.Warn().Str("worker", string(w)).Msg("the worker counts S3 requests that it cannot have made; these counts are not believed")
	}
	l.counts.fold(func(w sched.WorkerID) bool { _, here := l.core.Member(w); return here })
}
