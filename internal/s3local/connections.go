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

// connections is the set of connections of the front end. A connection is waiting
// until the headers of a request are complete: it is new, idle, or in the middle of
// headers. A client needs no credentials to open one, so waiting is limited: a
// connection is closed when its time is over. At the maximum number of connections
// a new one closes the one that has waited longest. A connection with a request in
// progress is never closed for another.
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

// connectionTimes are the time limits of a connection.
type connectionTimes struct {
	idle    time.Duration // until the next request begins
	headers time.Duration // from the first byte of a request to the end of its headers
	body    time.Duration // for the next bytes of a body
	look    time.Duration // between two looks at all of them
}

// Known clients close an idle connection after 90 seconds (the SDK for Go) or
// earlier. The server waits longer, since a request may be in flight when it closes.
var usualTimes = connectionTimes{idle: 2 * time.Minute, headers: 20 * time.Second, body: 2 * time.Minute, look: time.Second}

// socket is what carries the bytes of a connection: one of TCP, whose ReadFrom uses
// sendfile(2), or a [pipe].
type socket interface {
	net.Conn
	io.ReaderFrom
}

// conn is a connection of a client.
type conn struct {
	socket
	all *connections

	served  atomic.Bool  // the handler is through: the next read is for the next request
	silent  atomic.Bool  // no byte of the next request has come
	reading atomic.Int64 // when a read began, as all.now says, 0 for none

	// Under the lock of all.
	place *list.Element // among those that wait, nil for none of them
	since time.Time     // when that began, or the headers
	begun bool          // there is a part of the headers
}

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
		// Most clients then use fewer connections, and it is less likely that a
		// request is in flight on a connection that is closed to make room.
		c.RequestCtx().SetConnectionClose()
	}
	return err
}

// work records that the headers of a request are complete. It reports whether more
// than half of the maximum number of connections are open.
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

// wait records that a connection waits for the next request.
func (n *connections) wait(k *conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, open := n.open[k]; open && k.place == nil {
		k.place, k.since, k.begun = n.waiting.PushBack(k), time.Now(), false
		k.silent.Store(true)
	}
}

// begin records that the first bytes of a request have arrived.
func (n *connections) begin(k *conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if k.place != nil {
		k.since, k.begun = time.Now(), true
	}
}

// add adds a connection. It returns nil if all others have requests in progress.
func (n *connections) add(c socket) *conn {
	k := &conn{socket: c, all: n}
	n.mu.Lock()
	if n.closed || len(n.open) >= n.most && !n.makeRoom() {
		if c, ok := c.(*net.TCPConn); ok {
			n.refuse(c)
		}
		n.mu.Unlock()
		return nil
	}
	n.open[k] = struct{}{}
	n.mu.Unlock()
	n.wait(k)
	return k
}

// makeRoom closes the connection that has waited longest, if any waits. The caller
// holds the lock.
func (n *connections) makeRoom() bool {
	first := n.waiting.Front()
	if first == nil {
		return false
	}
	k, _ := first.Value.(*conn)
	n.drop(k)
	_ = k.socket.Close() // it says that the client was faster
	return true
}

// drop removes a connection. The caller holds the lock.
func (n *connections) drop(k *conn) {
	delete(n.open, k)
	if k.place != nil {
		n.waiting.Remove(k.place)
		k.place = nil
	}
}

// The maximum number of connections that are being refused with a reply, and the
// time limit of a refusal.
const (
	maxRefused = 8
	refuseTime = time.Second
)

// refuse closes a connection for which there is no room. It replies 503 if fewer than
// maxRefused others are being refused. The caller holds the lock.
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

// sayFull replies 503, after which S3 clients retry, and closes the connection when
// the client has read the reply. Its errors mean that the client is gone.
func sayFull(c *net.TCPConn) {
	const body = `<?xml version="1.0" encoding="UTF-8"?>` + "\n" +
		"<Error><Code>SlowDown</Code><Message>There are too many connections.</Message></Error>"
	_ = c.SetDeadline(time.Now().Add(refuseTime))
	_, _ = c.Read(make([]byte, 4<<10)) // clients heed no answer that comes before they ask
	_, _ = fmt.Fprintf(c, "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	_ = c.CloseWrite()
	// Closing a socket with unread bytes resets the connection, and the client
	// might not get the reply.
	_, _ = io.CopyN(io.Discard, c, drainLimit)
	_ = c.Close()
}

// watch calls expire at intervals.
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

// expire closes the connections whose time is over. The time in which this process
// was stopped does not count.
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
			_ = k.socket.Close() // it says that the client was faster
		}
	}
}

// close closes the waiting connections, and refuses new ones.
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

// gone reports whether all connections are closed, after close.
func (n *connections) gone() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for n.closed && n.makeRoom() {
	}
	return len(n.open) == 0 && len(n.refused) == 0
}

// Read records what it waits for. It returns io.EOF for a connection that this server
// has closed or the client has reset. The library would print any other error as
// internal.
func (k *conn) Read(p []byte) (int, error) {
	if k.served.CompareAndSwap(true, false) {
		k.all.wait(k)
	}
	k.reading.Store(k.all.now())
	n, err := k.socket.Read(p)
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
	return k.socket.Close()
}

// listener accepts connections for the front end while there is room.
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

// acceptPause is the wait of a listener after a failed accept.
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

// Accept returns the next connection. It returns an error only when the listener is
// closed, since the front end ends after any error.
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
