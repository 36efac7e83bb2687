package cmd

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/status"
)

// aJob is a job in the middle of its maps, one of whose workers was killed.
func aJob() jobNow {
	return jobNow{
		maps: phaseNow{tasks: 64, done: 41, bytes: &status.Reading{Total: 38 << 30, Done: 24<<30 + 1<<29},
			running: 8, retried: 2, speculative: 1, failed: 1, lost: 1},
		reduces: phaseNow{tasks: 16, bytes: &status.Reading{Total: 7 << 30}},
		workers: map[string]int{"busy": 4, "silent": 1},
	}
}

// shownAs is a view of the job at so many columns, its bars at a rate of 220 MiB/s.
func shownAs(j jobNow, width int) string {
	var s jobScreen
	v := s.view(time.Unix(0, 0), j)
	if b := &v.bars[v.now]; !b.full && !j.over {
		b.speed = speed{rate: 220 << 20, left: time.Duration(float64(b.total-b.done)/(220<<20)) * time.Second}
	}
	return strings.Join(v.lines(width), "\n") + "\n"
}

func TestJobScreen(t *testing.T) {
	reducing := aJob()
	reducing.maps.done, reducing.maps.bytes.Done, reducing.maps.running = 64, 38<<30, 0
	reducing.reduces = phaseNow{tasks: 16, done: 3, bytes: &status.Reading{Total: 7 << 30, Done: 2 << 30}, running: 4}
	finishing := aJob()
	finishing.maps, finishing.reduces = reducing.maps, phaseNow{tasks: 16, done: 16, bytes: &status.Reading{Total: 7 << 30, Done: 7 << 30}}
	done := aJob()
	done.done = true
	failed := aJob()
	failed.over = true
	alone := aJob()
	alone.workers, alone.maps.running = nil, 0
	unasked := aJob()
	unasked.unknown, unasked.workers = "no coordinator answers", nil
	mapOnly := aJob()
	mapOnly.reduces = phaseNow{}
	empty := aJob()
	empty.maps.bytes = &status.Reading{}
	for _, tt := range []struct {
		name   string
		job    jobNow
		at     int
		screen string
	}{
		{"map", aJob(), 80, `
  map     [=============>---------]  64%    24.5/38 GiB   220 MiB/s  1m00s left
  reduce  [-----------------------]   0%                 waits for map
  tasks   41/64 map, 0/16 reduce, 8 running, 2 retried, 1 speculative, 1 failed,
          1 lost
  workers 5, 1 silent
`},
		{"map", aJob(), 60, `
map     [====>---]  64%   24.5/38 GiB  220 MiB/s 1m00s left
reduce  [--------]   0%               waits for map
tasks   41/64 map, 0/16 reduce, 8 running, 2 retried,
        1 speculative, 1 failed, 1 lost
workers 5, 1 silent
`},
		{"reduce", reducing, 80, `
  map     [=======================] 100%      38/38 GiB
  reduce  [=====>-----------------]  28%        2/7 GiB   220 MiB/s  23s left
  tasks   64/64 map, 3/16 reduce, 4 running, 2 retried, 1 speculative, 1 failed,
          1 lost
  workers 5, 1 silent
`},
		{"reduce", reducing, 60, `
map     [========] 100%     38/38 GiB
reduce  [=>------]  28%       2/7 GiB  220 MiB/s 23s left
tasks   64/64 map, 3/16 reduce, 4 running, 2 retried,
        1 speculative, 1 failed, 1 lost
workers 5, 1 silent
`},
		{"finishing", finishing, 80, `
  map     [=======================] 100%      38/38 GiB
  reduce  [=======================] 100%        7/7 GiB
  tasks   64/64 map, 16/16 reduce, 0 running, 2 retried, 1 speculative,
          1 failed, 1 lost
  workers 5, 1 silent
  finish  checking the outputs, writing the summary
`},
		{"done", done, 80, `
  map     [=======================] 100%      38/38 GiB
  reduce  [=======================] 100%        7/7 GiB
  tasks   64/64 map, 16/16 reduce, 2 retried, 1 speculative, 1 failed, 1 lost
`},
		{"done", done, 60, `
map     [========] 100%     38/38 GiB
reduce  [========] 100%       7/7 GiB
tasks   64/64 map, 16/16 reduce, 2 retried, 1 speculative,
        1 failed, 1 lost
`},
		{"failed", failed, 60, `
map     [====>---]  64%   24.5/38 GiB
reduce  [--------]   0%               waits for map
tasks   41/64 map, 0/16 reduce, 2 retried, 1 speculative,
        1 failed, 1 lost
`},
		{"no worker", alone, 60, `
map     [====>---]  64%   24.5/38 GiB waits for workers
reduce  [--------]   0%               waits for map
tasks   41/64 map, 0/16 reduce, 0 running, 2 retried,
        1 speculative, 1 failed, 1 lost
workers 0
`},
		{"no coordinator answers", unasked, 60, `
map     [====>---]  64%   24.5/38 GiB  220 MiB/s 1m00s left
reduce  [--------]   0%               waits for map
tasks   41/64 map, 0/16 reduce
workers not known: no coordinator answers
`},
		{"map-only", mapOnly, 80, `
  map     [=============>---------]  64%    24.5/38 GiB   220 MiB/s  1m00s left
  tasks   41/64 map, 8 running, 2 retried, 1 speculative, 1 failed, 1 lost
  workers 5, 1 silent
`},
		{"no bytes", empty, 80, `
  map     [===========>--------]  64%          41/64  230,686,720/s
  reduce  [-----------------------]   0%                 waits for map
  tasks   41/64 map, 0/16 reduce, 8 running, 2 retried, 1 speculative, 1 failed,
          1 lost
  workers 5, 1 silent
`},
		{"hardly a terminal", aJob(), 30, `
map     [========>------]  64%
reduce  [---------------]   0%
tasks   41/64 map,
        0/16 reduce,
        8 running, 2 retried,
        1 speculative,
        1 failed, 1 lost
workers 5, 1 silent
`},
		{"hardly a terminal", reducing, 20, `
map     [=====] 100%
reduce  [>----]  28%
tasks   64/64 map,
        3/16 reduce,
        4 running,
        2 retried,
        1 speculativ
        1 failed,
        1 lost
workers 5, 1 silent
`},
	} {
		got := shownAs(tt.job, tt.at)
		if diff := cmp.Diff(strings.TrimPrefix(tt.screen, "\n"), got); diff != "" {
			t.Errorf("%s at %d columns (-want +got):\n%s\n%s", tt.name, tt.at, diff, got)
		}
		for line := range strings.Lines(got) {
			if len(line) > tt.at+1 || strings.ContainsFunc(line, func(r rune) bool { return r > '~' || r < ' ' && r != '\n' }) {
				t.Errorf("%s at %d columns: %q", tt.name, tt.at, line)
			}
		}
	}
}

// TestPaceWithoutWorkers: the time in which nobody worked is no part of the time left.
func TestPaceWithoutWorkers(t *testing.T) {
	var s jobScreen
	j := jobNow{maps: phaseNow{tasks: 100, bytes: &status.Reading{Total: 1000}}}
	at := time.Unix(0, 0)
	for range 300 {
		at = at.Add(time.Second)
		if b := s.view(at, j).bars[0]; b.says != "waits for workers" || b.left() != "" && b.speed.left > 0 {
			t.Fatalf("%+v", b)
		}
	}
	j.workers = map[string]int{"busy": 1}
	var b bar
	for i := range 5 {
		at = at.Add(time.Second)
		j.maps.bytes.Done = int64(i) * 10
		b = s.view(at, j).bars[0]
	}
	if b.says != "" || b.left() != "1m35s left" {
		t.Errorf("%+v: %q", b, b.left())
	}
}
