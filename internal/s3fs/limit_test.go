package s3fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"pgregory.net/rapid"
)

// TestLimiterBounds: never more than the bound, first come first served, no
// slot lost by a cancellation.
func TestLimiterBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(2)
		ctx, cancel := context.WithCancelCause(t.Context())
		order := make(chan int, 10)
		for i := range 5 {
			go func() {
				if l.acquire(ctx) == nil {
					order <- i
				}
			}()
			synctest.Wait()
		}
		if len(order) != 2 || <-order != 0 || <-order != 1 {
			t.Fatal("the first two did not get the slots")
		}
		l.release(fine)
		synctest.Wait()
		if len(order) != 1 || <-order != 2 {
			t.Fatal("the third did not get the slot")
		}
		cancel(errNoTries)
		synctest.Wait()
		if err := l.acquire(ctx); !errors.Is(err, errNoTries) {
			t.Errorf("acquire under an ended context: %v", err)
		}
		l.release(fine)
		l.release(fine)
		if l.busy != 0 || l.waiters.Len() != 0 {
			t.Errorf("%d busy, %d waiting", l.busy, l.waiters.Len())
		}
	})
}

// TestLimiterFollows: throttling shrinks the bound, not faster than once in
// cutEvery and never to nothing; good replies let it grow to the maximum;
// other failures leave it where it is.
func TestLimiterFollows(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			size := rapid.IntRange(1, 64).Draw(rt, "max")
			l := newLimiter(size)
			for i := range rapid.IntRange(1, 200).Draw(rt, "replies") {
				v := rapid.SampledFrom([]outcome{fine, refused, throttled, failed, canceled}).Draw(rt, "outcome")
				time.Sleep(time.Duration(rapid.IntRange(0, 300).Draw(rt, "ms")) * time.Millisecond)
				before, cut := l.bound, l.cut
				if err := l.acquire(t.Context()); err != nil {
					rt.Fatal(err)
				}
				l.release(v)
				if l.bound > float64(size) || int(l.bound) < min(size, minBound) {
					rt.Fatalf("bound %v of %d", l.bound, size)
				}
				if v != throttled && l.bound < before || l.bound < before && time.Since(cut) < cutEvery {
					rt.Fatalf("reply %d shrank the bound from %v to %v", i, before, l.bound)
				}
				if !v.good() && l.bound > before {
					rt.Fatalf("reply %d of outcome %d let the bound grow from %v to %v", i, v, before, l.bound)
				}
			}
			for range 64 * 64 {
				l.busy++
				l.release(fine)
			}
			if int(l.bound) != size {
				rt.Fatalf("bound %v never came back to %d", l.bound, size)
			}
		})
	})
}

// TestBudget: tries end with their number or their time.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &retryer{max: 3, base: time.Millisecond}
		b := &tryBudget{left: 3, until: time.Now().Add(time.Minute)}
		ctx := context.WithValue(t.Context(), tryBudgetKey{}, b)
		for range 3 {
			if !b.more() {
				t.Fatal("no more too early")
			}
			if _, err := r.GetAttemptToken(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.GetRetryToken(ctx, io.EOF); err == nil {
			t.Error("a fourth try")
		}
		b.left = 1
		time.Sleep(time.Minute)
		if _, err := r.GetRetryToken(ctx, io.EOF); err == nil {
			t.Error("a try after the time")
		}
	})
}

// TestBackoff: delays are spread from nothing to a bound that doubles.
func TestBackoff(t *testing.T) {
	r := &retryer{base: 50 * time.Millisecond}
	for attempt := 1; attempt < 30; attempt++ {
		var top time.Duration
		for range 2000 {
			d, err := r.RetryDelay(attempt, io.EOF)
			if err != nil {
				t.Fatal(err)
			}
			top = max(top, d)
		}
		want := maxBackoff
		if attempt < 8 {
			want = min(want, 100*time.Millisecond<<(attempt-1))
		}
		if top > want || top < want*9/10 {
			t.Errorf("delays after try %d reach %v, want %v", attempt, top, want)
		}
	}
}

// TestRetryable judges errors without a reply; those with one are tested
// over HTTP.
func TestRetryable(t *testing.T) {
	send := func(err error) error { return &smithyhttp.RequestSendError{Err: err} }
	dial := &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{send(io.EOF), true},
		{send(errHeaderTimeout), true},
		{send(&net.OpError{Op: "dial", Err: fmt.Errorf("connection refused")}), true},
		{send(dial), true},
		{send(&net.DNSError{IsTemporary: true}), true},
		{send(&net.DNSError{IsNotFound: true}), false},
		{io.ErrUnexpectedEOF, true},
		{errIdleTimeout, true},
		{&smithy.CanceledError{Err: context.DeadlineExceeded}, false},
		{context.Canceled, false},
		{context.DeadlineExceeded, false},
		{&credentialsError{send(io.EOF)}, false},
		{errors.New("bug"), false},
		{nil, false},
	} {
		if got := retryable(tt.err); got != tt.want {
			t.Errorf("retryable(%v) = %t", tt.err, got)
		}
	}
}

// TestUnreachable: nobody listens, or the name is unknown.
func TestUnreachable(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	o := Options{Bucket: "b", Endpoint: "http://" + addr, AccessKey: "a", SecretKey: "b", MaxAttempts: 3, BackoffBase: time.Millisecond}
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	err = s.CheckBucket(t.Context())
	var e *Error
	if !errors.Is(err, ErrUnreachable) || !errors.As(err, &e) || e.Tries != 3 || e.Target != "http://"+addr {
		t.Errorf("%v; %+v", err, e)
	}
	unknown := roundTrip(func(*http.Request) (*http.Response, error) {
		return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Name: "s3.invalid", IsNotFound: true}}
	})
	s, err = open(t.Context(), o, unknown)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CheckBucket(t.Context()); !errors.Is(err, ErrUnreachable) || s.Requests()["ListObjectsV2"] != 1 {
		t.Errorf("%v after %v", err, s.Requests())
	}
}

// TestBufferPool: a small object does not hold a large buffer, and large
// buffers are used again.
func TestBufferPool(t *testing.T) {
	p := bufferPool{size: 1000}
	for _, tt := range []struct {
		n    int64
		want int
	}{{0, 0}, {100, 100}, {500, 500}, {501, 1000}, {1000, 1000}, {1001, 1001}} {
		b := p.get(tt.n)
		if int64(len(b)) != tt.n || cap(b) != tt.want {
			t.Errorf("get(%d) has length %d and capacity %d", tt.n, len(b), cap(b))
		}
		p.put(b)
	}
	if n := testing.AllocsPerRun(100, func() { p.put(p.get(1000)) }); n > 0 {
		t.Errorf("%v allocations for a buffer of the pool", n)
	}
}
