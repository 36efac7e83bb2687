package cmd

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestPace: what is told of work of 1,000 things, from what was done at each second.
func TestPace(t *testing.T) {
	steady := func(n int, per int64) (done []int64) {
		for i := range n {
			done = append(done, int64(i)*per)
		}
		return done
	}
	var stalled []int64
	for range 12 {
		stalled = append(stalled, 90)
	}
	for _, tt := range []struct {
		name string
		done []int64
		want speed
	}{
		{"nothing yet", nil, speed{}},
		{"one look", []int64{5}, speed{}},
		{"too early for a time left", steady(3, 10), speed{rate: 10}},
		{"steady", steady(6, 10), speed{rate: 10, left: 95 * time.Second}},
		{"too little to tell", steady(6, 1), speed{rate: 1}},
		{"little, over a window", steady(32, 1)[:31], speed{rate: 1, left: 970 * time.Second}},
		{"one step is no rate", []int64{0, 0, 0, 100, 100, 100}, speed{rate: 20}},
		{"what others did before", []int64{900, 910, 920, 930, 940}, speed{rate: 10, left: 6 * time.Second}},
		{"at the end", append(steady(10, 100), 999, 1000), speed{rate: 1000.0 / 11}},
		{"more than all", []int64{0, 300, 600, 900, 1200}, speed{rate: 300}},
		{"a worker was lost", []int64{0, 30, 60, 90, 60}, speed{rate: 15, left: 62666666666}},
		{"as much was lost as was done", []int64{0, 30, 60, 90, 0}, speed{}},
		{"stalled", append(steady(10, 10), stalled...), speed{stalled: 12 * time.Second}},
		{"goes on", append(append(steady(10, 10), stalled...), 100, 110, 120), speed{rate: 5, left: 176 * time.Second}},
		{"only the last 30 s count", append(steady(100, 1), 100, 200, 300, 400), speed{rate: 327.0 / 30, left: 55045871559}},
	} {
		var p pace
		at := time.Unix(0, 0)
		for _, done := range tt.done {
			p.note(at, done)
			at = at.Add(time.Second)
		}
		if got := p.tell(1000); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

// TestPaceIsHonest: whatever happens, no rate and no time left is below zero, none is told
// of work that stands still, and of work that keeps its rate within a fifth the time left is
// within a third of the truth.
func TestPaceIsHonest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var p pace
		at, done := time.Unix(0, 0), int64(0)
		total := rapid.Int64Range(0, 1<<40).Draw(t, "total")
		for _, step := range rapid.SliceOfN(rapid.Int64Range(-1<<30, 1<<35), 1, 200).Draw(t, "steps") {
			done += step
			at = at.Add(time.Duration(rapid.IntRange(1, 5000).Draw(t, "ms")) * time.Millisecond)
			p.note(at, done)
			s := p.tell(total)
			if s.rate < 0 || s.left < 0 || s.stalled > 0 && s.left > 0 || s.left > 0 && done >= total {
				t.Fatalf("%+v, %d of %d", s, done, total)
			}
		}
		if len(p.marks) > 200 {
			t.Fatalf("%d marks are kept", len(p.marks))
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		var p pace
		rate := rapid.Int64Range(1000, 1<<30).Draw(t, "rate")
		seconds := rapid.Int64Range(20, 2000).Draw(t, "seconds")
		at, done := time.Unix(0, 0), int64(0)
		for done < rate*seconds {
			at = at.Add(200 * time.Millisecond)
			done += rate / 5 * rapid.Int64Range(80, 120).Draw(t, "percent") / 100
			p.note(at, done)
			s := p.tell(rate * seconds)
			if truth := float64(rate*seconds-done) / float64(rate); s.left > 0 && truth > 3 && (s.left.Seconds() > truth*4/3 || s.left.Seconds() < truth*2/3) {
				t.Fatalf("%v left, in truth %.0f s", s.left, truth)
			}
		}
	})
}
