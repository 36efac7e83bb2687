package s3local

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/datadir"
)

// dial opens a connection and says something on it.
func dial(t *testing.T, e datadir.Endpoint, say string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(e.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, say); err != nil {
		t.Fatal(err)
	}
	return c
}

const unfinished = "GET /bucket HTTP/1.1\r\nHost: localhost\r\nX-Header: "

// TestSilentConnections: connections that carry no whole request, more than
// there may be, keep nobody out.
func TestSilentConnections(t *testing.T) {
	for what, say := range map[string]string{"silent": "", "unfinished headers": unfinished} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			_, said, _ := startLimited(t, dir, "256")
			e, err := datadir.Find(t.Context(), dir)
			if err != nil {
				t.Fatal(said, err)
			}
			newClient(t, e).want(200, "PUT", "/bucket", "")
			for range 300 {
				dial(t, e, say)
			}
			var g errgroup.Group
			for i := range 20 {
				c := newClient(t, e)
				g.Go(func() error {
					r, err := c.try("PUT", fmt.Sprintf("/bucket/%d", i), "x")
					if err != nil || r.status != 200 {
						return fmt.Errorf("client %d: %d %s (%w)", i, r.status, r.body, err)
					}
					return nil
				})
			}
			if err := g.Wait(); err != nil {
				t.Error(err)
			}
			for range 300 {
				dial(t, e, say)
			}
			newClient(t, e).want(200, "GET", "/bucket/1", "")
		})
	}
}

// patient serves with times of which none ends by itself.
func patient(t *testing.T) *Server {
	t.Helper()
	times := usualTimes
	times.look = time.Hour
	s, err := start(t.Context(), Options{DataDir: t.TempDir(), times: times}, allGuards)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	// The connection by which the start asked whether it answers may be open.
	s.clients.until(t, 0, 0, 0)
	return s
}

// state counts the connections by what they do.
func (n *connections) state() (silent, headers, reading, others int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for k := range n.open {
		switch {
		case k.place != nil && k.begun:
			headers++
		case k.place != nil:
			silent++
		case k.reading.Load() != 0:
			reading++
		default:
			others++
		}
	}
	return silent, headers, reading, others
}

// until waits for a state.
func (n *connections) until(t *testing.T, silent, headers, reading int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		a, b, c, d := n.state()
		if a == silent && b == headers && c == reading && d == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d silent, %d with headers, %d with bodies, %d others: want %d, %d, %d", a, b, c, d, silent, headers, reading)
		}
		time.Sleep(time.Millisecond)
	}
}

// body adds a connection in one read for a body, of which no byte comes: a read
// that began after a stop would not have been stopped.
func (n *connections) body(t *testing.T) {
	t.Helper()
	l, err := listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	served, err := l.AcceptTCP()
	if err := errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
	k := n.add(served)
	n.work(k)
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = k.Read(make([]byte, 1)) // the end, when the test ends
	}()
	t.Cleanup(func() {
		_ = client.Close()
		<-read
		_ = k.Close()
	})
}

// TestStopIsNoSilence: no connection is closed for a time in which the server
// was stopped.
func TestStopIsNoSilence(t *testing.T) {
	s := patient(t)
	c := newClient(t, s.Endpoint())
	c.want(200, "PUT", "/bucket", "") // its connection stays, idle
	dial(t, s.Endpoint(), "")
	dial(t, s.Endpoint(), unfinished)
	n := s.clients
	n.body(t)
	n.until(t, 2, 1, 1)
	now := time.Now()
	n.expire(now.Add(time.Hour), true)
	n.until(t, 2, 1, 1)
	n.expire(now.Add(time.Hour+n.times.headers-time.Second), false)
	n.until(t, 2, 1, 1)
}

// TestTimesEnd: each kind of connection is closed when its own time is over.
func TestTimesEnd(t *testing.T) {
	s := patient(t)
	n := s.clients
	n.times.body = n.times.idle + time.Minute
	c := newClient(t, s.Endpoint())
	c.want(200, "PUT", "/bucket", "") // its connection stays, idle
	dial(t, s.Endpoint(), "")
	dial(t, s.Endpoint(), unfinished)
	half := c.hang("PUT", "/bucket/half", 1<<20)
	defer half.Close()
	n.until(t, 2, 1, 1)
	now := time.Now()
	n.expire(now.Add(n.times.headers), false)
	n.until(t, 2, 0, 1)
	n.expire(now.Add(n.times.idle), false)
	n.until(t, 0, 0, 1)
	n.expire(now.Add(n.times.body+time.Hour), false) // a read may have begun since
	n.until(t, 0, 0, 0)
	c.want(404, "GET", "/bucket/half", "")
}

// TestHeadersEnd: bytes that trickle in do not prolong the time for headers.
func TestHeadersEnd(t *testing.T) {
	s := patient(t)
	n := s.clients
	c := dial(t, s.Endpoint(), unfinished)
	n.until(t, 0, 1, 0)
	for range 10 {
		if _, err := io.WriteString(c, "x"); err != nil {
			t.Fatal(err)
		}
	}
	n.expire(time.Now().Add(n.times.headers-time.Minute/4), false)
	n.until(t, 0, 1, 0)
	n.expire(time.Now().Add(n.times.headers+time.Second), false)
	n.until(t, 0, 0, 0)
	if got, err := io.ReadAll(c); len(got) > 0 {
		t.Errorf("closed with %q, %v", got, err)
	}
}

// TestFullOfWork: while as many requests are in work as there may be
// connections, others are told to come later, and none of those in work ends.
func TestFullOfWork(t *testing.T) {
	s := patient(t)
	c := newClient(t, s.Endpoint())
	c.want(200, "PUT", "/bucket", "")
	n := s.clients
	c.http.CloseIdleConnections()
	n.until(t, 0, 0, 0)
	const most = 4
	n.mu.Lock()
	n.most = most
	n.mu.Unlock()
	const size = 1 << 20
	var work []*net.TCPConn
	for i := range most {
		work = append(work, c.hang("PUT", fmt.Sprintf("/bucket/%d", i), size))
		defer work[i].Close()
		n.until(t, 0, 0, i+1)
	}
	if r := c.want(503, "GET", "/bucket", ""); r.code() != "SlowDown" {
		t.Errorf("refused with %s", r.body)
	}
	for i, conn := range work {
		if _, err := io.WriteString(conn, strings.Repeat("x", size-size/2)); err != nil {
			t.Fatal(err)
		}
		reply := make([]byte, 12)
		if _, err := io.ReadFull(conn, reply); err != nil || string(reply) != "HTTP/1.1 200" {
			t.Errorf("upload %d is answered with %q, %v", i, reply, err)
		}
	}
	for range 2 * most { // those that are idle now make room
		newClient(t, s.Endpoint()).want(200, "GET", "/bucket", "")
	}
}

// TestAnEndIsNoError: who reads from a connection that was closed, here or by a
// reset of the client, sees its end. The library prints other errors.
func TestAnEndIsNoError(t *testing.T) {
	tcp, err := listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := newConnections(10, usualTimes)
	l := &listener{TCPListener: tcp, clients: n}
	defer l.Close()
	for what, end := range map[string]func(client *net.TCPConn) error{
		"closed here":       func(*net.TCPConn) error { n.close(); return nil },
		"reset by a client": func(c *net.TCPConn) error { return errors.Join(c.SetLinger(0), c.Close()) },
	} {
		t.Run(what, func(t *testing.T) {
			client, err := net.Dial("tcp", tcp.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			c, err := tcp.AcceptTCP()
			if err != nil {
				t.Fatal(err)
			}
			k := &conn{socket: c, all: n}
			n.mu.Lock()
			n.open[k] = struct{}{}
			n.mu.Unlock()
			n.wait(k)
			if err := end(client.(*net.TCPConn)); err != nil {
				t.Fatal(err)
			}
			if got, err := k.Read(make([]byte, 1)); got != 0 || err != io.EOF { //nolint:errorlint // as the library compares it
				t.Errorf("read %d bytes and %v, want the end", got, err)
			}
		})
	}
}
