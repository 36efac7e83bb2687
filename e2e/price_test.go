//go:build !interop

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mraws/mraws/internal/datadir"
	"github.com/mraws/mraws/internal/manifest"
)

// meter counts what a reverse proxy of Go's library passes on to the store. It shares
// nothing with what the program counts by.
type meter struct {
	mu             sync.Mutex
	puts, gets     int64 // requests that S3 charges as PUT, and as GET
	free           int64 // deletions
	sent, received int64 // bytes of bodies
}

// note counts a request by the HTTP method and the query that the API of S3 has.
func (m *meter) note(q *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	query := q.URL.Query()
	_, uploads := query["uploads"]
	switch {
	case q.Method == http.MethodDelete, q.Method == http.MethodPost && query.Has("delete"):
		m.free++
	case q.Method == http.MethodPut, q.Method == http.MethodPost,
		q.Method == http.MethodGet && (query.Has("list-type") || uploads || query.Has("uploadId")):
		m.puts++
	default:
		m.gets++
	}
}

// counts returns what was counted since the call before.
func (m *meter) counts() (puts, gets, all int64, usd float64, sent, received int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	puts, gets, all, sent, received = m.puts, m.gets, m.puts+m.gets+m.free, m.sent, m.received
	m.puts, m.gets, m.free, m.sent, m.received = 0, 0, 0, 0, 0
	return puts, gets, all, float64(puts)*0.005/1000 + float64(gets)*0.0004/1000, sent, received
}

// counting is a body whose bytes are counted.
type counting struct {
	io.ReadCloser
	m *meter
	n *int64
}

func (c counting) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.m.mu.Lock()
	defer c.m.mu.Unlock()
	*c.n += int64(n)
	return n, err
}

// metered returns a fixture of the same job whose processes reach the store through a
// proxy that counts.
func (b *fixture) metered() (*fixture, *meter) {
	b.t.Helper()
	at, err := datadir.Find(b.t.Context(), filepath.Join(b.dir, "data"))
	if err != nil {
		b.t.Fatal(err)
	}
	target, err := url.Parse(at.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	m := new(meter)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
			r.Out.Host = r.In.Host // it is signed
			m.note(r.In)
			if r.Out.Body != nil {
				r.Out.Body = counting{r.Out.Body, m, &m.sent}
			}
		},
		ModifyResponse: func(r *http.Response) error {
			if r.Body != nil && r.Request.Method != http.MethodHead {
				r.Body = counting{r.Body, m, &m.received}
			}
			return nil
		},
	}
	front := httptest.NewServer(proxy)
	b.t.Cleanup(front.Close)
	return b.behind(front, at, "MRAWS_LEASE=1m", "MRAWS_EVENTS=false"), m // how often these are written depends on time
}

// planned is what --dry-run says, as far as a test looks at it.
type planned struct {
	Objects  int              `json:"objects"`
	Bytes    int64            `json:"bytes"`
	Maps     int              `json:"map_tasks"`
	Reduces  int              `json:"reduce_tasks"`
	Requests map[string]int64 `json:"requests"`
	USD      float64          `json:"usd"`
	Seconds  float64          `json:"seconds"`
	BasedOn  string           `json:"based_on"`
}

// shape is a job whose estimate is compared with its receipt.
type shape struct {
	files   map[string]string
	args    []string
	maps    int
	reduces int
}

// off is by which part got differs from want.
func off(got, want float64) float64 { return math.Abs(got-want) / want }

// TestEstimateAndReceipt: for five shapes of jobs the estimate of --dry-run, the receipt of
// the job, and what a proxy that is not ours has counted differ by at most 5%, in requests
// and in dollars. The dry run writes nothing.
func TestEstimateAndReceipt(t *testing.T) {
	small, large, zipped, lines := map[string]string{}, map[string]string{}, map[string]string{}, map[string]string{}
	for i := range 400 {
		small[fmt.Sprintf("s%03d.txt", i)] = words(uint64(i), 3000)
	}
	large["large.txt"] = words(1, 24<<20)
	for i := range 30 {
		zipped[fmt.Sprintf("z%02d.txt.gz", i)] = string(gzipped(t, words(uint64(i), 60_000)))
		lines[fmt.Sprintf("l%02d.txt", i)] = words(uint64(i), 300_000)
	}
	for name, j := range map[string]shape{
		"many small objects":                {small, []string{"--app", "wc", "--nreduce", "4", "--split-size", "64KiB"}, 20, 4},
		"one large object":                  {large, []string{"--app", "wc", "--nreduce", "6", "--split-size", "1MiB"}, 24, 6},
		"compressed":                        {zipped, []string{"--app", "wc", "--nreduce", "5"}, 30, 5},
		"map-only":                          {lines, []string{"--app", "grep", "--app-arg", "pattern=ab", "--nreduce", "0"}, 30, 0},
		"executables with a large shuffle":  {lines, []string{"--mapper", "cat", "--reducer", "cat", "--nreduce", "8"}, 30, 8},
		"worker processes, packed segments": {lines, []string{"--app", "wc", "--nreduce", "8", "--shuffle", "packed", "--processes"}, 30, 8},
	} {
		t.Run(name, func(t *testing.T) {
			b, m := newPlainFixture(t).metered()
			folder := filepath.Join(b.dir, "in")
			if err := os.Mkdir(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			for name, text := range j.files {
				if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			args := append([]string{"run", "-o", "json", "--workers", "2", folder}, j.args...)
			m.counts()
			e := dryRun(t, b, args)
			if puts, _, _, _, sent, _ := m.counts(); sent > 0 {
				t.Errorf("the dry run has sent %d bytes, in some of %d requests", sent, puts)
			}
			if keys := b.keys(b.layout.Root()); len(keys) > 0 {
				t.Errorf("the dry run has written %q", keys)
			}
			if e.Objects != len(j.files) || e.Maps < j.maps || e.Maps > j.maps+3 || e.Reduces != j.reduces {
				t.Errorf("%d objects, %d map tasks, %d reduce tasks", e.Objects, e.Maps, e.Reduces)
			}
			compareReceipt(t, b, m, e, args)
		})
	}
}

// TestEstimateByHistory: a job whose map tasks have records for few of its reduce tasks is
// estimated by the finished job of its app in the bucket, within 5%, and so is its time.
func TestEstimateByHistory(t *testing.T) {
	b, m := newPlainFixture(t).metered()
	folder := filepath.Join(b.dir, "in")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprint(i)), []byte(strings.Repeat("one two three\n", 100+i)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	line := func(prefix string) []string {
		return []string{"run", "-o", "json", "--app", "wc", "--nreduce", "20", "--workers", "2", "--prefix", prefix, folder}
	}
	first, second := b.layout.Prefix()+"/first", b.layout.Prefix()+"/second"
	unknown := dryRun(t, b, line(first))
	if unknown.BasedOn != "" || unknown.Seconds != 0 {
		t.Errorf("it is based on %q, and lasts %g s", unknown.BasedOn, unknown.Seconds)
	}
	b.run(0, line(first)...)
	m.counts()
	e := dryRun(t, b, line(second))
	if _, _, _, _, sent, _ := m.counts(); sent > 0 || e.BasedOn != first || e.Seconds <= 0 {
		t.Errorf("it has sent %d bytes, is based on %q, and lasts %g s", sent, e.BasedOn, e.Seconds)
	}
	if e.Requests["PutObject"] > unknown.Requests["PutObject"]/2 {
		t.Errorf("%d PUTs, without a job before %d", e.Requests["PutObject"], unknown.Requests["PutObject"])
	}
	compareReceipt(t, b, m, e, line(second))
}

// TestMaxUSD: a job that reaches --max-usd ends with exit code 9, before the requests that the
// proxy counts cost more, and the same line with more goes on with it. Its receipt has what
// both coordinators spent.
func TestMaxUSD(t *testing.T) {
	b, m := newPlainFixture(t).metered()
	args := append([]string{"run", "-o", "json", "--app", "wc", "--nreduce", "4", "--workers", "2"}, b.books()...)
	m.counts()
	const most = 0.0004
	_, errout := b.run(9, append(args, "--max-usd", fmt.Sprint(most))...)
	_, _, first, usd, _, _ := m.counts()
	if usd > most || usd < most/2 {
		t.Errorf("it has spent $%g of $%g", usd, most)
	}
	if strings.Contains(errout, "--max-usd 0.0004") {
		t.Errorf("the line to go on with has the limit that was reached:\n%s", errout)
	}
	for _, want := range []string{"stopped: the job may cost $0.000400: $0.000", "--max-usd 0.0008", "goes on with the job"} {
		if !strings.Contains(errout, want) {
			t.Errorf("it does not say %q:\n%s", want, errout)
		}
	}
	commits := len(b.keys(b.layout.CommitDir()))
	if commits == 0 || len(b.outputs()) > 0 {
		t.Errorf("%d map tasks are committed, and %d outputs", commits, len(b.outputs()))
	}
	out, _ := b.run(0, append(args, "--max-usd", "1")...)
	_, _, second, more, _, _ := m.counts()
	var s manifest.Success
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatal(err)
	}
	if s.Map.Reused != commits {
		t.Errorf("%d map tasks were reused, of %d", s.Map.Reused, commits)
	}
	told := int64(0)
	for _, n := range s.Requests {
		told += n
	}
	t.Logf("$%.6f and $%.6f in %d and %d requests; receipt: $%.6f in %d", usd, more, first, second, s.Receipt.USD, told)
	if o := off(float64(told), float64(first+second)); o > 0.05 || off(s.Receipt.USD, usd+more) > 0.05 {
		t.Errorf("%d requests in the receipt, counted %d and %d; $%g, $%g and $%g", told, first, second, s.Receipt.USD, usd, more)
	}
}

// TestReceiptOverTakeover: a coordinator is killed in the middle of a job, and the receipt
// that the next one writes is within 5% of what the proxy has counted.
func TestReceiptOverTakeover(t *testing.T) {
	b, m := newPlainFixture(t).metered()
	b.env = append(b.env, "MRAWS_LEASE=3s", "MRAWS_COORD_TIMEOUT=60s")
	var files []string
	for i := range 60 {
		path := filepath.Join(b.dir, fmt.Sprintf("t%02d.txt", i))
		if err := os.WriteFile(path, []byte(words(uint64(i), 20_000)), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, path)
	}
	b.run(0, append([]string{"upload-input"}, files...)...)
	m.counts()
	line := []string{"--app", "wc", "--nreduce", "20"}
	c, _ := b.coordinator(line...)
	w := b.start("worker", "--app", "wc", "--slots", "1")
	b.until("half of the map tasks are committed", func() bool { return len(b.keys(b.layout.CommitDir())) >= 30 })
	b.kill(c)
	again, _ := b.coordinator(line...)
	b.exits(again, w)
	_, _, all, usd, _, _ := m.counts()
	s := b.success()
	told := int64(0)
	for _, n := range s.Requests {
		told += n
	}
	t.Logf("%d requests in the receipt, %d counted; $%.6f, $%.6f; %d maps reused", told, all, s.Receipt.USD, usd, s.Map.Reused)
	if s.Map.Reused < 30 || off(float64(told), float64(all)) > 0.05 || off(s.Receipt.USD, usd) > 0.05 {
		t.Errorf("%d requests in the receipt, %d counted; $%g, $%g; %d maps reused", told, all, s.Receipt.USD, usd, s.Map.Reused)
	}
}

// dryRun returns what a line says with --dry-run.
func dryRun(t *testing.T, b *fixture, args []string) (e planned) {
	t.Helper()
	out, _ := b.run(0, append(args, "--dry-run")...)
	if err := json.Unmarshal([]byte(out), &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// compareReceipt runs the line, and compares estimate, receipt and meter.
func compareReceipt(t *testing.T, b *fixture, m *meter, e planned, args []string) {
	t.Helper()
	out, _ := b.run(0, args...)
	puts, gets, all, usd, sent, received := m.counts()
	var s manifest.Success
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatal(err)
	}
	sum := func(requests map[string]int64) (n float64) {
		for _, m := range requests {
			n += float64(m)
		}
		return n
	}
	estimated, told := sum(e.Requests), sum(s.Requests)
	t.Logf("requests: %.0f estimated, %.0f in the receipt, %d counted (%d PUT, %d GET); dollars: %.6f, %.6f, %.6f; bytes received %d of %d, sent %d of %d",
		estimated, told, all, puts, gets, e.USD, s.Receipt.USD, usd, s.Receipt.Received, received, s.Receipt.Sent, sent)
	for what, pair := range map[string][2]float64{
		"requests, estimate":      {estimated, float64(all)},
		"requests, receipt":       {told, float64(all)},
		"dollars, estimate":       {e.USD, usd},
		"dollars, receipt":        {s.Receipt.USD, usd},
		"bytes received, receipt": {float64(s.Receipt.Received), float64(received)},
		"bytes sent, receipt":     {float64(s.Receipt.Sent), float64(sent)},
	} {
		if o := off(pair[0], pair[1]); o > 0.05 {
			t.Errorf("%s: %g, counted %g: %.1f%% off\nestimate %v\nreceipt  %v", what, pair[0], pair[1], 100*o, e.Requests, s.Requests)
		}
	}
}
