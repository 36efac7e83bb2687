package dashboard

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// TestResume: a page whose connection is cut again and again comes to what one has that
// was never cut: no attempt is lost, none is there twice.
func TestResume(t *testing.T) {
	b := newBucket()
	j := b.newJob(t, "a/b", "wc-1", 60)
	h, _ := b.serve(t, nil)
	p, whole := open(t, h, "a/b"), open(t, h, "a/b")
	for i := range 60 {
		task, id := fmt.Sprintf("map-%d", i), fmt.Sprintf("ep1.m%d.1", i)
		j.write(started(task, id, fmt.Sprintf("w%d", i%7)))
		p.until(func() bool { return len(p.rows) == i+1 && len(p.ids) == i+1 })
		if i%8 == 3 { // the end comes while nobody listens
			p.body.Close()
		}
		j.write(ended(task, id, "", "committed", events.Work{Seconds: 1, Bytes: 7}))
		if i%8 == 3 {
			p.connect()
		}
		p.until(func() bool { return p.outcomes()[1] == i+1 })
	}
	j.finish()
	p.until(func() bool { return p.over })
	whole.until(func() bool { return whole.over })
	if d := cmp.Diff(whole.rows, p.rows); d != "" || p.resets != 1 {
		t.Errorf("%d resets, rows differ:\n%s", p.resets, d)
	}
	if d := cmp.Diff(whole.ids, p.ids); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"w0", "w1", "w2", "w3", "w4", "w5", "w6"}, p.workers); d != "" {
		t.Error(d)
	}
	if len(p.rows) != 61 || p.ids[60] != "ep1.r0.1" {
		t.Errorf("%d rows, %q", len(p.rows), p.ids)
	}
	v := p.views[len(p.views)-1]
	if v.Job.State != "done" || v.Seal == nil || v.Receipt == nil || !v.Receipt.Final || *v.Receipt.USD != 0.5 || v.Phases[0].Done != 60 || len(v.Lacks) != 0 {
		t.Errorf("%+v", v)
	}
	if d := cmp.Diff([]partition{{"reduce-0", 50, []heavyKey{{`"the"`, 40}}}}, v.Partitions.Largest); d != "" {
		t.Error(d)
	}
}

// TestTakeover: the stream goes on under the next coordinator, and what the one before
// left running is shown so. Another job below the same prefix begins anew.
func TestTakeover(t *testing.T) {
	b := newBucket()
	j := b.newJob(t, "", "wc-1", 3)
	h, _ := b.serve(t, nil)
	p := open(t, h, "")
	j.write(started("map-0", "ep1.m0.1", "w0"), started("map-1", "ep1.m1.1", "w1"))
	p.until(func() bool { return p.outcomes()[0] == 2 })
	j.lead("ep2")
	j.write(events.Event{Type: events.CoordinatorStarted, From: "ep1", Cause: "expired"},
		events.Event{Type: events.AttemptAdopted, Task: "map-1", Attempt: "ep1.m1.1", Worker: "w1"}, started("map-0", "ep2.m0.1", "w1"))
	p.until(func() bool { return p.outcomes()[7] == 1 && p.outcomes()[0] == 2 })
	p.until(func() bool { return len(p.views[len(p.views)-1].Coordinators) == 2 })
	b.mu.Lock()
	clear(b.objects)
	b.mu.Unlock()
	b.newJob(t, "", "wc-2", 2)
	p.until(func() bool { return p.job == "wc-2" && p.resets == 2 })
	if len(p.rows) != 0 {
		t.Error(p.rows)
	}
}

// TestTrouble: while the bucket cannot be read the page shows what was known, and why.
func TestTrouble(t *testing.T) {
	b := newBucket()
	j := b.newJob(t, "x", "wc-1", 1)
	h, _ := b.serve(t, nil)
	p := open(t, h, "x")
	p.until(func() bool { return len(p.views) > 0 })
	b.fail(errors.New("no route"))
	p.until(func() bool { return strings.Contains(p.views[len(p.views)-1].Problem, "no route") })
	if r, body := ask(t, http.MethodGet, h.URL+"/api/stream?job=y"); r.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "no route") {
		t.Error(r.Status, body)
	}
	b.fail(nil)
	j.write(started("map-0", "ep1.m0.1", "w0"))
	p.until(func() bool { return len(p.rows) == 1 && p.views[len(p.views)-1].Problem == "" })
}

// TestAnswers: each address says what it is asked for, or why not, as JSON.
func TestAnswers(t *testing.T) {
	b := newBucket()
	j := b.newJob(t, "team/a", "wc-1", 2)
	j.write(started("map-1", "ep1.m1.1", "w0"), events.Event{
		Type: events.AttemptEnded, Task: "map-1", Attempt: "ep1.m1.1", Worker: "w0", Outcome: "failed", Cause: "<b>boom</b>\nline 2\x1b[31m",
	})
	b.newJob(t, "other", "wc-2", 1)
	h, _ := b.serve(t, func(o *Options) {
		o.Jobs.Base = "team"
		o.Explain = func(string, *events.State, *manifest.Job) (any, []Finding) {
			return "report", []Finding{{Cause: "skew"}}
		}
	})
	for _, tt := range []struct {
		path string
		code int
		has  string
	}{
		{"/", 200, "<title>page"}, {"/job/team/a", 200, "<title>page"}, {"/job/", 200, "<title>page"}, {"/assets/app.js", 200, "1"},
		{"/assets/notes.txt", 404, "error"}, {"/assets/..%2Fapp.js", 404, "error"}, {"/x", 404, "error"},
		{"/api/jobs", 200, `"where":"s3://bkt/team/","jobs":[{"name":"a","prefix":"team/a","id":"wc-1","app":"wc","state":"running"`},
		{"/api/stream?job=other", 404, `{"error":"there is no such job"}`}, {"/api/stream?job=team/b", 404, "error"}, {"/api/stream", 404, "error"},
		{"/api/stream?job=team/a/../../other", 404, "error"}, {"/api/attempt?job=team/b&attempt=x", 404, "error"}, {"/api/attempt?job=team/a&attempt=x", 404, "no such attempt"},
		{"/api/attempt?job=team/a&attempt=ep1.m1.1", 200, `"outcome":"failed","speculative":false,"cause":"\u003cb\u003eboom\u003c/b\u003e","log":["\u003cb\u003eboom\u003c/b\u003e","line 2\\x1b[31m"],"objects":["s3://bkt/team/a/input/f00001"]`},
		{"/api/explain?job=team/a", 200, `{"report":"report"}`},
	} {
		r, body := ask(t, http.MethodGet, h.URL+tt.path)
		if r.StatusCode != tt.code || !strings.Contains(body, tt.has) {
			t.Errorf("%s: %s %s", tt.path, r.Status, body)
		}
		if strings.HasPrefix(tt.path, "/api") && (r.Header.Get("Content-Type") != "application/json" || !json.Valid([]byte(body))) {
			t.Errorf("%s: %s", tt.path, r.Header)
		}
		if strings.Contains(body, secret) {
			t.Errorf("%s shows the token of the coordinator", tt.path)
		}
		if p := r.Header.Get("Content-Security-Policy"); p != policy || strings.Contains(p, "unsafe") || r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", tt.path, r.Header)
		}
	}
	p := open(t, h, "team/a")
	p.until(func() bool { return len(p.views) > 0 && len(p.rows) == 1 })
	v := p.views[len(p.views)-1]
	if len(v.Errors) != 1 || v.Errors[0].Cause != `<b>boom</b>\nline 2\x1b[31m` || *v.Receipt.USD != 0.25 || v.Receipt.Requests["GetObject"] != 7 || v.Receipt.Final {
		t.Errorf("%+v %+v", v.Errors, v.Receipt)
	}
	if text := string(encoded(v)); strings.Contains(text, secret) || strings.Contains(text, "10.0.0.1") {
		t.Error("the view shows what the coordinator has announced")
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodHead, http.MethodOptions} {
		if r, _ := ask(t, method, h.URL+"/api/jobs"); r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "GET" {
			t.Errorf("%s: %s", method, r.Status)
		}
	}
}

// TestNames: without a token the server answers to names of the loopback interface, so
// that no page of another site reads it.
func TestNames(t *testing.T) {
	h, _ := newBucket().serve(t, nil)
	for host, code := range map[string]int{
		"localhost:1234": 200, "LOCALHOST": 200, "127.0.0.1": 200, "127.9.9.9:80": 200, "[::1]:80": 200, "[::1]": 200,
		"evil.example:1234": 403, "10.0.0.1:80": 403, "localhost.evil.example": 403, "127.0.0.1.evil.example": 403, "0.0.0.0:80": 403, "[::]:80": 403,
	} {
		if r, body := ask(t, http.MethodGet, h.URL+"/api/jobs", "Host: "+host); r.StatusCode != code {
			t.Errorf("%s: %s %s", host, r.Status, body)
		}
	}
}

// TestToken: with a token nothing is served without it. The link gives a cookie for it,
// and leads to an address that does not have it.
func TestToken(t *testing.T) {
	const token = "0123456789abcdef"
	h, _ := newBucket().serve(t, func(o *Options) { o.Token = token })
	for _, path := range []string{"/", "/api/jobs", "/assets/app.js", "/api/stream?job=", "/?token=", "/?token=x" + token, "/api/jobs?token=" + token[:15]} {
		if r, body := ask(t, http.MethodGet, h.URL+path, "Host: box.example"); r.StatusCode != http.StatusUnauthorized || strings.Contains(body, token) || len(r.Cookies()) > 0 {
			t.Errorf("%s: %s %s", path, r.Status, body)
		}
	}
	r, body := ask(t, http.MethodGet, h.URL+`/job/a"b?token=`+token)
	if r.StatusCode != http.StatusOK || len(r.Cookies()) != 1 || strings.Contains(body, token) || !strings.Contains(body, `content="0;url=/job/a%22b"`) {
		t.Fatal(r.Status, r.Header, body)
	}
	c := r.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || r.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("%+v", c)
	}
	if r, body = ask(t, http.MethodGet, h.URL+"//evil.example/?token="+token); !strings.Contains(body, `content="0;url=/evil.example/"`) {
		t.Error(r.Status, body)
	}
	if r, _ = ask(t, http.MethodGet, h.URL+"/api/jobs", "Cookie: "+c.Name+"="+c.Value, "Host: box.example"); r.StatusCode != http.StatusOK {
		t.Error(r.Status)
	}
	if r, _ = ask(t, http.MethodGet, h.URL+"/api/jobs", "Cookie: "+c.Name+"="+c.Value+"x"); r.StatusCode != http.StatusUnauthorized {
		t.Error(r.Status)
	}
}

// TestBounds: the jobs that are in memory and the streams are bounded, and a job that
// nobody looks at makes room for another.
func TestBounds(t *testing.T) {
	b := newBucket()
	for i := range mostJobs + 1 {
		b.newJob(t, fmt.Sprintf("j%d", i), fmt.Sprintf("wc-%d", i), 1)
	}
	h, s := b.serve(t, nil)
	var pages []*page
	for i := range mostJobs {
		p := open(t, h, fmt.Sprintf("j%d", i))
		p.until(func() bool { return len(p.views) > 0 })
		pages = append(pages, p)
	}
	last := fmt.Sprintf("/api/attempt?job=j%d&attempt=x", mostJobs)
	if r, body := ask(t, http.MethodGet, h.URL+last); r.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "too many jobs") {
		t.Error(r.Status, body)
	}
	pages[0].body.Close()
	for end := time.Now().Add(time.Minute); ; { // the server hears of it soon
		if r, _ := ask(t, http.MethodGet, h.URL+last); r.StatusCode == http.StatusNotFound {
			break
		} else if time.Now().After(end) {
			t.Fatal(r.Status)
		}
	}
	for len(s.streams) < mostStreams {
		s.streams <- struct{}{}
	}
	if r, body := ask(t, http.MethodGet, h.URL+"/api/stream?job=j1"); r.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "too many pages") {
		t.Error(r.Status, body)
	}
	for len(s.streams) > mostJobs {
		<-s.streams
	}
}

// TestUnwatched: a job is read by one reader for all pages, and by none when nobody has
// looked for a time.
func TestUnwatched(t *testing.T) {
	b := newBucket()
	b.newJob(t, "x", "wc-1", 1)
	h, s := b.serve(t, func(o *Options) { o.linger = time.Millisecond })
	one, two := open(t, h, "x"), open(t, h, "x")
	one.until(func() bool { return len(one.views) > 0 })
	two.until(func() bool { return len(two.views) > 0 })
	s.mu.Lock()
	if len(s.followers) != 1 {
		t.Error(len(s.followers))
	}
	s.mu.Unlock()
	one.body.Close()
	two.body.Close()
	s.running.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.followers) != 0 {
		t.Error(len(s.followers))
	}
}

// TestClose: who looks at a job when the server ends is told how it stands then, however
// long ago it was read.
func TestClose(t *testing.T) {
	b := newBucket()
	j := b.newJob(t, "x", "wc-1", 1)
	h, s := b.serve(t, func(o *Options) { o.every, o.control = time.Hour, time.Hour })
	p := open(t, h, "x")
	p.until(func() bool { return len(p.views) > 0 })
	j.write(started("map-0", "ep1.m0.1", "w0"), ended("map-0", "ep1.m0.1", "w0", "committed", events.Work{Seconds: 1, Bytes: 7}))
	j.finish()
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	p.until(func() bool { return p.over })
	if v := p.views[len(p.views)-1]; v.Job.State != "done" || v.Seal == nil || v.Phases[0].Done != 1 {
		t.Errorf("%+v", v)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if r, _ := ask(t, http.MethodGet, h.URL+"/api/stream?job=x"); r.StatusCode != http.StatusServiceUnavailable {
		t.Error(r.Status)
	}
}

// TestSamples: what workers tell of their processes is shown, and what they have spent is
// spread over the time since the sample before.
func TestSamples(t *testing.T) {
	b := newBucket()
	j := b.newJob(t, "x", "wc-1", 1)
	h, _ := b.serve(t, nil)
	p := open(t, h, "x")
	p.until(func() bool { return len(p.views) > 0 })
	if v := p.views[0]; v.Throughput != nil && v.Throughput.CPU != nil {
		t.Error(v.Throughput.CPU)
	}
	free := int64(1 << 30)
	j.write(events.Event{Type: events.WorkerJoined, Worker: "w0", Host: "h", Slots: 2},
		events.Event{Type: events.WorkerSampled, Worker: "w0", Sample: &object.Sample{CPUSeconds: 1, CPUPercent: 50, Cores: 2, MemoryBytes: 7}})
	p.until(func() bool { v := p.views[len(p.views)-1]; return len(v.Workers) == 1 && v.Workers[0].Sample != nil })
	j.write(events.Event{Type: events.WorkerSampled, Worker: "w0", Sample: &object.Sample{CPUSeconds: 3.5, CPUPercent: 125, Cores: 2, MemoryBytes: 9, ScratchFreeBytes: &free, S3Requests: 4, S3P50: 2}})
	p.until(func() bool { v := p.views[len(p.views)-1]; return v.Workers[0].MemoryBytes == 9 })
	v := p.views[len(p.views)-1]
	w := v.Workers[0]
	if w.CPUPercent != 125 || *w.ScratchFreeBytes != free || w.S3P50 != 2 || w.Seen == nil {
		t.Errorf("%+v", w)
	}
	sum := 0.0
	for _, s := range v.Throughput.CPU {
		sum += s
	}
	if sum < 2.49 || sum > 3.01 { // 2.5 s since the first sample, and half a core before it
		t.Error(v.Throughput.CPU)
	}
}
