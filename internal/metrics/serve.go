package metrics

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Server serves a handler on a port of its own, for readers that are few and
// need not be friendly: what they may hold, and for how long, is bounded.
type Server struct {
	lis  net.Listener
	http *http.Server
	done chan error
}

// most is how many connections a Server holds at the same time. One more takes
// the place of the oldest, which is the most likely one to be silent.
const most = 64

// headerTime is how long the headers of a request may take.
const headerTime = 5 * time.Second

// writeTime is how long an answer may take: a profile measures for 30 s unless its
// reader asks for other.
const writeTime = 2 * time.Minute

// Serve serves h at address, "host:port", until [Server.Close].
func Serve(address string, h http.Handler) (*Server, error) {
	return serve(address, h, headerTime)
}

func serve(address string, h http.Handler, headerTime time.Duration) (*Server, error) {
	lis, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	s := &Server{
		lis: lis, done: make(chan error, 1),
		http: &http.Server{
			Handler: h, MaxHeaderBytes: 16 << 10, ErrorLog: log.New(discard{}, "", 0),
			ReadHeaderTimeout: headerTime, ReadTimeout: 2 * headerTime,
			WriteTimeout: writeTime, IdleTimeout: time.Minute, ConnState: new(connections).changed,
		},
	}
	go func() { s.done <- s.http.Serve(lis) }()
	return s, nil
}

// connections are those that a server holds, the oldest first.
type connections struct {
	mu   sync.Mutex
	open []net.Conn
}

// changed implements the hook ConnState of [http.Server].
func (c *connections) changed(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch state {
	case http.StateNew:
		c.open = append(c.open, conn)
		if len(c.open) > most {
			_ = c.open[0].Close() // its client may have gone
			c.open = c.open[1:]
		}
	case http.StateClosed, http.StateHijacked:
		c.open = slices.DeleteFunc(c.open, func(o net.Conn) bool { return o == conn })
	}
}

// discard takes the server's complaints on its clients, which are theirs.
type discard struct{}

// Write implements io.Writer.
func (discard) Write(p []byte) (int, error) { return len(p), nil }

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.lis.Addr() }

// Close ends the server. Answers that are on their way have a second.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = s.http.Close()
	}
	if e := <-s.done; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serve %s: %w", s.lis.Addr(), e))
	}
	return err
}
