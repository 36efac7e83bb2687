package cmd

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/s3local"
	"github.com/mraws/mraws/mr"
)

// heard is a stderr that a test reads while the command runs.
type heard struct {
	mu   sync.Mutex
	text strings.Builder
	said chan struct{} // something new
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.text.Write(p)
	select {
	case h.said <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

// TestSilentStore: a command whose store takes connections and never answers
// says soon for what it waits, and for how long it will.
func TestSilentStore(t *testing.T) {
	clean(t)
	if err := os.WriteFile("in.txt", []byte("a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	endpoint := "http://" + silent.Addr().String()
	t.Setenv("AWS_ACCESS_KEY_ID", "x")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	want := regexp.MustCompile(`(?m)^waiting for ` + regexp.QuoteMeta(endpoint) + `, up to 1[0-9]{2} s$`)
	for _, args := range [][]string{
		{"run", "--app", "one", "in.txt"}, {"upload-input", "in.txt"}, {"coordinator", "--app", "one"}, {"worker"},
		{"status"}, {"cat"}, {"verify"}, {"reset", "--yes"}, {"replay", "map-0"}, {"events"},
	} {
		t.Run(args[0], func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			errs := &heard{said: make(chan struct{}, 1)}
			ended := make(chan int, 1)
			began := time.Now()
			go func() {
				ended <- Execute(ctx, "mraws", nil, append(args, "--endpoint", endpoint, "--bucket", "some"), IO{In: strings.NewReader(""), Out: io.Discard, Err: errs}, []mr.App{testApp("one")}, embeddedServer)
			}()
			deadline := time.After(20 * time.Second) // of a loaded machine
			for !want.MatchString(errs.String()) {
				select {
				case <-errs.said:
				case code := <-ended:
					t.Fatalf("it ended with %d and said:\n%s", code, errs)
				case <-deadline:
					t.Fatalf("after %v it has said:\n%s", time.Since(began), errs)
				}
			}
			cancel()
			<-ended
			if n := strings.Count(errs.String(), "waiting for "); n != 1 {
				t.Errorf("it was said %d times:\n%s", n, errs)
			}
		})
	}
}

// TestStoreGoesSilent: a command whose store answered before says so too, each
// time that it waits.
func TestStoreGoesSilent(t *testing.T) {
	clean(t)
	ready, stop := context.WithCancel(t.Context())
	job := &seen{text: `"message":"job ready"`, then: stop}
	Execute(ready, "mraws", nil, []string{"coordinator", "--local", "--data-dir", "d", "--app", "one", "--prefix", "p", "--allow-empty", "--port", "0", "--nreduce", "2"},
		IO{In: strings.NewReader(""), Out: io.Discard, Err: job}, []mr.App{testApp("one")}, embeddedServer)
	dir, err := filepath.Abs("d")
	if err != nil {
		t.Fatal(err)
	}
	server, err := s3local.Start(t.Context(), s3local.Options{DataDir: dir})
	if err != nil {
		t.Fatalf("%v; the coordinator said\n%s", err, job.all.String())
	}
	t.Cleanup(func() { server.Close() })
	at := server.Endpoint()
	to, err := url.Parse(at.URL)
	if err != nil {
		t.Fatal(err)
	}
	var silent atomic.Bool
	end := make(chan struct{})
	forward := httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = to.Scheme, to.Host }}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if silent.Load() {
			<-end
			return
		}
		r.Header["X-Forwarded-For"] = nil
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(func() { close(end); proxy.Close() })
	t.Setenv("AWS_ACCESS_KEY_ID", at.AccessKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", at.SecretKey)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	errs := &heard{said: make(chan struct{}, 1)}
	out := &heard{said: make(chan struct{}, 1)}
	ended := make(chan int, 1)
	go func() {
		ended <- Execute(ctx, "mraws", nil, []string{"status", "--watch", "--every", "10ms", "--prefix", "p", "--endpoint", proxy.URL, "--region", at.Region, "--bucket", "mapreducedata"},
			IO{In: strings.NewReader(""), Out: out, Err: errs}, []mr.App{testApp("one")}, embeddedServer)
	}()
	deadline := time.After(20 * time.Second)      // of a loaded machine
	for !strings.Contains(out.String(), "\n\n") { // a second round
		select {
		case <-out.said:
		case code := <-ended:
			t.Fatalf("it ended with %d and said:\n%s", code, errs)
		case <-deadline:
			t.Fatalf("no second round:\n%s\n%s", out, errs)
		}
	}
	silent.Store(true)
	want := regexp.MustCompile(`(?m)^waiting for ` + regexp.QuoteMeta(proxy.URL) + `, up to 1[0-9]{2} s$`)
	for !want.MatchString(errs.String()) {
		select {
		case <-errs.said:
		case code := <-ended:
			t.Fatalf("it ended with %d and said:\n%s", code, errs)
		case <-deadline:
			t.Fatalf("it has said:\n%s", errs)
		}
	}
	cancel()
	<-ended
	if n := strings.Count(errs.String(), "store: "); n != 1 {
		t.Errorf("the store was named %d times:\n%s", n, errs)
	}
}

// TestStoreName: what is waited for gives no password away.
func TestStoreName(t *testing.T) {
	clean(t)
	t.Setenv("AWS_ENDPOINT_URL", "http://user:secret@127.0.0.1:1")
	if got := storeName("", "some"); got != "http://user:xxxxx@127.0.0.1:1" {
		t.Errorf("the store is named %q", got)
	}
	t.Setenv("AWS_ENDPOINT_URL", "")
	if got := storeName("", "some"); got != "S3, bucket some" {
		t.Errorf("the store is named %q", got)
	}
}
