package s3fs

import (
	"testing"
	"time"
)

// TestLatency: a quantile is at least what was counted, and at most 19% above it.
func TestLatency(t *testing.T) {
	var m meter
	now := func() (l Latency) {
		for i := range l {
			l[i] = m.latency[i].Load()
		}
		return l
	}
	if got := now().Quantile(0.5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
	for range 100 {
		m.answered(time.Minute)
	}
	before := now()
	for i := range 1000 {
		m.answered(time.Duration(i+1) * time.Millisecond)
	}
	for part, want := range map[float64]time.Duration{0.001: time.Millisecond, 0.5: 500 * time.Millisecond, 0.95: 950 * time.Millisecond, 1: time.Second} {
		if got := now().Since(before).Quantile(part); got < want || float64(got) > 1.19*float64(want) {
			t.Errorf("%g of them: %v, want %v", part, got, want)
		}
	}
	for _, d := range []time.Duration{-1, 0, 1, leastTaken, leastTaken + 1, time.Hour, 1 << 62} {
		m.answered(d)
	}
	if got := now().Since(before); got[latencies-1] != 2 || got[0] != 4 {
		t.Errorf("%v", got)
	}
}
