package metrics_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/goleak"

	"github.com/mraws/mraws/internal/metrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve serves a page and returns its address.
func serve(t *testing.T, p *metrics.Page) string {
	t.Helper()
	s, err := metrics.Serve("127.0.0.1:0", p.Handler())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s.Addr().String()
}

func ask(t *testing.T, method, url string) (*http.Response, string) {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(body)
}

// TestPage: the page shows what it was given, as the conventions want it, to
// those who only read.
func TestPage(t *testing.T) {
	p := metrics.New("v1.2.3", "abc", "go1")
	var reads atomic.Int64
	p.Add([]metrics.Desc{
		{Name: "mraws_x_things_total", Help: "Things.", Labels: []string{"kind"}},
		{Name: "mraws_x_level", Help: "Level.", Kind: metrics.Gauge},
	}, func(emit metrics.Emit) {
		reads.Add(1)
		emit("mraws_x_things_total", 3, `q"uoted`)
		emit("mraws_x_level", -0.5)
	})
	told := p.Calls()
	told("Poll", "OK", 3*time.Second)
	told("Poll", "Unavailable", time.Millisecond)
	at := serve(t, p)
	r, body := ask(t, http.MethodGet, "http://"+at+"/metrics")
	for _, want := range []string{
		`mraws_build_info{commit="abc",go="go1",version="v1.2.3"} 1`,
		`mraws_x_things_total{kind="q\"uoted"} 3`, "# TYPE mraws_x_things_total counter",
		"mraws_x_level -0.5", "# TYPE mraws_x_level gauge", "# HELP mraws_x_level Level.",
		`mraws_rpc_calls_total{code="Unavailable",method="Poll"} 1`, `mraws_rpc_duration_seconds_bucket{method="Poll",le="5"} 2`,
		"go_goroutines ", "process_open_fds ",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in\n%s", want, body)
		}
	}
	if r.StatusCode != http.StatusOK || r.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s %v", r.Status, r.Header)
	}
	problems, err := promlint.New(strings.NewReader(body)).Lint()
	if err != nil {
		t.Error(err)
	}
	for _, q := range problems {
		t.Errorf("%s: %s", q.Metric, q.Text)
	}
	if _, body = ask(t, http.MethodHead, "http://"+at+"/metrics"); body != "" {
		t.Error("a body for HEAD")
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodTrace} {
		if r, _ = ask(t, method, "http://"+at+"/metrics"); r.StatusCode != http.StatusMethodNotAllowed || r.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %s", method, r.Status)
		}
	}
	if r, _ = ask(t, http.MethodGet, "http://"+at+"/debug/pprof/"); r.StatusCode != http.StatusNotFound {
		t.Error(r.Status)
	}
	if n := reads.Load(); n != 2 {
		t.Errorf("the values were read %d times for two readers", n)
	}
	names, err := p.Names()
	if err != nil || names["mraws_x_things_total"] != "COUNTER" || names["mraws_rpc_duration_seconds"] != "HISTOGRAM" {
		t.Errorf("%v %v", names, err)
	}
}

// TestMistakes: a value that is in no table, or has other labels, spoils
// itself and not the page.
func TestMistakes(t *testing.T) {
	p := metrics.New("v", "c", "g")
	p.Add([]metrics.Desc{{Name: "mraws_x_level", Help: "Level.", Kind: metrics.Gauge, Labels: []string{"a"}}}, func(emit metrics.Emit) {
		emit("mraws_other", 1)
		emit("mraws_x_level", 1)
		emit("mraws_x_level", 2, "fine")
	})
	at := serve(t, p)
	r, body := ask(t, http.MethodGet, "http://"+at+"/metrics")
	if r.StatusCode != http.StatusOK || !strings.Contains(body, `mraws_x_level{a="fine"} 2`) || strings.Contains(body, "mraws_other") {
		t.Errorf("%s\n%s", r.Status, body)
	}
}

// TestUnfriendly: endless headers end the connection, and a port has one server.
func TestUnfriendly(t *testing.T) {
	at := serve(t, metrics.New("v", "c", "g"))
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET /metrics HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("x", 64<<10))
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && !strings.Contains(line, "431") {
		t.Errorf("%q %v", line, err)
	}
	if _, err := metrics.Serve(at, nil); err == nil {
		t.Error("two servers on one port")
	}
}

// TestHealth: a process that serves is alive. It is ready once all of its parts are, and
// else says why it is not.
func TestHealth(t *testing.T) {
	p := metrics.New("v1", "abc", "go1")
	var fit atomic.Bool
	at := "http://" + serve(t, p)
	says := func(path string, code int, text string) {
		t.Helper()
		r, body := ask(t, http.MethodGet, at+path)
		if r.StatusCode != code || body != text {
			t.Errorf("%s: %s %q, want %d %q", path, r.Status, body, code, text)
		}
	}
	says("/readyz", 503, "the process starts\n")
	p.Ready(func(ctx context.Context) error {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Error("a check may take for ever")
		}
		return nil
	})
	p.Ready(func(context.Context) error {
		if !fit.Load() {
			return errors.New("it stands by")
		}
		return nil
	})
	says("/healthz", 200, "ok\n")
	says("/readyz", 503, "it stands by\n")
	fit.Store(true)
	says("/readyz", 200, "ok\n")
}

// TestProfiles: profiles are served after Debug alone.
func TestProfiles(t *testing.T) {
	for _, debug := range []bool{false, true} {
		p := metrics.New("v1", "abc", "go1")
		want := http.StatusNotFound
		if debug {
			p.Debug()
			want = http.StatusOK
		}
		at := "http://" + serve(t, p)
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile?seconds=1"} {
			r, body := ask(t, http.MethodGet, at+path)
			if r.StatusCode != want {
				t.Errorf("%s with profiles %v: %s %.200s", path, debug, r.Status, body)
			}
		}
	}
}
