//go:build !interop

package e2e

import (
	"fmt"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/mraws/mraws/internal/failpoint"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/trace"
)

// Scripts of cases that need more than crashWorker and crashCoordinator.

// workerSearchesPrefixes: the worker looks through the bucket for a coordinator.
func (c *crash) workerSearchesPrefixes() {
	c.bucket = "bucket-" + c.layout.Prefix()
	c.set("MRAWS_BUCKET", c.bucket)
	c.store = c.baseline.open(c.t, c.bucket)
	c.fill(c.input)
	c.startCoordinator()
	b := *c.fixture
	b.set("MRAWS_PREFIX", "")
	b.set(failpoint.Variable, c.points())
	c.armed = b.start(c.workerLine()...)
	c.finishWithWorker()
}

// takesOver: a job over the same objects is done, and this one takes its tasks over.
func (c *crash) takesOver() {
	c.bucket = "bucket-" + c.layout.Prefix()
	c.set("MRAWS_BUCKET", c.bucket)
	c.store = c.baseline.open(c.t, c.bucket)
	for i, text := range inputs()[c.input] {
		if _, err := c.store.Put(c.t.Context(), fmt.Sprintf("data/in%02d.txt", i), []byte(text), putOptions); err != nil {
			c.t.Fatal(err)
		}
	}
	c.source = layout.Place(c.bucket, "data/")
	before := *c.fixture
	before.set(trace.Variable, "")
	before.run(c.exitCode, append([]string{"run", "--app", c.app, "--nreduce", c.reduces(), "--prefix", "before", c.source}, c.args...)...)
	if strings.HasPrefix(string(c.point), "worker.") {
		c.crashWorker()
		return
	}
	c.crashCoordinator()
}

// workerFindsNoCoordinator: the coordinator dies, and the worker looks whether the job is
// done.
func (c *crash) workerFindsNoCoordinator() {
	first := c.startArmed("coordinator.serve.poll.after=kill", c.coordinatorLine()...) // the worker has joined
	c.until("the first coordinator has announced itself", func() bool { return c.announced() != "" })
	c.armed = c.startArmed(c.points(), c.workerLine()...)
	<-first.done
	c.waitForPoint()
	c.startCoordinator()
	c.finishWithWorker()
}

// workerLeaves: the worker is asked to end while it runs an attempt.
func (c *crash) workerLeaves() {
	c.startCoordinator()
	c.armed = c.startArmed(c.points(), c.workerLine()...)
	c.interrupt(c.armed)
	c.stops = 143
	c.finishWithWorker()
}

// coordinatorLosesWorker: a worker is asked to end while it runs an attempt, and the
// coordinator reaches the point.
func (c *crash) coordinatorLosesWorker() {
	c.armed = c.startArmed(c.points(), c.coordinatorLine()...)
	c.coords = append(c.coords, c.armed)
	w := c.start(c.workerLine()...)
	c.interrupt(w)
	c.startWorker()
	c.finishWithCoordinator()
	if code := c.exit(w); code != 143 {
		c.t.Errorf("the worker that was asked to end: exit code %d", code)
	}
}

// coordinatorInterrupted: a coordinator is asked to end while a worker is at work, and
// looks whether its job is still there.
func (c *crash) coordinatorInterrupted() {
	c.armed = c.startArmed(c.points(), c.coordinatorLine()...)
	c.coords = append(c.coords, c.armed)
	c.startWorker()
	c.stops = 143
	c.interrupt(c.armed)
	c.finishWithCoordinator()
}

// interrupt asks a process to end when a worker is at work.
func (c *crash) interrupt(p *process) {
	c.until("the worker is at work", func() bool { return strings.Contains(c.coords[0].errout.String(), `"granted"`) })
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		c.t.Fatal(err)
	}
}

// standbyTakesOver: the coordinator reaches the point while it stands by, or when it
// takes over from one that is killed.
func (c *crash) standbyTakesOver() {
	first := c.start(c.coordinatorLine()...)
	c.until("the first coordinator has planned the job", func() bool { return len(c.keys(c.layout.Job())) == 1 })
	c.startStandby()
	c.kill(first)
	c.startWorker("--slots", "2")
	c.finishWithCoordinator()
}

// standbyFindsJobDone: the coordinator that stands by finds the job done.
func (c *crash) standbyFindsJobDone() {
	first := c.startArmed("coordinator.put.success.after=kill", c.coordinatorLine()...)
	c.until("the first coordinator has planned the job", func() bool { return len(c.keys(c.layout.Job())) == 1 })
	c.startStandby()
	c.startWorker("--slots", "2")
	<-first.done
	c.finishWithCoordinator()
}

// startStandby starts the armed coordinator while another one leads.
func (c *crash) startStandby() {
	c.armed = c.startArmed(c.points(), c.coordinatorLine()...)
	c.coords = append(c.coords, c.armed)
	c.until("the second one stands by or reaches the point", func() bool {
		text := c.armed.errout.String()
		return strings.Contains(text, `"standing by"`) || strings.Contains(text, "failpoint ")
	})
}

// workerByAddress: the worker asks the coordinator for its prefix.
func (c *crash) workerByAddress() {
	p, address := c.coordinator(c.coordinatorLine()[1:]...)
	c.coords = append(c.coords, p)
	c.armed = c.startArmed(c.points(), c.workerLine("--coord", address)...)
	c.finishWithWorker()
}

// workersByAddresses: the workers know two addresses where a coordinator may be.
func (c *crash) workersByAddresses() {
	a, b := freePort(c.t), freePort(c.t)
	c.set("MRAWS_PORT", a)
	c.armed = c.startArmed(c.points(), c.coordinatorLine()...)
	c.coords = append(c.coords, c.armed)
	c.set("MRAWS_PORT", b)
	c.startWorker("--slots", "2", "--coord", "127.0.0.1:"+a+",127.0.0.1:"+b)
	c.finishWithCoordinator()
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

// coordinatorFindsOutputs: the armed coordinator finds all outputs, left by one that was
// killed in front of _SUCCESS.
func (c *crash) coordinatorFindsOutputs() {
	first := c.startArmed("coordinator.put.success.before=kill", c.coordinatorLine()...)
	c.startWorker()
	<-first.done
	c.armed = c.startArmed(c.points(), c.coordinatorLine()...)
	c.coords = append(c.coords, c.armed)
	c.finishWithCoordinator()
}

// foreignCommit: two workers stand in front of the commit of one task, the first
// one's granted by a coordinator that is dead. The first commits. The second
// one's coordinator then finds a commit that it did not grant.
func (c *crash) foreignCommit() {
	const stop = "worker.put.map-record.before=stop"
	stopped := func(p *process) {
		c.until("a worker stops", func() bool { return strings.Contains(p.errout.String(), "failpoint "+strings.Split(stop, "=")[0]) })
	}
	c.lease = 4 * crashLease // the second one's attempt must not be lost
	c.set("MRAWS_LEASE", c.lease.String())
	first := c.start(c.coordinatorLine()...)
	early := c.startArmed(stop, c.workerLine()...)
	stopped(early)
	c.kill(first)
	c.armed = c.startArmed(c.points(), c.coordinatorLine()...)
	c.coords = append(c.coords, c.armed)
	late := c.startArmed(stop, c.workerLine()...)
	stopped(late)
	c.joined = append(c.joined, early, late)
	for _, p := range []*process{early, late} {
		if err := p.Process.Signal(syscall.SIGCONT); err != nil {
			c.t.Fatal(err)
		}
		c.until("the task is committed", func() bool { return len(c.keys(c.layout.CommitDir())) == 1 })
	}
	c.finishWithCoordinator()
}

// outputAppears: an output with its record comes to lie in the bucket after the
// coordinator has looked, so that the worker makes it again and finds it.
func (c *crash) outputAppears() {
	first := c.startArmed("coordinator.put.success.before=kill", c.coordinatorLine()...)
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
	second := c.startCoordinator()
	c.until("the job is ready", func() bool { return strings.Contains(second.errout.String(), "job ready") })
	for i, key := range keys {
		c.overwrite(key, &objects[i])
	}
	c.armed = c.startArmed(c.points(), c.workerLine()...)
	c.finishWithWorker()
}
