package coordinator

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

// The tests of this file run claims and renewals alone, without a network, in
// bubbles with a clock of their own: what they measure is exact.

// testLease is the lease of all contenders.
const testLease = 10 * time.Second

// within is how long after the lease's end a standby may take to lead: it
// looks once in a tenth of the lease.
const within = testLease / 10

// door is the store as one contender reaches it.
type door struct {
	*fake
	shut  atomic.Bool  // every request fails
	delay atomic.Int64 // of each request and of each reply, in nanoseconds
}

func (d *door) Get(ctx context.Context, key string) ([]byte, object.Info, error) {
	delay := time.Duration(d.delay.Load())
	time.Sleep(delay)
	defer time.Sleep(delay)
	if d.shut.Load() {
		return nil, object.Info{}, errInjected
	}
	return d.fake.Get(ctx, key)
}

func (d *door) Put(ctx context.Context, key string, data []byte, o object.PutOptions) (object.Info, error) {
	delay := time.Duration(d.delay.Load())
	time.Sleep(delay)
	defer time.Sleep(delay)
	if d.shut.Load() {
		return object.Info{}, errInjected
	}
	return d.fake.Put(ctx, key, data, o)
}

// contender is a coordinator that wants to lead and then keeps announced.
type contender struct {
	t      *testing.T
	c      *Coordinator
	door   *door
	cancel context.CancelCauseFunc
	led    chan time.Time // when it came to lead
	done   chan struct{}
	over   *manifest.Success
	err    error
}

// contend starts a contender. It has to be killed.
func (b *bench) contend(change func(*Options)) *contender {
	d := &door{fake: b.store}
	o := Options{
		Store: d, Layout: b.lay, Log: zerolog.Nop(), Version: "v", NReduce: 2,
		App:   &mr.App{Name: "wc", Version: "1", Params: []mr.Param{{Name: "fold", Default: "no"}}},
		Lease: testLease, Security: wire.ServerOptions{Insecure: true}, Addresses: []string{"10.0.0.7:1234"},
	}
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	x := &contender{t: b.t, c: New(o), door: d, cancel: cancel, led: make(chan time.Time, 1), done: make(chan struct{})}
	x.c.process = manifest.Process{} // all of them are this process
	go func() {
		defer close(x.done)
		if x.over, x.err = x.c.lead(ctx, func() {}); x.over != nil || x.err != nil {
			return
		}
		x.led <- time.Now()
		loop := make(chan struct{})
		go func() { defer close(loop); x.c.run(ctx) }()
		x.err = x.c.keepAnnounced(ctx, x.c.own)
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
	return x.c.leading.Load()
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
	if x.c.leading.Load() {
		x.t.Error("it has led")
	}
	return x.err
}

// inBubble runs f with a bench, and everything that f starts, in a bubble.
func inBubble(t *testing.T, f func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newBench(t, 2)) })
}

// spec writes the spec of the job that all contenders are for.
func (b *bench) spec() *manifest.Job {
	b.t.Helper()
	c := New(Options{Store: b.store, Layout: b.lay, Log: zerolog.Nop(), NReduce: 2, SplitSize: 1 << 20, Pack: PackNever})
	job, err := c.plan(context.Background(), spec{App: manifest.App{Name: "wc", Version: "1", Params: map[string]string{"fold": "no"}}, met: true})
	if err != nil {
		b.t.Fatal(err)
	}
	b.put(b.lay.Job(), job, nil)
	return job
}

// active starts a contender that leads at once.
func (b *bench) active() *contender {
	b.t.Helper()
	x := b.contend(nil)
	x.awaitLed(time.Now(), 0, 0)
	return x
}

// standby starts a contender that finds another at work.
func (b *bench) standby(change func(*Options)) *contender {
	b.t.Helper()
	x := b.contend(change)
	if x.leads() {
		b.t.Fatal("it did not wait for the coordinator that is at work")
	}
	return x
}

// TestStandby: it waits as long as the other is alive, and takes over when
// that was silent for its lease, not before and not much later.
func TestStandby(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		first := b.active()
		time.Sleep(1234 * time.Millisecond)
		second := b.standby(nil)
		defer second.kill()
		time.Sleep(10 * testLease)
		if second.leads() {
			t.Fatal("it took over from a coordinator that was alive")
		}
		first.kill()
		renewed := readAnnouncement(b).Renewed
		second.awaitLed(renewed, testLease, testLease+within)
		if a := readAnnouncement(b); a.Epoch != second.c.epoch {
			t.Errorf("announced is %+v", a)
		}
		time.Sleep(testLease)
		if a := readAnnouncement(b); time.Since(a.Renewed) > testLease/3 {
			t.Errorf("nobody renews: %+v", a)
		}
	})
}

// TestSlowStore: what the store takes for each request is not taken for the
// time that nobody renewed, nor does it add up.
func TestSlowStore(t *testing.T) {
	const delay = 500 * time.Millisecond
	inBubble(t, func(t *testing.T, b *bench) {
		first := b.active()
		first.door.delay.Store(int64(delay))
		second := b.contend(nil)
		second.door.delay.Store(int64(delay))
		defer second.kill()
		time.Sleep(10*testLease + 123*time.Millisecond)
		if second.leads() {
			t.Fatal("it took over from a coordinator that was alive")
		}
		first.kill()
		renewed := readAnnouncement(b).Renewed
		// A renewal takes one delay, to see it up to a pause and four, to see it
		// again and to take over two each.
		second.awaitLed(renewed, testLease, testLease+within+9*delay)
	})
}

// TestStandbysRace: of several standbys one takes over, the others go on as
// standbys behind it, and so on until the last.
func TestStandbysRace(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		last := b.active()
		var others []*contender
		for range 5 {
			others = append(others, b.standby(nil))
		}
		for len(others) > 0 {
			last.kill()
			renewed := readAnnouncement(b).Renewed
			time.Sleep(testLease + within)
			var waiting []*contender
			synctest.Wait()
			for _, x := range others {
				if x.c.leading.Load() {
					last = x
				} else {
					waiting = append(waiting, x)
				}
			}
			if len(waiting) != len(others)-1 {
				t.Fatalf("of %d standbys %d took over", len(others), len(others)-len(waiting))
			}
			last.awaitLed(renewed, testLease, testLease+within)
			time.Sleep(3 * testLease)
			others = waiting
		}
		last.kill()
	})
}

// TestNewcomersRace: nobody is announced, and several come at once.
func TestNewcomersRace(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		leading := 0
		var all []*contender
		for range 5 {
			all = append(all, b.contend(nil))
		}
		time.Sleep(5 * testLease)
		for _, x := range all {
			if x.leads() {
				leading++
			}
			defer x.kill()
		}
		if leading != 1 {
			t.Errorf("%d lead", leading)
		}
	})
}

// TestTakeoverWrite: whatever becomes of the write that takes over, the
// standby that made it leads, and there is one leader.
func TestTakeoverWrite(t *testing.T) {
	for _, what := range []fault{notDone, doneFailed, doneExists} {
		t.Run(fmt.Sprint(what), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench) {
				first := b.active()
				second := b.standby(nil)
				defer second.kill()
				first.kill()
				renewed := readAnnouncement(b).Renewed
				b.store.inject("put", b.lay.Coordinator(), 1, what)
				second.awaitLed(renewed, testLease, testLease+2*within)
				time.Sleep(5 * testLease)
				if a := readAnnouncement(b); a.Epoch != second.c.epoch || time.Since(a.Renewed) > testLease {
					t.Errorf("announced is %+v", a)
				}
			})
		})
	}
}

// TestLateTakeover: the write of a standby is applied after that gave it up.
func TestLateTakeover(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		first := b.active()
		second := b.standby(nil)
		defer second.kill()
		first.kill()
		a := *readAnnouncement(b)
		a.Epoch = second.c.epoch
		b.put(b.lay.Coordinator(), a, nil)
		second.awaitLed(time.Now(), 0, within)
	})
}
