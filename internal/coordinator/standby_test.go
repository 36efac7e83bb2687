package coordinator

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/mr"
)

// TestStandbyInTrouble: a standby that cannot read the announcement takes no
// part of that time for silence, and does not end over it.
func TestStandbyInTrouble(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		first := b.active()
		second := b.standby(nil)
		defer second.kill()
		for range 3 { // nobody reaches the store
			first.door.shut.Store(true)
			second.door.shut.Store(true)
			time.Sleep(3 * testLease)
			second.door.shut.Store(false)
			time.Sleep(testLease / 3)
			first.door.shut.Store(false)
			time.Sleep(testLease)
			if second.leads() {
				t.Fatal("it took an outage of the store for one of the coordinator")
			}
		}
		second.door.shut.Store(true)
		first.kill()
		time.Sleep(testLease)
		second.door.shut.Store(false)
		second.awaitLed(time.Now(), testLease/2, testLease+within)
	})
}

// TestCutOffLeader: who leads and does not reach the store is replaced, and
// ends when it hears of it.
func TestCutOffLeader(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		first := b.active()
		second := b.standby(nil)
		defer second.kill()
		first.door.shut.Store(true)
		second.awaitLed(time.Now(), testLease*2/3, testLease+within)
		time.Sleep(testLease)
		first.door.shut.Store(false)
		<-first.done
		var conflict *ConflictError
		if !errors.As(first.err, &conflict) {
			t.Errorf("the first: %v", first.err)
		}
	})
}

// TestReleased: nobody waits for a coordinator that has said good-bye.
func TestReleased(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.spec()
		first := b.active()
		second := b.standby(nil)
		first.kill()
		first.c.release(t.Context(), first.c.own, errKilled)
		second.awaitLed(time.Now(), 0, within)
		if a := readAnnouncement(b); a.Released || a.Failure != "" {
			t.Errorf("announced is %+v", a)
		}
		second.kill()
		// The last renewal was applied, and its reply lost.
		second.c.own.etag = `"old"`
		second.c.release(t.Context(), second.c.own, errKilled)
		if a := readAnnouncement(b); !a.Released {
			t.Errorf("announced is %+v", a)
		}
		b.active().kill() // a newcomer neither
	})
}

// TestReleaseNotOurs: who was replaced does not release its successor.
func TestReleaseNotOurs(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		first := b.active()
		second := b.contend(func(o *Options) { o.TakeOver = true })
		defer second.kill()
		second.awaitLed(time.Now(), 0, 0)
		first.kill()
		first.c.release(t.Context(), first.c.own, errKilled)
		if a := readAnnouncement(b); a.Released || a.Epoch != second.c.epoch {
			t.Errorf("announced is %+v", a)
		}
	})
}

// TestJobEndsUnderAnother: a standby tells how the job ended, whether or not
// its coordinator lived to say good-bye.
func TestJobEndsUnderAnother(t *testing.T) {
	tests := []struct {
		name    string
		success string // job of the summary; "" for none
		release error  // nil: it does not release
		leads   bool
		fails   string
	}{
		{"done", "this", errDone, false, ""},
		{"done, then killed", "this", nil, false, ""},
		{"failed", "", &JobError{Cause: "map task 3: boom"}, false, "job failed: map task 3: boom"},
		{"stopped", "", errKilled, true, ""},
		{"killed", "", nil, true, ""},
		{"another job's summary", "another", errKilled, false, "does not belong to this job"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench) {
				job := b.spec()
				first, second := b.active(), b.standby(nil)
				defer second.kill()
				if id := map[string]string{"this": job.ID, "another": "wc-other"}[tt.success]; id != "" {
					b.put(b.lay.Success(), manifest.Success{
						Schema: manifest.SuccessSchema, Job: id, App: job.App, NReduce: 1, Emitted: 7, Keys: 7,
						Shuffled: recordio.Sum{Records: 7}, Read: recordio.Sum{Records: 7},
						Outputs: []manifest.Output{{Key: b.lay.Output(0), Size: 4, Lines: 1, Hash: partHash}},
					}, nil)
				}
				first.kill()
				if tt.release != nil {
					first.c.release(t.Context(), first.c.own, tt.release)
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

// errDone stands for an end without an error, where a test wants a release.
var errDone = errors.New("done")

// TestFailedBefore: the same line again tries again a job that failed.
func TestFailedBefore(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.spec()
		first := b.active()
		first.kill()
		first.c.release(t.Context(), first.c.own, &JobError{Cause: "boom"})
		b.active().kill()
	})
}

// TestRemovedAnnouncement: a reset while somebody stands by. The live
// coordinator says it again; if there is none, the standby leads after a
// lease.
func TestRemovedAnnouncement(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		first, second := b.active(), b.standby(nil)
		defer second.kill()
		b.store.remove(b.lay.Coordinator())
		time.Sleep(3 * testLease)
		if second.leads() {
			t.Fatal("it took over from a live coordinator")
		}
		first.kill()
		b.store.remove(b.lay.Coordinator())
		second.awaitLed(time.Now(), testLease, testLease+2*within)
	})
}

// TestTakeOver: on request a coordinator replaces the one that was announced
// when it came, and nobody else.
func TestTakeOver(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		first := b.active()
		b.store.inject("put", b.lay.Coordinator(), 1, notDone)
		if err := b.contend(func(o *Options) { o.TakeOver = true }).ends(); !errors.Is(err, errInjected) {
			t.Errorf("a write that fails: %v", err)
		}
		second := b.contend(func(o *Options) { o.TakeOver = true })
		second.awaitLed(time.Now(), 0, 0)
		<-first.done
		var conflict *ConflictError
		if !errors.As(first.err, &conflict) {
			t.Errorf("the first: %v", first.err)
		}
		second.kill()
		for _, unreadable := range []string{"{", `{"schema":"mraws/coordinator/v2"}`} {
			b.store.set(b.lay.Coordinator(), []byte(unreadable), nil)
			third := b.contend(func(o *Options) { o.TakeOver = true })
			third.awaitLed(time.Now(), 0, 0)
			third.kill()
		}
	})
}

// TestUnreadableAnnouncement: what another version wrote is waited for as
// long as the own lease.
func TestUnreadableAnnouncement(t *testing.T) {
	for _, text := range []string{"{", `{"schema":"mraws/coordinator/v2"}`, `{"schema":"mraws/coordinator/v1","epoch":"x","lease_ms":-1}`, `{"schema":"mraws/coordinator/v1","epoch":"x","lease_ms":9223372036854775807}`} {
		inBubble(t, func(t *testing.T, b *bench) {
			b.store.set(b.lay.Coordinator(), []byte(text), nil)
			x := b.standby(nil)
			defer x.kill()
			x.awaitLed(time.Now(), testLease, testLease)
		})
	}
}

// TestRestartHere: what the machine itself knows to be dead is not waited
// for.
func TestRestartHere(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		a := manifest.Coordinator{Schema: manifest.CoordinatorSchema, Epoch: "x", LeaseMS: testLease.Milliseconds()}
		me := manifest.Process{Boot: "b", PIDNS: "pid:[7]", PID: 1, NetNS: "net:[7]", Listen: "[::]:1234"}
		for _, there := range []manifest.Process{me, {}, {Boot: "b", NetNS: "net:[8]", Listen: "[::]:1234"}} {
			a.Process = there
			b.put(b.lay.Coordinator(), a, nil)
			o := Options{Store: b.store, Layout: b.lay, Log: zerolog.Nop(), Lease: testLease}
			c := New(o)
			c.process = me
			start := time.Now()
			if _, err := c.lead(t.Context(), func() {}); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); (took == 0) != (there == me) || took > testLease {
				t.Errorf("behind %+v it took %v", there, took)
			}
		}
	})
}

// TestStandbyOfAnotherJob is refused at once, or as soon as the job is there.
func TestStandbyOfAnotherJob(t *testing.T) {
	for _, early := range []bool{false, true} {
		t.Run(fmt.Sprintf("early=%v", early), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench) {
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

// TestStandbyStopped: a signal ends a standby, and leaves the announcement
// alone.
func TestStandbyStopped(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		first, second := b.active(), b.standby(nil)
		defer first.kill()
		second.kill()
		if !errors.Is(second.err, errKilled) {
			t.Errorf("lead: %v", second.err)
		}
		if a := readAnnouncement(b); a.Epoch != first.c.epoch || a.Released {
			t.Errorf("announced is %+v", a)
		}
	})
}

// TestNewcomerFails: what is wrong from the beginning is told at once.
func TestNewcomerFails(t *testing.T) {
	lay := layout.New("p")
	for _, key := range []string{lay.Coordinator(), lay.Job()} {
		inBubble(t, func(t *testing.T, b *bench) {
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
