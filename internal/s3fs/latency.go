package s3fs

import (
	"math"
	"time"
)

// Latency counts HTTP tries by the time from their start, behind the queue for the
// concurrency limit, to the headers of the reply, whatever its status. A body that was sent
// is a part of that. Bucket i has those of at most latencyEnd(i).
type Latency [latencies]int64

// Each bucket ends at 2 to the power of 1/4 times the end of the one before, so that a
// quantile is at most 19% too high. The last one has whatever took longer.
const (
	latencies  = 96
	leastTaken = 100 * time.Microsecond // end of the first bucket; that of the last but one is 23 min
)

// latencyEnd is the upper end of a bucket.
func latencyEnd(i int) time.Duration {
	return time.Duration(float64(leastTaken) * math.Exp2(float64(i)/4))
}

// answered counts a try whose reply took so long.
func (m *meter) answered(took time.Duration) {
	i := 0
	if took > leastTaken {
		i = min(int(math.Ceil(4*math.Log2(float64(took)/float64(leastTaken)))), latencies-1)
	}
	m.latency[i].Add(1)
}

// Since is what was counted after earlier.
func (l Latency) Since(earlier Latency) Latency {
	for i := range l {
		l[i] -= earlier[i]
	}
	return l
}

// Quantile is the time within which this part of the tries had their replies, 0 if there
// were none.
func (l Latency) Quantile(part float64) time.Duration {
	all := int64(0)
	for _, n := range l {
		all += n
	}
	if all == 0 {
		return 0
	}
	rest := int64(math.Ceil(part * float64(all)))
	for i, n := range l {
		if rest -= n; rest <= 0 {
			return latencyEnd(i)
		}
	}
	return latencyEnd(latencies - 1)
}
