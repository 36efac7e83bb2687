package cmd

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mraws/mraws/internal/object"
)

const (
	// waitQuietly is the time after which a command says what it waits for.
	waitQuietly = time.Second
	// waitAgain is the time after which it may say so again.
	waitAgain = 10 * time.Second
	// waitTick is the interval of checks for waits.
	waitTick = waitQuietly / 4
)

// waits says on stderr what a command waits for.
type waits struct {
	*printer
	pulse object.Pulse           // of requests to the store
	store atomic.Pointer[string] // says that the command waits for the store; nil until that is open
}

// during says what the command waits for, and the maximum time, if the wait
// takes longer than waitQuietly. The caller calls over at the end of the wait.
func (w *waits) during(what string, upTo time.Duration) (over func()) {
	began := time.Now()
	return w.watch(func() (time.Duration, string) { return time.Since(began), waitText(what, upTo) })
}

// waitText is the message of a wait of at most upTo, 0 for no limit.
func waitText(what string, upTo time.Duration) string {
	if upTo == 0 {
		return fmt.Sprintf("waiting for %s, without a time limit", what)
	}
	return fmt.Sprintf("waiting for %s, up to %.0f s", what, upTo.Seconds())
}

// watch says once for each long wait what the command waits for, until over is
// called.
func (w *waits) watch(look func() (waited time.Duration, text string)) (over func()) {
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
				w.note("%s", text)
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

// watchStore returns a context for requests to the store. If a request makes no
// progress, the command says that it waits.
func (w *waits) watchStore(ctx context.Context) (watched context.Context, over func()) {
	watched = object.WithPulse(ctx, &w.pulse)
	return watched, w.watch(func() (time.Duration, string) {
		if text := w.store.Load(); text != nil {
			return w.pulse.Stalled(), *text
		}
		return 0, ""
	})
}

// toStore names the store that requests go to from now on.
func (w *waits) toStore(what string, upTo time.Duration) {
	text := waitText(what, upTo)
	w.store.Store(&text)
}

// watchCode watches calls of an application's code. It says when a call makes no
// progress, and calls expired after limit, if there is one. look returns whether a
// call is running, and its progress count.
func (w *waits) watchCode(app string, limit time.Duration, look func() (calling bool, moves int64), expired func()) (over func()) {
	var last int64
	since := time.Now()
	return w.watch(func() (time.Duration, string) {
		calling, moves := look()
		if !calling || moves != last || w.pulse.Waiting() {
			last, since = moves, time.Now()
		}
		waited := time.Since(since)
		if limit > 0 && waited >= limit {
			expired()
		}
		return waited, waitText("the code of app "+app, limit)
	})
}

// storeName names the store by its address.
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
