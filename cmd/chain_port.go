package cmd

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/mraws/mraws/internal/wire"
)

// chainPort is the port of a coordinator that leads a chain of jobs. Each job in turn
// answers there. Between two jobs workers are told to wait, and in the end that the chain
// is over.
type chainPort struct {
	wire.UnimplementedCoordinatorServer
	bucket, version string

	lis     net.Listener
	server  *wire.Server // between jobs
	between *portTurn
	serving sync.WaitGroup

	mu      sync.Mutex
	now     *portTurn // who gets the next connection
	more    bool      // a job has said that another one follows
	waiting int       // workers that have heard so and may not have come yet
	resumed bool      // the last job was begun under another coordinator
	over    bool
	heard   chan struct{} // a worker has heard that the chain is over
}

// openChainPort serves the port. It owns lis, unless there is an error.
func openChainPort(lis net.Listener, security wire.ServerOptions, bucket string) (*chainPort, error) {
	p := &chainPort{lis: lis, bucket: bucket, version: readVersion().Version, heard: make(chan struct{}, 1)}
	security.Ready = func() error { return errNoJobYet }
	var err error
	if p.server, err = wire.NewServer(p, security); err != nil {
		return nil, err
	}
	p.between = p.turn()
	p.now = p.between
	p.serving.Go(p.accept)
	p.serving.Go(func() { _ = p.server.Serve(p.between) }) // it ends with Close
	return p, nil
}

// errNoJobYet is the answer to workers between two jobs.
var errNoJobYet = wire.Later("the next job of the chain is being prepared")

// Discover implements wire.CoordinatorServer.
func (p *chainPort) Discover(context.Context, *wire.DiscoverRequest) (*wire.DiscoverReply, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.over {
		return nil, errNoJobYet
	}
	p.waiting--
	select {
	case p.heard <- struct{}{}:
	default:
	}
	return &wire.DiscoverReply{Bucket: p.bucket, Protocol: wire.Protocol, Version: p.version, Epoch: "over", Chain: true, Over: true}, nil
}

// accept hands connections to those whose turn it is.
func (p *chainPort) accept() {
	for {
		conn, err := p.lis.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // such as a lack of descriptors
			time.Sleep(10 * time.Millisecond)
			continue
		}
		p.mu.Lock()
		to := p.now
		p.mu.Unlock()
		select {
		case to.conns <- conn:
		case <-to.closed:
			_ = conn.Close() // who called tries again
		}
	}
}

// follows notes whether another job follows the one that has just ended well.
func (p *chainPort) follows(more bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.more = more
	return more
}

// told notes how many workers have heard of the end of a job, and whether that was begun
// under another coordinator.
func (p *chainPort) told(n int, resumed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.more {
		p.waiting = max(p.waiting, n)
		return
	}
	p.waiting, p.resumed = max(p.waiting-n, 0), resumed
}

// lateTime is for how long workers are told that the chain is over, if the last job was
// begun under another coordinator: that one, which was killed, may have had some that are
// on their way. Those that wait ask twice a second.
const lateTime = 3 * time.Second

// end tells workers that wait for another job that there is none, for so long at most.
func (p *chainPort) end(ctx context.Context, within time.Duration) {
	p.mu.Lock()
	p.over = true
	late := p.resumed && p.waiting == 0
	p.mu.Unlock()
	if late {
		within = lateTime
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	left := func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return late || p.waiting > 0
	}
	for left() {
		select {
		case <-p.heard:
		case <-ctx.Done():
			return
		}
	}
}

// Close closes the port.
func (p *chainPort) Close() error {
	if p == nil {
		return nil
	}
	stop := time.AfterFunc(time.Second, p.server.Stop)
	p.server.GracefulStop()
	stop.Stop()
	err := p.lis.Close()
	_ = p.between.Close()
	p.serving.Wait()
	return err
}

// turn returns a listener that gets the connections from its first Accept until it is
// closed.
func (p *chainPort) turn() *portTurn {
	return &portTurn{port: p, conns: make(chan net.Conn), closed: make(chan struct{})}
}

// portTurn implements net.Listener.
type portTurn struct {
	port   *chainPort
	conns  chan net.Conn
	closed chan struct{}
	first  sync.Once
	last   sync.Once
}

// Accept implements net.Listener.
func (t *portTurn) Accept() (net.Conn, error) {
	t.first.Do(func() { t.port.pass(t, nil) })
	select {
	case c := <-t.conns:
		return c, nil
	case <-t.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (t *portTurn) Close() error {
	t.last.Do(func() {
		t.port.pass(t.port.between, t)
		close(t.closed)
	})
	return nil
}

// Addr implements net.Listener.
func (t *portTurn) Addr() net.Addr { return t.port.lis.Addr() }

// pass gives the port to somebody, if from has it; nil is whoever has it.
func (p *chainPort) pass(to, from *portTurn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if from == nil || p.now == from {
		p.now = to
	}
}
