package telemetry

import (
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracespb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/mraws/mraws/internal/metrics"
	"github.com/mraws/mraws/internal/trace"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// span is what a collector knows of one.
type span struct {
	name, trace, parent string
	failed              bool
	attrs               string
}

// collector receives OTLP over both protocols.
type collector struct {
	tracespb.UnimplementedTraceServiceServer
	mu      sync.Mutex
	spans   map[string]span // by id
	metrics map[string]bool
	service string
}

// Export implements the service of traces.
func (c *collector) Export(_ context.Context, q *tracespb.ExportTraceServiceRequest) (*tracespb.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range q.ResourceSpans {
		for _, a := range r.Resource.Attributes {
			if a.Key == "service.name" {
				c.service = a.Value.GetStringValue()
			}
		}
		for _, scope := range r.ScopeSpans {
			for _, s := range scope.Spans {
				c.spans[hex.EncodeToString(s.SpanId)] = span{
					s.Name, hex.EncodeToString(s.TraceId), hex.EncodeToString(s.ParentSpanId), s.Status.GetCode() == 2, s.String(),
				}
			}
		}
	}
	return &tracespb.ExportTraceServiceResponse{}, nil
}

// counts is the service of metrics.
type counts struct {
	metricspb.UnimplementedMetricsServiceServer
	c *collector
}

// Export implements it.
func (m counts) Export(_ context.Context, q *metricspb.ExportMetricsServiceRequest) (*metricspb.ExportMetricsServiceResponse, error) {
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	for _, r := range q.ResourceMetrics {
		for _, scope := range r.ScopeMetrics {
			for _, one := range scope.Metrics {
				m.c.metrics[one.Name] = true
			}
		}
	}
	return &metricspb.ExportMetricsServiceResponse{}, nil
}

// collect starts a collector and lets the environment name it.
func collect(t *testing.T, protocol string) *collector {
	t.Helper()
	c := &collector{spans: map[string]span{}, metrics: map[string]bool{}}
	for _, name := range []string{"OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_TRACES_SAMPLER", "OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES"} {
		t.Setenv(name, "")
	}
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
	if protocol == "grpc" {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := grpc.NewServer()
		tracespb.RegisterTraceServiceServer(s, c)
		metricspb.RegisterMetricsServiceServer(s, counts{c: c})
		done := make(chan struct{})
		go func() { defer close(done); _ = s.Serve(lis) }()
		t.Cleanup(func() { s.Stop(); <-done })
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+lis.Addr().String())
		return c
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		q, m := new(tracespb.ExportTraceServiceRequest), new(metricspb.ExportMetricsServiceRequest)
		switch r.URL.Path {
		case "/v1/traces":
			if err = proto.Unmarshal(body, q); err == nil {
				_, err = c.Export(r.Context(), q)
			}
		case "/v1/metrics":
			if err = proto.Unmarshal(body, m); err == nil {
				_, err = counts{c: c}.Export(r.Context(), m)
			}
		default:
			t.Errorf("%s", r.URL.Path)
		}
		if err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", s.URL)
	return c
}

// begin starts to send what a process tells. Trouble fails the test.
func begin(t *testing.T) *Telemetry {
	t.Helper()
	page := metrics.New("v", "c", "go")
	page.Add([]metrics.Desc{{Name: "mraws_s3_sent_bytes_total"}}, func(emit metrics.Emit) { emit("mraws_s3_sent_bytes_total", 7) })
	o, err := Start(t.Context(), Options{Version: "v", Metrics: page, Trouble: func(err error) { t.Error(err) }})
	if err != nil || o == nil {
		t.Fatal(o, err)
	}
	return o
}

// play tells of a job of two tasks, in a process that leads it and one that
// runs its attempts. The second task is tried twice.
func play(t *testing.T, job string, lead, work *Telemetry) {
	t.Helper()
	now := time.Unix(1_800_000_000, 0)
	tell := func(o *Telemetry, e trace.Event) {
		now = now.Add(time.Second)
		e.At, e.Job = now, job
		if o == lead {
			e.Coordinator = "e"
		}
		o.Listener().Tell(e)
	}
	request := func(o *Telemetry, ctx context.Context, operation string, status int, trouble string) {
		q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://s3:9000/bucket/input/a?x=y", nil)
		if err != nil {
			t.Fatal(err)
		}
		r := o.Request(q, operation, 1)
		if r == nil {
			t.Fatalf("%s has no span", operation)
		}
		r.Replied(status)
		r.End(trouble)
	}
	tell(lead, trace.Event{Kind: trace.JobPlanned, Maps: 1, Reduces: 1})
	request(lead, t.Context(), "ListObjectsV2", 200, "")
	for _, a := range []struct{ id, phase, outcome string }{{"e.m0.1", "map", trace.Committed}, {"e.r0.1", "reduce", trace.Failed}, {"e.r0.2", "reduce", trace.Committed}} {
		e := trace.Event{Kind: trace.Granted, Phase: a.phase, Attempt: a.id, Worker: "w"}
		tell(lead, e)
		e.Job = job
		ctx := work.Begin(t.Context(), e)
		request(work, ctx, "GetObject", 503, "throttled")
		e.Kind, e.Outcome, e.Cause = trace.AttemptRan, a.outcome, "the secret line"
		tell(work, e)
		e.Kind = trace.Ended
		tell(lead, e)
	}
	tell(lead, trace.Event{Kind: trace.JobDone})
	tell(lead, trace.Event{Kind: trace.SuccessCreated})
}

// TestOneTraceOverTwoProcesses: a job is one trace, from the coordinator's span
// over tasks and attempts to requests, though nothing crosses the wire; metrics
// arrive under the names of the page; no cause of a failure is sent.
func TestOneTraceOverTwoProcesses(t *testing.T) {
	for _, protocol := range []string{"http/protobuf", "grpc"} {
		c := collect(t, protocol)
		lead, work := begin(t), begin(t)
		play(t, "job", lead, work)
		lead.Close()
		work.Close()
		paths := map[string]int{}
		traces := map[string]bool{}
		for _, s := range c.spans {
			path := s.name
			for p := s.parent; p != ""; p = c.spans[p].parent {
				if c.spans[p].name == "" {
					t.Fatalf("%s: %s has a parent that was not sent", protocol, path)
				}
				path = c.spans[p].name + "/" + path
			}
			if s.failed {
				path += " failed"
			}
			paths[path]++
			traces[s.trace] = true
			if strings.Contains(s.attrs, "secret") {
				t.Errorf("%s: %s", protocol, s.attrs)
			}
		}
		want := map[string]int{
			"job": 1, "job/S3/ListObjectsV2": 1, "job/map task": 1, "job/reduce task": 1,
			"job/map task/map attempt": 1, "job/reduce task/reduce attempt": 1, "job/reduce task/reduce attempt failed": 1,
			"job/map task/map attempt/S3/GetObject failed": 1, "job/reduce task/reduce attempt/S3/GetObject failed": 2,
		}
		for path, n := range want {
			if paths[path] != n {
				t.Errorf("%s: %d of %s, want %d; all: %v", protocol, paths[path], path, n, paths)
			}
		}
		if len(paths) != len(want) || len(traces) != 1 || c.service != "mraws" {
			t.Errorf("%s: %d kinds of spans, %d traces of %q", protocol, len(paths), len(traces), c.service)
		}
		for _, name := range []string{"mraws_s3_sent_bytes_total", "mraws_build_info", "go_goroutines"} {
			if !c.metrics[name] {
				t.Errorf("%s: no metric %s among %d", protocol, name, len(c.metrics))
			}
		}
	}
}

// TestAsked: what the environment asks for is sent, and nothing else.
func TestAsked(t *testing.T) {
	c := collect(t, "")
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	t.Setenv("OTEL_SERVICE_NAME", "mine")
	o := begin(t)
	if o.Traces() || o.Begin(t.Context(), trace.Event{}) != t.Context() {
		t.Error("there are traces")
	}
	o.Listener().Tell(trace.Event{Kind: trace.JobDone})
	o.Close()
	if len(c.spans) != 0 || !c.metrics["mraws_build_info"] {
		t.Errorf("%d spans, %d metrics", len(c.spans), len(c.metrics))
	}
	t.Setenv("OTEL_TRACES_EXPORTER", "")
	t.Setenv("OTEL_METRICS_EXPORTER", "none")
	t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
	t.Setenv("OTEL_TRACES_SAMPLER_ARG", "0.5")
	clear(c.metrics)
	const jobs = 40
	lead, work := begin(t), begin(t)
	for i := range jobs {
		play(t, strings.Repeat("j", i+1), lead, work)
	}
	lead.Close()
	work.Close()
	byTrace := map[string]int{}
	for _, s := range c.spans {
		byTrace[s.trace]++
	}
	for id, n := range byTrace {
		if n != 10 {
			t.Errorf("trace %s has %d spans, want all 10 or none", id, n)
		}
	}
	if len(byTrace) == 0 || len(byTrace) == jobs || len(c.metrics) != 0 || c.service != "mine" {
		t.Errorf("%d of %d jobs sampled, %d metrics, of %q", len(byTrace), jobs, len(c.metrics), c.service)
	}
	t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
	if o, err := Start(t.Context(), Options{}); o != nil || err == nil || !strings.Contains(err.Error(), "http/json") {
		t.Error(o, err)
	}
	t.Setenv("OTEL_SDK_DISABLED", "true")
	if o, err := Start(t.Context(), Options{}); o != nil || err != nil || Asked() {
		t.Error(o, err)
	}
}

// TestNobodyListens: a collector that does not answer costs the end of the
// process 2 s, is told of once, and disturbs nothing.
func TestNobodyListens(t *testing.T) {
	collect(t, "")
	silent := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-silent
	}))
	defer s.Close()
	defer close(silent)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", s.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "3000")
	var told atomic.Int64
	o, err := Start(t.Context(), Options{Metrics: metrics.New("v", "c", "go"), Trouble: func(error) { told.Add(1) }})
	if err != nil {
		t.Fatal(err)
	}
	play(t, "job", o, o)
	began := time.Now()
	o.Close()
	if took := time.Since(began); took < closeFor/2 || took > 30*time.Second || told.Load() != 1 {
		t.Errorf("it took %v, and there was word %d times", took, told.Load())
	}
}

// TestOff: nothing is made where nobody listens.
func TestOff(t *testing.T) {
	var o *Telemetry
	if o.Listener() != nil || o.Traces() {
		t.Error("something listens")
	}
	o.Close()
	if ctx := o.Begin(t.Context(), trace.Event{}); ctx != t.Context() {
		t.Error("an attempt has another context")
	}
}
