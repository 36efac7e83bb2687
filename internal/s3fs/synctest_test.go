package s3fs_test

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/mraws/mraws/internal/s3fs"
)

// fakeFunc is fake or fakeInBubble.
type fakeFunc func(*testing.T, s3fs.Options, ...http.HandlerFunc) (*s3fs.Store, *script)

// breaks runs f where bodies can break in the way of that name: in a bubble
// if they stall, over sockets if not.
func breaks(t *testing.T, name string, f func(*testing.T, fakeFunc)) {
	t.Helper()
	if name == "stall" {
		inBubble(t, func(t *testing.T) { f(t, fakeInBubble) })
		return
	}
	f(t, fake)
}

// inBubble runs f, and all that f starts, with a clock of its own: however
// long the machine stands still, no time-out ends before its time. A server
// there has to be a fakeInBubble.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// fakeInBubble is fake for a bubble, whose clock stands still while anybody
// waits for a socket: its connections are pipes.
func fakeInBubble(t *testing.T, o s3fs.Options, steps ...http.HandlerFunc) (*s3fs.Store, *script) {
	t.Helper()
	sc := &script{steps: steps}
	lis := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	var all sync.WaitGroup
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:gosec // its only client is the test
		all.Add(1)
		defer all.Done()
		sc.ServeHTTP(w, r)
	})}
	all.Go(func() { _ = srv.Serve(lis) })
	t.Cleanup(func() {
		_ = srv.Close()
		all.Wait() // the clock of a bubble does not go on for who is left
	})
	o.Endpoint = "http://127.0.0.1:1"
	s, err := s3fs.OpenOver(t.Context(), o, lis.dial)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s, sc
}

// pipes is a listener without sockets.
type pipes struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Accept implements net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr implements net.Listener.
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
