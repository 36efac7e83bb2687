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
