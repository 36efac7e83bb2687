package s3fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// TestRetryBudget: what is there goes at once, then retries wait in line for what
// replies and time earn; who gives up costs nothing.
func TestRetryBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newRetryBudget(8, 2) // 16 tokens, one a second
		never := time.Now().Add(time.Hour)
		for range 16 {
			if err := p.spend(t.Context(), never); err != nil {
				t.Fatal(err)
			}
		}
		if time.Now().Add(time.Hour) != never {
			t.Fatal("a full budget made somebody wait")
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		got := make(chan string, 10)
		wait := func(name string, ctx context.Context, until time.Time) {
			go func() {
				if err := p.spend(ctx, until); err != nil {
					name += ": " + err.Error()
				}
				got <- name
			}()
			synctest.Wait()
		}
		next := func(want string, after time.Duration) {
			t.Helper()
			began := time.Now()
			if s := <-got; s != want || time.Since(began).Round(time.Millisecond) != after {
				t.Fatalf("%q after %v, want %q after %v", s, time.Since(began), want, after)
			}
		}
		wait("first", t.Context(), never)
		wait("gives up", ctx, never)
		wait("late", t.Context(), time.Now().Add(1500*time.Millisecond))
		wait("second", t.Context(), never)
		wait("third", t.Context(), never)
		next("first", time.Second)
		cancel(io.ErrClosedPipe)
		next("gives up: "+io.ErrClosedPipe.Error(), 0)
		next("late: "+errNoTries.Error(), 500*time.Millisecond)
		p.earn()
		next("second", 0)
		next("third", 500*time.Millisecond)
		time.Sleep(time.Minute)
		if tokens, waiting, waited := p.left(); tokens != 16 || waiting != 0 || waited != 5 {
			t.Errorf("%v tokens, %d waiting, %d waited", tokens, waiting, waited)
		}
	})
}

// TestRetryBudgetSums: no history spends more than was there and was earned, and
// nobody waits while there is a token.
func TestRetryBudgetSums(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			n := rapid.IntRange(1, 20).Draw(rt, "concurrency")
			p := newRetryBudget(n, rapid.IntRange(1, 8).Draw(rt, "attempts"))
			began, bound := time.Now(), p.max
			var spent atomic.Int64
			var all sync.WaitGroup
			for range rapid.IntRange(1, 300).Draw(rt, "steps") {
				switch rapid.IntRange(0, 4).Draw(rt, "step") {
				case 0:
					p.earn()
					bound++
				case 1:
					time.Sleep(time.Duration(rapid.IntRange(0, 3000).Draw(rt, "ms")) * time.Millisecond)
				default:
					until := time.Now().Add(time.Duration(rapid.IntRange(0, 5000).Draw(rt, "until")) * time.Millisecond)
					all.Go(func() {
						if p.spend(t.Context(), until) == nil {
							spent.Add(1)
						}
					})
				}
				synctest.Wait()
				tokens, waiting, _ := p.left()
				if most := bound + time.Since(began).Seconds()*p.rate; float64(spent.Load()) > most+0.001 {
					rt.Fatalf("%d spent of %v", spent.Load(), most)
				}
				if waiting > 0 && tokens >= 1 {
					rt.Fatalf("%d wait while there are %v tokens", waiting, tokens)
				}
			}
			all.Wait()
		})
	})
}

type answer func() *http.Response

// fakeS3 answers every request by a function, after some false time.
func fakeS3(t *testing.T, o Options, after time.Duration, f answer) *Store {
	t.Helper()
	o.Bucket, o.Endpoint, o.Region, o.AccessKey, o.SecretKey = "b", "http://127.0.0.1:1", "r", "a", "b"
	s, err := open(t.Context(), o, roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			_, _ = io.Copy(io.Discard, r.Body)
		}
		time.Sleep(after)
		resp := f()
		resp.Request = r
		return resp, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func statusReply(status int, code string) *http.Response {
	body := ""
	if code != "" {
		body = "<Error><Code>" + code + "</Code></Error>"
	}
	return &http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(body)),
		Header: http.Header{"Etag": {`"e"`}}, Body: io.NopCloser(strings.NewReader(body)),
	}
}

// TestStorm is row 29 of the faults, in false time: over a minute in which
// 30% of all replies are 503, and in one in which half of them are, no request
// of 50 writers fails, and the store sees few requests at once.
func TestStorm(t *testing.T) {
	for _, share := range []float64{0.3, 0.5} {
		t.Run(fmt.Sprint(share), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dice := rand.New(rand.NewPCG(1, 2))
				var mu sync.Mutex
				s := fakeS3(t, Options{}, 500*time.Millisecond, func() *http.Response {
					mu.Lock()
					defer mu.Unlock()
					if dice.Float64() < share {
						return statusReply(http.StatusServiceUnavailable, "SlowDown")
					}
					return statusReply(http.StatusOK, "")
				})
				end := time.Now().Add(time.Minute)
				var puts atomic.Int64
				var all sync.WaitGroup
				for i := range 50 {
					all.Go(func() {
						for time.Now().Before(end) {
							if _, err := s.Put(t.Context(), fmt.Sprint(i), nil, PutOptions{}); err != nil {
								t.Error(err)
								return
							}
							puts.Add(1)
						}
					})
				}
				all.Wait()
				a := s.Activity()
				put := a.Tries["PutObject"]
				if put.OK != puts.Load() || put.Started != put.OK+put.Throttled || put.Retried != put.Throttled || a.Cuts == 0 || a.Bound > 16 {
					t.Errorf("%d objects; %+v", puts.Load(), a)
				}
				t.Logf("%d objects, %d tries, at most %d at once at the end, %.0f retries left, %d waited", puts.Load(), put.Started, a.Bound, a.Budget, a.Waited)
			})
		})
	}
}

// TestOutage: when nothing succeeds any more, retries fall to a refillTime, in
// whatever number operations come; when the store is back so are they.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var up atomic.Bool
		var tries atomic.Int64
		const operations, burst, refillTime = 200, 16 * 8, 16 / 8
		s := fakeS3(t, Options{Concurrency: 16}, 50*time.Millisecond, func() *http.Response {
			tries.Add(1)
			if up.Load() {
				return statusReply(http.StatusOK, "")
			}
			return statusReply(http.StatusInternalServerError, "InternalError")
		})
		var all sync.WaitGroup
		for i := range operations {
			all.Go(func() {
				if _, err := s.Put(t.Context(), fmt.Sprint(i), nil, PutOptions{}); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(20 * time.Second)
		first := tries.Load()
		if most := int64(operations + burst + 20*refillTime); first > most {
			t.Errorf("%d tries of %d operations within 20 s, want at most %d", first, operations, most)
		}
		time.Sleep(20 * time.Second)
		if n := tries.Load() - first; n < 20*refillTime-1 || n > 20*refillTime+1 {
			t.Errorf("%d tries in the next 20 s, want %d in each of them", n, refillTime)
		}
		up.Store(true)
		began := time.Now()
		all.Wait()
		if time.Since(began) > 10*time.Second {
			t.Errorf("the store was back for %v when the last operation ended", time.Since(began))
		}
		if a := s.Activity(); a.Budget < 1 || a.BudgetMax != burst || a.Waiting != 0 || a.Tries["PutObject"].OK != operations {
			t.Errorf("%+v", a)
		}
	})
}

// TestOutageEnds: an operation that waits for its turn to retry ends with
// its time, and says what went wrong rather than that it waited.
func TestOutageEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := fakeS3(t, Options{Concurrency: 1, MaxAttempts: 4, MaxElapsed: 10 * time.Second}, 10*time.Millisecond, func() *http.Response {
			return statusReply(http.StatusInternalServerError, "InternalError")
		})
		var all sync.WaitGroup
		for range 30 {
			all.Go(func() {
				_, err := s.Put(t.Context(), "k", nil, PutOptions{})
				var e *Error
				if !errors.As(err, &e) || !strings.Contains(e.Detail, "InternalError") {
					t.Errorf("%v", err)
				}
			})
		}
		began := time.Now()
		all.Wait()
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// TestPatience: the time that is told for a store that does not answer is that
// of all tries and of the longest delays between them.
func TestPatience(t *testing.T) {
	for _, tt := range []struct {
		o    Options
		want time.Duration
	}{
		{Options{}, 8*20*time.Second + 12_700*time.Millisecond},
		{Options{MaxAttempts: 1}, 20 * time.Second},
		{Options{MaxElapsed: time.Minute}, 80 * time.Second},
	} {
		s := &Store{o: tt.o.withDefaults()}
		if got := s.Patience(); got != tt.want {
			t.Errorf("%+v: %v, want %v", tt.o, got, tt.want)
		}
	}
}
