package page

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/http/httptest"
	"path"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/mraws/mraws/internal/dashboard/page"
)

// policy is the one under which the real server serves the page.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

type doc = map[string]any

// Outcomes of attempts by their numbers in the rows of the stream.
const (
	running = iota
	committed
	failed
	lost
	released
	superseded
	canceled
)

// row is an attempt as the stream tells of it.
type row struct {
	worker, slot, kind, task, start, end, outcome, speculative, bytes int
}

// contract is a server that speaks as internal/dashboard does, with jobs made up by a test.
type contract struct {
	*httptest.Server

	mu      sync.Mutex
	jobs    []doc
	view    doc
	workers []doc
	rows    []row
	ids     []string
	changes []int // the rows that have changed, in the order of their changes
	over    bool
	changed chan struct{}
	cut     chan struct{} // closed to cut all streams
	down    bool          // refuses all requests for the stream
	resumed []string      // what streams were asked to go on behind
	forget  bool          // the job is another one: streams begin at the start
}

// serve starts a server that has no job.
func serve(t *testing.T) *contract {
	t.Helper()
	c := &contract{changed: make(chan struct{}), cut: make(chan struct{})}
	mux := http.NewServeMux()
	file := func(w http.ResponseWriter, name string) {
		data, err := fs.ReadFile(page.Assets, name)
		if err != nil {
			http.NotFound(w, nil)
			return
		}
		w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
		_, _ = w.Write(data)
	}
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) { file(w, "index.html") })
	mux.HandleFunc("/job/", func(w http.ResponseWriter, _ *http.Request) { file(w, "index.html") })
	mux.HandleFunc("/assets/{name}", func(w http.ResponseWriter, r *http.Request) { file(w, r.PathValue("name")) })
	mux.HandleFunc("/api/jobs", func(w http.ResponseWriter, _ *http.Request) {
		c.mu.Lock()
		defer c.mu.Unlock()
		_ = json.NewEncoder(w).Encode(doc{"where": "s3://data/", "jobs": c.jobs, "partial": ""})
	})
	mux.HandleFunc("/api/attempt", c.attempt)
	mux.HandleFunc("/api/stream", c.stream)
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		w.Header().Set("Cache-Control", "no-store")
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { c.CloseClientConnections(); c.Close() })
	return c
}

// set changes what the server knows, and tells all streams.
func (c *contract) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	close(c.changed)
	c.changed = make(chan struct{})
}

// put adds a row, or replaces row n.
func (c *contract) put(n int, r row) {
	if n == len(c.rows) {
		c.rows = append(c.rows, r)
		c.ids = append(c.ids, fmt.Sprintf("e1.%d", n))
	}
	c.rows[n] = r
	c.changes = append(c.changes, n)
}

func (c *contract) attempt(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	id := r.URL.Query().Get("attempt")
	n, err := strconv.Atoi(strings.TrimPrefix(id, "e1."))
	if err != nil || n >= len(c.rows) {
		http.NotFound(w, r)
		return
	}
	a, answer := c.rows[n], doc{"attempt": id, "coordinator": "e1", "objects": []string{"s3://data/input/" + markup + "-" + strconv.Itoa(n)}, "work": doc{"records": 1200, "seconds": 1.5, "counters": doc{"words": 77}}}
	if a.outcome == failed {
		answer["cause"] = "record 17: " + markup
		answer["log"] = []string{"record 17: " + markup, "  at line 3"}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// stream sends the view and all rows, and then what changes. The id of a message is how many
// changes and workers it brings the reader to.
func (c *contract) stream(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	after := r.URL.Query().Get("after")
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		after = id
	}
	c.resumed = append(c.resumed, after)
	cut, down := c.cut, c.down
	if c.forget {
		after = ""
	}
	c.mu.Unlock()
	if down {
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	}
	at, sentWorkers := 0, 0
	_, _ = fmt.Sscanf(after, "%d-%d", &at, &sentWorkers)
	w.Header().Set("Content-Type", "text/event-stream")
	say := func(event, id string, data any) {
		text, _ := json.Marshal(data)
		if id != "" {
			fmt.Fprintf(w, "id: %s\n", id)
		}
		fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, text)
	}
	fmt.Fprint(w, "retry: 200\n\n")
	say("start", "", doc{"job": "j", "after": at})
	for {
		c.mu.Lock()
		say("view", "", c.view)
		if at == 0 {
			say("ids", "", doc{"first": 0, "ids": c.ids})
		} else if at < len(c.changes) {
			say("ids", "", doc{"first": 0, "ids": c.ids}) // few, in tests that go on
		}
		for first := true; at < len(c.changes) || first && sentWorkers < len(c.workers); first = false {
			to := min(at+5000, len(c.changes))
			list := make([][]int, 0, to-at)
			for _, n := range c.changes[at:to] {
				a := c.rows[n]
				list = append(list, []int{n, a.worker, a.slot, a.kind, a.task, a.start, a.end, a.outcome, a.speculative, a.bytes})
			}
			from := sentWorkers
			at, sentWorkers = to, len(c.workers)
			say("attempts", fmt.Sprintf("%d-%d@j", at, sentWorkers), doc{"first": from, "workers": c.workers[from:], "rows": list})
		}
		if c.over {
			say("end", "", doc{})
		}
		over, changed := c.over, c.changed
		c.mu.Unlock()
		w.(http.Flusher).Flush()
		if over {
			return
		}
		select {
		case <-changed:
		case <-cut:
			panic(http.ErrAbortHandler)
		case <-r.Context().Done():
			return
		}
	}
}

// markup is what must never become an element.
const markup = `<img src=x onerror=alert(1)>`

// made fills the server with a job of so many workers with so many slots each. All of it
// follows from the numbers.
func (c *contract) made(workers, slots, maps, reduces int, done bool) {
	rng := rand.New(rand.NewPCG(7, 9))
	type lane struct{ worker, slot, free int }
	var lanes []lane
	for w := range workers {
		c.workers = append(c.workers, doc{"id": fmt.Sprintf("w%d", w+1), "host": fmt.Sprintf("ip-10-0-%d-%d", w/250, w%250), "slots": slots})
		for s := range slots {
			lanes = append(lanes, lane{w, s, rng.IntN(400)})
		}
	}
	end := 0
	phase := func(kind, tasks, from int) (to int) {
		for i := range lanes {
			lanes[i].free = max(lanes[i].free, from)
		}
		for task, next := 0, 0; task < tasks; {
			l := &lanes[next]
			for i := range lanes[:min(len(lanes), 64)] { // the next to be free, of some
				if k := (next + i) % len(lanes); lanes[k].free < l.free {
					l = &lanes[k]
				}
			}
			next = (next + 1) % len(lanes)
			took := 1500 + rng.IntN(2500)
			if kind == 1 {
				took = 3000 + rng.IntN(4000)
			}
			r := row{worker: l.worker, slot: l.slot, kind: kind, task: task, start: l.free, end: l.free + took, outcome: committed, bytes: took * 20_000}
			switch roll := rng.IntN(1000); {
			case roll < 8:
				r.outcome, r.end = failed, r.start+took/3
			case roll < 12:
				r.outcome = lost
			case roll < 16:
				r.outcome, r.speculative = superseded, 1
			case roll < 18:
				r.outcome = released
			}
			c.put(len(c.rows), r)
			l.free = r.end + 20 + rng.IntN(60)
			to = max(to, r.end)
			if r.outcome == committed {
				task++
			}
		}
		return to
	}
	mapEnd := phase(0, maps, 0)
	end = mapEnd
	if done && reduces > 0 {
		end = phase(1, reduces, mapEnd+100)
	} else if !done { // the last quarter of the map phase is still to come
		end = mapEnd * 3 / 4
		for n, r := range c.rows {
			if r.start > end {
				c.rows, c.ids, c.changes = c.rows[:n], c.ids[:n], c.changes[:n]
				break
			}
			if r.end > end {
				r.end, r.outcome = -1, running
				c.rows[n] = r
			}
		}
		for n, r := range c.rows { // in the order of lanes, not of time
			if r.start > end-100 {
				r.start = end - 100
				c.rows[n] = r
			}
		}
	}
	c.view = viewOf(c, maps, reduces, mapEnd, end, done)
	c.over = done
	c.jobs = append(c.jobs, doc{"name": "logs/words", "prefix": "logs/words", "id": "wc-01m8qrp3z6p59fs61w817pbfj9", "app": "wc", "state": c.view["job"].(doc)["state"], "created": "2026-11-30T09:00:00Z", "seen": "2026-11-30T09:04:00Z", "input_bytes": 41_000_000_000, "output_bytes": 1_300_000_000, "failure": ""})
}

// viewOf is the view of a job that was made.
func viewOf(c *contract, maps, reduces, mapEnd, end int, done bool) doc {
	state, count := "running", [2]map[int]int{{}, {}}
	for _, r := range c.rows {
		count[r.kind][r.outcome]++
	}
	phase := func(name string, kind, total int, started, ended any) doc {
		n := count[kind]
		return doc{"name": name, "total": total, "done": n[committed], "bytes": n[committed] * 64_000_000, "bytes_total": total * 64_000_000, "running": n[running],
			"retried": n[failed], "speculative": n[superseded], "failed": n[failed], "lost": n[lost], "started": started, "ended": ended}
	}
	phases := []doc{phase("map", 0, maps, 0, nil), phase("reduce", 1, reduces, nil, nil)}
	var seconds, seal any
	if done {
		state, seconds, seal = "done", float64(end)/1000, "mraws1:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
		phases = []doc{phase("map", 0, maps, 0, mapEnd), phase("reduce", 1, reduces, mapEnd, end)}
	}
	step := 1000
	for end/step > 600 {
		step *= 2
	}
	rates := map[string][]float64{}
	rng := rand.New(rand.NewPCG(3, 5))
	for at := 0; at < end; at += step {
		inMap, s := at < mapEnd, float64(step)/1000
		rate := func(is bool, most float64) float64 {
			if !is {
				return 0
			}
			return most * s * (0.7 + 0.3*rng.Float64())
		}
		rates["read"] = append(rates["read"], rate(inMap, 2.6e8))
		rates["shuffled"] = append(rates["shuffled"], rate(!inMap, 1.4e8))
		rates["written"] = append(rates["written"], rate(!inMap, 5e7))
		rates["cpu"] = append(rates["cpu"], rate(true, float64(len(c.workers))*1.8))
	}
	workers := make([]doc, 0, len(c.workers))
	for i, w := range c.workers {
		is := doc{"id": w["id"], "host": w["host"], "slots": w["slots"], "running": 2, "state": "ready", "version": "v1.4.0", "cpu_seconds": 40.5 + float64(i), "cpu_percent": 80 + i%40, "memory_bytes": 1_400_000_000 + i*1_000_000,
			"scratch_free_bytes": 90_000_000_000, "s3_requests": 900 + i, "s3_ms_p50": 12 + i%9, "s3_ms_p95": 60 + i%90, "s3_throttled": i % 7 / 6, "seen": end - 500}
		if i == 3 {
			is["state"] = "lost"
		}
		workers = append(workers, is)
	}
	var errors []doc
	for n, r := range c.rows {
		if r.outcome == failed && len(errors) < 100 {
			errors = append(errors, doc{"task": fmt.Sprintf("%s-%d", []string{"map", "reduce"}[r.kind], r.task), "attempt": c.ids[n], "worker": c.workers[r.worker]["id"], "at": max(r.end, 0), "cause": "record 17 is no JSON: " + markup, "object": "s3://data/input/part-0007.gz", "record": 17})
		}
	}
	coordinators := []doc{{"epoch": "e1", "from": 0, "to": nil, "ended": ""}}
	var largest, counts any = nil, nil
	edges := []int{}
	if reduces > 0 {
		largest = []doc{
			{"task": "reduce-3", "bytes": 940_000_000, "keys": []doc{{"key": strconv.Quote(markup), "bytes": 410_000_000}, {"key": `"the"`, "bytes": 90_000_000}}},
			{"task": "reduce-1", "bytes": 410_000_000, "keys": []doc{{"key": `"of"`, "bytes": 60_000_000}}}, {"task": "reduce-7", "bytes": 400_000_000, "keys": nil},
		}
		bins := []int{}
		for i := range 20 {
			bins = append(bins, []int{0, 1, 3, 8, 14, 20, 16, 9, 5, 3, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1}[i])
		}
		for i := range 21 {
			edges = append(edges, i*47_000_000)
		}
		counts = bins
	}
	return doc{
		"job":   doc{"name": "logs/words", "prefix": "logs/words", "id": "wc-01m8qrp3z6p59fs61w817pbfj9", "app": "wc", "state": state, "failure": "", "created": "2026-11-30T09:00:00Z", "nreduce": reduces, "version": "v1.4.0"},
		"began": "2026-11-30T09:00:01Z", "now": end, "seconds": seconds, "phases": phases,
		"throughput":   doc{"step": step, "read": rates["read"], "shuffled": rates["shuffled"], "written": rates["written"], "cpu": rates["cpu"]},
		"partitions":   doc{"counts": counts, "edges": edges, "largest": largest},
		"stragglers":   []doc{{"task": "map-17", "attempt": "e1.17", "worker": "w2", "seconds": 41.2, "usual_seconds": 2.6, "reason": "the worker takes 3.1 times as long as others for attempts of this size"}},
		"workers":      workers,
		"counters":     []doc{{"name": "words", "value": 61_234_567}, {"name": "lines " + markup, "value": 88}},
		"skipped":      doc{"records": 1, "list": []doc{{"object": "s3://data/input/part-0007.gz", "record": 17, "cause": "no JSON", "text": markup}}},
		"errors":       errors,
		"receipt":      doc{"requests": doc{"GET": 11_294, "PUT": 902, "HEAD": 77, "LIST": 14}, "bytes_in": 41_000_000_000, "bytes_out": 9_000_000_000, "usd": 0.0231, "max_usd": 0.5},
		"seal":         seal,
		"explain":      []doc{{"cause": "skew", "title": "One reduce task has much more to read than others", "seconds": 12.5, "share": 0.18, "text": "reduce-3 reads 940 MB, the others 330 MB in the mean; key " + markup + " has 410 MB of it.", "setting": "a combiner"}},
		"coordinators": coordinators,
	}
}

// serveJob starts a server with one job.
func serveJob(t *testing.T, workers, slots, maps, reduces int, done bool) *contract {
	t.Helper()
	c := serve(t)
	c.set(func() { c.made(workers, slots, maps, reduces, done) })
	return c
}
