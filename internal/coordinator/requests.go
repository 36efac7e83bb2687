package coordinator

import (
	"time"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/wire"
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
	// mostRate is more requests than a slot makes in a second, and mostBytes more bytes
	// than it sends or receives.
	mostRate  = 20_000
	mostBytes = 10 << 30
	// burst and burstBytes are what it may have made besides.
	burst      = 100_000
	burstBytes = 1 << 40
	// maxAsked bounds the workers whose requests are kept apart, with those
	// that have left.
	maxAsked = 4 * maxWorkers
)

// requestCounts is what each worker has asked of S3 since it started, also
// of those that left. What a worker counts is a claim, so it is bounded
// (docs/protocol.md, "What a token holder can do").
type requestCounts struct {
	of   map[sched.WorkerID]*requestCount
	left requestCount // the sum of workers that have left, once too many are kept

	// earlier is what was asked of S3 for the job before this coordinator led it, but
	// for what commit records say. recorded is what those say that this one has seen.
	earlier, recorded object.Traffic
}

type requestCount struct {
	all      object.Traffic
	recorded object.Traffic // of all: in commit records of its attempts
	told     object.Traffic // of all: what an earlier coordinator was told of the rest
	heard    time.Time
	doubted  bool // it has told of some that it cannot have made
}

func newRequestCounts() requestCounts {
	return requestCounts{of: map[sched.WorkerID]*requestCount{}}
}

// join keeps what an earlier coordinator was told by a worker that registers.
func (rc *requestCounts) join(w sched.WorkerID, told object.Traffic, since time.Time) {
	if rc.of[w] == nil && !told.IsZero() {
		rc.of[w] = &requestCount{told: believed(object.Traffic{}, told, limits{most: burst, bytes: burstBytes}, new(bool)), heard: since}
	}
}

// limits are how much more a worker may claim than before.
type limits struct{ most, bytes int64 }

// believed is a claim of a worker that has claimed was before. Counts only grow, so that
// the last one told holds and a repetition changes nothing. One that no worker can
// have reached since then is left at what it was, and doubtful is set.
func believed(was, told object.Traffic, by limits, doubtful *bool) object.Traffic {
	one := func(was, n, most int64) int64 {
		if n < 0 || n-was > most {
			n, *doubtful = was, true
		}
		return max(n, was) // a late copy tells less
	}
	now := object.Traffic{
		Requests: make(map[string]int64, len(was.Requests)),
		Sent:     one(was.Sent, told.Sent, by.bytes), Received: one(was.Received, told.Received, by.bytes),
	}
	known := 0
	for _, op := range operations() {
		n, ok := told.Requests[op]
		if !ok {
			n = was.Requests[op]
		} else {
			known++
		}
		if n = one(was.Requests[op], n, by.most); n > 0 {
			now.Requests[op] = n
		}
	}
	if known < len(told.Requests) {
		*doubtful = true
	}
	return now
}

// note keeps what a worker says that it has asked of S3, and says whether it is found
// to claim too much for the first time.
func (rc *requestCounts) note(m sched.Member, all, recorded object.Traffic, since time.Time) (doubtful bool) {
	if all.IsZero() {
		return false
	}
	c := rc.of[m.Worker]
	if c == nil {
		c = &requestCount{heard: since}
		rc.of[m.Worker] = c
	}
	slots, passed := int64(m.Slots), time.Since(c.heard).Seconds()
	by := limits{slots * (burst + int64(passed*mostRate)), slots * (burstBytes + int64(passed*mostBytes))}
	c.all = believed(c.all, all, by, &doubtful)
	c.recorded = least(believed(c.recorded, recorded, by, &doubtful), c.all)
	first := !c.doubted
	c.doubted = c.doubted || doubtful
	c.heard = time.Now()
	return first && c.doubted
}

// fold adds up the requests of one that has left, once too many are kept.
func (rc *requestCounts) fold(here func(sched.WorkerID) bool) {
	if len(rc.of) <= maxAsked {
		return
	}
	for w, c := range rc.of {
		if !here(w) {
			rc.left.add(c)
			delete(rc.of, w)
			return
		}
	}
}

func (c *requestCount) add(d *requestCount) {
	c.all.Add(d.all)
	c.recorded.Add(d.recorded)
	c.told.Add(d.told)
}

// sum is what was asked of S3 for the job: own by this coordinator, the rest by others.
// What workers say is in commit records, and was told before, is taken away as far as
// these records and the earlier coordinator have it.
func (rc *requestCounts) sum(own object.Traffic) object.Traffic {
	var w requestCount
	w.add(&rc.left)
	for _, c := range rc.of {
		w.add(c)
	}
	sum := w.all
	sum.Add(own)
	sum.Add(rc.earlier)
	sum.Add(rc.recorded)
	sum.Sub(least(w.told, rc.earlier))
	sum.Sub(least(w.recorded, rc.recorded))
	return sum
}

// least has the smaller ones of all numbers.
func least(a, b object.Traffic) object.Traffic {
	t := object.Traffic{Requests: make(map[string]int64, len(a.Requests)), Sent: min(a.Sent, b.Sent), Received: min(a.Received, b.Received)}
	for op, n := range a.Requests {
		t.Requests[op] = min(n, b.Requests[op])
	}
	return t
}

// noteRequests takes note of what a worker says that it has asked of S3.
func (l *loop) noteRequests(w sched.WorkerID, requests map[string]int64, s *wire.Spent) {
	m, ok := l.core.Member(w)
	if !ok {
		return
	}
	all := object.Traffic{Requests: requests, Sent: s.GetSent(), Received: s.GetReceived()}
	if l.counts.note(m, all, s.GetRecorded().Object(), l.claimsSince()) {
		l.log.Warn().Str("worker", string(w)).Msg("the worker counts S3 requests that it cannot have made; these counts are not believed")
	}
	l.counts.fold(func(w sched.WorkerID) bool { _, here := l.core.Member(w); return here })
}

// claimsSince is since when a worker may have made requests for the job.
func (l *loop) claimsSince() time.Time {
	since := time.Now().Add(-24 * time.Hour) // for an earlier coordinator too
	if l.job != nil && l.job.Created.Before(since) {
		since = l.job.Created
	}
	return since
}

// noteRecord takes note of what the record of a committed attempt says, once for each.
func (l *loop) noteRecord(t object.Traffic) {
	l.counts.recorded.Add(t)
	l.noteCost(t)
}

// spent is what was asked of S3 for the job so far.
func (l *loop) spent() object.Traffic {
	var apart object.Traffic
	if l.o.Apart != nil {
		apart = l.o.Apart()
	}
	own := l.o.Store.Traffic() // later than its part
	own.Sub(apart)
	return l.counts.sum(own)
}

// tellSpent hands on to the next coordinator what was spent. What commit records say it
// finds there.
func (l *loop) tellSpent(a *manifest.Coordinator) {
	spent := l.spent()
	a.Receipt = l.receipt(spent)
	spent.Sub(l.counts.recorded)
	a.S3 = spent
}

// receipt says what S3 charges, nil if there are no prices.
func (l *loop) receipt(spent object.Traffic) *manifest.Receipt {
	r := l.o.Rates
	if r == nil {
		return nil
	}
	return &manifest.Receipt{
		Sent: spent.Sent, Received: spent.Received, USD: r.Dollars(spent), Region: r.Region, Prices: r.Date, Committed: l.counts.recorded.Clone(),
	}
}
