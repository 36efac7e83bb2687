package cmd

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mraws/mraws/internal/coordinator"
)

const (
	// watchEvery is the interval of progress updates.
	watchEvery = 200 * time.Millisecond
	// tellEvery is the longest time between lines of progress where there are no bars; the
	// first comes after silence.
	tellEvery = 10 * time.Second
	// tellShare is the percentage after which there is one sooner, though not within tellLeast.
	tellShare = 10
	tellLeast = time.Second
)

// form is how progress is shown: "bar", "plain", "log", "json" or "none".
func (p *printer) form() string {
	switch {
	case p.progress != "auto":
		return p.progress
	case p.term.err && os.Getenv("TERM") != "dumb":
		return "bar"
	case p.logsProgress:
		return "log"
	}
	return "plain"
}

// follow shows work that goes on, as look tells it, until over is called: as bars on a
// terminal, which stay on the screen then, else as a line now and then. look returns false
// as long as there is nothing to show. All of it goes to stderr.
func (p *printer) follow(look func(now time.Time) (view, bool)) (over func()) {
	form, done := p.form(), make(chan struct{})
	if form == "none" {
		return func() {}
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		t := teller{last: time.Now()}
		shows := false
		show := func(now time.Time) {
			v, ok := look(now)
			if ok && !shows {
				shows = true
				p.activity.following.Add(1)
			}
			switch {
			case ok && form == "bar":
				p.err.draw(v.lines)
			case ok && t.due(now, v.bars[v.now]):
				p.tell(form, v)
			}
		}
		for {
			select {
			case <-done:
				if form == "bar" {
					show(time.Now())
					p.err.leave()
				}
				if shows {
					p.activity.following.Add(-1)
				}
				return
			case now := <-tick.C:
				show(now)
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

// teller decides when there is a line of progress.
type teller struct {
	name string // of the bar of the last line
	told int    // its percentage
	last time.Time
	said bool // there was a line
}

// due says whether there is to be a line of the bar now.
func (t *teller) due(now time.Time, b bar) bool {
	if b.name != t.name {
		t.name, t.told = b.name, 0
	}
	since, most := now.Sub(t.last), tellEvery
	if !t.said {
		most = silence
	}
	if since < tellLeast || since < most && b.percent()-t.told < tellShare {
		return false
	}
	t.last, t.told, t.said = now, b.percent(), true
	return true
}

// tell writes a line of progress.
func (p *printer) tell(form string, v view) {
	switch form {
	case "json":
		_ = json.NewEncoder(p.err).Encode(newProgressJSON(v)) // progress is not worth an error
	case "log":
		b := v.bars[v.now]
		line := p.log.Info().Str("phase", b.name).Int64("done", v.done).Int64("total", v.total)
		if v.done != b.done || v.total != b.total {
			line = line.Int64("bytes", b.done).Int64("bytes_total", b.total)
		}
		if b.speed.left > 0 {
			line = line.Str("left", roughly(b.speed.left))
		}
		line.Msg("progress")
	default:
		p.note("%s", v.plain())
	}
}

// progressJSON is a line of progress for programs. Done and Total count the tasks of a phase
// of a job, and else what the command counts.
type progressJSON struct {
	Schema string  `json:"schema"`
	What   string  `json:"what"`
	Done   int64   `json:"done"`
	Total  int64   `json:"total"`
	Rate   float64 `json:"per_second,omitempty"`   // bytes or things
	Left   float64 `json:"left_seconds,omitempty"` // absent where it cannot be told
	*jobProgressJSON
}

// jobProgressJSON is what there is of a job besides.
type jobProgressJSON struct {
	Bytes       int64 `json:"bytes"`
	BytesTotal  int64 `json:"bytes_total"`
	Running     int   `json:"running"`
	Retried     int   `json:"retried"`
	Speculative int   `json:"speculative"`
	Failed      int   `json:"failed"`
	Lost        int   `json:"lost"`
	Workers     int   `json:"workers"`
}

func newProgressJSON(v view) progressJSON {
	b := v.bars[v.now]
	return progressJSON{
		Schema: "mraws/progress/v1", What: b.name, Done: v.done, Total: v.total,
		Rate: b.speed.rate, Left: b.speed.left.Seconds(), jobProgressJSON: v.job,
	}
}

// progress is how far something of known size is.
type progress struct {
	done atomic.Int64
	end  func() // of showing it
}

// newProgress begins the progress of what; total counts bytes or things. The caller calls
// end.
func (p *printer) newProgress(what string, total int64, bytes bool) *progress {
	shown := new(progress)
	shown.end = p.followOne(what, !bytes, func() (done, all int64) { return shown.done.Load(), total })
	return shown
}

// followOne shows work that one bar is enough for. look returns a total of 0 as long as it is
// not known; the work is done with all of it.
func (p *printer) followOne(what string, things bool, look func() (done, total int64)) (over func()) {
	var pace pace
	return p.follow(func(now time.Time) (view, bool) {
		done, total := look()
		if total == 0 {
			return view{}, false
		}
		pace.note(now, done)
		b := bar{name: what, done: done, total: total, things: things, full: done >= total, speed: pace.tell(total)}
		return view{bars: []bar{b}, done: done, total: total}, true
	})
}

// set tells how much is done, from any goroutine.
func (p *progress) set(done int64) { p.done.Store(done) }

// through counts what is read from r as done.
func (p *progress) through(r io.Reader) io.Reader { return &counted{r, p} }

type counted struct {
	from     io.Reader
	progress *progress
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.from.Read(b)
	c.progress.done.Add(int64(n))
	return n, err
}

// watchJob shows the progress of a job until over is called, which is told whether the job
// is done.
func (p *printer) watchJob(c *coordinator.Coordinator) (over func(done bool)) {
	var s jobScreen
	var last jobNow
	var done atomic.Bool
	ctx, cancel := context.WithCancel(context.Background())
	ended := p.follow(func(now time.Time) (view, bool) {
		if st := c.Status(ctx); st != nil { // else it has stopped
			if p.doing(st.GetState(), !slices.Contains([]string{"starting", "preparing"}, st.GetState())); st.GetMap().GetTasks()+st.GetReduce().GetTasks() > 0 {
				last = nowOf(st)
				p.doing("", false)
			}
		}
		if last.done = done.Load(); last.maps.tasks+last.reduces.tasks == 0 { // not planned
			return view{}, false
		}
		return s.view(now, last), true
	})
	return func(ok bool) {
		done.Store(ok)
		cancel()
		ended()
	}
}
