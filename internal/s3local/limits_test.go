package s3local

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/internal/datadir"
)

// TestLimits: whatever a server is given, what it may have open is no more.
func TestLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 1<<20).Draw(t, "descriptors")
		l, ok := limitsFor(n)
		if ok != (n >= minDescriptors) {
			t.Fatalf("%d descriptors, of at least %d: %v", n, minDescriptors, ok)
		}
		if need := reserve + perAction*l.actions + perConnection*l.connections; ok && need > n {
			t.Fatalf("%+v needs %d descriptors, there are %d", l, need, n)
		}
		if ok && (l.bodies < 1 || l.bodies >= l.actions || l.connections < 32) {
			t.Fatalf("%d descriptors: %+v", n, l)
		}
	})
	if l, ok := limitsFor(20_000); !ok || l.connections != maxConnections || l.actions != maxActions {
		t.Errorf("20,000 descriptors: %+v", l)
	}
	if _, said, _ := startLimited(t, t.TempDir(), "150"); !strings.Contains(said, "needs 192 file descriptors, its limit (ulimit -n) is 150") {
		t.Errorf("with a limit of 150 the server says %q", said)
	}
}

// TestDescriptors: many more clients than there are descriptors, each of
// which keeps its connection, get what they ask for from a server that never
// has more open than it may.
func TestDescriptors(t *testing.T) {
	const limit, clients, objects = 200, 100, 3
	dir := t.TempDir()
	p, said, _ := startLimited(t, dir, fmt.Sprint(limit))
	e, err := datadir.Find(t.Context(), dir)
	if err != nil {
		t.Fatal(said, err)
	}
	newClient(t, e).want(200, "PUT", "/bucket", "")
	most, done := 0, make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		for {
			fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.Pid))
			most = max(most, len(fds))
			select {
			case <-done:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	var g errgroup.Group
	for i := range clients {
		c := newClient(t, e)
		g.Go(func() error {
			for j := range objects {
				path, body := fmt.Sprintf("/bucket/%d/%d", i, j), strings.Repeat("x", 100_000+i)
				if r, err := c.persist(t, "PUT", path, body); err != nil || r.status != 200 {
					return fmt.Errorf("put %s: %d %s, %w", path, r.status, r.body, err)
				}
				if r, err := c.persist(t, "GET", path, ""); err != nil || r.body != body {
					return fmt.Errorf("get %s: %d, %d bytes, %w", path, r.status, len(r.body), err)
				}
			}
			return nil
		})
	}
	err = g.Wait()
	close(done)
	<-watched
	if err != nil {
		t.Error(err)
	}
	t.Logf("at most %d descriptors", most)
	if most > limit/4*3 || most < limit/5 {
		t.Errorf("up to %d descriptors were open, three quarters of %d may be", most, limit)
	}
	if r := newClient(t, e).do("GET", "/bucket?list-type=2", ""); strings.Count(r.body, "<Key>") != clients*objects {
		t.Errorf("there are %d objects, want %d", strings.Count(r.body, "<Key>"), clients*objects)
	}
}

// persist tries again while the server has no room for a connection.
func (c *client) persist(t *testing.T, method, path, body string) (reply, error) {
	for deadline := time.Now().Add(time.Minute); ; {
		r, err := c.try(method, path, body)
		if err == nil && r.status != http.StatusServiceUnavailable || time.Now().After(deadline) {
			return r, err
		}
		select {
		case <-t.Context().Done():
			return r, err
		case <-time.After(10 * time.Millisecond):
		}
	}
}
