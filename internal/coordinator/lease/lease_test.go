package lease

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/manifest"
)

// TestStandby: it waits as long as the holder is alive, and takes the lease
// when that was silent for as long as it lasts, not before and not much later.
func TestStandby(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bucket) {
		first := b.active()
		time.Sleep(1234 * time.Millisecond)
		second := b.standby()
		defer second.kill()
		time.Sleep(10 * testLease)
		if second.leads() {
			t.Fatal("it took over from a coordinator that was alive")
		}
		first.kill()
		renewed := b.announced().Renewed
		second.acquires(renewed, testLease, testLease+within)
		if a := b.announced(); a.Epoch != second.epoch {
			t.Errorf("announced is %+v", a)
		}
		time.Sleep(testLease)
		if a := b.announced(); time.Since(a.Renewed) > testLease/3 {
			t.Errorf("nobody renews: %+v", a)
		}
	})
}

// TestTerm: what a holder knows of the one before.
func TestTerm(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bucket) {
		first := b.active()
		if term := first.term; term.After || term.Workers != 0 || !term.Since.Equal(time.Now()) || term.Stored.IsZero() {
			t.Errorf("the first: %+v", term)
		}
		first.kill()
		a := b.announced()
		a.Workers = 7
		b.announce(*a)
		second := b.start(takeOver)
		second.acquires(time.Now(), 0, 0)
		if term := second.term; !term.After || term.Workers != 7 {
			t.Errorf("the second: %+v", term)
		}
		second.kill()
	})
}

// TestSlowStore: what the store takes for each request is not taken for time
// in which nobody renewed, nor does it add up.
func TestSlowStore(t *testing.T) {
	const delay = 500 * time.Millisecond
	inBubble(t, func(t *testing.T, b *bucket) {
		first := b.active()
		first.store.delay.Store(int64(delay))
		second := b.start(func(c *candidate, _ *Options) { c.store.delay.Store(int64(delay)) })
		defer second.kill()
		time.Sleep(10*testLease + 123*time.Millisecond)
		if second.leads() {
			t.Fatal("it took over from a coordinator that was alive")
		}
		first.kill()
		renewed := b.announced().Renewed
		// A renewal takes one delay, to see it up to a pause and four, to see it
		// again and to take over two each.
		second.acquires(renewed, testLease, testLease+within+9*delay)
	})
}

// TestStandbysRace: of several standbys one takes the lease, the others stand
// by behind it, and so on until the last.
func TestStandbysRace(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bucket) {
		last := b.active()
		var others []*candidate
		for range 5 {
			others = append(others, b.standby())
		}
		for len(others) > 0 {
			last.kill()
			renewed := b.announced().Renewed
			time.Sleep(testLease + within)
			var waiting []*candidate
			for _, c := range others {
				if c.leads() {
					last = c
				} else {
					waiting = append(waiting, c)
				}
			}
			if len(waiting) != len(others)-1 {
				t.Fatalf("of %d standbys %d took over", len(others), len(others)-len(waiting))
			}
			last.acquires(renewed, testLease, testLease+within)
			time.Sleep(3 * testLease)
			others = waiting
		}
		last.kill()
	})
}

// TestNewcomersRace: nobody is announced, and several come at once.
func TestNewcomersRace(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bucket) {
		var all []*candidate
		for range 5 {
			all = append(all, b.start(nil))
		}
		time.Sleep(5 * testLease)
		leading := 0
		for _, c := range all {
			if c.leads() {
				leading++
			}
			defer c.kill()
		}
		if leading != 1 {
			t.Errorf("%d hold the lease", leading)
		}
	})
}

// TestTakeoverWrite: whatever becomes of the write that takes the lease, the
// standby that made it has it, and nobody else.
func TestTakeoverWrite(t *testing.T) {
	for _, what := range []fault{notDone, doneFailed, doneExists} {
		t.Run(fmt.Sprint(what), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bucket) {
				first, second := b.active(), b.standby()
				defer second.kill()
				first.kill()
				renewed := b.announced().Renewed
				b.locked(func() { b.faults = []fault{what} })
				second.acquires(renewed, testLease, testLease+2*within)
				time.Sleep(5 * testLease)
				if a := b.announced(); a.Epoch != second.epoch || time.Since(a.Renewed) > testLease {
					t.Errorf("announced is %+v", a)
				}
			})
		})
	}
}

// TestLateTakeover: the write of a standby is applied after it gave it up.
func TestLateTakeover(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bucket) {
		first, second := b.active(), b.standby()
		defer second.kill()
		first.kill()
		a := *b.announced()
		a.Epoch = second.epoch
		b.announce(a)
		second.acquires(time.Now(), 0, within)
	})
}

// TestStandbyInTrouble: a standby that cannot read the announcement takes no
// part of that time for silence, and does not end over it.
func TestStandbyInTrouble(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bucket) {
		first, second := b.active(), b.standby()
		defer second.kill()
		for range 3 { // nobody reaches the store
			first.store.shut.Store(true)
			second.store.shut.Store(true)
			time.Sleep(3 * testLease)
			second.store.shut.Store(false)
			time.Sleep(testLease / 3)
			first.store.shut.Store(false)
			time.Sleep(testLease)
			if second.leads() {
				t.Fatal("it took an outage of the store for one of the coordinator")
			}
		}
		second.store.shut.Store(true)
		first.kill()
		time.Sleep(testLease)
		second.store.shut.Store(false)
		second.acquires(time.Now(), testLease/2, testLease+within)
	})
}

// TestCutOffHolder: a holder that does not reach the store loses the lease, and
// ends when it hears of it.
func TestCutOffHolder(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bucket) {
		first, second := b.active(), b.standby()
		defer second.kill()
		first.store.shut.Store(true)
		if first.lease.Overdue() || second.lease.Overdue() {
			t.Error("overdue from the start")
		}
		second.acquires(time.Now(), testLease*2/3, testLease+within)
		if !first.lease.Overdue() {
			t.Error("it does not know that it is overdue")
		}
		time.Sleep(testLease)
		first.store.shut.Store(false)
		<-first.done
		var taken *TakenError
		if !errors.As(first.err, &taken) || taken.Own[0] != "10.0.0.7:1234" || taken.By == "" {
			t.Errorf("the first: %v", first.err)
		}
	})
}

// TestKeep: renewals go on through lost replies and errors, and when others
// remove or damage the announcement.
func TestKeep(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bucket) {
		c := b.active()
		defer c.kill()
		renewed := func(what string) {
			t.Helper()
			since := time.Now()
			time.Sleep(testLease)
			synctest.Wait()
			if a := b.announced(); a.Epoch != c.epoch || !a.Renewed.After(since) {
				t.Errorf("%s: announced is %+v", what, a)
			}
		}
		for _, what := range []fault{notDone, doneFailed, doneExists} {
			b.locked(func() { b.faults = []fault{what, what} })
			renewed(fmt.Sprint("fault ", what))
		}
		b.set(nil)
		renewed("removed")
		b.set([]byte("{"))
		renewed("replaced")
		b.locked(func() { b.damaged = true })
		renewed("damaged")
		b.set([]byte(`{"schema":"mraws/coordinator/v99"}`))
		<-c.done
		if taken := (*TakenError)(nil); !errors.As(c.err, &taken) {
			t.Errorf("another version: %v", c.err)
		}
	})
}

// TestChanged: what changes is announced soon after, and once for changes that
// come together.
func TestChanged(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bucket) {
		first := b.active()
		first.kill()
		changed := make(chan struct{}, 1)
		var workers atomic.Int64
		go func() {
			for range 3 {
				workers.Add(1)
				changed <- struct{}{}
			}
		}()
		before := b.version
		kept := make(chan error)
		go func() {
			kept <- first.lease.Keep(t.Context(), changed, func(a *manifest.Coordinator) { a.Workers = int(workers.Load()) })
		}()
		time.Sleep(250 * time.Millisecond)
		if a := b.announced(); a.Workers != 3 || b.version > before+2 {
			t.Errorf("after %d writes announced is %+v", b.version-before, a)
		}
		b.set([]byte(`{"schema":"mraws/coordinator/v99"}`))
		<-kept
	})
}

// TestReleased: nobody waits for a coordinator that has released its lease.
func TestReleased(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bucket) {
		first, second := b.active(), b.standby()
		first.kill()
		first.lease.Release(t.Context(), "")
		second.acquires(time.Now(), 0, within)
		if a := b.announced(); a.Released || a.Failure != "" {
			t.Errorf("announced is %+v", a)
		}
		second.kill()
		second.lease.etag = `"old"` // the last renewal was applied, and its reply lost
		second.lease.Release(t.Context(), "boom")
		if a := b.announced(); !a.Released || a.Failure != "boom" {
			t.Errorf("announced is %+v", a)
		}
		b.active().kill() // a newcomer does not wait, and tries again a job that failed
	})
}

// TestReleaseNotOurs: who was replaced does not release its successor.
func TestReleaseNotOurs(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bucket) {
		first := b.active()
		second := b.start(takeOver)
		defer second.kill()
		second.acquires(time.Now(), 0, 0)
		first.kill()
		first.lease.Release(t.Context(), "")
		if a := b.announced(); a.Released || a.Epoch != second.epoch {
			t.Errorf("announced is %+v", a)
		}
	})
}

// TestOver: a standby asks whether the job has ended before it takes a lease,
// with the failure of one that was released; a store that cannot tell is no
// reason to wait.
func TestOver(t *testing.T) {
	for _, released := range []bool{true, false} {
		inBubble(t, func(t *testing.T, b *bucket) {
			first, second := b.active(), b.standby()
			asked := false
			b.locked(func() {
				second.over = func(end Ending) bool {
					asked = asked || end.Failure == "boom" == released && end.Cancelled == nil
					return true
				}
			})
			first.kill()
			if released {
				first.lease.Release(t.Context(), "boom")
			}
			if err := second.ends(); err != nil || !asked || second.term != nil {
				t.Errorf("released: %t, asked: %t, %v", released, asked, err)
			}
		})
	}
	inBubble(t, func(t *testing.T, b *bucket) {
		first, second := b.active(), b.standby()
		defer second.kill()
		b.locked(func() { second.fault = errInjected })
		first.kill()
		first.lease.Release(t.Context(), "")
		second.acquires(time.Now(), 0, within)
	})
}

// TestRefused: a standby that is not to wait ends.
func TestRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bucket) {
		first, second := b.active(), b.standby()
		defer first.kill()
		third := b.start(func(c *candidate, _ *Options) { c.refuse = errInjected })
		if err := third.ends(); !errors.Is(err, errInjected) {
			t.Errorf("from the start: %v", err)
		}
		later := errors.New("later")
		b.locked(func() { second.refuse = later })
		if err := second.ends(); !errors.Is(err, later) {
			t.Errorf("later: %v", err)
		}
	})
}

// TestRemovedAnnouncement: somebody removes the announcement while another
// stands by. A live holder writes it again; if there is none, the standby has
// the lease after as long as it lasts.
func TestRemovedAnnouncement(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bucket) {
		first, second := b.active(), b.standby()
		defer second.kill()
		b.set(nil)
		time.Sleep(3 * testLease)
		if second.leads() {
			t.Fatal("it took over from a live coordinator")
		}
		first.kill()
		b.set(nil)
		second.acquires(time.Now(), testLease, testLease+2*within)
	})
}

// TestTakeOver: on request a coordinator takes the lease of the one that held
// it when it came, and of nobody else.
func TestTakeOver(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bucket) {
		first := b.active()
		b.locked(func() { b.faults = []fault{notDone} })
		if err := b.start(takeOver).ends(); !errors.Is(err, errInjected) {
			t.Errorf("a write that fails: %v", err)
		}
		second := b.start(takeOver)
		second.acquires(time.Now(), 0, 0)
		<-first.done
		if taken := (*TakenError)(nil); !errors.As(first.err, &taken) {
			t.Errorf("the first: %v", first.err)
		}
		second.kill()
		for _, unreadable := range []string{"{", `{"schema":"mraws/coordinator/v2"}`} {
			b.set([]byte(unreadable))
			third := b.start(takeOver)
			third.acquires(time.Now(), 0, 0)
			third.kill()
		}
	})
}

// TestUnreadableAnnouncement: what another version wrote, or nobody can read,
// is waited for as long as the own lease lasts.
func TestUnreadableAnnouncement(t *testing.T) {
	for _, text := range []string{"damaged", "{", `{"schema":"mraws/coordinator/v2"}`, `{"schema":"mraws/coordinator/v1","epoch":"x","lease_ms":-1}`, `{"schema":"mraws/coordinator/v1","epoch":"x","lease_ms":9223372036854775807}`} {
		inBubble(t, func(t *testing.T, b *bucket) {
			b.set([]byte(text))
			b.locked(func() { b.damaged = text == "damaged" })
			c := b.standby()
			defer c.kill()
			c.acquires(time.Now(), testLease, testLease)
		})
	}
}

// TestRestartHere: what the machine itself knows to be dead is not waited for.
func TestRestartHere(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bucket) {
		a := manifest.Coordinator{Schema: manifest.CoordinatorSchema, Epoch: "x", LeaseMS: testLease.Milliseconds()}
		me := manifest.Process{Boot: "b", PIDNS: "pid:[7]", PID: 1, NetNS: "net:[7]", Listen: "[::]:1234"}
		for _, there := range []manifest.Process{me, {}, {Boot: "b", NetNS: "net:[8]", Listen: "[::]:1234"}} {
			a.Process = there
			b.announce(a)
			own := manifest.Coordinator{Schema: manifest.CoordinatorSchema, Epoch: "y", LeaseMS: testLease.Milliseconds(), Process: me}
			l := New(Options{Store: &store{bucket: b}, Log: zerolog.Nop(), Announce: own})
			start := time.Now()
			if _, err := l.Acquire(t.Context(), &candidate{store: &store{bucket: b}}); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); (took == 0) != (there == me) || took > testLease {
				t.Errorf("behind %+v it took %v", there, took)
			}
		}
	})
}

// TestStandbyStopped: a signal ends a standby, and leaves the announcement
// alone.
func TestStandbyStopped(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bucket) {
		first, second := b.active(), b.standby()
		defer first.kill()
		second.kill()
		if !errors.Is(second.err, errKilled) {
			t.Errorf("Acquire: %v", second.err)
		}
		if a := b.announced(); a.Epoch != first.epoch || a.Released {
			t.Errorf("announced is %+v", a)
		}
	})
}

// TestNewcomerFails: what is wrong from the beginning is an error at once.
func TestNewcomerFails(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bucket) {
		c := b.start(func(c *candidate, _ *Options) { c.store.shut.Store(true) })
		if err := c.ends(); !errors.Is(err, errInjected) {
			t.Errorf("Acquire: %v", err)
		}
	})
}
