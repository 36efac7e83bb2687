package dashboard

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/jobs"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bucket is a bucket in memory, whose clock is that of the machine.
type bucket struct {
	mu      sync.Mutex
	objects map[string][]byte
	written map[string]time.Time
	broken  error // what reading returns; nil for none
	gets    int
}

func newBucket() *bucket {
	return &bucket{objects: map[string][]byte{}, written: map[string]time.Time{}}
}

func (b *bucket) Bucket() string { return "bkt" }

func (b *bucket) Get(ctx context.Context, key string) ([]byte, object.Info, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gets++
	data, ok := b.objects[key]
	switch {
	case ctx.Err() != nil:
		return nil, object.Info{}, ctx.Err()
	case b.broken != nil:
		return nil, object.Info{}, b.broken
	case !ok:
		return nil, object.Info{}, fs.ErrNotExist
	}
	return data, object.Info{Key: key, Modified: b.written[key], Served: time.Now()}, nil
}

func (b *bucket) List(_ context.Context, prefix string) iter.Seq2[object.Info, error] {
	b.mu.Lock()
	defer b.mu.Unlock()
	var list []object.Info
	for _, key := range slices.Sorted(maps.Keys(b.objects)) {
		if strings.HasPrefix(key, prefix) {
			list = append(list, object.Info{Key: key})
		}
	}
	return func(yield func(object.Info, error) bool) {
		for _, o := range list {
			if !yield(o, nil) {
				return
			}
		}
	}
}

func (b *bucket) Dirs(ctx context.Context, prefix string, _ int) (dirs []string, more bool, err error) {
	for o := range b.List(ctx, prefix) {
		name, _, isDir := strings.Cut(strings.TrimPrefix(o.Key, prefix), "/")
		if dir := prefix + name + "/"; isDir && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs, false, nil
}

func (b *bucket) Put(_ context.Context, key string, data []byte, o object.PutOptions) (object.Info, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.objects[key]; ok && o.IfAbsent {
		return object.Info{}, fs.ErrExist
	}
	b.objects[key], b.written[key] = data, time.Now()
	return object.Info{Key: key}, nil
}

func (b *bucket) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken = err
}

func (b *bucket) put(t *testing.T, key string, v any) {
	t.Helper()
	data, err := manifest.Encode(v)
	if s, ok := v.(*manifest.Success); ok {
		data, err = manifest.EncodeSealed(s)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Put(t.Context(), key, data, object.PutOptions{}); err != nil {
		t.Fatal(err)
	}
}

// secret is the token of each announcement.
const secret = "s3cr3t-t0ken-of-the-coordinator"

// job is a job of a test below its prefix.
type job struct {
	t    *testing.T
	b    *bucket
	lay  layout.Layout
	spec *manifest.Job
	log  *events.Log
	stop func()
}

// newJob plans a job of so many map tasks and one reduce task, with its coordinator.
func (b *bucket) newJob(t *testing.T, prefix, id string, maps int) *job {
	t.Helper()
	var files []testkit.File
	for i := range maps {
		files = append(files, testkit.File{Name: fmt.Sprintf("f%05d", i), Text: "12345"})
	}
	spec := testkit.NewJob(testkit.App("wc", nil, nil, nil), 1, 10, 1, files...).Spec
	spec.ID, spec.Created = id, time.Now()
	j := &job{t: t, b: b, lay: layout.New(prefix), spec: spec}
	b.put(t, j.lay.Job(), spec)
	j.lead("ep1")
	j.write(events.Event{Type: events.CoordinatorStarted, Cause: "free"}, events.Event{Type: events.JobPlanned, App: "wc", Maps: maps, Reduces: 1})
	return j
}

// lead lets another coordinator lead the job. The one before writes nothing more.
func (j *job) lead(epoch string) {
	j.t.Helper()
	if j.stop != nil {
		j.stop()
	}
	j.announce(epoch, nil)
	j.log = events.New(events.Options{Store: j.b, Layout: j.lay, Log: zerolog.Nop(), Coordinator: epoch, Leads: func(context.Context) (bool, error) { return true, nil }})
	ctx, cancel := context.WithCancel(j.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); j.log.Run(ctx) }()
	j.stop = sync.OnceFunc(func() { cancel(); <-done })
	j.t.Cleanup(j.stop)
	j.log.Begin(j.spec.ID, 10)
}

func (j *job) announce(epoch string, change func(*manifest.Coordinator)) {
	a := manifest.Coordinator{
		Schema: manifest.CoordinatorSchema, Epoch: epoch, App: "wc", LeaseMS: 600_000, Addresses: []string{"10.0.0.1:1"}, Started: time.Now(), Token: secret,
		S3:      object.Traffic{Requests: map[string]int64{"GetObject": 3}},
		Receipt: &manifest.Receipt{USD: 0.25, Region: "us-east-1", Prices: "2026-09-28", Committed: object.Traffic{Requests: map[string]int64{"GetObject": 4}, Received: 9}},
	}
	if change != nil {
		change(&a)
	}
	j.b.put(j.t, j.lay.Coordinator(), a)
}

// write adds events to the log; they are a segment of their own.
func (j *job) write(list ...events.Event) {
	j.t.Helper()
	for _, e := range list {
		j.log.Append(e)
	}
	j.log.Append(events.Event{Type: events.AttemptRerun}) // the log waits for events that matter only
	j.log.Settle(j.t.Context(), time.Minute)
}

func started(task, attempt, worker string) events.Event {
	return events.Event{Type: events.AttemptStarted, Task: task, Attempt: attempt, Worker: worker}
}

func ended(task, attempt, worker, outcome string, w events.Work) events.Event {
	return events.Event{Type: events.AttemptEnded, Task: task, Attempt: attempt, Worker: worker, Outcome: outcome, Work: w}
}

// finish ends the job with one reduce task.
func (j *job) finish() {
	j.t.Helper()
	j.write(started("reduce-0", "ep1.r0.1", "w0"), ended("reduce-0", "ep1.r0.1", "w0", "committed", events.Work{Seconds: 1, Bytes: 50, Records: 5, Key: `"the"`, KeyBytes: 40}),
		events.Event{Type: events.JobDone, Totals: &events.Totals{}})
	j.b.put(j.t, j.lay.Success(), &manifest.Success{
		Schema: manifest.SuccessSchema, Job: j.spec.ID, App: j.spec.App, NReduce: 1, Finished: time.Now(), Seconds: 60,
		Input: manifest.Input{Records: 3, Bytes: 30}, Shuffled: recordio.Sum{}, Read: recordio.Sum{},
		Requests: map[string]int64{"PutObject": 7}, Receipt: &manifest.Receipt{USD: 0.5, Region: "us-east-1", Prices: "2026-09-28"},
		Outputs: []manifest.Output{{Key: j.lay.Output(0), Size: 7, Lines: 1, Hash: strings.Repeat("0", 64), Attempt: "ep1.r0.1"}},
	})
}

// files are a page of tests.
func files() fs.FS {
	return fstest.MapFS{"index.html": {Data: []byte("<!doctype html><title>page</title>")}, "app.js": {Data: []byte("1")}, "notes.txt": {Data: []byte("x")}}
}

// serve serves a dashboard.
func (b *bucket) serve(t *testing.T, change func(*Options)) (*httptest.Server, *Server) {
	t.Helper()
	o := Options{
		Store: b, Jobs: jobs.Options{Store: b, Ended: func(manifest.Process) bool { return false }, Buckets: func(string) jobs.Store { return b }},
		Files: files(), Log: zerolog.Nop(), every: time.Millisecond, control: 5 * time.Millisecond, rest: 1,
	}
	if change != nil {
		change(&o)
	}
	s := New(o)
	h := httptest.NewServer(s)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		h.CloseClientConnections()
		h.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return h, s
}

// ask asks with headers, "Name: value".
func ask(t *testing.T, method, url string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
		if name == "Host" {
			r.Host = value
		}
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

// page is what a browser makes of a stream.
type page struct {
	t    *testing.T
	url  string
	last string // id of the last message that had one
	body io.Closer
	in   *bufio.Reader

	job     string
	resets  int
	views   []View
	workers []string
	rows    map[int][]int64
	ids     []string
	over    bool
	bytes   int64
}

// connect opens the stream where it was cut.
func (p *page) connect() {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, p.url, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if p.last != "" {
		r.Header.Set("Last-Event-ID", p.last)
	}
	r.Header.Set("Accept-Encoding", "gzip")
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		p.t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		p.t.Fatal(res.Status, res.Header)
	}
	p.body = res.Body
	zip, err := gzip.NewReader(&counting{res.Body, &p.bytes})
	if err != nil {
		p.t.Fatal(err)
	}
	p.in = bufio.NewReaderSize(zip, 1<<16)
}

type counting struct {
	io.Reader
	n *int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	*c.n += int64(n)
	return n, err
}

// message reads one message, and takes it. It returns its kind.
func (p *page) message() (kind string) {
	p.t.Helper()
	id, data := "", ""
	for {
		line, err := p.in.ReadString('\n')
		if err != nil {
			p.t.Fatalf("the stream ended: %v", err)
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "id":
			id = value
		case "event":
			kind = value
		case "data":
			data = value
		case "":
			if kind == "" {
				continue // retry, or a comment
			}
			p.take(kind, data)
			if id != "" {
				p.last = id
			}
			return kind
		}
	}
}

func (p *page) take(kind, data string) {
	p.t.Helper()
	var m struct {
		Job     string
		After   int
		First   int
		Workers []struct{ ID string }
		Rows    [][]int64
		IDs     []string
	}
	if kind == "view" {
		var v View
		if err := json.Unmarshal([]byte(data), &v); err != nil {
			p.t.Fatal(err)
		}
		p.views = append(p.views, v)
		return
	}
	if err := json.Unmarshal([]byte(data), &m); err != nil {
		p.t.Fatal(err)
	}
	switch kind {
	case "start":
		if p.job = m.Job; m.After == 0 {
			p.resets++
			p.workers, p.rows, p.ids = nil, map[int][]int64{}, nil
		}
	case "ids":
		if m.First > len(p.ids) {
			p.t.Fatalf("ids from %d on, and the page has %d", m.First, len(p.ids))
		}
		p.ids = append(p.ids[:m.First], m.IDs...)
	case "attempts":
		if m.First > len(p.workers) || len(m.Rows) > mostRows {
			p.t.Fatalf("workers from %d on, and the page has %d; %d rows", m.First, len(p.workers), len(m.Rows))
		}
		p.workers = p.workers[:m.First]
		for _, w := range m.Workers {
			p.workers = append(p.workers, w.ID)
		}
		for _, r := range m.Rows {
			p.rows[int(r[0])] = r
		}
	case "end":
		p.over = true
	}
}

// until reads messages until the page has what is wanted.
func (p *page) until(has func() bool) {
	p.t.Helper()
	for !has() {
		p.message()
	}
}

// outcomes counts the rows by outcome.
func (p *page) outcomes() map[int64]int {
	n := map[int64]int{}
	for _, r := range p.rows {
		n[r[7]]++
	}
	return n
}

func open(t *testing.T, h *httptest.Server, prefix string) *page {
	t.Helper()
	p := &page{t: t, url: h.URL + "/api/stream?job=" + prefix, rows: map[int][]int64{}}
	p.connect()
	t.Cleanup(func() { p.body.Close() })
	return p
}
