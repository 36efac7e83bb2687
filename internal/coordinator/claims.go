package coordinator

import (
	"time"

	"github.com/mraws/mraws/internal/coordinator/sched"
)

// What a worker says of itself is a claim. Here is what bounds the claims: the
// requests that it counts, the attempts that it says it runs, and the tasks
// that it calls hopeless (docs/protocol.md, "What a token holder can do").

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

// noteRequests keeps a worker's counts, which only grow, so that the last one
// told holds and a repetition changes nothing. A count that no worker of its
// slots can have is left at what it was, and reported once.
func (l *loop) noteRequests(w sched.WorkerID, requests map[string]int64) {
	m := l.members[w]
	if m == nil || requests == nil {
		return
	}
	since := m.counted
	if since.IsZero() { // for an earlier coordinator too
		since = time.Now().Add(-24 * time.Hour)
		if l.job != nil && l.job.Created.Before(since) {
			since = l.job.Created
		}
	}
	most := int64(m.slots) * (burst + int64(time.Since(since).Seconds()*mostRate))
	was := l.asked[w]
	now := make(map[string]int64, len(was))
	doubtful := false
	known := 0
	for _, op := range operations() {
		n, told := requests[op]
		if !told {
			n = was[op]
		} else {
			known++
		}
		if n < 0 || n-was[op] > most {
			n, doubtful = was[op], true
		}
		if n = max(n, was[op]); n > 0 { // a late copy tells less
			now[op] = n
		}
	}
	if doubtful = doubtful || known < len(requests); doubtful && !m.doubted {
		m.doubted = true
		l.log.Warn().Str("worker", string(w)).Msg("the worker counts S3 requests that it cannot have made; these counts are not believed")
	}
	m.counted = time.Now()
	l.asked[w] = now
	l.foldAsked()
}

// foldAsked adds up the requests of one that has left, once too many are kept.
func (l *loop) foldAsked() {
	if len(l.asked) <= maxAsked {
		return
	}
	for w, requests := range l.asked {
		if l.members[w] == nil {
			for op, n := range requests {
				l.askedBefore[op] += n
			}
			delete(l.asked, w)
			return
		}
	}
}

// claimTime is for how many leases after it has taken over a coordinator
// believes that a worker runs what an earlier one granted.
const claimTime = 3

// ours lists what a member runs of this job: an attempt of another can tell
// nothing here. What an earlier coordinator granted is believed where there was
// one, and for a while; what is not listed is revoked by the next heartbeat,
// and at worst its task is run again.
func (l *loop) ours(m *member) (running []sched.Running) {
	if m.job != l.job.ID {
		return nil
	}
	late := l.led.IsZero() || time.Since(l.led) > claimTime*l.o.Lease
	for _, r := range m.running {
		if !late || l.core.Granted(r.Attempt) {
			running = append(running, r)
		}
	}
	return running
}

// countsAsFatal says whether the word of a worker that a task is hopeless is
// another's word than those that were heard: the names of one machine are one
// voice while there is a worker on another.
func (l *loop) countsAsFatal(task sched.TaskID, m *member) bool {
	if l.hopeless[task] == nil {
		l.hopeless[task] = map[string]bool{}
	}
	if !l.hopeless[task][m.from] {
		l.hopeless[task][m.from] = true
		return true
	}
	for _, other := range l.members {
		if other.from != m.from {
			return false
		}
	}
	return true
}
