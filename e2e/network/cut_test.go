//go:build linux && netns

package network

import (
	"strings"
	"testing"
	"time"

	"github.com/mraws/mraws/e2e/lab"
)

// TestWorkerCutFromCoordinator is rows 17 and 18: a worker and the
// coordinator do not hear each other, or only one of them hears the other,
// for longer than any lease. Both see the store all the time.
func TestWorkerCutFromCoordinator(t *testing.T) {
	t.Parallel()
	for _, way := range []struct {
		name            string
		requests, reply bool // what is lost
	}{
		{"both", true, true},
		{"requests", true, false},
		{"replies", false, true},
	} {
		for _, phase := range []string{"map", "reduce"} {
			t.Run(way.name+"-"+phase, func(t *testing.T) {
				w := newFixture(t, 3, slow)
				coord, workers := w.all()
				w.phase(phase)
				if way.requests {
					w.Net.Impose(lab.Rule{From: w.workers[0], To: w.coordHost, Cut: true})
				}
				if way.reply {
					w.Net.Impose(lab.Rule{From: w.coordHost, To: w.workers[0], Cut: true})
				}
				pass(3 * time.Second)
				w.Net.Heal()
				w.exact(append(workers, coord)...)
				w.cut()
			})
		}
	}
}

// TestAllWorkersCutFromCoordinator: nobody is there to take over.
func TestAllWorkersCutFromCoordinator(t *testing.T) {
	w := newFixture(t, 3, slow)
	coord, workers := w.all()
	w.phase("map")
	for _, h := range w.workers {
		w.Net.Cut(w.coordHost, h)
	}
	pass(3 * time.Second)
	w.Net.Heal()
	w.exact(append(workers, coord)...)
	w.cut()
}

// TestWorkerCutFromStore is row 19: a worker that the store no longer
// answers, and never again, costs a lease but not the job. It ends too: with
// the job if it hears of that, else for want of a coordinator.
func TestWorkerCutFromStore(t *testing.T) {
	t.Parallel()
	for _, phase := range []string{"map", "reduce"} {
		t.Run(phase, func(t *testing.T) {
			w := newFixture(t, 3, slow)
			coord, workers := w.all()
			w.phase(phase)
			start := time.Now()
			w.Net.Cut(w.workers[0], w.S3)
			w.exact(workers[1], workers[2], coord)
			t.Logf("the job ended %s after the cut", time.Since(start).Round(time.Millisecond))
			w.ends(workers[0], time.Now().Add(deadline), 0, 5)
			w.cut()
		})
	}
}

// TestWorkerCutFromAll: a worker that hears of nobody any more gives up when
// its patience with an absent coordinator ends, as documented. That the store
// is silent too must not keep it.
func TestWorkerCutFromAll(t *testing.T) {
	w := newFixture(t, 3, slow)
	coord, workers := w.all()
	hasty := w.start(w.host("hasty", 40), "worker", "--app", "wc", "--slots", "1", "--coord-timeout", "5s", "-v")
	w.phase("map")
	w.until("it has work", func() bool { return strings.Contains(hasty.Stderr(), "attempt committed") })
	start := time.Now()
	w.Net.Cut(hasty.Host, nil)
	w.ends(hasty, start.Add(deadline), 5)
	t.Logf("it gave up after %s", time.Since(start).Round(time.Millisecond))
	w.exact(append(workers, coord)...)
	w.cut()
}

// TestCoordinatorCutFromStore is row 20.
func TestCoordinatorCutFromStore(t *testing.T) {
	t.Parallel()
	for _, phase := range []string{"map", "reduce"} {
		t.Run(phase, func(t *testing.T) {
			w := newFixture(t, 3, slow)
			coord, workers := w.all()
			w.phase(phase)
			heal := w.Net.Cut(w.coordHost, w.S3)
			pass(3 * time.Second)
			if w.Succeeded() {
				t.Error("the job is done although its coordinator saw nothing of it")
			}
			heal()
			w.exact(append(workers, coord)...)
			w.cut()
		})
	}
}

// TestEverythingCut: no packet gets through for longer than a lease.
func TestEverythingCut(t *testing.T) {
	t.Parallel()
	for _, phase := range []string{"map", "reduce"} {
		t.Run(phase, func(t *testing.T) {
			w := newFixture(t, 3, slow)
			coord, workers := w.all()
			w.phase(phase)
			w.Net.Impose(lab.Rule{Cut: true})
			pass(3 * time.Second)
			w.Net.Heal()
			w.exact(append(workers, coord)...)
			w.cut()
		})
	}
}

// TestSlowAndLossy: a round trip takes 200 ms, and of every hundred packets
// five are lost, from the first to the last.
func TestSlowAndLossy(t *testing.T) {
	w := newFixture(t, 3)
	w.Net.Impose(lab.Rule{Delay: 100 * time.Millisecond, Loss: 0.05})
	coord, workers := w.all()
	w.until("the job is done", w.Succeeded)
	w.Net.Heal()
	w.exact(append(workers, coord)...)
	w.cut()
}

// cut wants that the network did what the test is about.
func (w *fixture) cut() {
	w.t.Helper()
	if w.Net.Dropped() == 0 {
		w.t.Error("no packet was lost: the test has shown nothing")
	}
}
