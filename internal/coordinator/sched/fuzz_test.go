package sched

import (
	"strconv"
	"testing"
	"time"

	"github.com/mraws/mraws/mr"
)

// FuzzStep lets workers say anything in any order: what they made up, what
// is another's, what was long ago. The invariants hold and nothing panics.
func FuzzStep(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x00\x01\x01\x00\x00\x04\x00\x00\x00\x08\x00\x00\x00"))
	f.Add([]byte("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := New(Config{Lease: 10 * time.Second, MaxFailures: 3, MaxLost: 3, Epoch: "e"})
		k := NewChecker(c)
		plan := Planned{Maps: 3, Reduces: 2, Speculate: true, AdoptUntil: Time(time.Minute)}
		if len(data) == 0 || data[0] < 128 { // else workers come before the job
			c.Step(0, plan)
		}
		now := Time(0)
		for ; len(data) >= 4; data = data[4:] {
			now += Time(time.Duration(data[3]>>4) * time.Second)
			ev := fuzzEvent(data[0], data[1], data[2], data[3]&15)
			if _, err := k.Step(now, ev); err != nil {
				t.Fatalf("%T%+v at %v: %v", ev, ev, now, err)
			}
			if at, ok := c.Next(); ok && at > now+Time(31*time.Second) {
				t.Fatalf("nothing ends until %v, now is %v", at, now)
			}
		}
	})
}

func fuzzEvent(kind, a, b, d byte) Event {
	w := WorkerID("w" + strconv.Itoa(int(a)%3))
	slot := int(a>>2)%5 - 1
	task := TaskID{mr.Phase(b & 1), int(b>>1)%5 - 1}
	if b > 250 {
		task.Phase = mr.Phase(b) - 252
	}
	letter := "m"
	if task.Phase == mr.ReducePhase {
		letter = "r"
	}
	id := AttemptID([]string{"e", "e", "e", "old", ""}[d%5] + "." + letter + strconv.Itoa(task.Index) + "." + strconv.Itoa(int(d)%4))
	switch kind % 13 {
	case 0:
		return Register{Worker: w, Slots: slot + 1, Address: string(w)[:1+int(d)&1]}
	case 1:
		return Register{Worker: w, Slots: slot + 1, Running: []Running{{task, id}, {task, id + "1"}}}
	case 2, 3, 4:
		return Poll{w, slot, uint64(b)}
	case 5:
		return Withdraw{w, slot, uint64(b)}
	case 6:
		stalled := time.Duration(b>>2) * time.Second
		return Heartbeat{w, []AttemptID{id}, []float64{float64(b) / 128}, []time.Duration{stalled}, stalled / time.Duration(1+a>>6)}
	case 7:
		return Committed{task, id, time.Duration(b) * time.Second / 16}
	case 8:
		return Failed{Worker: w, Attempt: id, Fatal: b > 240, Cause: "made up"}
	case 9:
		return Released{w, id}
	case 10:
		return Leave{w}
	case 11:
		return Reported{w, id}
	}
	switch d {
	case 14:
		if b&1 == 0 {
			return OutputGone{Task: task}
		}
		return OutputGone{task, id}
	case 13:
		return Planned{Maps: 3, Reduces: 2, Speculate: true, Done: []Committed{{Task: task, Attempt: id}}}
	case 15:
		return Drain{w, time.Duration(b) * time.Second / 8}
	}
	return Tick{}
}
