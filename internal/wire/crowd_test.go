package wire

import (
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// crowd is a listener whose connections come from the addresses that are sent
// to it.
type crowd struct {
	from chan *net.TCPAddr
	open atomic.Int64 // connections that have not been closed
	shut chan struct{}
}

func (c *crowd) Accept() (net.Conn, error) {
	select {
	case from := <-c.from:
		c.open.Add(1)
		return &visitor{crowd: c, from: from}, nil
	case <-c.shut:
		return nil, net.ErrClosed
	}
}

func (c *crowd) Close() error   { close(c.shut); return nil }
func (c *crowd) Addr() net.Addr { return &net.TCPAddr{} }

// visitor is a connection that says nothing.
type visitor struct {
	net.Conn
	crowd *crowd
	from  *net.TCPAddr
}

func (v *visitor) RemoteAddr() net.Addr { return v.from }
func (v *visitor) Close() error         { v.crowd.open.Add(-1); return nil }

// TestCrowdKeepsNobodyWaiting: thousands of connections of one address say
// nothing. The next one of another address comes in at once, the next one of
// the same address once a guest has had its peace, and the number of those that
// are open has a bound.
func TestCrowdKeepsNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lis := &crowd{from: make(chan *net.TCPAddr), shut: make(chan struct{})}
		d := (&ServerOptions{Connections: 64}).open(lis)
		in := make(chan net.Addr)
		go func() {
			defer close(in)
			for {
				c, err := d.Accept()
				if err != nil {
					return
				}
				in <- c.RemoteAddr()
			}
		}()
		const crowded, quiet = "10.0.0.1", "10.0.0.2"
		come := func(host string, port int) net.Addr {
			a := &net.TCPAddr{IP: net.ParseIP(host), Port: port}
			lis.from <- a
			return a
		}
		go func() {
			for i := range 4200 {
				come(crowded, 1+i)
			}
		}()
		took := func(host string) time.Duration {
			since, a := time.Now(), come(host, 5000)
			for <-in != a {
			}
			return time.Since(since)
		}
		for range d.places {
			<-in
		}
		synctest.Wait()
		if n := lis.open.Load(); n != int64(d.places+d.seats) {
			t.Errorf("%d connections are open, want %d", n, d.places+d.seats)
		}
		if w := took(quiet); w != 0 {
			t.Errorf("one of another address waits %s", w)
		}
		if w := took(crowded); w > guestPeace+guestPeace/4 {
			t.Errorf("one of the same address waits %s", w)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		for range in { // until Accept has ended
		}
		synctest.Wait()
		if n := lis.open.Load(); n > int64(d.places) {
			t.Errorf("%d connections are open at the end, %d of them wait", n, n-int64(d.places))
		}
		for g := range d.inside {
			_ = g.Close()
		}
	})
}

// TestCrowdBeforeAccept: connections that come before Accept runs wait for the places that
// are free, and none of them is turned away. One more than that is.
func TestCrowdBeforeAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lis := &crowd{from: make(chan *net.TCPAddr), shut: make(chan struct{})}
		d := (&ServerOptions{Connections: 64}).open(lis)
		all := d.places + d.seats
		for i := range all + 1 {
			lis.from <- &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 1 + i}
			synctest.Wait()
			if n, want := lis.open.Load(), min(i+1, all); n != int64(want) {
				t.Fatalf("%d of %d connections are open, want %d", n, i+1, want)
			}
		}
		for range d.places {
			g, err := d.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer g.Close()
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}
