package cmd

import (
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/mraws/mraws/internal/s3fs"
)

// silence is how long a command may be at work and say nothing.
const silence = 2 * time.Second

// activity is what is known of a command that is at work, for [printer.breakSilence].
type activity struct {
	following atomic.Int32 // how many show progress of their own
	hushed    atomic.Int32 // how many want nothing to be shown, such as a question
	what      atomic.Pointer[errand]
	store     atomic.Pointer[s3fs.Store] // that the command works on; nil for none yet
}

// hush keeps the terminal as it is until the returned function is called.
func (p *printer) hush() (over func()) {
	p.err.erase()
	p.activity.hushed.Add(1)
	return func() { p.activity.hushed.Add(-1) }
}

// errand is what a command does. One that waits for others is no news for a log.
type errand struct {
	text  string
	waits bool
}

// doing says what the command does from now on; "" is nothing in particular.
func (p *printer) doing(what string, waits bool) { p.activity.what.Store(&errand{what, waits}) }

// breakSilence shows that the command is at work while nothing else has been shown for a
// time, until over is called: a line that is drawn on a terminal, else one now and then.
// What a program reads as JSON stays what it is.
func (p *printer) breakSilence(verb string) (over func()) {
	if verb == "worker" || verb == "s3" { // which wait for others
		return func() {}
	}
	began, done := time.Now(), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		told, drawn := time.Time{}, false
		for {
			var now time.Time
			select {
			case <-done:
				if drawn && p.activity.following.Load() == 0 {
					p.err.erase()
				}
				return
			case now = <-tick.C:
			}
			form := p.form()
			switch {
			case form == "none" || form == "json" || verb == "hadoop" && form != "bar": // read by programs
			case p.activity.following.Load() > 0: // whose lines are in place of this one
				drawn = false
			case !p.silent(now, began):
				if drawn {
					p.err.erase()
				}
				drawn = false
			case form == "bar":
				drawn = true
				p.err.draw(view{more: []parts{p.atWork(verb, now.Sub(began))}}.lines)
			case p.waiting(): // others
			case told.IsZero() || now.Sub(told) >= tellEvery:
				told = now
				v := p.atWork(verb, now.Sub(began))
				if form == "log" {
					p.log.Info().Str("phase", v.name).Strs("so_far", v.of).Msg("progress")
				} else {
					p.note("%s", view{more: []parts{v}}.plain())
				}
			}
		}
	})
	return func() { close(done); wg.Wait() }
}

// silent says whether nothing has been shown for long.
func (p *printer) silent(now, began time.Time) bool {
	last := began
	for _, t := range []time.Time{p.err.lastWrite(), time.Unix(0, p.out.last.Load())} {
		if t.After(last) {
			last = t
		}
	}
	if p.out.last.Load() != 0 && isPipe(p.out.first) {
		return false // the program that reads it may show it on this terminal
	}
	return p.activity.hushed.Load() == 0 && now.Sub(last) >= silence
}

// waiting says whether the command waits for others.
func (p *printer) waiting() bool {
	t := p.activity.what.Load()
	return t != nil && t.waits
}

func isPipe(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&fs.ModeNamedPipe != 0
}

// atWork says what the command does, for how long, and what it has asked of the store.
func (p *printer) atWork(verb string, since time.Duration) parts {
	what := parts{name: verb, of: []string{roughly(since)}}
	if t := p.activity.what.Load(); t != nil && t.text != "" {
		what.of = []string{t.text, roughly(since)}
	}
	st := p.activity.store.Load()
	if st == nil {
		return what
	}
	var requests int64
	for _, n := range st.Requests() {
		requests += n
	}
	what.of = append(what.of, humanize.Comma(requests)+" requests")
	for _, moved := range []struct {
		bytes int64
		word  string
	}{{st.Activity().Received, "received"}, {st.Activity().Sent, "sent"}} {
		if moved.bytes > 0 {
			what.of = append(what.of, bytesText(moved.bytes)+" "+moved.word)
		}
	}
	return what
}
