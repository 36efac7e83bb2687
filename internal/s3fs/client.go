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

// client is the HTTP client below the SDK. It counts tries, bounds the number
// of tries in flight, and cancels a try that makes no progress.
type client struct {
	hc           *http.Client
	limit        *limiter
	retries      *retryBudget
	meter        *meter
	header, idle time.Duration
}

func newClient(rt http.RoundTripper, o Options) *client {
	c := &client{
		hc: &http.Client{
			Transport: rt,
			// A redirect leads to another region, where the signature is
			// not valid.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		limit:   newLimiter(o.Concurrency),
		retries: newRetryBudget(o.Concurrency, o.MaxAttempts),
		meter:   new(meter),
		header:  o.HeaderTimeout,
		idle:    o.IdleTimeout,
	}
	if o.Beside != nil {
		with := o.Beside.http
		c.limit, c.retries, c.meter = with.limit, with.retries, with.meter
	}
	return c
}

// Do implements the SDK's HTTPClient. It takes a slot of the limiter. The slot
// is released at the end or the close of the reply's body, or before by
// [tryBudget.releaseSlot].
func (c *client) Do(req *http.Request) (*http.Response, error) {
	name := awsmiddleware.GetOperationName(req.Context())
	if err := c.limit.acquire(req.Context()); err != nil {
		return nil, err
	}
	c.meter.start(name)
	tally := object.TalliesOf(req.Context())
	tally.Request(name)
	op := tryBudgetOf(req.Context())
	span := c.meter.span(req, name, op)
	ctx, cancel := context.WithCancelCause(req.Context())
	wait := c.headerTimeout(name, op)
	var answered atomic.Bool // the transport may read the request's body after that
	timer := time.AfterFunc(wait, func() {
		if !answered.Load() {
			cancel(errHeaderTimeout)
		}
	})
	op.wait.Begin(max(0, wait-c.header)) // the time for the copy on the server is no stall
	var slot sync.Once
	end := func(v outcome) {
		if !v.good() && req.Context().Err() != nil {
			v = canceled
		}
		cancel(nil)
		c.meter.end(name, v)
		if span != nil {
			span.End(v.trouble())
		}
		slot.Do(func() { c.limit.release(v) })
		if v.good() {
			c.retries.earn()
		}
	}
	sent := req.WithContext(ctx)
	if req.Body != nil && req.Body != http.NoBody {
		sent.Body = &progress{ReadCloser: req.Body, timer: timer, wait: wait, count: &c.meter.sent, tally: tally, op: op}
	}
	began := time.Now()
	resp, err := c.hc.Do(sent)
	answered.Store(true)
	timer.Stop()
	if err != nil {
		err = causeOf(ctx, err)
		end(failed)
		return nil, err // the operation still waits, until tryBudget.endWait
	}
	c.meter.answered(time.Since(began))
	if span != nil {
		span.Replied(resp.StatusCode)
	}
	op.wait.End()
	if outcomeOf(resp.StatusCode) == throttled {
		op.wait.Throttle()
	} else {
		op.wait.Served()
	}
	op.setSlot(func() { slot.Do(func() { c.limit.release(fine) }) })
	b := &body{rc: resp.Body, ctx: ctx, idle: c.idle, count: &c.meter.received, tally: tally, outcome: outcomeOf(resp.StatusCode), stall: op.wait}
	b.done = sync.OnceFunc(func() { end(b.outcome) })
	b.timer = time.AfterFunc(c.idle, func() { cancel(errIdleTimeout) })
	b.timer.Stop()
	if name != opGet.name { // the size of whose reply is not bounded
		whole := time.AfterFunc(maxHeaderFactor*c.header, func() { cancel(errReplyTimeout) })
		b.done = sync.OnceFunc(func() { whole.Stop(); end(b.outcome) })
	}
	resp.Body = b
	return resp, nil
}

// headerTimeout returns the time-out of the headers of a reply.
//
// It is a quarter and half of the time for the first two tries of a read. A
// read that hangs usually hangs with its connection or with one server, and is
// cheap to repeat. Later tries leave time for a slow store. AWS advises to
// repeat slow requests:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance-guidelines.html.
//
// It is longer if the server copies objects before it replies, by the time of
// the copy at copyRate. S3 and MinIO do not need that to complete an upload:
// they send headers at once, and white space while they assemble the object,
// which may take minutes
// (https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html).
// Other servers reply when they are done.
func (c *client) headerTimeout(name string, op *tryBudget) time.Duration {
	switch name {
	case opGet.name, opStat.name:
		return c.header >> max(0, 3-max(1, op.soFar()))
	}
	return min(c.header+time.Duration(op.copies/copyRate)*time.Second, maxHeaderFactor*c.header)
}

const (
	// copyRate is the minimum rate of copies in the store, in bytes per second.
	copyRate = 16 << 20
	// maxHeaderFactor times Options.HeaderTimeout is the maximum time-out of
	// headers, and that of every whole reply except that of a read. It ends
	// replies that trickle, such as the white space of an endless assembly.
	maxHeaderFactor = 15
)

// timeoutError is the error of a try that made no progress.
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

// causeOf returns the timeoutError of a try that a timer of this file cancelled.
func causeOf(ctx context.Context, err error) error {
	var t timeoutError
	if errors.As(context.Cause(ctx), &t) {
		return t
	}
	return err
}

// progress is a request body. Each read of it restarts the time-out. For the
// caller's pulse only bytes that no earlier try has sent are progress.
type progress struct {
	io.ReadCloser
	timer *time.Timer
	wait  time.Duration
	count *atomic.Int64 // of bytes
	tally *object.Tallies
	op    *tryBudget
	sent  int64
}

// Read implements io.Reader.
func (p *progress) Read(b []byte) (int, error) {
	p.timer.Reset(p.wait)
	n, err := p.ReadCloser.Read(b)
	p.count.Add(int64(n))
	p.tally.Sent(n)
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
	tally *object.Tallies
	done  func()
	stall *object.Wait

	outcome outcome // of the try, unless a read fails
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	b.timer.Reset(b.idle)
	b.stall.Begin(0)
	n, err := b.rc.Read(p)
	b.timer.Stop()
	b.count.Add(int64(n))
	b.tally.Received(n)
	if n > 0 || errors.Is(err, io.EOF) {
		b.stall.End()
	}
	if errors.Is(err, io.EOF) {
		b.done()
	} else if err != nil {
		err = causeOf(b.ctx, err)
		b.outcome = failed
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
