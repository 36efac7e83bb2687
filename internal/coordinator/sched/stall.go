package sched

import "time"

// A worker may reach its coordinator and not the store, or a store that
// takes its requests and never answers. It heartbeats all the while, so that
// its attempts would live for as long as the store layer has patience. So a
// heartbeat also tells for how long nothing has moved in a request that is
// on its way, and
//
//   - one that tells of Config.Stall or more does not extend the attempt's
//     lease, which then ends like that of a dead worker: lost, not failed, and
//     late in a phase with a backup before;
//   - the worker gets nothing new until a heartbeat tells that its requests
//     move again;
//   - both only while there is another worker that gets work and has told
//     of less than half as much. Where nobody's requests move it is the store
//     that is away, and whoever waits for it may go on waiting.
//
// Who computes for long and asks nothing of the store does not stall.

// stalls reports whether what a heartbeat of w tells is a stall.
func (c *Core) stalls(w *worker, d time.Duration) bool {
	if d < c.cfg.Stall {
		return false
	}
	others := c.moving
	if w.moves {
		others--
	}
	return others > 0
}

// noteMoving counts a worker in or out of those that get work and whose
// requests to the store move. It is called wherever one of these may have
// changed: to count them when it matters would take all workers' time in the
// hour when the store is away and each of them asks.
func (c *Core) noteMoving(w *worker) {
	moves := c.workers[w.id] == w && !w.excluded && !w.stuck && !w.draining && w.waits < c.cfg.Stall/2
	if moves == w.moves {
		return
	}
	w.moves = moves
	if moves {
		c.moving++
	} else {
		c.moving--
	}
}

// usableBeside is the number of workers but w that may get work.
func (c *Core) usableBeside(w *worker) int {
	n := c.usable()
	if !w.excluded && !w.stuck && !w.draining {
		n--
	}
	return n
}

// stick notes for how long the requests of w stand still. When the job is
// over nobody's questions come back to where they could be answered.
func (c *Core) stick(w *worker, d time.Duration) {
	if c.over {
		return
	}
	w.waits = d
	stuck := c.stalls(w, d)
	if stuck == w.stuck || w.draining { // one that drains gets nothing anyhow
		c.noteMoving(w)
		return
	}
	if stuck {
		c.setApart(w)
		w.stuck = true
	} else {
		w.stuck = false
		c.rejoin(w)
	}
	c.noteMoving(w)
	if !w.excluded {
		c.countStuck(stuck)
	}
	if stuck {
		c.emit(Stuck{w.id})
		c.loneliness()
	} else {
		c.emit(Unstuck{w.id})
		c.dispatch()
	}
}

// countStuck counts a worker in or out of those that get no work for no
// other reason than that they are stuck.
func (c *Core) countStuck(in bool) {
	if in {
		c.stuck++
	} else {
		c.stuck--
	}
}
