package object

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestPulse: the longest wait counts, from its last sign of life.
func TestPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := new(Pulse)
		wants := func(want time.Duration) {
			t.Helper()
			if got := p.Stalled(); got != want {
				t.Errorf("stalled for %v, want %v", got, want)
			}
		}
		ctx := WithPulse(t.Context(), p)
		a, b := PulseOf(ctx).Wait(), p.Wait()
		wants(0)
		a.Moved() // of a request that is not on its way
		wants(0)
		a.Begin(0)
		time.Sleep(2 * time.Second)
		b.Begin(10 * time.Second)
		wants(2 * time.Second)
		a.Begin(0) // tried again
		time.Sleep(3 * time.Second)
		wants(5 * time.Second)
		a.Moved()
		b.Moved() // which does not shorten its grace
		wants(0)
		time.Sleep(8 * time.Second)
		wants(8 * time.Second)
		a.End()
		wants(time.Second)
		b.End()
		wants(0)
	})
}

// TestNoPulse: without one nothing is noted and nothing breaks.
func TestNoPulse(t *testing.T) {
	p := PulseOf(t.Context())
	w := p.Wait()
	w.Begin(0)
	w.Moved()
	w.End()
	if p != nil || p.Stalled() != 0 {
		t.Errorf("a context without a pulse has %v", p)
	}
}

// TestThrottled: the time counts once in which any request is put off, until it is
// served or given up.
func TestThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := new(Pulse)
		wants := func(replies int64, took time.Duration) {
			t.Helper()
			if n, d := p.Throttled(); n != replies || d != took {
				t.Errorf("%d replies, %v, want %d, %v", n, d, replies, took)
			}
		}
		a, b := p.Wait(), p.Wait()
		a.Served() // of a request that was not put off
		wants(0, 0)
		a.Throttle()
		time.Sleep(2 * time.Second)
		b.Throttle()
		a.Throttle()
		time.Sleep(time.Second)
		wants(3, 3*time.Second)
		a.Served()
		a.Served()
		time.Sleep(time.Second)
		wants(3, 4*time.Second)
		b.Served()
		time.Sleep(time.Hour)
		wants(3, 4*time.Second)
		var none *Wait
		none.Throttle()
		none.Served()
		if n, d := (*Pulse)(nil).Throttled(); n != 0 || d != 0 {
			t.Error("no pulse was throttled")
		}
	})
}
