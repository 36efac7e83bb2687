//go:build !interop

package e2e

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/datadir"
	"github.com/mraws/mraws/internal/failpoint"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/s3fs"
)

// The crash matrix: every point of internal/failpoint, times every action,
// each in a job of real processes whose output is compared.

var crashSide = flag.Int("crash.parallel", 12, "cases of the crash matrix side by side")

// crashLease is the lease of all jobs of the matrix: long enough for a busy
// machine to send heartbeats in, short enough to wait for 600 times.
const crashLease = time.Second

// armable is the program with failpoints. It is not built with the race
// detector, which would triple the time of each process.
var armable = program("armable", "/e2e/program", func() []string { return []string{"-tags", "failpoint"} })

// TestCrashMatrix takes the process at every point and kills it, stops it
// until its lease has ended, or lets the step fail. One case alone:
//
//	go test ./e2e -run 'TestCrashMatrix/worker.put.map-record.after/kill'
func TestCrashMatrix(t *testing.T) {
	b := fixtureOf(t, armable)
	at, err := datadir.Find(t.Context(), filepath.Join(b.dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	base := &baseline{b: b, at: at}
	var g errgroup.Group
	g.SetLimit(*crashSide)
	for _, p := range failpoint.Points() {
		for _, s := range casesOf(p) {
			for _, action := range []failpoint.Action{failpoint.Kill, failpoint.Stop, failpoint.Fail} {
				name := string(s.point)
				if s.name != "" {
					name += "," + s.name
				}
				g.Go(func() error {
					t.Run(name+"/"+string(action), func(t *testing.T) {
						newCrash(t, base, s, action).run()
					})
					return nil
				})
			}
		}
	}
	_ = g.Wait() // each case tells
}

// crash runs one case. Its fixture has a prefix of its own on the server that all cases share.
type crash struct {
	*fixture
	crashCase
	action   failpoint.Action
	baseline *baseline
	bucket   string
	source   string            // of the input, where a job before it has read the same; "" is input/
	before   map[string]string // ETags of what was committed when it was looked at
	coords   []*process        // all coordinators
	joined   []*process        // all workers but an armed one
	armed    *process
	scratch  string
	lease    time.Duration
	exitCode int // of a coordinator that has finished the job
	stops    int // exit code of an armed process that is asked to end
}

func newCrash(t *testing.T, base *baseline, s crashCase, action failpoint.Action) *crash {
	t.Helper()
	if s.app == "" {
		s.app = "wc"
	}
	if s.input == "" {
		s.input = "books"
	}
	if s.r == 0 {
		s.r = 2
	}
	c := &crash{crashCase: s, action: action, baseline: base, lease: crashLease, bucket: "mapreducedata", before: map[string]string{}}
	if strings.Contains(s.input, "bad") {
		c.exitCode = 3 // records were skipped
	}
	c.fixture = base.fixture(t)
	if s.elsewhere {
		c.layout = c.layout.WithOutput(c.bucket, "out-"+c.layout.Prefix()+"/")
	}
	c.scratch = filepath.Join(c.dir, "scratch")
	c.set("MRAWS_SCRATCH", c.scratch)
	c.set("MRAWS_LEASE", c.lease.String())
	c.set("MRAWS_COORD_TIMEOUT", "20s")
	c.set("MRAWS_LOG_LEVEL", "debug")
	c.traces()
	if err := os.Mkdir(c.scratch, 0o755); err != nil {
		t.Fatal(err)
	}
	return c
}

// run runs the script of the case and checks what it left.
func (c *crash) run() {
	c.fill(c.input)
	script := c.script
	switch {
	case script != nil:
	case strings.HasPrefix(string(c.point), "worker."):
		script = (*crash).crashWorker
	default:
		script = (*crash).crashCoordinator
	}
	script(c)
	c.check()
	c.traced()
}

// set changes a variable of the processes to come.
func (b *fixture) set(name, value string) {
	b.env = slices.DeleteFunc(slices.Clone(b.env), func(e string) bool { return strings.HasPrefix(e, name+"=") })
	b.env = append(b.env, name+"="+value)
}

// startArmed starts a process that has points armed.
func (c *crash) startArmed(points string, args ...string) *process {
	c.t.Helper()
	b := *c.fixture
	b.set(failpoint.Variable, points)
	return b.start(args...)
}

// points is the value of the variable for the case.
func (c *crash) points() string {
	return strings.Trim(fmt.Sprintf("%s,%s=%s@%d", c.also, c.point, c.action, max(c.hit, 1)), ",")
}

func (c *crash) coordinatorLine() []string {
	line := append([]string{"coordinator", "--app", c.app, "--nreduce", c.reduces()}, c.args...)
	if c.source != "" {
		line = append(line, "--in", c.source, "--reuse", "last")
	}
	if c.elsewhere {
		line = append(line, "--output-at", layout.Place(c.layout.OutputBucket(), c.layout.OutputDir()))
	}
	return line
}

func (c *crash) workerLine(flags ...string) []string {
	return append([]string{"worker", "--app", c.app, "--slots", "1"}, flags...)
}

// startCoordinator starts a coordinator without points.
func (c *crash) startCoordinator() *process {
	p := c.start(c.coordinatorLine()...)
	c.coords = append(c.coords, p)
	return p
}

// startWorker starts a worker without points.
func (c *crash) startWorker(flags ...string) {
	c.joined = append(c.joined, c.start(c.workerLine(flags...)...))
}

// waitForPoint waits until the armed process says that it is at the point.
func (c *crash) waitForPoint() {
	c.t.Helper()
	line := fmt.Sprintf("failpoint %s: %s\n", c.point, c.action)
	over := func(p *process) bool {
		select {
		case <-p.done:
			return true
		default:
			return false
		}
	}
	c.until("the process reaches "+string(c.point), func() bool {
		ended := over(c.armed)
		if n := len(c.coords); n > 0 && !slices.Contains(c.coords, c.armed) {
			ended = ended || over(c.coords[n-1])
		}
		if strings.Contains(c.armed.errout.String(), line) {
			return true
		}
		if ended {
			c.t.Fatalf("it never reached %s, and it or the job has ended", c.point)
		}
		return false
	})
	c.recordCommitted()
}

// crashWorker lets a worker run alone until it reaches the point, so that
// no other takes the task. Then a second one goes on with the job.
func (c *crash) crashWorker() {
	c.startCoordinator()
	c.armed = c.startArmed(c.points(), c.workerLine(c.flags...)...)
	c.finishWithWorker()
}

// finishWithWorker waits for the armed worker and finishes the job.
func (c *crash) finishWithWorker() {
	c.waitForPoint()
	began := time.Now()
	if c.action != failpoint.Stop {
		<-c.armed.done
	}
	switch {
	case c.action == failpoint.Fail && c.exit(c.armed) == 0: // it got over that and has done all of the job
	case c.action == failpoint.Stop && c.early: // it would find the job done when it wakes up
	default:
		c.startWorker()
	}
	if c.action == failpoint.Stop {
		c.until("the lease has ended", func() bool { return time.Since(began) > c.lease*13/10 })
		c.recordCommitted()
		c.resume()
	}
	c.finish()
}

// resume sends SIGCONT.
func (c *crash) resume() {
	c.t.Helper()
	if err := c.armed.Process.Signal(syscall.SIGCONT); err != nil {
		c.t.Fatal(err)
	}
}

// crashCoordinator lets a worker wait for the coordinator that is armed.
// When it reaches the point another one takes its place; one that was
// stopped wakes up after that.
func (c *crash) crashCoordinator() {
	c.armed = c.startArmed(c.points(), c.coordinatorLine()...)
	c.coords = append(c.coords, c.armed)
	if c.workers != "" {
		first := c.startArmed(c.workers, c.workerLine()...)
		c.joined = append(c.joined, first)
		c.until("the first worker fails", func() bool { return strings.Contains(first.errout.String(), "attempt failed") })
	}
	c.startWorker("--slots", "2")
	c.finishWithCoordinator()
}

// finishWithCoordinator waits for the armed coordinator and finishes the job.
func (c *crash) finishWithCoordinator() {
	c.waitForPoint()
	switch c.action {
	case failpoint.Kill:
		<-c.armed.done
		c.startCoordinator()
	case failpoint.Stop:
		began, first := time.Now(), c.announced()
		next := c.startCoordinator()
		c.until("the lease has ended and another one has taken over", func() bool {
			select {
			case <-next.done: // has done all of it
				return true
			default:
			}
			return time.Since(began) > c.lease*13/10 && c.announced() != first
		})
		c.recordCommitted()
		c.resume()
	case failpoint.Fail:
		// It may get over it, or end and be started again.
		if code := c.exit(c.armed); code != c.exitCode {
			c.startCoordinator()
		}
	}
	c.finish()
}

// fixture returns a fixture on the shared server, with a prefix of its own.
func (m *baseline) fixture(t *testing.T) *fixture {
	t.Helper()
	b := *m.b
	b.t, b.dir = t, t.TempDir()
	b.layout = layout.New(newPrefix())
	b.set("MRAWS_PREFIX", b.layout.Prefix())
	b.set("HOME", b.dir)
	b.store = m.open(t, "mapreducedata")
	return &b
}

// open returns a client of the shared server.
func (m *baseline) open(t *testing.T, bucket string) *s3fs.Store {
	t.Helper()
	s, err := s3fs.Open(t.Context(), s3fs.Options{
		Bucket: bucket, Region: m.at.Region, Endpoint: m.at.URL, AccessKey: m.at.AccessKey, SecretKey: m.at.SecretKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.EnsureBucket(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestNoFailpoints: an ordinary program has nothing of it, whatever the
// environment says.
func TestNoFailpoints(t *testing.T) {
	b := newPlainFixture(t)
	out, err := exec.Command("go", "tool", "nm", b.bin).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		// The linker keeps the table of methods for an interface.
		if strings.Contains(line, "internal/failpoint.") && !strings.Contains(line, "go:itab.") && !strings.Contains(line, "type:") {
			t.Errorf("the program has %s", line)
		}
	}
	b.set(failpoint.Variable, "worker.get.job=kill,coordinator.put.job.after=kill,nonsense")
	b.fill("words")
	if _, stderr := b.run(0, "run", "--app", "wc"); strings.Contains(stderr, "failpoint") {
		t.Error(stderr)
	}
}
