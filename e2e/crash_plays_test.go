//go:build !interop

package e2e

import (
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/mraws/mraws/internal/failpoint"
	"github.com/mraws/mraws/internal/manifest"
)

// How scenes go that crashWorker and crashCoordinator do not play.

// anyPrefix: the worker looks through the bucket for a coordinator.
func (c *crash) anyPrefix() {
	c.bucket = "bucket-" + c.layout.Prefix()
	c.set("MRAWS_BUCKET", c.bucket)
	c.store = c.calm.open(c.t, c.bucket)
	c.fill(c.input)
	c.coordinate()
	b := *c.bench
	b.set("MRAWS_PREFIX", "")
	b.set(failpoint.Variable, c.points())
	c.armed = b.start(c.workerLine()...)
	c.rest()
}

// orphaned: the coordinator dies, and the worker looks whether the job is
// done.
func (c *crash) orphaned() {
	first := c.with("coordinator.serve.poll.after=kill", c.coordinatorLine()...) // the worker has joined
	c.until("the first coordinator has announced itself", func() bool { return c.announced() != "" })
	c.armed = c.with(c.points(), c.workerLine()...)
	<-first.done
	c.reached()
	c.coordinate()
	c.rest()
}

// leaves: the worker is asked to end while it runs an attempt.
func (c *crash) leaves() {
	c.coordinate()
	c.armed = c.with(c.points(), c.workerLine()...)
	c.interrupt(c.armed)
	c.stops = 143
	c.rest()
}

// isLeft: a worker is asked to end while it runs an attempt, and the
// coordinator comes by the point.
func (c *crash) isLeft() {
	c.armed = c.with(c.points(), c.coordinatorLine()...)
	c.coords = append(c.coords, c.armed)
	w := c.start(c.workerLine()...)
	c.interrupt(w)
	c.join()
	c.replace()
	if code := c.exit(w); code != 143 {
		c.t.Errorf("the worker that was asked to end: exit code %d", code)
	}
}

// isInterrupted: a coordinator is asked to end while a worker is at work, and
// looks whether its job is still there.
func (c *crash) isInterrupted() {
	c.armed = c.with(c.points(), c.coordinatorLine()...)
	c.coords = append(c.coords, c.armed)
	c.join()
	c.stops = 143
	c.interrupt(c.armed)
	c.replace()
}

// interrupt asks a process to end when a worker is at work.
func (c *crash) interrupt(p *process) {
	c.until("the worker is at work", func() bool { return strings.Contains(c.coords[0].errout.String(), `"granted"`) })
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		c.t.Fatal(err)
	}
}

// standby: the coordinator comes by the point while it stands by, or when it
// takes over from one that is killed.
func (c *crash) standby() {
	first := c.start(c.coordinatorLine()...)
	c.until("the first coordinator has planned the job", func() bool { return len(c.keys(c.layout.Job())) == 1 })
	c.behind()
	c.kill(first)
	c.join("--slots", "2")
	c.replace()
}

// outlived: the coordinator that stands by finds the job done.
func (c *crash) outlived() {
	first := c.with("coordinator.put.success.after=kill", c.coordinatorLine()...)
	c.until("the first coordinator has planned the job", func() bool { return len(c.keys(c.layout.Job())) == 1 })
	c.behind()
	c.join("--slots", "2")
	<-first.done
	c.replace()
}

// behind starts the armed coordinator behind another.
func (c *crash) behind() {
	c.armed = c.with(c.points(), c.coordinatorLine()...)
	c.coords = append(c.coords, c.armed)
	c.until("the second one stands by or comes by the point", func() bool {
		text := c.armed.errout.String()
		return strings.Contains(text, `"standing by"`) || strings.Contains(text, "failpoint ")
	})
}

// byAddress: the worker asks the coordinator for its prefix.
func (c *crash) byAddress() {
	p, address := c.coordinator(c.coordinatorLine()[1:]...)
	c.coords = append(c.coords, p)
	c.armed = c.with(c.points(), c.workerLine("--coord", address)...)
	c.rest()
}

// byAddresses: the workers know two addresses where a coordinator may be.
func (c *crash) byAddresses() {
	a, b := freePort(c.t), freePort(c.t)
	c.set("MRAWS_PORT", a)
	c.armed = c.with(c.points(), c.coordinatorLine()...)
	c.coords = append(c.coords, c.armed)
	c.set("MRAWS_PORT", b)
	c.join("--slots", "2", "--coord", "127.0.0.1:"+a+",127.0.0.1:"+b)
	c.replace()
}

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, port, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// secondLife: the armed coordinator finds all outputs, left by one that was
// killed in front of _SUCCESS.
func (c *crash) secondLife() {
	first := c.with("coordinator.put.success.before=kill", c.coordinatorLine()...)
	c.join()
	<-first.done
	c.armed = c.with(c.points(), c.coordinatorLine()...)
	c.coords = append(c.coords, c.armed)
	c.replace()
}

// overtaken: two workers stand in front of the commit of one task, the first
// one's granted by a coordinator that is dead. The first commits. The second
// one's coordinator then finds a commit that it did not grant.
func (c *crash) overtaken() {
	const stop = "worker.put.map-record.before=stop"
	stopped := func(p *process) {
		c.until("a worker stops", func() bool { return strings.Contains(p.errout.String(), "failpoint "+strings.Split(stop, "=")[0]) })
	}
	c.lease = 4 * crashLease // the second one's attempt must not be lost
	c.set("MRAWS_LEASE", c.lease.String())
	first := c.start(c.coordinatorLine()...)
	early := c.with(stop, c.workerLine()...)
	stopped(early)
	c.kill(first)
	c.armed = c.with(c.points(), c.coordinatorLine()...)
	c.coords = append(c.coords, c.armed)
	late := c.with(stop, c.workerLine()...)
	stopped(late)
	c.joined = append(c.joined, early, late)
	for _, p := range []*process{early, late} {
		if err := p.Process.Signal(syscall.SIGCONT); err != nil {
			c.t.Fatal(err)
		}
		c.until("the task is committed", func() bool { return len(c.keys(c.layout.CommitDir())) == 1 })
	}
	c.replace()
}

// superseded: an output with its record comes to lie in the bucket after the
// coordinator has looked, so that the worker makes it again and finds it.
func (c *crash) superseded() {
	first := c.with("coordinator.put.success.before=kill", c.coordinatorLine()...)
	w := c.start(c.workerLine()...)
	<-first.done
	c.kill(w)
	keys := []string{c.layout.Output(0)}
	_, info, err := c.store.Get(c.t.Context(), keys[0])
	if err != nil {
		c.t.Fatal(err)
	}
	keys = append(keys, c.layout.ReduceAttempt(0, info.Meta[manifest.MetaAttempt]))
	objects := make([]stored, len(keys))
	for i, key := range keys {
		data, info, err := c.store.Get(c.t.Context(), key)
		if err != nil {
			c.t.Fatal(err)
		}
		objects[i] = stored{data, info.Meta}
		c.overwrite(key, nil)
	}
	second := c.coordinate()
	c.until("the job is ready", func() bool { return strings.Contains(second.errout.String(), "job ready") })
	for i, key := range keys {
		c.overwrite(key, &objects[i])
	}
	c.armed = c.with(c.points(), c.workerLine()...)
	c.rest()
}
