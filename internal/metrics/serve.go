package metrics

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// Server serves a handler on a port of its own, for readers that are few and
// need not be friendly: what they may hold, and for how long, is bounded.
type Server struct {
	lis  net.Listener
	http *http.Server
	done chan error
}

// most is how many connections a Server holds at the same time.
const most = 64

// Serve serves h at address, "host:port", until [Server.Close].
func Serve(address string, h http.Handler) (*Server, error) {
	lis, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	s := &Server{
		lis: lis, done: make(chan error, 1),
		http: &http.Server{
			Handler: h, MaxHeaderBytes: 16 << 10, ErrorLog: log.New(discard{}, "", 0),
			ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
			WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute,
		},
	}
	go func() { s.done <- s.http.Serve(netutil.LimitListener(lis, most)) }()
	return s, nil
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
