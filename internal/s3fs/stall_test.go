package s3fs_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/s3fs"
)

// gate answers by next once it is open.
func gate(open <-chan struct{}, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-open:
			next(w, r)
		case <-r.Context().Done():
		}
	}
}

// TestStallIsTold: a caller sees for how long nothing has moved, over all
// tries of a request, whichever part of it hangs; and nothing any more once
// it is over.
func TestStallIsTold(t *testing.T) {
	data := bytesOf(900)
	get := func(ctx context.Context, s *s3fs.Store) error {
		r, err := s.OpenRange(ctx, key, etag, 0, 900)
		if err == nil {
			err = r.Close()
		}
		return err
	}
	put := func(ctx context.Context, s *s3fs.Store) error {
		_, err := s.Put(ctx, key, data, s3fs.PutOptions{})
		return err
	}
	for name, tt := range map[string]struct {
		call  func(context.Context, *s3fs.Store) error
		first http.HandlerFunc
		last  http.HandlerFunc
		o     func(*s3fs.Options) // makes the first try end soon
	}{
		"headers": {get, silent, whole(data), func(o *s3fs.Options) { o.HeaderTimeout = time.Second }},
		"body":    {get, broken(data, 300, stall), whole(data), func(o *s3fs.Options) { o.IdleTimeout = 200 * time.Millisecond }},
		"upload":  {put, silent, ok(""), func(o *s3fs.Options) { o.HeaderTimeout = 200 * time.Millisecond }},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				o := quick()
				tt.o(&o)
				o.MaxAttempts = 100
				open := make(chan struct{})
				s, sc := fakeInBubble(t, o, tt.first, gate(open, tt.last))
				p := new(object.Pulse)
				done := make(chan error, 1)
				go func() { done <- tt.call(object.WithPulse(t.Context(), p), s) }()
				time.Sleep(600 * time.Millisecond)
				if d := p.Stalled(); d < 590*time.Millisecond || d > 600*time.Millisecond {
					t.Errorf("stalled for %v after 600 ms and %d requests", d, len(sc.requests()))
				}
				if n := len(sc.requests()); n < 2 {
					t.Errorf("%d requests: nothing was tried again", n)
				}
				close(open)
				if err := <-done; err != nil {
					t.Error(err)
				}
				if d := p.Stalled(); d != 0 {
					t.Errorf("stalled for %v after the end", d)
				}
			})
		})
	}
}

// TestStallEnds: a request that was given up waits no more, and a store that
// says no is no stall.
func TestStallEnds(t *testing.T) {
	for name, step := range map[string]http.HandlerFunc{"silent": silent, "503": apiError(503, "SlowDown"), "403": apiError(403, "AccessDenied")} {
		o := quick()
		o.HeaderTimeout, o.MaxAttempts = 20*time.Millisecond, 2
		s, _ := fake(t, o, step)
		p := new(object.Pulse)
		if _, err := s.Stat(object.WithPulse(t.Context(), p), key); err == nil {
			t.Errorf("%s: no error", name)
		}
		if d := p.Stalled(); d != 0 {
			t.Errorf("%s: stalled for %v after the end", name, d)
		}
	}
}

// TestThrottledIsTold: a caller sees how often the store asked it for fewer requests,
// and for how long a request waited, until it was served or given up.
func TestThrottledIsTold(t *testing.T) {
	busy := apiError(503, "SlowDown")
	for name, tt := range map[string]struct {
		steps   []http.HandlerFunc
		replies int64
		fails   bool
	}{
		"served": {[]http.HandlerFunc{busy, busy, whole(bytesOf(10))}, 2, false}, "given up": {[]http.HandlerFunc{busy, apiError(403, "AccessDenied")}, 1, true},
		"failed": {[]http.HandlerFunc{apiError(500, "InternalError"), whole(bytesOf(10))}, 0, false}, "never": {[]http.HandlerFunc{whole(bytesOf(10))}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				o := quick()
				o.BackoffBase = time.Second
				s, _ := fakeInBubble(t, o, tt.steps...)
				p := new(object.Pulse)
				start := time.Now()
				if _, _, err := s.Get(object.WithPulse(t.Context(), p), key); (err != nil) != tt.fails {
					t.Error(err)
				}
				all := time.Since(start)
				time.Sleep(time.Minute)
				if n, took := p.Throttled(); n != tt.replies || n == 0 && took != 0 || n > 0 && (took <= 0 || took > all) {
					t.Errorf("throttled by %d replies for %v of %v", n, took, all)
				}
			})
		})
	}
}

// TestReadsAreRepeatedEarly: the first tries of a read that hangs cost less
// than its time-out, so that two of them are over within one; a write gets
// all of it.
func TestReadsAreRepeatedEarly(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := quick()
		o.HeaderTimeout = 4 * time.Second
		data := bytesOf(10)
		s, _ := fakeInBubble(t, o, silent, silent, whole(data), silent, ok(""))
		start := time.Now()
		if _, _, err := s.Get(t.Context(), key); err != nil {
			t.Error(err)
		}
		if took := time.Since(start).Round(100 * time.Millisecond); took != 3*time.Second {
			t.Errorf("two tries to read that hung took %v, want 1 s and 2 s", took)
		}
		start = time.Now()
		if _, err := s.Put(t.Context(), key, data, s3fs.PutOptions{}); err != nil {
			t.Error(err)
		}
		if took := time.Since(start).Round(100 * time.Millisecond); took != 4*time.Second {
			t.Errorf("a try to write that hung took %v, want 4 s", took)
		}
	})
}
