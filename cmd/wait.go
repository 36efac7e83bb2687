package cmd

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/mraws/mraws/internal/object"
)

const (
	// waitQuietly is for how long a command may wait before it says for what.
	waitQuietly = time.Second
	// waitAgain is how long after it has said so it may say so again.
	waitAgain = 10 * time.Second
	// waitTick is how often a wait is looked for.
	waitTick = waitQuietly / 4
)

// whileWaiting says for what the command waits, and for how long it will at
// most, unless the wait is over soon. Whoever waits calls over at its end.
func (s *session) whileWaiting(what string, upTo time.Duration) (over func()) {
	began := time.Now()
	return s.watchWaits(func() (time.Duration, string) { return time.Since(began), waitText(what, upTo) })
}

// waitText tells of a wait of at most upTo, 0 for any time.
func waitText(what string, upTo time.Duration) string {
	if upTo == 0 {
		return fmt.Sprintf("waiting for %s, without a time limit", what)
	}
	return fmt.Sprintf("waiting for %s, up to %.0f s", what, upTo.Seconds())
}

// watchWaits looks, until over is called, for how long the command has waited,
// and says so once for each wait that is not over soon.
func (s *session) watchWaits(look func() (waited time.Duration, text string)) (over func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(waitTick)
		defer tick.Stop()
		told := false // of this wait
		var last time.Time
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			waited, text := look()
			if waited < waitQuietly {
				told = false
			} else if !told && (last.IsZero() || time.Since(last) >= waitAgain) {
				told, last = true, time.Now()
				s.note("%s", text)
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

// watchStore returns a context whose requests to the store are watched: when
// nothing moves in one, the command says that it waits.
func (s *session) watchStore(ctx context.Context) (watched context.Context, over func()) {
	watched = object.WithPulse(ctx, &s.pulse)
	return watched, s.watchWaits(func() (time.Duration, string) {
		if text := s.storeWait.Load(); text != nil {
			return s.pulse.Stalled(), *text
		}
		return 0, ""
	})
}

// waitsFor names the store that requests go to from now on.
func (s *session) waitsFor(what string, upTo time.Duration) {
	text := waitText(what, upTo)
	s.storeWait.Store(&text)
}

// watchCode watches calls of an application's code: it says when one makes no
// progress, and calls expired after limit, if there is one. look tells whether
// a call is on its way, and counts its signs of life.
func (s *session) watchCode(app string, limit time.Duration, look func() (calling bool, moves int64), expired func()) (over func()) {
	var last int64
	since := time.Now()
	return s.watchWaits(func() (time.Duration, string) {
		calling, moves := look()
		if !calling || moves != last || s.pulse.Waiting() {
			last, since = moves, time.Now()
		}
		waited := time.Since(since)
		if limit > 0 && waited >= limit {
			expired()
		}
		return waited, waitText("the code of app "+app, limit)
	})
}

// storeName names the store for people, by the address that it is asked at.
func storeName(endpoint, bucket string) string {
	for _, at := range []string{endpoint, os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL")} {
		if at == "" {
			continue
		}
		if u, err := url.Parse(at); err == nil {
			return u.Redacted()
		}
		return "the endpoint of the environment"
	}
	return "S3, bucket " + bucket
}
