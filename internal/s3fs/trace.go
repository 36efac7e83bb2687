package s3fs

import (
	"net/http"
)

// Span is told how one HTTP request ended.
type Span interface {
	// Replied is told the status of the reply, when its headers are there.
	Replied(status int)
	// End is told the outcome in a word of the metrics, "" for a proper answer.
	End(trouble string)
}

// Tracer returns the span of an HTTP request that begins, nil for none. resent
// is how often its operation has been tried before.
type Tracer func(req *http.Request, operation string, resent int) Span

// Trace lets f hear of every HTTP request of the store, and of the stores that
// share its counts, that begins from now on. Without it a request costs one
// load of a pointer.
func (s *Store) Trace(f Tracer) { s.http.meter.tracer.Store(&f) }

// span begins the span of a request, nil for none.
func (m *meter) span(req *http.Request, operation string, op *tryBudget) Span {
	f := m.tracer.Load()
	if f == nil {
		return nil
	}
	return (*f)(req, operation, max(0, op.soFar()-1))
}

// trouble is an outcome as a word of the metrics, "" for a proper answer.
func (v outcome) trouble() string {
	return [...]string{fine: "", refused: "", throttled: "throttled", failed: "error", canceled: "canceled"}[v]
}
