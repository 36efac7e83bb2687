package s3local

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gofiber/fiber/v3"
)

// connections of the front end. A connection waits while nothing of a request
// is complete on it: it is new, idle between two requests, or in the midst of
// the headers. Nobody needs a key pair to hold one, so it holds nothing for
// long: it is closed when its time is over, and when there are as many
// connections as there may be, the one that has waited longest makes room.
// What works on a request is never closed for another.
type connections struct {
	most  int // that there may be
	times connectionTimes
	start time.Time

	mu      sync.Mutex
	open    map[*conn]struct{}
	waiting list.List                 // of *conn, that which waits longest first
	refused map[*net.TCPConn]struct{} // that are told so
	closed  bool
	done    chan struct{} // closed with it
}

// connectionTimes are how long a connection may take.
type connectionTimes struct {
	idle    time.Duration // until the next request begins
	headers time.Duration // from the first byte of a request to the end of its headers
	body    time.Duration // for the next bytes of a body
	look    time.Duration // between two looks at all of them
}

// The clients that we know of give up an idle connection after 90 seconds (the
// SDK for Go) or earlier: whoever closes first risks that a request crosses it.
var usualTimes = connectionTimes{idle: 2 * time.Minute, headers: 20 * time.Second, body: 2 * time.Minute, look: time.Second}

// conn is a connection of a client. It embeds the socket for its ReadFrom,
// which is sendfile(2).
type conn struct {
	*net.TCPConn
	all *connections

	served  atomic.Bool  // the handler is through: the next read is for the next request
	silent  atomic.Bool  // no byte of the next request has come
	reading atomic.Int64 // when a read began, as all.now says, 0 for none

	// Under the lock of all.
	place *list.Element // among those that wait, nil for none of them
	since time.Time     // when that began, or the headers
	begun bool          // there is a part of the headers
}

var _ io.ReaderFrom = (*conn)(nil)

func newConnections(most int, times connectionTimes) *connections {
	n := &connections{most: most, times: times, start: time.Now(), open: map[*conn]struct{}{}, refused: map[*net.TCPConn]struct{}{}, done: make(chan struct{})}
	go n.watch()
	return n
}

// now is the time that has passed, never 0.
func (n *connections) now() int64 { return 1 + int64(time.Since(n.start)) }

// serve is the front end's middleware round each request.
func (n *connections) serve(c fiber.Ctx) error {
	k, _ := c.RequestCtx().Conn().(*conn)
	if k == nil {
		return c.Next()
	}
	crowded := n.work(k)
	defer k.served.Store(true)
	err := c.Next()
	if crowded {
		// Most clients then come with fewer connections, and a request is
		// less likely to cross the end of one that makes room.
		c.RequestCtx().SetConnectionClose()
	}
	return err
}

// work notes that a request is complete but for its body, and tells whether
// more than half of the connections that there may be are open.
func (n *connections) work(k *conn) (crowded bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	k.served.Store(false)
	if k.place != nil {
		n.waiting.Remove(k.place)
		k.place = nil
	}
	return len(n.open) > n.most/2
}

// wait notes that a connection waits for the next request.
func (n *connections) wait(k *conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, open := n.open[k]; open && k.place == nil {
		k.place, k.since, k.begun = n.waiting.PushBack(k), time.Now(), false
		k.silent.Store(true)
	}
}

// begin notes that a request begins to come in.
func (n *connections) begin(k *conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if k.place != nil {
		k.since, k.begun = time.Now(), true
	}
}

// add takes a connection in. It is nil when all of the others work.
func (n *connections) add(c *net.TCPConn) *conn {
	k := &conn{TCPConn: c, all: n}
	n.mu.Lock()
	if n.closed || len(n.open) >= n.most && !n.makeRoom() {
		n.refuse(c)
		n.mu.Unlock()
		return nil
	}
	n.open[k] = struct{}{}
	n.mu.Unlock()
	n.wait(k)
	return k
}

// makeRoom closes the connection that waits longest, if any does. The lock is
// held.
func (n *connections) makeRoom() bool {
	first := n.waiting.Front()
	if first == nil {
		return false
	}
	k, _ := first.Value.(*conn)
	n.drop(k)
	_ = k.TCPConn.Close() // it says that the client was faster
	return true
}

// drop forgets a connection. The lock is held.
func (n *connections) drop(k *conn) {
	delete(n.open, k)
	if k.place != nil {
		n.waiting.Remove(k.place)
		k.place = nil
	}
}

// How many connections are told at a time that there is no room for them, and
// how long that may take.
const (
	maxRefused = 8
	refuseTime = time.Second
)

// refuse closes a connection for which there is no room, and says so if few
// others are told at the time. The lock is held.
func (n *connections) refuse(c *net.TCPConn) {
	if n.closed || len(n.refused) >= maxRefused {
		_ = c.Close() // nothing was written to it
		return
	}
	n.refused[c] = struct{}{}
	go func() {
		sayFull(c)
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.refused, c)
	}()
}

// sayFull answers 503, which S3 clients heed, and closes the connection when
// the client has read that. Its errors mean that the client is gone.
func sayFull(c *net.TCPConn) {
	const body = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		"<Error><Code>SlowDown</Code><Message>There are too many connections.</Message></Error>"
	_ = c.SetDeadline(time.Now().Add(refuseTime))
	_, _ = c.Read(make([]byte, 4<<10)) // clients heed no answer that comes before they ask
	_, _ = fmt.Fprintf(c, "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	_ = c.CloseWrite()
	// Bytes that nobody read would make a reset of the end, and the client
	// might never see the answer.
	_, _ = io.CopyN(io.Discard, c, drainLimit)
	_ = c.Close()
}

// watch closes the connections whose time is over.
func (n *connections) watch() {
	tick := time.NewTicker(n.times.look)
	defer tick.Stop()
	last := time.Now()
	for {
		select {
		case <-n.done:
			return
		case <-tick.C:
		}
		now := time.Now()
		n.expire(now, now.Sub(last) > 10*n.times.look)
		last = now
	}
}

// expire closes the connections whose time is over. After a stop of this
// process it was not the clients who took the time.
func (n *connections) expire(now time.Time, stopped bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for k := range n.open {
		var since time.Time
		limit := n.times.body
		switch at := k.reading.Load(); {
		case k.place != nil && k.begun:
			limit, since = n.times.headers, k.since
		case k.place != nil:
			limit, since = n.times.idle, k.since
		case at != 0:
			since = n.start.Add(time.Duration(at))
		default:
			continue // it is being answered
		}
		switch {
		case stopped:
			k.since = now
			if at := k.reading.Load(); at != 0 {
				k.reading.CompareAndSwap(at, 1+int64(now.Sub(n.start)))
			}
		case now.Sub(since) > limit:
			n.drop(k)
			_ = k.TCPConn.Close() // it says that the client was faster
		}
	}
}

// close closes the connections that wait, and takes no others.
func (n *connections) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.closed {
		n.closed = true
		close(n.done)
		for c := range n.refused {
			_ = c.Close() // it has been told, or not
		}
	}
	for n.makeRoom() {
	}
}

// gone tells whether all connections are closed, after close.
func (n *connections) gone() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for n.closed && n.makeRoom() {
	}
	return len(n.open) == 0 && len(n.refused) == 0
}

// Read notes what it waits for. A connection that this server has closed, or
// that the client has reset, is one that has ended: of any other error the
// library prints that it is internal.
func (k *conn) Read(p []byte) (int, error) {
	if k.served.CompareAndSwap(true, false) {
		k.all.wait(k)
	}
	k.reading.Store(k.all.now())
	n, err := k.TCPConn.Read(p)
	k.reading.Store(0)
	if n > 0 && k.silent.CompareAndSwap(true, false) {
		k.all.begin(k)
	}
	if errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET) {
		err = io.EOF
	}
	return n, err
}

// Close closes the connection and frees its place.
func (k *conn) Close() error {
	k.all.mu.Lock()
	_, open := k.all.open[k]
	k.all.drop(k)
	k.all.mu.Unlock()
	if !open {
		return nil // it was closed
	}
	return k.TCPConn.Close()
}

// listener gives the front end connections as long as there is room.
type listener struct {
	*net.TCPListener
	clients *connections
	closing sync.Once
	closed  error
}

// Close closes the listener; further calls return what the first did.
func (l *listener) Close() error {
	l.closing.Do(func() { l.closed = l.TCPListener.Close() })
	return l.closed
}

// acceptPause is how long a listener waits when it cannot accept.
const acceptPause = 10 * time.Millisecond

func listen(ctx context.Context, address string) (*net.TCPListener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	t, ok := l.(*net.TCPListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%s is no address of TCP", address), l.Close())
	}
	return t, nil
}

// Accept returns the next connection. It returns an error only when the
// listener is closed: the front end takes any for the end.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptTCP()
		switch {
		case err == nil:
			if k := l.clients.add(c); k != nil {
				return k, nil
			}
		case errors.Is(err, net.ErrClosed):
			return nil, err
		default: // the process has no descriptor left, or the client is gone
			l.clients.mu.Lock()
			l.clients.makeRoom()
			l.clients.mu.Unlock()
			select {
			case <-l.clients.done:
			case <-time.After(acceptPause):
			}
		}
	}
}
