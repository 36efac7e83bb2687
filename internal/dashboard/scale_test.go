package dashboard

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/events"
)

var scaleTasks = flag.Int("dashboard.tasks", 5000, "map tasks of TestScale; 100,000 is what docs/dashboard.md tells of")

// TestScale: a page has the figures of a large job before its rows, and then all rows, in
// messages of bounded size.
func TestScale(t *testing.T) {
	const workers = 1000
	n := *scaleTasks
	b := newBucket()
	j := b.newJob(t, "big", "wc-1", 1)
	list := []events.Event{{Type: events.JobPlanned, App: "wc", Maps: n, Reduces: 1}}
	for w := range workers {
		list = append(list, events.Event{Type: events.WorkerJoined, Worker: fmt.Sprintf("ip-10-0-%d-%d-k3v9x2ab", w/256, w%256), Host: "h", Slots: 4})
	}
	for i := range n {
		task, id, worker := fmt.Sprintf("map-%d", i), fmt.Sprintf("t52lz4gn.m%d.1", i), fmt.Sprintf("ip-10-0-%d-%d-k3v9x2ab", i%workers/256, i%workers%256)
		list = append(list, started(task, id, worker), ended(task, id, worker, "committed", events.Work{Seconds: 3, Bytes: 64 << 20, WroteBytes: 1 << 20}))
	}
	j.write(list...)
	h, _ := b.serve(t, func(o *Options) { o.every, o.control, o.rest = every, control, rest })
	began := time.Now()
	p := open(t, h, "big")
	p.until(func() bool { return len(p.views) > 0 })
	first, bytes := time.Since(began), p.bytes
	p.until(func() bool { return len(p.rows) == n && len(p.ids) == n })
	t.Logf("%d tasks on %d workers: the figures after %v and %d bytes, all rows after %v and %d bytes", n, workers, first.Round(time.Millisecond), bytes, time.Since(began).Round(time.Millisecond), p.bytes)
	if v := p.views[0]; v.Phases[0].Done != n || len(v.Workers) != workers {
		t.Errorf("%+v", v.Phases)
	}
	if len(p.workers) != workers || p.outcomes()[1] != n {
		t.Errorf("%d workers, %v", len(p.workers), p.outcomes())
	}
}
