//go:build !interop

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/mraws/mraws/internal/datadir"
	"github.com/mraws/mraws/internal/s3fs"
)

// held is what a process holds at one time.
type held struct {
	goroutines int
	open       map[string]int // descriptors by kind: "socket", "scratch", "data", "anon_inode", or a path
}

// within tells whether a process that held first holds no more now, but for
// what belongs to connections: they are kept for a while, and each has so many
// goroutines.
func (h held) within(first held, perConnection int) bool {
	connections, was := h.open["socket"], first.open["socket"]
	return h.goroutines-perConnection*connections <= first.goroutines-perConnection*was+8 &&
		connections <= was+40 && h.files() <= first.files()
}

// files counts the descriptors that are no connections.
func (h held) files() (n int) {
	for kind, count := range h.open {
		if kind != "socket" {
			n += count
		}
	}
	return n
}

// holds looks at a process, of which page is the page of metrics.
func (l *leakFixture) holds(p *process) held {
	l.t.Helper()
	h := held{goroutines: int(value(l.scrape(l.page(p)), `go_goroutines`)), open: map[string]int{}}
	for _, name := range openFiles(p.Process.Pid) {
		kind, _, special := strings.Cut(name, ":[")
		switch {
		case special:
			name = kind
		case strings.HasPrefix(name, l.scratch): // with a name, or " (deleted)"
			name = "scratch"
		case strings.HasPrefix(name, l.data+"/s3/mapreducedata"):
			name = "data"
		}
		h.open[name]++
	}
	return h
}

// value adds up the values of the metrics whose line begins with pattern.
func value(page, pattern string) (sum float64) {
	for _, m := range regexp.MustCompile(`(?m)^`+pattern+` (\S+)$`).FindAllStringSubmatch(page, -1) {
		if v, err := strconv.ParseFloat(m[1], 64); err == nil {
			sum += v
		}
	}
	return sum
}

// leakFixture is a fixture with a job of attempts that wait for permits.
type leakFixture struct {
	*fixture
	scratch, data, gate string
	permits             int
	server, c, w        *process
}

// newLeakFixture starts a server, a coordinator and a worker of four slots, of
// which the test is told what they hold.
func newLeakFixture(t *testing.T) *leakFixture {
	l := &leakFixture{fixture: newHeavyFixture(t)}
	l.scratch, l.data, l.gate = filepath.Join(l.dir, "scratch"), filepath.Join(l.dir, "leaks"), filepath.Join(l.dir, "gate")
	for _, dir := range []string{l.scratch, l.gate} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	l.env = append(l.env, "MRAWS_DATA_DIR="+l.data, "MRAWS_SCRATCH="+l.scratch, "MRAWS_METRICS=0", "MRAWS_LEASE=2s")
	l.server = l.start("s3")
	l.until("the server runs", func() bool {
		at, err := datadir.Find(t.Context(), l.data)
		if err != nil {
			return false
		}
		l.store, err = s3fs.Open(t.Context(), s3fs.Options{Bucket: "mapreducedata", Region: at.Region,
			Endpoint: at.URL, AccessKey: at.AccessKey, SecretKey: at.SecretKey})
		return err == nil
	})
	t.Cleanup(l.store.Close)
	var texts []string
	for i := range 12 {
		texts = append(texts, fmt.Sprintf("%d\n", i))
	}
	l.inputs(texts...)
	l.c, _ = l.coordinator("--app", "shaky", "--app-arg", "gate="+l.gate, "--nreduce", "8", "--max-attempts", "10", "--speculation", "off")
	l.w = l.worker("4")
	return l
}

func (l *leakFixture) worker(slots string) *process {
	l.t.Helper()
	return l.start("worker", "--app", "shaky", "--slots", slots, "--memory", "32MiB")
}

// let lets n more attempts begin.
func (l *leakFixture) let(n int) {
	l.t.Helper()
	for range n {
		l.permits++
		if err := os.WriteFile(filepath.Join(l.gate, fmt.Sprintf("permit-%d", l.permits)), nil, 0o644); err != nil {
			l.t.Fatal(err)
		}
	}
}

// ended waits until that many attempts of a phase have ended on the worker,
// and each that runs waits for a permit.
func (l *leakFixture) ended(phase string, n int) {
	l.t.Helper()
	l.until(fmt.Sprintf("%d attempts of %s have ended", n, phase), func() bool {
		page := l.scrape(l.page(l.w))
		left, err := filepath.Glob(filepath.Join(l.gate, "permit-*"))
		return err == nil && len(left) == 0 && int(value(page, `mraws_worker_attempts_ended_total\{.*phase="`+phase+`"\}`)) >= n &&
			value(page, `mraws_worker_attempts_running\{phase="`+phase+`"\}`) > 0
	})
}

// revoke stops the worker until another has all its tasks, which then hands
// them back: four attempts are revoked.
func (l *leakFixture) revoke() {
	l.t.Helper()
	revoked := func() float64 {
		return value(l.scrape(l.page(l.w)), `mraws_worker_attempts_ended_total\{outcome="revoked",.*\}`)
	}
	before := revoked()
	l.signal(l.w, syscall.SIGSTOP)
	o := l.worker("12")
	l.until("another has all tasks", func() bool {
		return value(l.scrape(l.page(o)), `mraws_worker_attempts_running\{.*\}`) == float64(12-l.commits())
	})
	l.signal(l.w, syscall.SIGCONT)
	l.until("the attempts are revoked", func() bool { return revoked() >= before+4 })
	l.signal(o, syscall.SIGINT)
	if code := l.exit(o); code != 130 {
		l.t.Errorf("the other worker: exit code %d", code)
	}
}

// uploads lists the unfinished multipart uploads of the bucket.
func (l *leakFixture) uploads() (keys []string) {
	l.t.Helper()
	for u, err := range l.store.Uploads(l.t.Context(), "") {
		if err != nil {
			l.t.Fatal(err)
		}
		keys = append(keys, u.Key)
	}
	return keys
}

// TestLeaks compares what server, coordinator and worker hold after the first
// attempts with what they hold after dozens that failed or were revoked. Both
// times every attempt stands at the same place, its beginning, so that one
// descriptor or goroutine that stays behind each attempt shows.
func TestLeaks(t *testing.T) {
	l := newLeakFixture(t)
	processes := []*process{l.server, l.c, l.w}
	all := func() (now []held) {
		for _, p := range processes {
			now = append(now, l.holds(p))
		}
		return now
	}
	compare := func(when string, first []held) {
		t.Helper()
		for i, p := range processes {
			var now held
			defer func() { t.Logf("%s, mraws %s: %+v, at first %+v", when, p.name, now, first[i]) }()
			perConnection := 2 // of an HTTP client
			if p == l.server {
				perConnection = 1
			}
			l.until("what is left of attempts goes", func() bool {
				now = l.holds(p)
				return now.within(first[i], perConnection)
			})
		}
	}
	l.let(8)
	l.ended("map", 8)
	first := all()
	l.revoke()
	l.revoke()
	l.let(32)
	l.ended("map", 8+32+8)
	compare("after 48 maps", first)
	l.let(8 + 8) // the rest of 12 tasks of 4 attempts each, and reduces
	l.ended("reduce", 8)
	firstReduce := all()
	l.let(22)
	l.ended("reduce", 30)
	compare("after 30 reduces", firstReduce)
	page := l.scrape(l.page(l.w))
	if n := value(page, `mraws_s3_requests_total\{operation="CreateMultipartUpload",outcome="ok"\}`); n < 20 {
		t.Errorf("only %v uploads were begun", n)
	}
	if n := value(page, `mraws_worker_spills_total\{phase="map"\}`); n < 40 {
		t.Errorf("only %v spills", n)
	}
	l.let(20)
	for _, p := range []*process{l.c, l.w} {
		if code := l.exit(p); code != 0 {
			t.Errorf("mraws %s: exit code %d", p.name, code)
		}
	}
	if s := l.success(); s.Map.Failed != 36 || s.Reduce.Failed != 24 || s.Map.Lost < 8 {
		t.Errorf("map %+v, reduce %+v", s.Map, s.Reduce)
	}
	if left, err := os.ReadDir(l.scratch); err != nil || len(left) > 0 {
		t.Errorf("scratch: %v, %v", left, err)
	}
	if left := l.uploads(); len(left) > 0 {
		t.Errorf("unfinished uploads of %v", left)
	}
	l.until("the server has no object open", func() bool { return l.holds(l.server).open["data"] == 0 })
	l.run(0, "verify")
}
