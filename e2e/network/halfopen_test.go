//go:build linux && netns

package network

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mraws/mraws/e2e/lab"
)

// TestCoordinatorGoneBehindCut is row 21: the coordinator's machine is cut
// off, and while nobody can hear it the process dies. To the workers the
// connection still stands.
func TestCoordinatorGoneBehindCut(t *testing.T) {
	w := newFixture(t, 3, slow)
	coord, workers := w.all()
	w.phase("map")
	var heal []func()
	for _, h := range w.workers {
		heal = append(heal, w.Net.Cut(w.coordHost, h))
	}
	if err := coord.Kill(); err != nil {
		t.Fatal(err)
	}
	again := w.coordinate()
	pass(3 * time.Second)
	for _, h := range heal {
		h()
	}
	w.exact(append(workers, again)...)
	w.cut()
}

// TestWorkerGoneBehindCut is row 21 the other way round: to the coordinator
// and the store the worker's connections still stand.
func TestWorkerGoneBehindCut(t *testing.T) {
	w := newFixture(t, 3, slow)
	coord, workers := w.all()
	w.phase("map")
	w.Net.Cut(w.workers[0], nil)
	if err := workers[0].Kill(); err != nil {
		t.Fatal(err)
	}
	w.exact(append(workers[1:], coord)...)
	w.cut()
}

// TestStoreGoneBehindCut: the store's process is replaced while no packet of
// it gets through. Requests that it had taken are never answered, and nothing
// but their own deadline ends them.
func TestStoreGoneBehindCut(t *testing.T) {
	w := newFixture(t, 3, slow)
	coord, workers := w.all()
	w.phase("map")
	heal := w.Net.Cut(w.S3, nil)
	if err := w.store.Kill(); err != nil {
		t.Fatal(err)
	}
	w.server(slow)
	pass(2 * time.Second)
	heal()
	w.exact(append(workers, coord)...)
	w.cut()
}

// TestReconnect is row 49: the coordinator of twelve workers is away for
// longer than any of them waits between two tries. When it is back they come
// one by one.
func TestReconnect(t *testing.T) {
	const n = 12
	w := newFixture(t, n, slow)
	coord, workers := w.all()
	w.until("all workers have joined", func() bool { return strings.Count(coord.Stderr(), "worker joined") == n })
	if err := coord.Kill(); err != nil {
		t.Fatal(err)
	}
	pass(4 * time.Second)
	again := w.coordinate()
	w.until("it listens", func() bool { return strings.Contains(again.Stderr(), "listening") })
	since := time.Now()
	w.exact(append(workers, again)...)

	first := map[*lab.Host]time.Time{}
	for _, d := range w.Net.Dials() {
		if d.To == w.coordHost && d.At.After(since) && first[d.From].IsZero() {
			first[d.From] = d.At
		}
	}
	var at []time.Duration
	for _, when := range first {
		at = append(at, when.Sub(since))
	}
	slices.Sort(at)
	t.Logf("the workers came after %s", at)
	if len(at) != n {
		t.Fatalf("%d workers of %d came back", len(at), n)
	}
	// Their pauses are up to two seconds by now, and each of a worker's slots
	// and its heartbeats has its own: the first of these comes within a
	// third of a second or so.
	const window, most = 10 * time.Millisecond, 5
	for i := range at {
		if j := i + most; j < len(at) && at[j]-at[i] < window {
			t.Errorf("%d workers came within %s", most+1, window)
		}
	}
}
