package s3fault_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/s3fs"
)

// TestRate is row 29 at the level of requests: while the store throttles
// many of them, the client has fewer and fewer in flight and every one gets
// through; afterwards their number grows back. All of it can be read.
func TestRate(t *testing.T) {
	const most = 16
	w := newFixture(t, func(o *s3fs.Options) {
		o.Concurrency, o.HeaderTimeout = most, 20*time.Second
	})
	w.play(t, "PutObject * p=0.4 503")
	var least atomic.Int64
	least.Store(most)
	var g errgroup.Group
	g.SetLimit(4 * most)
	for i := range 200 {
		g.Go(func() error {
			_, err := w.store.Put(t.Context(), fmt.Sprintf("k%d", i), nil, s3fs.PutOptions{})
			least.Store(min(least.Load(), int64(w.store.Activity().Bound)))
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Error(err)
	}
	storm := w.store.Activity()
	played := w.proxy.Counts()[0].Played
	if storm.Tries["PutObject"].Throttled != played || storm.Cuts == 0 || least.Load() > most/2 {
		t.Errorf("%d throttled replies, least bound %d, activity %+v", played, least.Load(), storm)
	}
	if n := w.store.Requests()["PutObject"]; n != 200+played {
		t.Errorf("%d tries counted, want %d", n, 200+played)
	}
	w.play(t)
	for i := 0; w.store.Activity().Bound < most; i++ {
		if i > most*most {
			t.Fatalf("the bound stays at %d", w.store.Activity().Bound)
		}
		if _, err := w.store.Stat(t.Context(), "k0"); err != nil {
			t.Fatal(err)
		}
	}
}
