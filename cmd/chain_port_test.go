package cmd

import (
	"net"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/wire"
)

// TestChainPort: between two jobs callers are told to wait, a job gets the port when it
// accepts, and in the end those who wait hear that the chain is over.
func TestChainPort(t *testing.T) {
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p, err := openChainPort(lis, wire.ServerOptions{Insecure: true}, "bucket")
	if err != nil {
		t.Fatal(err)
	}
	discover := func() (*wire.DiscoverReply, error) {
		conn, err := wire.DialUnverified(lis.Addr().String(), true)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		return wire.NewCoordinatorClient(conn).Discover(t.Context(), &wire.DiscoverRequest{})
	}
	for range 2 {
		if _, err := discover(); !wire.IsLater(err) {
			t.Errorf("between jobs: %v", err)
		}
		turn := p.turn()
		conns := make(chan net.Conn, 1)
		go func() {
			c, err := turn.Accept()
			if err != nil {
				t.Error(err)
			}
			conns <- c
		}()
		for got := false; !got; { // until the job accepts, another gets it
			conn, err := net.Dial("tcp", turn.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			select {
			case c := <-conns:
				got = c != nil
				_ = c.Close()
			case <-time.After(time.Millisecond):
			}
			_ = conn.Close()
		}
		_ = turn.Close()
		if _, err := turn.Accept(); err == nil {
			t.Error("a turn that is over accepts")
		}
	}
	p.follows(true)
	p.told(2, false)
	p.follows(false)
	p.told(1, false)
	ended := make(chan struct{})
	go func() { p.end(t.Context(), time.Minute); close(ended) }()
	for {
		reply, err := discover()
		if err == nil && reply.Over && reply.Bucket == "bucket" {
			break
		}
		if !wire.IsLater(err) {
			t.Fatalf("%v, %v", reply, err)
		}
	}
	<-ended
	p.end(t.Context(), time.Minute) // nobody is left
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
