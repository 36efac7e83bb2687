package cmd

import (
	"slices"
	"time"
)

const (
	// paceWindow is the time over which a rate is the mean.
	paceWindow = 30 * time.Second
	// paceLeast is how long work must have been watched before a time left is told.
	paceLeast = 3 * time.Second
	// paceShare is the part of the whole that must have been done meanwhile, unless a
	// window has gone by.
	paceShare = 0.02
	// paceSteps is how often more must have been done: one step is no rate.
	paceSteps = 3
	// paceStall is how long nothing may move before no time left is told.
	paceStall = 10 * time.Second
)

// pace tells how fast work goes from how much of it was done when. What was done before
// the first mark counts for nothing. Its zero value is ready for use.
type pace struct {
	first reading
	marks []reading // the last before the window, and all within it
	most  int64     // done at any time
	moved time.Time // when that grew
	steps int       // how often it grew
}

type reading struct {
	at   time.Time
	done int64
}

// speed is what a pace tells.
type speed struct {
	rate    float64       // a second; 0 if it is not known
	left    time.Duration // 0 if it cannot be told
	stalled time.Duration // since something moved; 0 if that is not long ago
}

// note takes note of how much is done. Less than before is possible: what a worker had
// read is lost with it.
func (p *pace) note(at time.Time, done int64) {
	if p.marks == nil {
		p.first, p.most, p.moved = reading{at, done}, done, at
	}
	if done > p.most {
		p.most, p.moved = done, at
		p.steps++
	}
	p.marks = append(p.marks, reading{at, done})
	for len(p.marks) > 2 && at.Sub(p.marks[1].at) >= paceWindow {
		p.marks = slices.Delete(p.marks, 0, 1)
	}
}

// tell says how fast work of so many bytes or things goes.
func (p *pace) tell(total int64) (s speed) {
	if len(p.marks) < 2 {
		return s
	}
	from, last := p.marks[0], p.marks[len(p.marks)-1]
	if quiet := last.at.Sub(p.moved); quiet >= paceStall {
		s.stalled = quiet
		return s
	}
	within, did := last.at.Sub(from.at), last.done-from.done
	if did <= 0 || within < time.Second {
		return s
	}
	s.rate = float64(did) / within.Seconds()
	watched := last.at.Sub(p.first.at)
	enough := float64(last.done-p.first.done) >= paceShare*float64(total-p.first.done) || watched >= paceWindow
	if left := total - last.done; left > 0 && watched >= paceLeast && p.steps >= paceSteps && enough {
		s.left = max(time.Second, time.Duration(float64(left)/s.rate*float64(time.Second)))
	}
	return s
}
