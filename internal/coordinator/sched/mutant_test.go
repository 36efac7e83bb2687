package sched

import (
	"strings"
	"testing"

	"github.com/mraws/mraws/mr"
)

// mutant is one deliberate mistake in the commit protocol, in the loop or in
// the core. The simulator is only worth something if it finds each.
type mutant string

const (
	mutantNone             mutant = ""
	mutantTrustDone        mutant = "a worker's word commits, without the record"
	mutantAdoptAny         mutant = "a partition is adopted without comparing hashes"
	mutantPlainParts       mutant = "partitions are put unconditionally"
	mutantPlainRecord      mutant = "commit records are put unconditionally"
	mutantPlainOutput      mutant = "outputs are put unconditionally"
	mutantNoRecord         mutant = "a map is done when all its partitions exist"
	mutantReuseEpoch       mutant = "a restarted coordinator reuses attempt ids"
	mutantForget           mutant = "a restarted coordinator does not list the bucket"
	mutantEarlyReduce      mutant = "reduces are granted before all maps are committed"
	mutantAnyAttempt       mutant = "a report counts for whatever attempt of its task is live"
	mutantNoTick           mutant = "leases never end and silence is no sign"
	mutantDropRetry        mutant = "a released task is not lined up again"
	mutantRecommit         mutant = "an attempt that comes back replaces the commit"
	mutantWallClock        mutant = "leases go by the wall clock"
	mutantBothWin          mutant = "a task's two attempts both count as committed"
	mutantSameWorker       mutant = "a speculative attempt runs where the task runs"
	mutantEarlySpeculation mutant = "a speculative attempt is granted while other tasks wait"
	mutantThird            mutant = "a task has a speculative attempt of its speculative attempt"
	mutantLoserFailed      mutant = "losing to another attempt is a failure"
	mutantNoRevoke         mutant = "the loser is not revoked"
	mutantServeBad         mutant = "an excluded worker gets work"
	mutantAllBad           mutant = "nobody comes back when the last good worker leaves"
	mutantStall            mutant = "a heartbeat extends the lease of an attempt that stalls"
	mutantServeStall       mutant = "a worker that does not reach the store gets work"
	mutantAllStall         mutant = "leases end when nobody reaches the store"
	mutantAllDrain         mutant = "nobody comes back when the last good worker drains"
	mutantServeDrain       mutant = "a worker that drains gets work"
	mutantDrainTakes       mutant = "what a worker that drains runs is given to another"
	mutantBelieve          mutant = "one worker's word ends the job"
	mutantBlindEnd         mutant = "the job is called done without a look at its outputs"
	mutantDrainKeeps       mutant = "a grant that a worker that drains never had is left to its lease"
	mutantSilence          mutant = "a worker that is silent is never forgotten"
	mutantOneVoice         mutant = "two workers at one address are two voices"
)

// bend puts the mutant into a coordinator's core.
func (m mutant) bend(c *coord) {
	core := c.core
	switch m {
	case mutantEarlyReduce:
		core.phases[mr.ReducePhase].open = true
	case mutantAnyAttempt:
		c.checker.step = func(now Time, ev Event) []Effect {
			if f, ok := ev.(Failed); ok {
				if id, ok := f.Attempt.Task(); ok && core.task(id).live.n > 0 {
					a := core.task(id).live.front()
					f.Attempt, f.Worker = a.id, a.worker.id
					ev = f
				}
			}
			return core.Step(now, ev)
		}
	case mutantBelieve:
		c.checker.step = func(now Time, ev Event) []Effect {
			if f, ok := ev.(Failed); ok && f.Fatal {
				f.Proven = true
				ev = f
			}
			return core.Step(now, ev)
		}
	case mutantSilence:
		c.checker.step = func(now Time, ev Event) []Effect {
			core.workers.silentAt = 0
			return core.Step(now, ev)
		}
	case mutantOneVoice:
		c.checker.step = func(now Time, ev Event) []Effect {
			if r, ok := ev.(Register); ok {
				r.Address += string(r.Worker)
				ev = r
			}
			return core.Step(now, ev)
		}
	case mutantDropRetry:
		c.checker.step = func(now Time, ev Event) []Effect {
			out := core.Step(now, ev)
			if _, ok := ev.(Released); ok {
				core.phases[mr.MapPhase].retry = nil
			}
			return out
		}
	case mutantRecommit:
		c.checker.step = func(now Time, ev Event) []Effect {
			if r, ok := ev.(Register); ok {
				for _, a := range r.Running {
					if t := core.task(a.Task); t != nil && t.state == stateDone {
						t.committed = a.Attempt
					}
				}
			}
			return core.Step(now, ev)
		}
	default:
		m.bendSpeculation(c)
	}
}

// rare is where the search begins for mutants that few histories give away:
// a seed that did when it was written down. Where it no longer does the search
// only takes longer.
var rare = map[mutant]uint64{mutantAllDrain: 2691, mutantServeDrain: 1541, mutantAllBad: 445}

// TestMutants runs seeds against each mutant until one is caught.
func TestMutants(t *testing.T) {
	const most = 5000
	for _, m := range []mutant{
		mutantTrustDone, mutantAdoptAny, mutantPlainParts, mutantPlainRecord, mutantPlainOutput,
		mutantNoRecord, mutantReuseEpoch, mutantForget, mutantEarlyReduce, mutantAnyAttempt,
		mutantNoTick, mutantDropRetry, mutantRecommit, mutantWallClock, mutantBothWin, mutantSameWorker,
		mutantEarlySpeculation, mutantThird, mutantLoserFailed, mutantNoRevoke, mutantServeBad, mutantAllBad,
		mutantStall, mutantServeStall, mutantAllStall,
		mutantAllDrain, mutantServeDrain, mutantDrainTakes, mutantDrainKeeps,
		mutantBelieve, mutantBlindEnd, mutantSilence, mutantOneVoice,
	} {
		t.Run(strings.ReplaceAll(string(m), " ", "_"), func(t *testing.T) {
			t.Parallel()
			for n := range uint64(most) {
				seed := (rare[m] + n) % most
				for _, mode := range []mode{liveness, safety} {
					if err := newSim(mode, seed, m, nil).run(); err != nil {
						t.Logf("caught after %d seeds: %v", n+1, err)
						return
					}
				}
			}
			t.Errorf("not caught by %d seeds", most)
		})
	}
}
