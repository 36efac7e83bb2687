package sched

import (
	"slices"
	"time"
)

// windowSize is how many of the last values a window keeps.
const windowSize = 64

// window is the last values of a series, with their median at hand. Its zero
// value is empty.
type window struct {
	last   []time.Duration // a ring once it is full
	sorted []time.Duration
	next   int
}

func (w *window) add(d time.Duration) {
	if len(w.last) < windowSize {
		w.last = append(w.last, d)
	} else {
		i, _ := slices.BinarySearch(w.sorted, w.last[w.next])
		w.sorted = slices.Delete(w.sorted, i, i+1)
		w.last[w.next] = d
		w.next = (w.next + 1) % windowSize
	}
	i, _ := slices.BinarySearch(w.sorted, d)
	w.sorted = slices.Insert(w.sorted, i, d)
}

// median returns the upper median, or 0 for an empty window.
func (w *window) median() time.Duration { return median(w.sorted) }

func median(sorted []time.Duration) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[len(sorted)/2]
}
