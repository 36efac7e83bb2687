package sched

import (
	"testing"
	"time"
)

// TestAllow: no more attempts are granted than are allowed, whatever brings them about, and
// polls that wait get theirs once there is more room.
func TestAllow(t *testing.T) {
	c := New(Config{Epoch: "e", Lease: time.Second})
	grants := func(at Time, ev Event) (n int) {
		for _, e := range c.Step(at, ev) {
			if _, ok := e.(Grant); ok {
				n++
			}
		}
		return n
	}
	c.Allow(1)
	grants(0, Register{Worker: "w", Slots: 3})
	for slot := range 3 {
		grants(0, Poll{Worker: "w", Slot: slot, Seq: 1})
	}
	if n := grants(0, Planned{Job: "j", Maps: 5, Reduces: 1}); n != 1 {
		t.Errorf("%d grants, want 1", n)
	}
	c.Allow(0)
	if n := grants(1, Failed{Worker: "w", Attempt: "e.m0.1", Cause: "boom"}); n != 0 {
		t.Errorf("%d grants after a failure, want 0", n)
	}
	if n := grants(2, Poll{Worker: "w", Slot: 0, Seq: 2}); n != 0 {
		t.Errorf("%d grants for a poll, want 0", n)
	}
	c.Allow(2)
	if n := grants(3, Heartbeat{Worker: "w"}); n != 2 {
		t.Errorf("%d grants once there is room, want 2", n)
	}
	c.Allow(-1)
	if n := grants(4, Heartbeat{Worker: "w"}); n != 1 {
		t.Errorf("%d grants without a bound, want 1", n)
	}
}
