package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/rs/zerolog"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/mraws/mraws/internal/coordinator"
)

// progress shows how far something of known size is: as a bar on a
// terminal, else as a line (or JSON object) every 10 s or 10%, at least a
// second apart, of a coordinator as one of its log. All of it goes to stderr.
type progress struct {
	what  string
	total int64
	unit  func(int64) string
	form  string // "bar", "plain", "log", "json" or "none"
	err   *lockedWriter
	log   zerolog.Logger

	bars *mpb.Progress
	bar  *mpb.Bar

	mu   sync.Mutex
	last time.Time // of the last line
	told int64     // done at the last line
}

// newProgress begins the progress of what; total counts bytes or things.
// The caller calls end. While a bar is shown, lines that others write to
// stderr are put above it.
func (p *printer) newProgress(what string, total int64, bytes bool) *progress {
	shown := &progress{what: what, total: total, unit: humanize.Comma, form: p.progress, err: p.err, log: p.log, last: time.Now()}
	if bytes {
		shown.unit = bytesText
	}
	if shown.form == "auto" {
		shown.form = "plain"
		if p.logsProgress {
			shown.form = "log"
		}
		if p.term.err && os.Getenv("TERM") != "dumb" {
			shown.form = "bar"
		}
	}
	if shown.form != "bar" {
		return shown
	}
	// mpb draws nothing unless it sees the terminal itself, so not our writer.
	shown.bars = mpb.New(mpb.WithOutput(p.err.first), mpb.WithWidth(80))
	shown.err.turn(shown.bars)
	var counters decor.Decorator = decor.CountersNoUnit("%d / %d")
	if bytes {
		counters = decor.CountersKibiByte("% .1f / % .1f")
	}
	shown.bar = shown.bars.AddBar(total,
		mpb.PrependDecorators(decor.Name("  "+what+" "), counters),
		mpb.AppendDecorators(decor.Percentage(), decor.Name(" ETA "), decor.AverageETA(decor.ET_STYLE_GO)))
	return shown
}

// set tells how much is done, from any goroutine.
func (p *progress) set(done int64) {
	if p.bar != nil {
		p.bar.SetCurrent(done)
		return
	}
	if p.form == "none" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	since := time.Since(p.last)
	if since < time.Second || (since < 10*time.Second && done-p.told < max(p.total/10, 1)) {
		return
	}
	p.last, p.told = time.Now(), done
	p.line(done)
}

func (p *progress) line(done int64) {
	if p.form == "json" {
		_ = json.NewEncoder(p.err).Encode(struct { // progress is not worth an error
			Schema string `json:"schema"`
			What   string `json:"what"`
			Done   int64  `json:"done"`
			Total  int64  `json:"total"`
		}{"mraws/progress/v1", p.what, done, p.total})
		return
	}
	if p.form == "log" {
		p.log.Info().Str("phase", p.what).Int64("done", done).Int64("total", p.total).Msg("progress")
		return
	}
	percent := int64(100)
	if p.total > 0 {
		percent = 100 * done / p.total
	}
	fmt.Fprintf(p.err, "%s: %d%%, %s of %s\n", p.what, percent, p.unit(done), p.unit(p.total))
}

// end takes the bar away from stderr; it stays on the screen as it is.
func (p *progress) end() {
	if p.bar == nil {
		return
	}
	if !p.bar.Completed() {
		p.bar.Abort(false)
	}
	p.bars.Wait()
	p.err.turn(p.err.first)
}

// watchEvery is the interval of progress updates.
const watchEvery = 200 * time.Millisecond

// watchJob shows the progress of a job until over is called.
func (p *printer) watchJob(c *coordinator.Coordinator) (over func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		var shown *progress
		phase := ""
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				if shown != nil {
					shown.end()
				}
				return
			case <-tick.C:
			}
			st := c.Status(ctx)
			if st.GetMap().GetTasks()+st.GetReduce().GetTasks() == 0 { // not planned, or stopped
				continue
			}
			now, at := "map", st.Map
			if at.Done == at.Tasks {
				now, at = "reduce", st.Reduce
			}
			if now != phase {
				if shown != nil {
					shown.set(shown.total)
					shown.end()
				}
				shown, phase = p.newProgress(now, int64(at.Tasks), false), now
			}
			shown.set(int64(at.Done))
		}
	})
	return func() { cancel(); watching.Wait() }
}
