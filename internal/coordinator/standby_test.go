package coordinator

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

// The tests of this file run coordinators without a network, in bubbles with a
// clock of their own: what they measure is exact.

// testLease is the lease of all contenders.
const testLease = 10 * time.Second

// within is how long after the lease's end a standby may take to lead: it
// looks once in a tenth of the lease.
const within = testLease / 10

// slow is a store whose requests take time.
type slow struct {
	*fake
	delay atomic.Int64 // of each request and of each reply, in nanoseconds
}

// wait waits for a request, and returns what waits for its reply.
func (s *slow) wait() (reply func()) {
	delay := time.Duration(s.delay.Load())
	time.Sleep(delay)
	return func() { time.Sleep(delay) }
}

func (s *slow) Get(ctx context.Context, key string) ([]byte, object.Info, error) {
	defer s.wait()()
	return s.fake.Get(ctx, key)
}

func (s *slow) Put(ctx context.Context, key string, data []byte, o object.PutOptions) (object.Info, error) {
	defer s.wait()()
	return s.fake.Put(ctx, key, data, o)
}

// contender is a coordinator that wants to lead and then keeps its lease. It has
// no server.
type contender struct {
	t      *testing.T
	c      *Coordinator
	store  *slow
	cancel context.CancelCauseFunc
	led    chan time.Time // when it came to lead
	done   chan struct{}
	over   *manifest.Success
	err    error
}

// contend starts a contender. It has to be killed.
func (b *fixture) contend(change func(*Options)) *contender {
	d := &slow{fake: b.store}
	o := Options{
		Store: d, Layout: b.lay, Log: zerolog.Nop(), Version: "v", NReduce: 2,
		App:   &mr.App{Name: "wc", Version: "1", Params: []mr.Param{{Name: "fold", Default: "no"}}},
		Lease: testLease, Security: wire.ServerOptions{Insecure: true}, Addresses: []string{"10.0.0.7:1234"},
	}
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	x := &contender{t: b.t, c: New(o), store: d, cancel: cancel, led: make(chan time.Time, 1), done: make(chan struct{})}
	x.c.process = manifest.Process{} // all of them are this process
	go func() {
		defer close(x.done)
		if x.over, x.err = x.c.lead(ctx, func() {}); x.over != nil || x.err != nil {
			return
		}
		x.led <- time.Now()
		loop := make(chan struct{})
		go func() { defer close(loop); x.c.run(ctx) }()
		x.err = x.c.keepLease(ctx)
		x.cancel(nil)
		<-loop
	}()
	return x
}

// kill is a kill -9: nothing is released.
func (x *contender) kill() {
	x.cancel(errKilled)
	<-x.done
}

// leads says whether x leads by now.
func (x *contender) leads() bool {
	synctest.Wait()
	return x.c.leading()
}

// awaitLed waits for x to lead and wants that after at least and at most so
// long from since on.
func (x *contender) awaitLed(since time.Time, least, most time.Duration) {
	x.t.Helper()
	select {
	case at := <-x.led:
		if took := at.Sub(since); took < least || took > most {
			x.t.Errorf("it leads after %v, want %v to %v", took, least, most)
		}
	case <-x.done:
		x.t.Fatalf("it has ended: %v, %v", x.over, x.err)
	case <-time.After(time.Hour):
		x.t.Fatal("it never leads")
	}
}

// ends waits for x to end without having led.
func (x *contender) ends() error {
	x.t.Helper()
	select {
	case <-x.done:
	case <-time.After(time.Hour):
		x.t.Fatal("it does not end")
	}
	if x.c.leading() {
		x.t.Error("it has led")
	}
	return x.err
}

// inBubble runs f with a fixture, and everything that f starts, in a bubble.
func inBubble(t *testing.T, f func(t *testing.T, b *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newFixture(t, 2)) })
}

// spec writes the spec of the job that all contenders are for.
func (b *fixture) spec() *manifest.Job {
	b.t.Helper()
	c := New(Options{Store: b.store, Layout: b.lay, Log: zerolog.Nop(), NReduce: 2, SplitSize: 1 << 20, Pack: PackNever})
	job, _, err := c.plan(context.Background(), *wc().Spec(map[string]string{"fold": "no"}))
	if err != nil {
		b.t.Fatal(err)
	}
	b.put(b.lay.Job(), job, nil)
	return job
}

// active starts a contender that leads at once.
func (b *fixture) active() *contender {
	b.t.Helper()
	x := b.contend(nil)
	x.awaitLed(time.Now(), 0, 0)
	return x
}

// standby starts a contender that finds another at work.
func (b *fixture) standby(change func(*Options)) *contender {
	b.t.Helper()
	x := b.contend(change)
	if x.leads() {
		b.t.Fatal("it did not wait for the coordinator that is at work")
	}
	return x
}

// TestJobEndsUnderAnother: a standby tells how the job ended, whether or not
// its coordinator lived to release its lease.
func TestJobEndsUnderAnother(t *testing.T) {
	none, boom := "", "map task 3: boom"
	tests := []struct {
		name    string
		success string  // job of the summary; "" for none
		early   bool    // it is there before the standby is
		release *string // with that failure; nil: it does not release
		leads   bool
		fails   string
	}{
		{"done", "this", false, &none, false, ""},
		{"done, then killed", "this", false, nil, false, ""},
		{"failed", "", false, &boom, false, "job failed: map task 3: boom"},
		{"stopped", "", false, &none, true, ""},
		{"killed", "", false, nil, true, ""},
		{"done before, then killed", "this", true, nil, true, ""},
		{"done before, then stopped", "this", true, &none, true, ""},
		{"another job's summary", "another", false, &none, false, "does not belong to this job"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *fixture) {
				job := b.spec()
				summary := func() {
					if id := map[string]string{"this": job.ID, "another": "wc-other"}[tt.success]; id != "" {
						b.put(b.lay.Success(), manifest.Success{
							Schema: manifest.SuccessSchema, Job: id, App: job.App, NReduce: 1, Emitted: 7, Keys: 7,
							Shuffled: recordio.Sum{Records: 7}, Read: recordio.Sum{Records: 7},
							Outputs: []manifest.Output{{Key: b.lay.Output(0), Size: 4, Lines: 1, Hash: partHash}},
						}, nil)
					}
				}
				if tt.early {
					summary()
				}
				first, second := b.active(), b.standby(nil)
				defer second.kill()
				if !tt.early {
					summary()
				}
				first.kill()
				if tt.release != nil {
					first.c.lease.Release(t.Context(), *tt.release)
				}
				if tt.leads {
					second.awaitLed(time.Now(), 0, testLease+within)
					return
				}
				err := second.ends()
				switch {
				case tt.fails != "":
					if err == nil || !strings.Contains(err.Error(), tt.fails) {
						t.Errorf("the standby: %v", err)
					}
				case err != nil || second.over == nil || second.over.Keys != 7:
					t.Errorf("the standby: %+v, %v", second.over, err)
				}
			})
		})
	}
}

// TestFailedBefore: the same line again tries again a job that failed.
func TestFailedBefore(t *testing.T) {
	inBubble(t, func(t *testing.T, b *fixture) {
		b.spec()
		first := b.active()
		first.kill()
		first.c.lease.Release(t.Context(), "boom")
		b.active().kill()
	})
}

// TestStandbyOfAnotherJob is refused at once, or as soon as the job is there.
func TestStandbyOfAnotherJob(t *testing.T) {
	for _, early := range []bool{false, true} {
		t.Run(fmt.Sprintf("early=%v", early), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *fixture) {
				first := b.active()
				defer first.kill()
				if !early {
					b.spec()
				}
				var strangers []*contender
				for _, change := range []func(*Options){
					func(o *Options) { o.NReduce = 3 },
					func(o *Options) { o.App = &mr.App{Name: "grep"} },
					func(o *Options) { o.Params = map[string]string{"fold": "yes"} },
					func(o *Options) { o.App, o.Params = nil, map[string]string{"fold": "yes"} },
				} {
					strangers = append(strangers, b.contend(change))
				}
				unnamed := b.contend(func(o *Options) { o.App = nil })
				defer unnamed.kill()
				if early {
					time.Sleep(testLease)
					b.spec()
				}
				for i, x := range strangers {
					var conflict *ConflictError
					if err := x.ends(); !errors.As(err, &conflict) || !strings.Contains(conflict.What, "belongs to another job") {
						t.Errorf("stranger %d: %v", i, err)
					}
				}
				time.Sleep(testLease)
				select {
				case <-unnamed.done:
					t.Errorf("a standby without an app: %v", unnamed.err)
				default:
				}
			})
		})
	}
}

// TestNewcomerFails: what is wrong from the beginning is told at once.
func TestNewcomerFails(t *testing.T) {
	lay := layout.New("p")
	for _, key := range []string{lay.Coordinator(), lay.Job()} {
		inBubble(t, func(t *testing.T, b *fixture) {
			b.spec()
			first := b.active()
			defer first.kill()
			b.store.inject("get", key, 1, notDone)
			if err := b.contend(nil).ends(); !errors.Is(err, errInjected) {
				t.Errorf("get of %s: %v", key, err)
			}
		})
	}
}

// List is slow for each page of a thousand.
func (s *slow) List(ctx context.Context, prefix string) iter.Seq2[object.Info, error] {
	return func(yield func(object.Info, error) bool) {
		n := 0
		for o, err := range s.fake.List(ctx, prefix) {
			if n%1000 == 0 {
				time.Sleep(5 * time.Duration(s.delay.Load()))
			}
			if n++; !yield(o, err) {
				return
			}
		}
	}
}

// TestReadsAhead: a standby goes on with a large job, of which most is
// committed, within half a second over a store that takes 20 ms for each
// object, and 50 ms for each page of a listing. Without having read ahead it
// takes that time for each of its records.
func TestReadsAhead(t *testing.T) {
	const maps = 2000
	synctest.Test(t, func(t *testing.T) {
		b := newFixture(t, maps)
		job := b.spec()
		b.known = job
		commit := func(m int) {
			part := func(r int) manifest.Part {
				return manifest.Part{Key: b.lay.Partition(m, r), ETag: "e", Size: 1, Hash: partHash, Sum: recordio.Sum{Records: 1}}
			}
			rec := manifest.Map{
				Schema: manifest.MapSchema, Job: job.ID, Task: m, Attempt: fmt.Sprintf("e.m%d.1", m), Input: b.inputOf(m), Emitted: 2,
				Parts: []manifest.Part{part(0), part(1)},
			}
			b.put(b.lay.MapCommit(m), rec, nil)
		}
		for m := range maps - 300 {
			commit(m)
		}
		first, second := b.active(), b.standby(func(o *Options) { o.SplitSize, o.Pack = 1<<20, PackNever })
		defer second.kill()
		second.store.delay.Store(int64(10 * time.Millisecond))
		time.Sleep(3 * aheadEvery)
		for m := maps - 300; m < maps-1; m++ { // since it last looked
			commit(m)
		}
		first.kill()
		renewed := readAnnouncement(b).Renewed
		second.awaitLed(renewed, testLease, testLease+2*within)
		led := time.Now()
		app := job.Spec
		s, err := second.c.prepare(t.Context(), app)
		if err != nil || len(s.maps) != maps-1 || s.maps[7].Attempt != "e.m7.1" || s.created {
			t.Fatalf("%v", err)
		}
		t.Logf("prepared in %v", time.Since(led))
		if took := time.Since(led); took > time.Second/2 {
			t.Errorf("it took %v", took)
		}
		if second.c.memory.kept != nil {
			t.Error("it keeps the records twice")
		}
		second.kill()
		led = time.Now()
		second.c.compared = ""
		if _, err := second.c.prepare(t.Context(), app); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(led); took < 1200*time.Millisecond {
			t.Errorf("without reading ahead it takes %v: the test shows nothing", took)
		} else {
			t.Logf("without reading ahead it takes %v", took)
		}
	})
}

// TestRecall: what was read is read again only if it is another version.
func TestRecall(t *testing.T) {
	var m memory
	reads := 0
	read := func() (*manifest.Map, error) { reads++; return &manifest.Map{Task: reads}, nil }
	get := func(etag string) int {
		rec, err := recall(&m, "k", etag, read)
		if err != nil {
			t.Fatal(err)
		}
		return rec.Task
	}
	if get("a") != 1 || get("a") != 2 {
		t.Error("it remembers although nobody asked it to")
	}
	m.start()
	for i, key := range []string{"a", "a", "b", "b"} {
		if want := 3 + i/2; get(key) != want {
			t.Errorf("it does not remember %s, which was %d", key, want)
		}
	}
	if _, err := recall(&m, "k", "b", func() (*manifest.Reduce, error) { return nil, errInjected }); err == nil {
		t.Error("it took a map's record for a reduce's")
	}
	m.stop()
	if get("b") != 5 {
		t.Error("it does not forget")
	}
}
