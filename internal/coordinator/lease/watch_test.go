package lease

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestWatch: a version expires when it was seen unchanged for its lease, and
// time in which nobody looked, or could look, does not count.
func TestWatch(t *testing.T) {
	const lease = 10 * time.Second
	start := time.Now()
	type look struct {
		at   time.Duration
		etag string // "-": not answered
	}
	every := func(from, to, step time.Duration, etag string) (looks []look) {
		for at := from; at <= to; at += step {
			looks = append(looks, look{at, etag})
		}
		return looks
	}
	tests := []struct {
		name  string
		looks []look
		want  bool
	}{
		{"one look", every(0, 0, 1, "a"), false},
		{"just short", every(0, 9*time.Second, time.Second, "a"), false},
		{"a lease", every(0, lease, time.Second, "a"), true},
		{"absence too", every(0, lease, time.Second, ""), true},
		{"renewed", append(every(0, 9*time.Second, time.Second, "a"), every(10*time.Second, 19*time.Second, time.Second, "b")...), false},
		{"renewed, then not", append(every(0, 9*time.Second, time.Second, "a"), every(10*time.Second, 20*time.Second, time.Second, "b")...), true},
		{"the store was away", []look{{0, "a"}, {time.Second, "a"}, {2 * time.Second, "-"}, {time.Hour, "a"}, {time.Hour + 8*time.Second, "a"}}, false},
		{"stood still", []look{{0, "a"}, {time.Second, "a"}, {time.Hour, "a"}, {time.Hour + 3*time.Second, "a"}}, false},
		{"stood still, then watched", []look{{0, "a"}, {time.Second, "a"}, {time.Hour, "a"}, {time.Hour + 4*time.Second, "a"}}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var w watch
			for _, l := range tt.looks {
				if l.etag == "-" {
					w.missed()
					continue
				}
				w.saw(l.etag, lease, start.Add(l.at), start.Add(l.at))
			}
			if w.expired() != tt.want {
				t.Errorf("unchanged for %v: expired is %v", w.unchanged, w.expired())
			}
		})
	}
}

// TestWatchCountsNoMore than the time for which the version was there, as
// long as answers may take, and asks in time for the lease's end.
func TestWatchCountsNoMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		short := rapid.Int64Range(0, int64(20*time.Second))
		lease := time.Duration(rapid.Int64Range(int64(100*time.Millisecond), int64(time.Minute)).Draw(t, "lease"))
		now := time.Now()
		var w watch
		var written time.Time // the earliest that the version can be from
		etag := 0
		for range rapid.IntRange(1, 30).Draw(t, "looks") {
			asked := now
			answered := asked.Add(time.Duration(short.Draw(t, "answer")))
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				w.missed()
			case 1: // another version, written at the last moment
				etag++
				written = answered
				fallthrough
			default:
				if written.IsZero() {
					written = answered
				}
				w.saw(string(rune('a'+etag)), lease, asked, answered)
				if max := asked.Sub(written); w.unchanged > 0 && w.unchanged > max {
					t.Fatalf("unchanged for %v, but it is at most %v old", w.unchanged, max)
				}
			}
			if p := w.pause(answered); p <= 0 || p > maxPoll {
				t.Fatalf("pause of %v", p)
			}
			now = answered.Add(time.Duration(short.Draw(t, "pause")))
		}
	})
}
