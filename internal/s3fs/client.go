package s3fs

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"

	"github.com/mraws/mraws/internal/object"
)

// client is the HTTP client below the SDK: it counts tries, bounds those in
// flight, and ends those that make no progress.
type client struct {
	hc           *http.Client
	limit        *limiter
	purse        *purse
	meter        meter
	header, idle time.Duration
}

func newClient(rt http.RoundTripper, o Options) *client {
	return &client{
		hc: &http.Client{
			Transport: rt,
			// A redirect speaks of another region; the signature would
			// not hold there.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		limit:  newLimiter(o.Concurrency),
		purse:  newPurse(o.Concurrency, o.MaxAttempts),
		header: o.HeaderTimeout,
		idle:   o.IdleTimeout,
	}
}

// Do implements the SDK's HTTPClient. The slot that it takes is given back
// when the body of the reply is closed or has ended, or before that by
// [budget.giveSlot].
func (c *client) Do(req *http.Request) (*http.Response, error) {
	name := awsmiddleware.GetOperationName(req.Context())
	if err := c.limit.acquire(req.Context()); err != nil {
		return nil, err
	}
	c.meter.start(name)
	op := budgetOf(req.Context())
	ctx, cancel := context.WithCancelCause(req.Context())
	wait := c.headerTimeout(name, op)
	var answered atomic.Bool // the transport may read the request's body after that
	timer := time.AfterFunc(wait, func() {
		if !answered.Load() {
			cancel(errHeaderTimeout)
		}
	})
	op.wait.Begin(max(0, wait-c.header)) // what takes long by nature is no stall
	var slot sync.Once
	end := func(v verdict) {
		if !v.good() && req.Context().Err() != nil {
			v = canceled
		}
		cancel(nil)
		c.meter.end(name, v)
		slot.Do(func() { c.limit.release(v) })
		if v.good() {
			c.purse.earn()
		}
	}
	sent := req.WithContext(ctx)
	if req.Body != nil && req.Body != http.NoBody {
		sent.Body = &progress{ReadCloser: req.Body, timer: timer, wait: wait, count: &c.meter.sent, op: op}
	}
	resp, err := c.hc.Do(sent)
	answered.Store(true)
	timer.Stop()
	if err != nil {
		err = causeOf(ctx, err)
		end(failed)
		return nil, err // and the operation goes on waiting: see budget.over
	}
	op.wait.End()
	op.holdSlot(func() { slot.Do(func() { c.limit.release(fine) }) })
	b := &body{rc: resp.Body, ctx: ctx, idle: c.idle, count: &c.meter.received, verdict: verdictOf(resp.StatusCode), stall: op.wait}
	b.done = sync.OnceFunc(func() { end(b.verdict) })
	b.timer = time.AfterFunc(c.idle, func() { cancel(errIdleTimeout) })
	b.timer.Stop()
	if name != opGet.name { // whose reply is as long as it is
		whole := time.AfterFunc(longest*c.header, func() { cancel(errReplyTimeout) })
		b.done = sync.OnceFunc(func() { whole.Stop(); end(b.verdict) })
	}
	resp.Body = b
	return resp, nil
}

// headerTimeout is shorter for the first tries of a read, since one that
// hangs does so as a rule with its connection or with the one server that it
// met, and costs little to repeat; later tries leave time to a store that is
// slow. The advice to repeat slow requests is that of
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-guidelines.html.
//
// It is longer where the server moves objects before it answers, by the time
// that a slow one takes to move them. S3 and MinIO need no such patience to
// complete an upload: they send headers at once, and white space while they
// assemble the object, which may take minutes
// (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html).
// Others answer when they are done.
func (c *client) headerTimeout(name string, op *budget) time.Duration {
	switch name {
	case opGet.name, opStat.name:
		return c.header >> max(0, 3-max(1, op.attempts()))
	}
	return min(c.header+time.Duration(op.moves/slowest)*time.Second, longest*c.header)
}

const (
	// slowest is how many bytes a store that works copies in a second.
	slowest = 16 << 20
	// longest, times the time-out of headers, bounds them for the largest
	// objects, and every reply but that of a read: one that trickles, such
	// as the white space of an assembly that never ends, is given up.
	longest = 15
)

// timeoutError is the end of a try that made no progress.
type timeoutError string

func (e timeoutError) Error() string { return string(e) }

// Timeout implements net.Error.
func (timeoutError) Timeout() bool { return true }

// Temporary implements net.Error.
func (timeoutError) Temporary() bool { return true }

const (
	errHeaderTimeout = timeoutError("no reply headers within the time-out")
	errIdleTimeout   = timeoutError("reply body stalled")
	errReplyTimeout  = timeoutError("reply not complete within the time-out")
)

// causeOf replaces the error of a try that one of our timers cancelled.
func causeOf(ctx context.Context, err error) error {
	var t timeoutError
	if errors.As(context.Cause(ctx), &t) {
		return t
	}
	return err
}

// progress is a request body; every read of it is a sign of life. For the
// caller's pulse only what no earlier try has sent is one.
type progress struct {
	io.ReadCloser
	timer *time.Timer
	wait  time.Duration
	count *atomic.Int64 // of bytes
	op    *budget
	sent  int64
}

// Read implements io.Reader.
func (p *progress) Read(b []byte) (int, error) {
	p.timer.Reset(p.wait)
	n, err := p.ReadCloser.Read(b)
	p.count.Add(int64(n))
	p.sent += int64(n)
	p.op.sentUpTo(p.sent)
	return n, err
}

// body is a reply body with an idle time-out. The timer runs only inside
// Read: a slow consumer is not a stalled server.
type body struct {
	rc    io.ReadCloser
	ctx   context.Context
	idle  time.Duration
	timer *time.Timer
	count *atomic.Int64 // of bytes
	done  func()
	stall *object.Wait

	verdict verdict // on the try, if nothing more happens to it
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	b.timer.Reset(b.idle)
	b.stall.Begin(0)
	n, err := b.rc.Read(p)
	b.timer.Stop()
	b.count.Add(int64(n))
	if n > 0 || errors.Is(err, io.EOF) {
		b.stall.End()
	}
	if errors.Is(err, io.EOF) {
		b.done()
	} else if err != nil {
		err = causeOf(b.ctx, err)
		b.verdict = failed
	}
	return n, err
}

// Close implements io.Closer.
func (b *body) Close() error {
	b.timer.Stop()
	err := b.rc.Close()
	b.done()
	return err
}
