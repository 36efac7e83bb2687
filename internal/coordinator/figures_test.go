package coordinator

import (
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/recordio"
)

// TestIdle: a job waits while it has no worker, but not while it is planned, nor once
// it is done.
func TestIdle(t *testing.T) {
	c := New(Options{Lease: time.Hour})
	l := &c.loop
	at := func(second int) sched.Time { return sched.Time(time.Duration(second) * time.Second) }
	idle := func(second int, want time.Duration) {
		t.Helper()
		if got := l.noteIdle(at(second)); got != want*time.Second {
			t.Errorf("at %d s it has waited %v, want %d s", second, got, want)
		}
	}
	idle(0, 0)
	idle(2, 2) // no worker, no app
	l.app = new(spec)
	idle(3, 3)
	idle(10, 3) // planned
	l.job = &manifest.Job{ID: "j", Tasks: [][]manifest.Piece{{}}, NReduce: 1}
	idle(11, 3)
	l.step(at(13), sched.Register{Worker: "w", Slots: 1})
	idle(20, 5)
	l.step(at(30), sched.Leave{Worker: "w"})
	idle(31, 6)
	close(l.ended)
	idle(32, 7)
	idle(40, 7)
}

// TestWorkedBefore: what attempts worked on before a coordinator led counts once,
// whoever says when that was.
func TestWorkedBefore(t *testing.T) {
	created := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	led := created.Add(time.Hour)
	m := func(from, seconds float64) *mapCommit {
		return &mapCommit{Map: &manifest.Map{Started: created.Add(time.Duration(from * float64(time.Second))), Seconds: seconds}}
	}
	r := &reduceCommit{Reduce: &manifest.Reduce{Started: created.Add(30 * time.Second), Seconds: 5}}
	for name, tt := range map[string]struct {
		maps []*mapCommit
		want time.Duration
	}{
		"none":               {nil, 5 * time.Second},
		"apart":              {[]*mapCommit{m(0, 10), m(20, 5)}, 20 * time.Second},
		"overlapping":        {[]*mapCommit{m(5, 10), m(0, 10), m(1, 2)}, 20 * time.Second},
		"before the job":     {[]*mapCommit{m(-100, 101)}, 6 * time.Second},
		"into the term":      {[]*mapCommit{m(3590, 1000)}, 15 * time.Second},
		"in the term":        {[]*mapCommit{m(4000, 10)}, 5 * time.Second},
		"for ever":           {[]*mapCommit{m(-1000, 1e300)}, time.Hour},
		"less than no time":  {[]*mapCommit{m(10, -5)}, 5 * time.Second},
		"around all of them": {[]*mapCommit{m(0, 100), m(10, 5)}, 100 * time.Second},
	} {
		if got := workedBefore(led, created, tt.maps, []*reduceCommit{r}); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// TestSkew: the largest partition, and the heaviest keys of all of them.
func TestSkew(t *testing.T) {
	c := New(Options{Lease: time.Hour})
	l := &c.loop
	l.job = &manifest.Job{NReduce: 3}
	red := func(task int, bytes int64, keys ...manifest.HeavyKey) *reduceCommit {
		return &reduceCommit{Reduce: &manifest.Reduce{Task: task, Read: recordio.Sum{Records: bytes / 10, Bytes: bytes}, Heaviest: keys}}
	}
	key := func(text string, bytes int64) manifest.HeavyKey {
		return manifest.HeavyKey{Text: text, Records: 1, Bytes: bytes}
	}
	l.reduces = []*reduceCommit{red(0, 100, key("a", 60), key("b", 5)), red(1, 300, key("c", 70), key("d", 40)), red(2, 300)}
	want := &manifest.Skew{Partition: 1, Records: 30, Bytes: 300, Heaviest: []manifest.HeavyKey{key("c", 70), key("a", 60), key("d", 40)}}
	if diff := gocmp.Diff(want, l.skew()); diff != "" {
		t.Error(diff)
	}
	l.reduces = []*reduceCommit{red(0, 0), red(1, 0), red(2, 0)}
	if s := l.skew(); s != nil {
		t.Errorf("%+v without records", s)
	}
	l.job.NReduce, l.reduces = 1, []*reduceCommit{red(0, 100)}
	if s := l.skew(); s != nil {
		t.Errorf("%+v of one partition", s)
	}
}
