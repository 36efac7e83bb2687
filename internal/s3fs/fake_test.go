package s3fs_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/s3fs"
)

// The bucket and key of the scripted tests.
const (
	bucket = "b"
	key    = "dir/k"
	etag   = `"v1"`
)

// script answers the requests to a fake S3 server one after the other; the
// last step answers all that follow.
type script struct {
	mu    sync.Mutex
	steps []http.HandlerFunc
	log   []string // METHOD path?query [range]
}

// ServeHTTP implements http.Handler.
func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	step := s.steps[0]
	if len(s.steps) > 1 {
		s.steps = s.steps[1:]
	}
	s.log = append(s.log, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("Range")))
	s.mu.Unlock()
	step(w, r)
}

func (s *script) requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.log...)
}

// quick are options for small objects. None of the time-outs ends while a
// machine stands still for some seconds: a test of one runs in a bubble.
func quick() s3fs.Options {
	return s3fs.Options{
		Bucket: bucket, Region: "us-east-1", AccessKey: "key", SecretKey: "secret",
		PartSize: 1000, MultipartAbove: 4000, MaxAttempts: 4, BackoffBase: time.Millisecond,
		HeaderTimeout: time.Minute, IdleTimeout: time.Minute,
	}
}

// fake returns a store of a server that plays the steps.
func fake(t *testing.T, o s3fs.Options, steps ...http.HandlerFunc) (*s3fs.Store, *script) {
	t.Helper()
	sc := &script{steps: steps}
	srv := httptest.NewServer(sc)
	t.Cleanup(srv.Close)
	o.Endpoint = srv.URL
	s, err := s3fs.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close) // before srv.Close, which waits for connections
	return s, sc
}

// apiError answers as S3 reports an error.
func apiError(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		if r.Method != http.MethodHead {
			fmt.Fprintf(w, `<Error><Code>%s</Code><Message>said the store</Message></Error>`, code)
		}
	}
}

// silent reads the request and never answers it.
func silent(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// neverReads asks for the request's body and does not read it, until done.
func neverReads(done <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
		<-done
	}
}

// closeBody reads the request and closes the connection without an answer.
func closeBody(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	panic(http.ErrAbortHandler)
}

// ok answers 200 with an ETag and body.
func ok(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("ETag", etag)
		_, _ = io.WriteString(w, body)
	}
}

// whole answers reads of data as S3 does, with ranges and conditions.
func whole(data []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", etag)
		http.ServeContent(w, r, "", time.Unix(1e9, 0), bytes.NewReader(data))
	}
}

// A breakage ends a body before its length.
type breakage func(w http.ResponseWriter, r *http.Request)

// stall sends nothing more.
func stall(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// finish closes the connection in order.
func finish(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// reset resets the connection.
func reset(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

// broken answers a read with the headers of data and only n bytes of it. A
// range that is shorter it answers in full: a whole reply is not broken, and
// the client would use the connection again.
func broken(data []byte, n int, how breakage) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &cutWriter{ResponseWriter: w, left: n}
		whole(data)(c, r)
		if !c.cut {
			return
		}
		_ = http.NewResponseController(w).Flush()
		how(w, r)
	}
}

// cutWriter drops what follows its first bytes.
type cutWriter struct {
	http.ResponseWriter
	left int
	cut  bool
}

// Write implements io.Writer.
func (c *cutWriter) Write(p []byte) (int, error) {
	k := min(c.left, len(p))
	c.left -= k
	c.cut = c.cut || k < len(p)
	if _, err := c.ResponseWriter.Write(p[:k]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// bytesOf returns n bytes that differ from place to place.
func bytesOf(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8*31)
	}
	return b
}
