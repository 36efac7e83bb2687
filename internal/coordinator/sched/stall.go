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
//     late in a phase with a speculative attempt before;
//   - the worker gets nothing new until a heartbeat tells that its requests
//     move again;
//   - both only while there is another worker that gets work and has told
//     of less than half as much. Where nobody's requests move it is the store
//     that is away, and whoever waits for it may go on waiting.
//
// Who computes for long and asks nothing of the store does not stall.

// stalls says whether what a heartbeat of w tells is a stall. The workers that
// are ready are counted by [roster.set]: to look at all of them would take all
// time in the hour when the store is away and each of them asks.
func (r *roster) stalls(w *worker, d time.Duration) bool {
	others := r.count[Ready]
	if w.state == Ready {
		others--
	}
	return d >= r.cfg.Stall && others > 0
}

// tellStall notes for how long the requests of a worker have stood still.
func (r *roster) tellStall(w *worker, d time.Duration) {
	if d >= r.cfg.Stall && !r.stalls(w, d) {
		d = r.cfg.Stall - 1 // no other worker is ready, so this one does not count as stalled
	}
	w.waits = d
	r.update(w)
}
