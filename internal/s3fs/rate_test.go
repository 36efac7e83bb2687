package s3fs

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/smithy-go"
)

// TestLimiterHalves: a throttled reply halves the bound, the others of the
// same burst do not, and what happened can be read.
func TestLimiterHalves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(64)
		reply := func(v outcome) {
			if err := l.acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
			l.release(v)
		}
		time.Sleep(time.Hour)
		for range 64 {
			reply(throttled)
		}
		if l.bound != 32 || l.cuts != 1 {
			t.Errorf("after a burst: a bound of %v after %d cuts, want 32 after 1", l.bound, l.cuts)
		}
		for range 9 {
			time.Sleep(cutEvery)
			reply(throttled)
		}
		if l.bound != minBound || l.cuts != 10 {
			t.Errorf("after a storm: a bound of %v after %d cuts, want %d after 10", l.bound, l.cuts, minBound)
		}
		n := 0
		for ; l.bound < 64; n++ {
			reply(fine)
		}
		// Each request adds the inverse of the bound: the bound grows by
		// one for every bound's worth of replies, to 64²/2 altogether.
		if n < 1900 || n > 2200 {
			t.Errorf("%d good replies until the bound is back", n)
		}
	})
}

// TestThrottledTries: a throttled try counts a third, and no more than that.
func TestThrottledTries(t *testing.T) {
	slow := &smithy.GenericAPIError{Code: "SlowDown"}
	for _, tt := range []struct {
		err  error
		want int
	}{{slow, 12}, {errors.New("other"), 4}} {
		r := &retryer{max: 4, base: time.Millisecond}
		b := &tryBudget{left: 4, until: time.Now().Add(time.Minute)}
		ctx := context.WithValue(t.Context(), tryBudgetKey{}, b)
		tries := 0
		for {
			if _, err := r.GetAttemptToken(ctx); err != nil {
				t.Fatal(err)
			}
			if tries++; tries > 100 {
				t.Fatal("tries without end")
			}
			if _, err := r.GetRetryToken(ctx, tt.err); err != nil {
				break
			}
		}
		if tries != tt.want {
			t.Errorf("%d tries against %v, want %d", tries, tt.err, tt.want)
		}
	}
}
