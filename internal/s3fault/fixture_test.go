package s3fault_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/s3fault"
	"github.com/mraws/mraws/internal/s3fs"
	"github.com/mraws/mraws/internal/s3local"
)

// fixture is a real server, a proxy in front of it, and a client on either
// side of the proxy.
type fixture struct {
	proxy  *s3fault.Proxy
	store  *s3fs.Store // through the proxy
	direct *s3fs.Store
}

const seed = 1

// newFixture starts one without faults. The client's times are short; change
// may set other options.
func newFixture(t *testing.T, change func(*s3fs.Options)) *fixture {
	t.Helper()
	srv, err := s3local.Start(t.Context(), s3local.Options{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	at := srv.Endpoint()
	w := &fixture{}
	w.proxy, err = s3fault.New(at.URL, &s3fault.Script{}, seed, s3fault.Options{AccessKey: at.AccessKey, SecretKey: at.SecretKey})
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(w.proxy)
	t.Cleanup(func() { w.proxy.Close(); front.Close() })
	o := s3fs.Options{
		Bucket: "test", Region: at.Region, AccessKey: at.AccessKey, SecretKey: at.SecretKey,
		HeaderTimeout: time.Second, IdleTimeout: 300 * time.Millisecond, BackoffBase: time.Millisecond, PartSize: 5 << 20, MultipartAbove: 5 << 20,
	}
	open := func(url string) *s3fs.Store {
		o := o
		o.Endpoint = url
		if change != nil {
			change(&o)
		}
		s, err := s3fs.Open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s
	}
	w.store, w.direct = open(front.URL), open(at.URL)
	if err := w.direct.EnsureBucket(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// play sets the script.
func (w *fixture) play(t *testing.T, lines ...string) {
	t.Helper()
	s, err := s3fault.Parse(strings.NewReader(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	w.proxy.Play(s)
}

// played checks that every rule has done harm.
func (w *fixture) played(t *testing.T) {
	t.Helper()
	for _, c := range w.proxy.Counts() {
		if c.Played == 0 {
			t.Errorf("%q saw %d calls and did nothing", c.Rule, c.Seen)
		}
	}
}

// put writes an object past the proxy.
func (w *fixture) put(t *testing.T, key string, data []byte) s3fs.Object {
	t.Helper()
	o, err := w.direct.Put(t.Context(), key, data, s3fs.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return o
}
