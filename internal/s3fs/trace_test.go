package s3fs

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"testing"
)

// spanLog is what was told of spans.
type spanLog struct {
	mu   sync.Mutex
	said []string
}

// one is a span of a spanLog.
type one struct {
	log  *spanLog
	text string
}

// Replied implements Span.
func (o *one) Replied(status int) { o.text += " " + strconv.Itoa(status) }

// End implements Span.
func (o *one) End(trouble string) {
	o.log.mu.Lock()
	defer o.log.mu.Unlock()
	o.log.said = append(o.log.said, o.text+" "+trouble+".")
}

// TestTrace: each HTTP request is told, tries among them, with its end.
func TestTrace(t *testing.T) {
	var n int
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 1 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	defer srv.Close()
	s, err := Open(t.Context(), Options{Bucket: "b", Endpoint: srv.URL, AccessKey: "k", SecretKey: "s"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var log spanLog
	s.Trace(func(req *http.Request, operation string, resent int) Span {
		return &one{log: &log, text: operation + " " + req.URL.Path + " " + strconv.Itoa(resent)}
	})
	if _, err := s.Stat(t.Context(), "a/key"); err == nil {
		t.Fatal("there is an object")
	}
	if want := []string{"HeadObject /b/a/key 0 500 error.", "HeadObject /b/a/key 1 404 ."}; !slices.Equal(log.said, want) {
		t.Errorf("%q, want %q", log.said, want)
	}
}

// TestTraceCostsNothing: a request of which nobody wants to hear makes no
// span, and allocates nothing for it.
func TestTraceCostsNothing(t *testing.T) {
	m, op := new(meter), new(tryBudget)
	req := httptest.NewRequest(http.MethodGet, "http://s3/b/k", nil)
	if n := testing.AllocsPerRun(100, func() {
		if span := m.span(req, "GetObject", op); span != nil {
			t.Error("there is a span")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
