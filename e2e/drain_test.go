package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestDrainedWorkerFinishes: a worker that gets SIGTERM in the middle of its
// maps takes no new ones and finishes those, so that none runs again; the
// rest is another's. The lease is so long that anything left lying would show.
func TestDrainedWorkerFinishes(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	c, _ := b.coordinator("--app", "jobcount", "--app-arg", "stall=2s", "--nreduce", "2", "--lease", "1h")
	w := b.start("worker", "--app", "jobcount", "--slots", "2")
	b.until("two maps have begun", func() bool { return len(b.keys(b.layout.SideDir())) >= 2 })
	if err := w.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := b.exit(w); code != 143 {
		t.Errorf("worker: exit code %d, want 143", code)
	}
	wants(t, w.errout.String(), "worker drains", "stopped by signal: terminated")
	wants(t, c.errout.String(), "worker drains")
	if begun, done := len(b.keys(b.layout.SideDir())), b.commits(); begun != done || done == 8 {
		t.Errorf("%d maps were begun and %d committed, of 8", begun, done)
	}
	other := b.start("worker", "--app", "jobcount")
	for _, p := range []*process{c, other} {
		if code := b.exit(p); code != 0 {
			t.Errorf("mraws %s: exit code %d", p.name, code)
		}
	}
	if s := b.success(); s.Map.Granted != 8 || s.Map.Lost+s.Map.Failed != 0 {
		t.Errorf("%+v", s.Map)
	}
	if d := cmp.Diff(map[string]int{"a 8\n": 1, "": 1}, count(b.outputs())); d != "" {
		t.Errorf("maps were run again: %s", d)
	}
}

// count tells how many outputs there are of each content.
func count(outputs map[int]string) map[string]int {
	n := map[string]int{}
	for _, text := range outputs {
		n[text]++
	}
	return n
}

// TestDrainCutShort: a second SIGTERM, or a SIGINT, hands back at once,
// however much time is left.
func TestDrainCutShort(t *testing.T) {
	for sig, want := range map[os.Signal]int{syscall.SIGTERM: 143, os.Interrupt: 130} {
		t.Run(sig.String(), func(t *testing.T) {
			b := newFixture(t)
			b.run(0, append([]string{"upload-input"}, b.books()...)...)
			b.coordinator("--app", "jobcount", "--app-arg", "stall=1h", "--nreduce", "2", "--lease", "1h")
			line := []string{"worker", "--app", "jobcount", "--slots", "1", "--drain-timeout", "1h"}
			w := b.start(line...)
			b.until("a map has begun", func() bool { return len(b.keys(b.layout.SideDir())) == 1 })
			if err := w.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			b.until("it drains", func() bool { return strings.Contains(w.errout.String(), "worker drains") })
			// The same signal counts as a second one from 100 ms after the first.
			b.until("it ends", func() bool {
				if err := w.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
					t.Fatal(err)
				}
				return w.ended()
			})
			if code := b.exit(w); code != want {
				t.Errorf("exit code %d, want %d", code, want)
			}
			b.start(line...)
			b.until("another has the map", func() bool {
				keys := b.keys(b.layout.SideDir())
				return len(keys) == 2 && strings.Contains(keys[1], "/jobcount/0-")
			})
		})
	}
}

// metadata is an instance metadata service (IMDSv2) whose instance is taken
// away from the time that going is set to, if any.
func metadata(t *testing.T, going *atomic.Pointer[time.Time]) string {
	const token = "a-token"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		at := going.Load()
		switch {
		case q.Method == http.MethodPut && q.URL.Path == "/latest/api/token":
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", q.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds"))
			fmt.Fprint(w, token)
		case q.Header.Get("X-Aws-Ec2-Metadata-Token") != token:
			w.WriteHeader(http.StatusUnauthorized)
		case q.URL.Path == "/latest/meta-data/spot/instance-action" && at != nil:
			fmt.Fprintf(w, `{"action": "terminate", "time": %q}`, at.UTC().Format(time.RFC3339))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// TestSpotNotice: a worker on a machine that EC2 is about to take away drains
// as at SIGTERM.
func TestSpotNotice(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	c, _ := b.coordinator("--app", "jobcount", "--app-arg", "stall=2s", "--nreduce", "2", "--lease", "1h")
	var going atomic.Pointer[time.Time]
	plain := b.env
	b.env = append(plain[:len(plain):len(plain)], "AWS_EC2_METADATA_DISABLED=false", "AWS_EC2_METADATA_SERVICE_ENDPOINT="+metadata(t, &going))
	w := b.start("worker", "--app", "jobcount", "--slots", "1")
	b.env = plain
	b.until("a map has begun", func() bool { return len(b.keys(b.layout.SideDir())) > 0 })
	at := time.Now().Add(2 * time.Minute)
	going.Store(&at)
	if code := b.exit(w); code != 143 {
		t.Errorf("worker: exit code %d, want 143", code)
	}
	wants(t, w.errout.String(), "worker drains", "EC2 interrupts this machine: terminate at "+at.UTC().Format(time.RFC3339))
	if begun, done := len(b.keys(b.layout.SideDir())), b.commits(); begun != done || done == 8 {
		t.Errorf("%d maps were begun and %d committed, of 8", begun, done)
	}
	other := b.start("worker", "--app", "jobcount")
	for _, p := range []*process{c, other} {
		if code := b.exit(p); code != 0 {
			t.Errorf("mraws %s: exit code %d", p.name, code)
		}
	}
	if s := b.success(); s.Map.Granted != 8 || s.Map.Lost+s.Map.Failed != 0 {
		t.Errorf("%+v", s.Map)
	}
	b.run(0, "verify", "--app", "jobcount")
}
