package lease

import (
	"testing"
	"time"

	"github.com/mraws/mraws/internal/manifest"
)

// mark marks the announcement as another process does.
func (b *bucket) mark() {
	b.t.Helper()
	a := b.announced()
	a.Cancelled = &manifest.Cancel{By: "ann"}
	b.announce(*a)
}

// marked says whether the announcement is marked, and released.
func (b *bucket) marked() (marked, released bool) {
	a := b.announced()
	return a.Cancelled != nil, a.Released
}

// TestMark: the holder hears of the mark once, at its next renewal, and keeps mark and
// lease until it ends. A coordinator that begins after that removes the mark.
func TestMark(t *testing.T) {
	for _, what := range []fault{fine, notDone, doneFailed, doneExists} {
		inBubble(t, func(t *testing.T, b *bucket) {
			told := 0
			c := b.start(func(_ *candidate, o *Options) {
				o.Cancelled = func(by manifest.Cancel) {
					if told++; by.By != "ann" {
						t.Errorf("by %q", by.By)
					}
				}
			})
			c.acquires(time.Now(), 0, 0)
			b.mark()
			b.locked(func() { b.faults = []fault{fine, what} })
			time.Sleep(testLease)
			if marked, released := b.marked(); told != 1 || !marked || released || !c.leads() {
				t.Fatalf("told %d times, marked: %t, released: %t", told, marked, released)
			}
			c.kill()
			b.locked(func() { b.faults = []fault{what} })
			c.lease.Release(t.Context(), "")
			if marked, released := b.marked(); !marked || !released && what != notDone {
				t.Fatalf("after its end: marked: %t, released: %t", marked, released)
			}
			next := b.start(nil)
			defer next.kill()
			next.acquires(time.Now(), 0, testLease+within)
			if marked, _ := b.marked(); marked {
				t.Error("the next one begins with the mark")
			}
		})
	}
}

// TestMarkAtTheEnd: a mark that comes between the last renewal and the release stays.
func TestMarkAtTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bucket) {
		c := b.active()
		c.kill()
		b.mark()
		c.lease.Release(t.Context(), "")
		if marked, released := b.marked(); !marked || !released {
			t.Errorf("marked: %t, released: %t", marked, released)
		}
	})
}

// TestMarkBehindALostReply: a coordinator whose announcement was written, but which
// does not know, finds the mark when it reads it.
func TestMarkBehindALostReply(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bucket) {
		told := false
		b.faults = []fault{doneFailed}
		c := b.start(func(c *candidate, o *Options) {
			o.Cancelled = func(manifest.Cancel) { told = true }
			c.store.delay.Store(int64(time.Second))
		})
		defer c.kill()
		for { // as soon as it is there, before the reply
			time.Sleep(100 * time.Millisecond)
			there := false
			b.locked(func() { there = b.data != nil })
			if there {
				break
			}
		}
		b.mark()
		time.Sleep(testLease)
		if !c.leads() || !told {
			t.Errorf("it leads: %t, and knows: %t", c.leads(), told)
		}
	})
}

// TestStandbyOfACancelledJob: a standby ends with the coordinator that is cancelled,
// whether that one releases its lease or is gone. One that came after the mark goes on
// with the job.
func TestStandbyOfACancelledJob(t *testing.T) {
	for _, released := range []bool{true, false} {
		inBubble(t, func(t *testing.T, b *bucket) {
			first, second := b.active(), b.standby()
			var end Ending
			b.locked(func() { second.over = func(e Ending) bool { end = e; return e.Cancelled != nil } })
			b.mark()
			if second.leads() {
				t.Fatal("it took over")
			}
			first.kill()
			if released {
				first.lease.Release(t.Context(), "")
			}
			if err := second.ends(); err != nil || end.Cancelled == nil || end.Cancelled.By != "ann" {
				t.Errorf("released: %t: %+v, %v", released, end, err)
			}
		})
		inBubble(t, func(t *testing.T, b *bucket) {
			first := b.active()
			b.mark()
			second := b.standby()
			defer second.kill()
			b.locked(func() { second.over = func(e Ending) bool { return e.Cancelled != nil } })
			first.kill()
			if released {
				first.lease.Release(t.Context(), "")
			}
			second.acquires(time.Now(), 0, testLease+2*within)
		})
	}
}
