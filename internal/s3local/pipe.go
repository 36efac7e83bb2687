package s3local

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// pipe is one end of a connection within this process. Who reads lends its memory, and
// who writes fills it, from a file at best: each byte is copied once, where a socket of
// loopback costs as much again for its packets. It has no deadlines: neither the front
// end nor the client of a job sets any.
type pipe struct {
	in, out *lending
	over    chan struct{} // closed by the end that is closed first
	close   func()
	addr    net.Addr // of the server, for both ends
}

// lending is one direction: the reader lends memory, and hears how much of it is filled.
type lending struct {
	lent   chan []byte
	filled chan int
}

func newPipe(addr net.Addr) (client, server *pipe) {
	there := &lending{make(chan []byte), make(chan int, 1)}
	back := &lending{make(chan []byte), make(chan int, 1)}
	over := make(chan struct{})
	end := sync.OnceFunc(func() { close(over) })
	return &pipe{back, there, over, end, addr}, &pipe{there, back, over, end, addr}
}

// Read implements [net.Conn]. After a close of either end it returns [io.EOF].
func (p *pipe) Read(b []byte) (int, error) {
	for len(b) > 0 {
		select {
		case p.in.lent <- b:
			if n := <-p.in.filled; n > 0 {
				return n, nil
			}
		case <-p.over:
			return 0, io.EOF
		}
	}
	return 0, nil
}

// Write implements [net.Conn].
func (p *pipe) Write(b []byte) (n int, err error) {
	for n < len(b) {
		to, err := p.borrow()
		if err != nil {
			return n, err
		}
		k := copy(to, b[n:])
		p.out.filled <- k
		n += k
	}
	return n, nil
}

// ReadFrom implements [io.ReaderFrom]: r writes where the other end wants the bytes.
func (p *pipe) ReadFrom(r io.Reader) (n int64, err error) {
	part, limited := r.(*io.LimitedReader)
	for !limited || part.N > 0 { // the other end may want no byte behind the last
		to, err := p.borrow()
		if err != nil {
			return n, err
		}
		k, err := r.Read(to)
		p.out.filled <- k
		switch n += int64(k); {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return n, err
		}
	}
	return n, nil
}

// borrow returns memory of the other end. It must be told how much of it is filled.
func (p *pipe) borrow() ([]byte, error) {
	select {
	case to := <-p.out.lent:
		return to, nil
	case <-p.over:
		return nil, &net.OpError{Op: "write", Net: "pipe", Addr: p.addr, Err: syscall.EPIPE}
	}
}

// Close implements [net.Conn]: it ends both directions.
func (p *pipe) Close() error {
	p.close()
	return nil
}

// LocalAddr implements [net.Conn].
func (p *pipe) LocalAddr() net.Addr { return p.addr }

// RemoteAddr implements [net.Conn].
func (p *pipe) RemoteAddr() net.Addr { return p.addr }

// SetDeadline implements [net.Conn]: there is none.
func (*pipe) SetDeadline(t time.Time) error {
	if !t.IsZero() {
		return os.ErrNoDeadline
	}
	return nil
}

// SetReadDeadline implements [net.Conn].
func (p *pipe) SetReadDeadline(t time.Time) error { return p.SetDeadline(t) }

// SetWriteDeadline implements [net.Conn].
func (p *pipe) SetWriteDeadline(t time.Time) error { return p.SetDeadline(t) }

// Dial returns a connection to the server from within this process. It is one of those
// that the server counts.
func (s *Server) Dial(context.Context) (net.Conn, error) {
	client, server := newPipe(s.listener.Addr())
	k := s.clients.add(server)
	if k == nil {
		return nil, &net.OpError{Op: "dial", Net: "pipe", Addr: client.addr, Err: syscall.ECONNREFUSED}
	}
	go func() { _ = s.front.ServeConn(k) }() // an error is that of a client, who knows
	return client, nil
}
