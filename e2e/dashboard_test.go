package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/mraws/mraws/internal/dashboard"
)

// link returns the link to the dashboard that a process prints, without its path, and the
// path.
func (b *fixture) link(p *process) (server, path string) {
	b.t.Helper()
	link := regexp.MustCompile(`(?m)^(?:dashboard: )?(http://127\.0\.0\.1:\d+)(/\S*)$`)
	b.until("the link of "+p.name, func() bool {
		m := link.FindStringSubmatch(p.errout.String() + "\n" + p.out.String())
		if m != nil {
			server, path = m[1], m[2]
		}
		return m != nil || p.ended()
	})
	if server == "" {
		b.t.Fatalf("mraws %s prints no link:\n%s\n%s", p.name, p.out.String(), p.errout.String())
	}
	return server, path
}

// streamed is what a reader of a stream has seen.
type streamed struct {
	mu       sync.Mutex
	view     dashboard.View
	outcomes map[int]int // of attempts, by their number
	all      strings.Builder
	over     bool
}

func (w *streamed) sees(ok func() bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return ok()
}

// watch reads a stream to its end.
func (b *fixture) stream(url string) *streamed {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	res, err := client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(res.Body)
		b.t.Fatalf("%s: %s %s", url, res.Status, body)
	}
	w := &streamed{outcomes: map[int]int{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		kind := ""
		for in := bufio.NewReader(res.Body); ; {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if name, value, _ := strings.Cut(strings.TrimSpace(line), ": "); name == "event" {
				kind = value
			} else if name == "data" {
				w.take(kind, value)
			}
		}
	}()
	b.t.Cleanup(func() { cancel(); <-done; res.Body.Close(); client.CloseIdleConnections() })
	return w
}

func (w *streamed) take(kind, data string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all.WriteString(data)
	switch kind {
	case "view":
		var v dashboard.View
		if json.Unmarshal([]byte(data), &v) == nil {
			w.view = v
		}
	case "attempts":
		var m struct{ Rows [][]int }
		_ = json.Unmarshal([]byte(data), &m)
		for _, r := range m.Rows {
			w.outcomes[r[0]] = r[7]
		}
	case "end":
		w.over = true
	}
}

// text is all that came.
func (w *streamed) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.all.String()
}

// TestDashboard: `ui` shows a job of other processes while it runs, on through the death
// of its coordinator, which shows it too, and the takeover, to its end; then another one
// shows it from the bucket alone.
func TestDashboard(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	line := []string{"--app", "jobcount", "--app-arg", "stall=1s", "--nreduce", "3", "--lease", "5s", "--http", "0"}
	first, second, _ := b.pair(line...)
	ui := b.start("ui", "--http", "0")
	server, path := b.link(ui)
	if path != "/" {
		t.Errorf("the link of ui leads to %s", path)
	}
	own, path := b.link(first)
	if path != "/job/"+b.layout.Prefix() {
		t.Errorf("the link of the coordinator leads to %s", path)
	}
	b.until("the job is planned", func() bool { return len(b.keys(b.layout.Job())) == 1 })
	secrets := b.secrets()
	list := b.scrape(server + "/api/jobs")
	wants(t, list, `"state":"running"`, `"app":"jobcount"`)
	live, also := b.stream(server+"/api/stream?job="+b.layout.Prefix()), b.stream(own+"/api/stream?job="+b.layout.Prefix())
	w1, w2 := b.start("worker", "--app", "jobcount", "--slots", "1"), b.start("worker", "--app", "jobcount", "--slots", "1")
	for _, w := range []*streamed{live, also} {
		b.until("attempts are shown", func() bool {
			return w.sees(func() bool {
				return len(w.outcomes) > 1 && len(w.view.Workers) == 2 && len(w.view.Phases) == 2 && w.view.Phases[0].Total == 8
			})
		})
	}
	b.kill(first)
	b.until("the takeover is shown", func() bool { return live.sees(func() bool { return len(live.view.Coordinators) == 2 }) })
	b.exits(second, w1, w2)
	b.until("the end is shown", func() bool { return live.sees(func() bool { return live.over }) })
	after := b.stream(b.shownAgain(ui, server))
	b.until("all is shown afterwards", func() bool { return after.sees(func() bool { return after.over }) })
	success := b.success()
	for _, w := range []*streamed{live, after} {
		committed := 0
		for _, outcome := range w.outcomes {
			if outcome == 1 {
				committed++
			}
		}
		v := w.view
		if committed != 11 || v.Job.State != "done" || v.Seal == nil || *v.Seal != success.Seal || v.Phases[0].Done != 8 || v.Phases[1].Done != 3 ||
			len(v.Lacks) != 0 || v.Totals.Input.Bytes != success.Input.Bytes || v.Receipt == nil || !v.Receipt.Final {
			t.Errorf("%d tasks committed, view %+v", committed, v)
		}
	}
	for _, w := range []*streamed{live, also, after} {
		discreet(t, "the streams", w.text()+list, secrets)
	}
}

// shownAgain ends one dashboard and starts another. It returns the address of its stream.
func (b *fixture) shownAgain(ui *process, server string) string {
	b.t.Helper()
	wants(b.t, b.scrape(server+"/api/jobs"), `"jobs":[{`)
	b.kill(ui)
	server, path := b.link(b.start("ui", "last", "--http", "0"))
	if path != "/job/"+b.layout.Prefix() {
		b.t.Errorf("the link leads to %s", path)
	}
	return server + "/api/stream?job=" + b.layout.Prefix()
}

// TestDashboardOfRun: `run --http` shows its own job. What pages ask is no part of what
// the job has cost.
func TestDashboardOfRun(t *testing.T) {
	b := newFixture(t)
	p := b.start(append([]string{"run", "--app", "jobcount", "--app-arg", "stall=1s", "--nreduce", "2", "--workers", "2", "--http", "0", "--name", "n"}, b.books()...)...)
	server, path := b.link(p)
	job := b.layout.Prefix() + "/n"
	if path != "/job/"+job {
		t.Errorf("the link leads to %s", path)
	}

	b.until("the job is there", func() bool {
		r, err := http.Get(server + "/api/attempt?job=" + job + "&attempt=x")
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		return err == nil && r.StatusCode == http.StatusNotFound && strings.Contains(string(text), "attempt")
	})
	w := b.stream(server + "/api/stream?job=" + job)
	b.until("the phases are shown", func() bool { return w.sees(func() bool { return len(w.view.Phases) == 2 && len(w.outcomes) > 0 }) })
	b.exits(p)
	w.sees(func() bool {
		if got := fmt.Sprint(w.view.Job.Name, w.view.Job.App); got != "njobcount" {
			t.Error(got)
		}
		return true
	})
}
