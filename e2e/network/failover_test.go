//go:build linux && netns

package network

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mraws/mraws/e2e/lab"
	"github.com/mraws/mraws/internal/manifest"
)

// TestFailoverMachineGone is row 25 with rows 17 and 21: no packet comes from
// the machine of the active coordinator any more, and none says so. A standby
// on another machine takes over, and gets all workers within five seconds of
// the lease's end, whether they know its address or look into the bucket.
// When the first can be heard again, it ends.
func TestFailoverMachineGone(t *testing.T) {
	for _, phase := range []string{"map", "reduce"} {
		t.Run(phase, func(t *testing.T) {
			w := newFixture(t, 3, slow)
			first := w.coordinate()
			there := w.host("standby", 11)
			w.until("the first leads", func() bool { _, err := w.announcement(); return err == nil })
			standby := w.start(there, append([]string{"coordinator", "--lease", "2s", "--port", fmt.Sprint(lab.Port),
				"--listen", there.Addr.String(), "--nreduce", fmt.Sprint(w.job.NReduce)}, w.job.Args()...)...)
			w.until("the second stands by", func() bool { return strings.Contains(standby.Stderr(), "standing by") })
			workers := []*lab.Process{w.work(w.workers[0])}
			for _, h := range w.workers[1:] {
				workers = append(workers, w.work(h, "--coord", fmt.Sprintf("%s:%d,%s:%d", w.coordHost.Addr, lab.Port, there.Addr, lab.Port)))
			}
			w.phase(phase)
			heal := w.Net.Cut(w.coordHost, nil)
			a, err := w.announcement()
			if err != nil {
				t.Fatal(err)
			}
			w.until("the standby leads", func() bool { return strings.Contains(standby.Stderr(), "took over the job") })
			led := time.Since(a.Renewed) - 2*time.Second
			w.until("all workers are with the standby", func() bool { return strings.Count(standby.Stderr(), "worker joined") >= len(workers) })
			late := time.Since(a.Renewed) - 2*time.Second
			t.Logf("after the end of the lease: the standby led after %.2fs, all workers were there after %.2fs", led.Seconds(), late.Seconds())
			if late > 5*time.Second {
				t.Errorf("work went on %s after the end of the lease", late)
			}
			heal()
			w.ends(first, time.Now().Add(deadline), 7)
			w.exact(append(workers, standby)...)
			w.cut()
		})
	}
}

// announcement reads _coordinator.json from the folder of the store.
func (w *fixture) announcement() (*manifest.Coordinator, error) {
	data, err := w.Read("intermediate/_coordinator.json")
	if err != nil {
		return nil, err
	}
	a := new(manifest.Coordinator)
	return a, json.Unmarshal(data, a)
}
