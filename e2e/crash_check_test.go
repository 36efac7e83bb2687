//go:build !interop

package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/datadir"
	"github.com/mraws/mraws/internal/failpoint"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/reset"
)

// baseline runs each job of the matrix once without faults and keeps its output.
type baseline struct {
	b  *fixture // that has the shared server
	at datadir.Endpoint

	mu   sync.Mutex
	jobs map[string]func() ([]string, error)
}

// outputs runs a job without faults, once, and has it verified against the
// sequential run of the same application.
func (m *baseline) outputs(t *testing.T, s crashCase, code int) []string {
	t.Helper()
	// Arguments and reduce count decide the output, with the input.
	name := fmt.Sprint(s.app, s.args, s.input, s.reduces())
	m.mu.Lock()
	if m.jobs == nil {
		m.jobs = map[string]func() ([]string, error){}
	}
	job := m.jobs[name]
	if job == nil {
		job = sync.OnceValues(func() ([]string, error) { return m.run(s, code) })
		m.jobs[name] = job
	}
	m.mu.Unlock()
	out, err := job()
	if err != nil {
		t.Fatalf("the job without faults: %v", err)
	}
	return out
}

func (m *baseline) run(s crashCase, code int) ([]string, error) {
	b := m.fixture(m.b.t)
	b.fill(s.input)
	p := b.start(append([]string{"run", "--app", s.app, "--nreduce", s.reduces(), "--workers", "2"}, s.args...)...)
	if got := b.exit(p); got != code {
		return nil, fmt.Errorf("exit code %d\n%s", got, p.errout.String())
	}
	v := b.start("verify", "--app", s.app)
	if got := b.exit(v); got != 0 {
		return nil, fmt.Errorf("verify: exit code %d\n%s%s", got, v.out.String(), v.errout.String())
	}
	return append(outputList(b.outputs()), b.besides()...), nil
}

// fill puts the objects of an input into the bucket.
func (b *fixture) fill(input string) {
	b.t.Helper()
	for i, text := range inputs()[input] {
		if _, err := b.store.Put(b.t.Context(), b.layout.Input(fmt.Sprintf("in%02d.txt", i)), []byte(text), putOptions); err != nil {
			b.t.Fatal(err)
		}
	}
}

// recordCommitted notes what is committed: from now on it may not change.
func (c *crash) recordCommitted() {
	c.t.Helper()
	for key, etag := range c.committed() {
		if old, seen := c.before[key]; seen && old != etag {
			c.t.Errorf("%s was committed as %s and is now %s", key, old, etag)
		}
		c.before[key] = etag
	}
}

// committed returns the ETags of commit records and outputs by key.
func (c *crash) committed() map[string]string {
	c.t.Helper()
	found := map[string]string{}
	for _, dir := range []string{c.layout.CommitDir(), c.layout.OutputDir()} {
		for o, err := range c.store.List(c.t.Context(), dir) {
			if err != nil {
				c.t.Fatal(err)
			}
			// Lists of bad records, named outputs and partitions are committed by the
			// record that names them, and then copied to their plain names.
			if !strings.HasPrefix(o.Key, c.layout.BadDir()) && !strings.HasPrefix(o.Key, c.layout.NamedDir()) && !strings.Contains(o.Key, "=") {
				found[o.Key] = o.ETag
			}
		}
	}
	return found
}

// adopted counts the partitions that another attempt stored than the one
// that committed them.
func (c *crash) adopted() (n int) {
	c.t.Helper()
	for _, key := range c.keys(c.layout.CommitDir()) {
		data, _, err := c.store.Get(c.t.Context(), key)
		if err != nil {
			c.t.Fatal(err)
		}
		rec, err := manifest.Decode[manifest.Map](data, manifest.MapSchema)
		if err != nil {
			c.t.Fatal(err)
		}
		objects := rec.Parts
		if rec.Packed != nil {
			objects = []manifest.Part{{Key: rec.Packed.Key}}
		}
		for _, p := range objects {
			if p.Key == "" {
				continue // it has no records
			}
			info, err := c.store.Stat(c.t.Context(), p.Key)
			if err != nil {
				c.t.Fatal(err)
			}
			if info.Meta[manifest.MetaAttempt] != rec.Attempt {
				n++
			}
		}
	}
	return n
}

// announced is the epoch of the coordinator that has announced itself last.
func (c *crash) announced() string {
	c.t.Helper()
	data, _, err := c.store.Get(c.t.Context(), c.layout.Coordinator())
	if errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	if err != nil {
		c.t.Fatal(err)
	}
	a, err := manifest.Decode[manifest.Coordinator](data, manifest.CoordinatorSchema)
	if err != nil {
		c.t.Fatal(err)
	}
	return a.Epoch
}

// finish waits for every process and looks at its exit code.
func (c *crash) finish() {
	c.t.Helper()
	done := false
	for _, p := range c.coords {
		switch code := c.exit(p); {
		case code == c.exitCode:
			done = true
		case p == c.armed && c.action == failpoint.Kill && code == 137:
		case p == c.armed && c.action == failpoint.Fail && code == 5:
			wants(c.t, p.errout.String(), "mraws: error:", "failpoint "+string(c.point))
		case p == c.armed && strings.Contains(c.also, "=error") && code == 5: // that one's doing
		case c.action == failpoint.Stop && code == 7: // of two one gives way
		case p == c.armed && c.stops != 0 && code == c.stops: // it was asked to end
		default:
			c.t.Errorf("mraws %s: exit code %d", p.name, code)
		}
	}
	if !done {
		c.t.Error("no coordinator finished the job")
	}
	for _, p := range c.joined {
		if code := c.exit(p); code != 0 {
			c.t.Errorf("mraws %s: exit code %d", p.name, code)
		}
	}
	if slices.Contains(c.coords, c.armed) {
		return
	}
	want := map[failpoint.Action][]int{failpoint.Kill: {137}, failpoint.Stop: {c.stops}, failpoint.Fail: {0, 5, c.stops}}[c.action]
	if code := c.exit(c.armed); !slices.Contains(want, code) {
		c.t.Errorf("armed worker: exit code %d, want one of %v", code, want)
	}
}

// check compares the output with the baseline and checks the invariants. All processes have ended.
func (c *crash) check() {
	c.t.Helper()
	c.recordCommitted()
	for key := range c.before {
		if _, there := c.committed()[key]; !there {
			c.t.Errorf("%s was committed and is gone", key)
		}
	}
	out := c.outputs()
	if len(out) != c.parts() {
		c.t.Errorf("%d outputs, want %d", len(out), c.parts())
	}
	if d := cmp.Diff(c.baseline.outputs(c.t, c.crashCase, c.exitCode), append(outputList(out), c.besides()...)); d != "" {
		c.t.Errorf("the output is not that of a job without faults:\n%.2000s", d)
	}
	c.logged()
	s := c.success()
	if s.Map.CommittedRerun+s.Reduce.CommittedRerun != 0 {
		c.t.Errorf("committed tasks were run again: %+v %+v", s.Map, s.Reduce)
	}
	if c.action != failpoint.Fail && !strings.Contains(c.also+c.workers, "=error") && s.Map.Failed+s.Reduce.Failed != 0 {
		c.t.Errorf("nothing failed, and yet: %+v %+v", s.Map, s.Reduce)
	}
	if c.once && (s.Map.Granted != s.Map.Tasks || s.Reduce.Granted != s.Reduce.Tasks) {
		c.t.Errorf("a task that was committed was granted again: %+v %+v", s.Map, s.Reduce)
	}
	if n := c.adopted(); c.action == failpoint.Kill && n < c.adopts {
		c.t.Errorf("%d partitions of the worker that was killed were taken over, want %d", n, c.adopts)
	}
	left, err := os.ReadDir(c.scratch)
	if err != nil || len(left) > 0 {
		c.t.Errorf("scratch files are left: %v %v", left, err)
	}
	for _, p := range slices.Concat(c.coords, c.joined, []*process{c.armed}) {
		for _, bad := range []string{"panic:", "fatal error:", "goroutine "} {
			if strings.Contains(p.errout.String(), bad) {
				c.t.Errorf("mraws %s says %q", p.name, bad)
			}
		}
	}
	// Its error says so if an object or an unfinished upload remains.
	if _, err := reset.Run(c.t.Context(), c.store, c.layout, reset.Options{Input: true}); err != nil {
		c.t.Error(err)
	}
}
