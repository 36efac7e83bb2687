package telemetry

import (
	"context"
	"crypto/sha256"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"

	"github.com/mraws/mraws/internal/trace"
)

// A trace is a job. Its id, and those of its spans but for requests, are
// digests of names that every process of the job knows: job, epoch, task,
// attempt. So the spans of workers have their parents in the coordinator
// though nothing of a trace crosses the wire, and a coordinator that takes
// over goes on with the trace of the one before.
//
//	job (each coordinator) ─ task (each coordinator) ─ attempt (worker) ─ request
//	                       └ request of the coordinator, once the job is planned

// spans are those that have not ended.
type spans struct {
	tracer   oteltrace.Tracer // nil for no traces
	finished func()           // called when a job is done or has failed

	mu   sync.Mutex
	live map[string]oteltrace.Span // by what names them
	job  atomic.Pointer[oteltrace.SpanContext]
}

func (s *spans) open(t oteltrace.Tracer) {
	s.tracer, s.live = t, make(map[string]oteltrace.Span)
}

// names are what a span's id is a digest of.
type names struct{ job, epoch, task, attempt string }

func namesOf(e trace.Event) names {
	n := names{job: e.Job, epoch: e.Coordinator, attempt: e.Attempt}
	if n.epoch == "" || e.Attempt != "" {
		n.epoch, _, _ = strings.Cut(e.Attempt, ".")
	}
	if e.Phase != "" {
		n.task = e.Phase + "-" + strconv.Itoa(e.Task)
	}
	return n
}

func (n names) ofJob() names  { return names{job: n.job, epoch: n.epoch} }
func (n names) ofTask() names { return names{job: n.job, epoch: n.epoch, task: n.task} }

func (n names) String() string {
	return strings.Join([]string{n.job, n.epoch, n.task, n.attempt}, "\x00")
}

// context is the span of these names, as another process refers to it.
func (n names) context() oteltrace.SpanContext {
	job, span := sha256.Sum256([]byte("mraws job "+n.job)), sha256.Sum256([]byte("mraws span "+n.String()))
	return oteltrace.NewSpanContext(oteltrace.SpanContextConfig{
		TraceID: oteltrace.TraceID(job[:16]), SpanID: oteltrace.SpanID(span[:8]), TraceFlags: oteltrace.FlagsSampled, Remote: true,
	})
}

type namesKey struct{}

// identities gives spans the ids of their names, and others random ones.
type identities struct{}

// NewIDs implements sdktrace.IDGenerator.
func (i identities) NewIDs(ctx context.Context) (oteltrace.TraceID, oteltrace.SpanID) {
	if n, ok := ctx.Value(namesKey{}).(names); ok {
		c := n.context()
		return c.TraceID(), c.SpanID()
	}
	return oteltrace.TraceID(append(random(), random()...)), i.NewSpanID(ctx, oteltrace.TraceID{})
}

// NewSpanID implements sdktrace.IDGenerator.
func (identities) NewSpanID(ctx context.Context, _ oteltrace.TraceID) oteltrace.SpanID {
	if n, ok := ctx.Value(namesKey{}).(names); ok {
		return n.context().SpanID()
	}
	return oteltrace.SpanID(random())
}

// random returns 8 bytes, not all 0.
func random() []byte {
	b := make([]byte, 8)
	for n, i := rand.Uint64()|1, 0; i < 8; i++ {
		b[i] = byte(n >> (8 * i))
	}
	return b
}

// begin begins the span of n below the one of parent, unless it is there, and returns a
// context with it.
func (s *spans) begin(ctx context.Context, name string, n, parent names, e trace.Event, attrs ...attribute.KeyValue) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	if span := s.live[n.String()]; span != nil {
		return oteltrace.ContextWithSpan(ctx, span)
	}
	if parent != (names{}) {
		ctx = oteltrace.ContextWithRemoteSpanContext(ctx, parent.context())
	}
	options := []oteltrace.SpanStartOption{oteltrace.WithAttributes(append(attrs, attribute.String("mraws.job.id", n.job))...)}
	if !e.At.IsZero() {
		options = append(options, oteltrace.WithTimestamp(e.At))
	}
	_, span := s.tracer.Start(context.WithValue(ctx, namesKey{}, n), name, options...)
	s.live[n.String()] = span
	return oteltrace.ContextWithSpan(ctx, span)
}

// done ends the span of n. trouble is "" or why it did not end well, in a word.
func (s *spans) done(n names, e trace.Event, trouble string, attrs ...attribute.KeyValue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	span := s.live[n.String()]
	if span == nil {
		return
	}
	delete(s.live, n.String())
	span.SetAttributes(attrs...)
	if trouble != "" {
		span.SetStatus(codes.Error, trouble)
		span.SetAttributes(attribute.String("error.type", trouble))
	}
	span.End(oteltrace.WithTimestamp(e.At))
}

// note adds to the span of n that something happened.
func (s *spans) note(n names, e trace.Event, what string, attrs ...attribute.KeyValue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if span := s.live[n.String()]; span != nil {
		span.AddEvent(what, oteltrace.WithTimestamp(e.At), oteltrace.WithAttributes(attrs...))
	}
}

// end ends every span. It has no outcome: the process ended before its thing did.
func (s *spans) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, span := range s.live {
		span.SetAttributes(attribute.Bool("mraws.unfinished", true))
		span.End()
	}
	clear(s.live)
	s.job.Store(nil)
}

// Listener makes spans of jobs, tasks and attempts from what happens; nil if
// nobody wants traces. Causes are not sent: they may quote records.
func (t *Telemetry) Listener() trace.Listener {
	if t == nil {
		return nil
	}
	return t.hear
}

func (t *Telemetry) hear(e trace.Event) {
	if e.Kind == trace.JobDone || e.Kind == trace.JobFailed {
		t.finished()
	}
	if t.tracer == nil {
		return
	}
	n := namesOf(e)
	attempt := []attribute.KeyValue{attribute.String("mraws.attempt.id", e.Attempt), attribute.String("mraws.worker", e.Worker)}
	switch e.Kind {
	case trace.JobPlanned:
		n = n.ofJob()
		ctx := t.begin(context.Background(), "job", n, names{}, e, attribute.String("mraws.coordinator.epoch", n.epoch), attribute.Int("mraws.job.maps", e.Maps), attribute.Int("mraws.job.reduces", e.Reduces))
		c := oteltrace.SpanContextFromContext(ctx)
		t.job.Store(&c)
	case trace.PhaseDone:
		t.note(names{job: e.Job, epoch: e.Coordinator}, e, e.Phase+" done")
	case trace.SuccessCreated:
		t.done(names{job: e.Job, epoch: e.Coordinator}, e, "")
	case trace.JobFailed:
		t.done(names{job: e.Job, epoch: e.Coordinator}, e, "failed")
	case trace.Granted, trace.Adopted:
		n = names{job: e.Job, epoch: e.Coordinator, task: n.task}
		t.begin(context.Background(), e.Phase+" task", n, n.ofJob(), e, attribute.Int("mraws.task", e.Task))
		t.note(n, e, string(e.Kind), append(attempt, attribute.Bool("mraws.speculative", e.Speculative))...)
	case trace.Ended:
		n = names{job: e.Job, epoch: e.Coordinator, task: n.task}
		t.note(n, e, e.Outcome, attempt...)
		if e.Outcome == trace.Committed {
			t.done(n, e, "")
		}
	case trace.AttemptRan:
		trouble := ""
		if e.Outcome == trace.Failed {
			trouble = e.Outcome
		}
		t.done(n, e, trouble, attribute.String("mraws.outcome", e.Outcome), attribute.Int64("mraws.read.bytes", e.Bytes))
	}
}

// Begin begins the span of an attempt in a worker and returns the context of
// its requests. [trace.AttemptRan] ends the span.
func (t *Telemetry) Begin(ctx context.Context, e trace.Event) context.Context {
	if t == nil || t.tracer == nil {
		return ctx
	}
	n := namesOf(e)
	return t.begin(ctx, e.Phase+" attempt", n, n.ofTask(), e,
		attribute.Int("mraws.task", e.Task), attribute.String("mraws.attempt.id", e.Attempt), attribute.String("mraws.worker", e.Worker))
}

// Request is the span of one HTTP request to S3.
type Request struct{ span oteltrace.Span }

// Traces tells whether there are spans at all.
func (t *Telemetry) Traces() bool { return t != nil && t.tracer != nil }

// Request begins the span of a request: below that of the attempt that it is
// for, else below that of the job that the process leads. It returns nil if
// there is neither. resent is how often the operation was tried before.
// The attributes are those of https://opentelemetry.io/docs/specs/semconv/object-stores/s3/
// and of HTTP clients.
func (t *Telemetry) Request(req *http.Request, operation string, resent int) *Request {
	ctx := req.Context()
	if !oteltrace.SpanContextFromContext(ctx).IsValid() {
		job := t.job.Load()
		if job == nil {
			return nil
		}
		ctx = oteltrace.ContextWithSpanContext(ctx, *job)
	}
	_, span := t.tracer.Start(ctx, "S3/"+operation, oteltrace.WithSpanKind(oteltrace.SpanKindClient))
	if span.IsRecording() {
		span.SetAttributes(
			attribute.String("rpc.system.name", "aws-api"), attribute.String("rpc.method", "S3/"+operation),
			attribute.String("http.request.method", req.Method), attribute.String("server.address", req.URL.Hostname()), attribute.String("url.path", req.URL.Path))
		if resent > 0 {
			span.SetAttributes(attribute.Int("http.request.resend_count", resent))
		}
	}
	return &Request{span}
}

// Replied tells the status of the reply.
func (r *Request) Replied(status int) {
	r.span.SetAttributes(attribute.Int("http.response.status_code", status))
}

// End ends the span. trouble is "" for a proper answer, of which 404 and 412
// are some, else a word for what went wrong.
func (r *Request) End(trouble string) {
	if trouble != "" {
		r.span.SetStatus(codes.Error, trouble)
		r.span.SetAttributes(attribute.String("error.type", trouble))
	}
	r.span.End()
}

var _ sdktrace.IDGenerator = identities{}
