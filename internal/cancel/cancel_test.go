package cancel

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// bucket has an announcement, and perhaps a summary.
type bucket struct {
	t       *testing.T
	ctx     context.Context // of its coordinator
	mu      sync.Mutex
	says    *manifest.Coordinator // nil: there is none
	version int
	at      time.Time // when it was written
	done    bool
	// before is called before a request, with its number from 1 on.
	before func(n int, put bool)
	n      int
	lost   bool // the replies to writes
}

var lay = layout.New("p")

func (b *bucket) write(change func(*manifest.Coordinator)) {
	change(b.says)
	b.version++
	b.at = time.Now()
}

// request locks the bucket.
func (b *bucket) request(put bool) {
	b.mu.Lock()
	if b.n++; b.before != nil {
		b.before(b.n, put)
	}
}

func (b *bucket) Get(_ context.Context, key string) ([]byte, object.Info, error) {
	b.request(false)
	defer b.mu.Unlock()
	var v any
	switch {
	case key == lay.Success() && b.done:
		s := &manifest.Success{Schema: manifest.SuccessSchema, Job: "j", App: manifest.App{Kind: manifest.Go, Name: "wc"}}
		data, err := manifest.EncodeSealed(s)
		return data, object.Info{}, err
	case key == lay.Coordinator() && b.says != nil:
		v = b.says
	default:
		return nil, object.Info{}, fs.ErrNotExist
	}
	data, err := manifest.Encode(v)
	return data, object.Info{ETag: fmt.Sprint(b.version), Modified: b.at, Served: time.Now()}, err
}

func (b *bucket) Put(_ context.Context, key string, data []byte, o object.PutOptions) (object.Info, error) {
	b.request(true)
	defer b.mu.Unlock()
	switch {
	case key != lay.Coordinator() || o.IfMatch == "":
		b.t.Errorf("an unconditional write of %s", key)
	case o.IfMatch != fmt.Sprint(b.version):
		return object.Info{}, object.ErrPrecondition
	}
	says, err := manifest.DecodeCoordinator(data)
	if err != nil {
		b.t.Error(err)
	}
	b.write(func(a *manifest.Coordinator) { *a = *says })
	if b.lost {
		return object.Info{}, object.ErrPrecondition // what a retry finds
	}
	return object.Info{}, nil
}

// renews is a coordinator that renews its announcement and sees the mark.
func (b *bucket) renews() {
	for {
		select {
		case <-b.ctx.Done():
			return
		case <-time.After(3 * time.Second):
		}
		b.mu.Lock()
		over := b.says.Released
		if !over {
			b.write(func(a *manifest.Coordinator) { a.Released = a.Cancelled != nil })
		}
		b.mu.Unlock()
		if over {
			return
		}
	}
}

func TestRun(t *testing.T) {
	for _, tt := range []struct {
		name  string
		with  func(*bucket)
		want  Outcome
		marks bool // the announcement says so, and that the coordinator has ended
		waits bool
	}{
		{name: "a live coordinator", with: func(b *bucket) { go b.renews() }, want: Ended, marks: true, waits: true},
		{name: "the replies are lost", with: func(b *bucket) { b.lost = true; go b.renews() }, want: Ended, marks: true},
		{name: "it dies after the mark", with: func(*bucket) {}, want: Marked, marks: true, waits: true},
		{name: "it is gone", with: func(b *bucket) { b.at = b.at.Add(-time.Minute) }, want: Marked, marks: true},
		{name: "its process has ended", with: func(b *bucket) { b.says.Process.PID = 99 }, want: Marked, marks: true},
		{name: "it was stopped", with: func(b *bucket) { b.says.Released = true }, want: Marked, marks: true},
		{name: "it has failed", with: func(b *bucket) { b.says.Released, b.says.Failure = true, "no" }, want: Failed},
		{name: "it is done", with: func(b *bucket) { b.says.Released, b.done = true, true }, want: Done},
		{name: "it ends well before it sees the mark", with: func(b *bucket) { b.done = true; go b.renews() }, want: Done, marks: true, waits: true},
		{name: "cancelled before", with: func(b *bucket) { b.says.Released, b.says.Cancelled = true, &manifest.Cancel{By: "bob"} }, want: Before, marks: true},
		{name: "cancelled by another at the same time", with: func(b *bucket) {
			b.says.Cancelled = &manifest.Cancel{By: "bob"}
			go b.renews()
		}, want: Ended, marks: true},
		{name: "no announcement", with: func(b *bucket) { b.says = nil }, want: Never},
		{name: "renewed at the same time", with: func(b *bucket) {
			b.before = func(_ int, put bool) {
				if put && b.version < 5 {
					b.write(func(*manifest.Coordinator) {})
				}
			}
		}, want: Marked, marks: true, waits: true},
		{name: "another one takes over", with: func(b *bucket) {
			time.AfterFunc(3*time.Second, func() {
				b.mu.Lock()
				defer b.mu.Unlock()
				b.write(func(a *manifest.Coordinator) { a.Epoch, a.Cancelled = "f", nil })
			})
		}, want: TakenOver, waits: true},
		{name: "it does not know marks", with: func(b *bucket) {
			b.before = func(_ int, put bool) {
				if !put && b.says.Cancelled != nil {
					b.write(func(a *manifest.Coordinator) { a.Cancelled = nil })
				}
			}
		}, want: Ignored, waits: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &bucket{t: t, at: time.Now(), version: 1, says: &manifest.Coordinator{
					Schema: manifest.CoordinatorSchema, Epoch: "e", Addresses: []string{"10.0.0.1:1"}, LeaseMS: 10_000, Token: "secret",
				}}
				ctx, end := context.WithCancel(t.Context())
				defer synctest.Wait()
				defer end()
				b.ctx = ctx
				tt.with(b)
				waited := false
				got, err := Run(t.Context(), Options{
					Store: b, Layout: lay, Output: b, By: manifest.Cancel{At: time.Now(), By: "ann@host"},
					Ended: func(p manifest.Process) bool { return p.PID == 99 },
					Waits: func(a *manifest.Coordinator) { waited = a.Addresses[0] == "10.0.0.1:1" },
				})
				if err != nil || got != tt.want || waited != tt.waits {
					t.Fatalf("%q, %v, waited: %t", got, err, waited)
				}
				if tt.marks && (b.says.Cancelled == nil || !b.says.Released) {
					t.Errorf("it says %+v", b.says)
				}
				if got == Marked && b.says.Token != "" {
					t.Error("the token is still there")
				}
			})
		})
	}
}

// TestStopped: a cancellation that is stopped is gone on with by the next one.
func TestStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &bucket{t: t, at: time.Now(), says: &manifest.Coordinator{Schema: manifest.CoordinatorSchema, Epoch: "e", Addresses: []string{"10.0.0.1:1"}, LeaseMS: 10_000}}
		o := Options{Store: b, Layout: lay, Output: b, By: manifest.Cancel{By: "ann"}, Ended: func(manifest.Process) bool { return false }}
		stopped := errors.New("stopped")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(stopped) })
		if _, err := Run(ctx, o); !errors.Is(err, stopped) {
			t.Fatal(err)
		}
		if got, err := Run(t.Context(), o); err != nil || got != Marked {
			t.Fatal(got, err)
		}
	})
}
