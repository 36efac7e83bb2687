package cmd

import (
	"net/url"
	"os"
	"sync"
	"time"
)

// waitQuietly is for how long a command may wait before it says for what.
const waitQuietly = time.Second

// whileWaiting says for what the command waits, and for how long it will at
// most, unless the wait is over soon. Whoever waits calls over at its end.
func (s *session) whileWaiting(what string, upTo time.Duration) (over func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		select {
		case <-done:
		case <-time.After(waitQuietly):
			s.note("waiting for %s, up to %.0f s", what, upTo.Seconds())
		}
	})
	return func() { close(done); wg.Wait() }
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
