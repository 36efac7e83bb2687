//go:build linux && netns

// Package network tests jobs over a network that is cut, one-sided, slow or
// lossy: store, coordinator and workers are real processes in network
// namespaces of their own (package lab). It needs the right to make them, so
// it has a build tag; scripts/test-net.sh runs it.
package network

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/mraws/mraws/e2e/lab"
)

// deadline bounds every job of these tests, from the first fault to the last
// exit code. It is what a busy machine may take: most take about ten
// seconds.
const deadline = 2 * time.Minute

// binary is the program under test, built once.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "mraws-network-")
	if err != nil {
		return "", err
	}
	return lab.Build(dir)
})

func TestMain(m *testing.M) {
	code := m.Run()
	if path, err := binary(); err == nil {
		os.RemoveAll(filepath.Dir(path))
	}
	os.Exit(code)
}

// fixture is one test's job with its processes.
type fixture struct {
	*lab.Lab
	t         *testing.T
	job       lab.Job
	store     *lab.Process // the embedded server that runs
	coordHost *lab.Host
	workers   []*lab.Host // of one worker each
	starts    int
	witness   *lab.Witness
}

// slow makes the store answer late, so that a job takes about six seconds
// and is not over before a fault is.
const slow = "* * delay 150ms"

// newFixture starts a store that plays a script, with input of sixteen map
// tasks in it.
func newFixture(t *testing.T, workers int, script ...string) *fixture {
	t.Helper()
	t.Parallel()
	bin, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	net := lab.NewNetwork(1)
	l, err := lab.New(t.TempDir(), bin, net)
	if err != nil {
		t.Fatal(err)
	}
	w := &fixture{Lab: l, t: t}
	t.Cleanup(w.end)
	rng := rand.New(rand.NewPCG(8, 0))
	w.job = lab.Job{App: "wc", NReduce: 8, Inputs: lab.Books(rng, 16, 4000)}
	w.coordHost = w.host("coordinator", 10)
	for i := range workers {
		w.workers = append(w.workers, w.host(fmt.Sprintf("worker%d", i), byte(20+i)))
	}
	w.server()
	if err := l.Upload(w.job); err != nil {
		t.Fatal(err)
	}
	if err := w.store.Kill(); err != nil {
		t.Fatal(err)
	}
	w.server(script...)
	w.witness = l.Witness()
	return w
}

// end ends all processes, and shows what they said if the test has failed.
func (w *fixture) end() {
	if err := w.Close(); err != nil {
		w.t.Error(err)
	}
	if !w.t.Failed() {
		return
	}
	logs, err := filepath.Glob(filepath.Join(w.Dir, "*.err"))
	if err != nil {
		w.t.Error(err)
	}
	for _, name := range logs {
		text, err := os.ReadFile(name)
		w.t.Logf("%s: %v\n%s", filepath.Base(name), err, text)
	}
}

func (w *fixture) host(name string, last byte) *lab.Host {
	w.t.Helper()
	h, err := w.Net.Host(name, last)
	if err != nil {
		w.t.Fatal(err)
	}
	return h
}

// server starts the embedded server.
func (w *fixture) server(script ...string) {
	w.t.Helper()
	var err error
	if w.store, err = w.StartS3(script, 1); err != nil {
		w.t.Fatal(err)
	}
}

func (w *fixture) start(h *lab.Host, args ...string) *lab.Process {
	w.t.Helper()
	w.starts++
	p, err := w.Start(h, fmt.Sprintf("%s-%d", h.Name, w.starts), args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// coordinate starts the coordinator, with a lease of two seconds.
func (w *fixture) coordinate() *lab.Process {
	w.t.Helper()
	return w.start(w.coordHost, append([]string{"coordinator", "--lease", "2s", "--port", fmt.Sprint(lab.Port),
		"--listen", w.coordHost.Addr.String(), "--nreduce", fmt.Sprint(w.job.NReduce)}, w.job.Args()...)...)
}

// work starts a worker with two slots.
func (w *fixture) work(h *lab.Host, more ...string) *lab.Process {
	w.t.Helper()
	return w.start(h, slices.Concat([]string{"worker", "--slots", "2", "--coord-timeout", "60s", "-v"}, w.job.Args(), more)...)
}

// all starts the coordinator and all workers.
func (w *fixture) all() (coord *lab.Process, workers []*lab.Process) {
	w.t.Helper()
	coord = w.coordinate()
	for _, h := range w.workers {
		workers = append(workers, w.work(h))
	}
	return coord, workers
}

// until polls for what nothing announces.
func (w *fixture) until(what string, ok func() bool) {
	w.t.Helper()
	limit := time.After(deadline)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-limit:
			w.t.Fatalf("gave up waiting: %s", what)
		case <-tick.C:
		}
	}
}

// phase waits for a job that is in the middle of its map or reduce phase.
func (w *fixture) phase(name string) {
	w.t.Helper()
	if name == "reduce" {
		w.until("an output is there", func() bool { return w.Outputs() >= 1 })
		return
	}
	w.until("two map tasks are committed", func() bool { return w.Commits() >= 2 })
}

// pass waits for d to go by while a fault lasts. It is a fault's length, and
// nothing else is waited for by it.
func pass(d time.Duration) { <-time.After(d) }

// exact wants that all processes end with code 0, and the right bytes.
func (w *fixture) exact(processes ...*lab.Process) {
	w.t.Helper()
	limit := time.Now().Add(deadline)
	for _, p := range processes {
		w.ends(p, limit, 0)
	}
	if err := w.witness.End(); err != nil {
		w.t.Error(err)
	}
	want, err := w.job.Want()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, err := range []error{w.Exact(want), w.Verify(w.job), w.Autopsy()} {
		if err != nil {
			w.t.Error(err)
		}
	}
}

// ends wants a process to end with one of some exit codes.
func (w *fixture) ends(p *lab.Process, limit time.Time, codes ...int) {
	w.t.Helper()
	if code, ended := p.Wait(time.Until(limit)); !ended || !slices.Contains(codes, code) {
		w.t.Fatalf("%s: ended: %t, exit code %d, want one of %d", p.Name, ended, code, codes)
	}
}
