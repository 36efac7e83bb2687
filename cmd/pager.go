package cmd

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"github.com/spf13/cobra"
)

// Long output on a terminal goes through a pager, as that of git does.

// pagesOutput is the annotation of a command whose output goes through a pager.
const pagesOutput = "mraws pages"

// paging makes the output of a command go through a pager.
func paging(c *cobra.Command) *cobra.Command {
	annotate(c, pagesOutput, "yes")
	return c
}

func annotate(c *cobra.Command, name, value string) {
	if c.Annotations == nil {
		c.Annotations = map[string]string{}
	}
	c.Annotations[name] = value
}

// defaultPager ends at once where the text fits the screen, and leaves it there.
const defaultPager = "less"

// pagerOf is the command line of the pager for a command, "" for none.
func (f *frame) pagerOf(c *cobra.Command) string {
	if follow := c.Flags().Lookup("follow"); c.Annotations[pagesOutput] == "" || !f.pages() || follow != nil && follow.Changed {
		return ""
	}
	return f.pagerCommand(c)
}

// pages tells whether stdout is a terminal on which a pager can move.
func (f *frame) pages() bool {
	term := os.Getenv("TERM")
	return f.term.out && term != "" && term != "dumb"
}

// pagerCommand is the command line of the pager that is set, "" for none. A configuration
// that is broken is as good as none.
func (f *frame) pagerCommand(c *cobra.Command) string {
	setting := "auto"
	if conf, err := f.load(c); err == nil {
		setting = conf.Pager
	}
	if setting == "auto" {
		named := false
		if setting, named = os.LookupEnv("PAGER"); !named {
			if _, err := exec.LookPath(defaultPager); err != nil {
				return ""
			}
			setting = defaultPager
		}
	}
	if setting == "never" || setting == "cat" {
		return ""
	}
	return setting
}

// errPagerClosed is the cause of a context whose pager has ended: nobody reads on.
var errPagerClosed = errors.New("the pager was closed")

// paged runs do with stdout through a pager, if there is one, and waits for its user.
// Nothing that is written to stderr meanwhile is shown before that.
func (f *frame) paged(ctx context.Context, command string, do func(ctx context.Context) error) error {
	if command == "" {
		return do(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := &pager{printer: f.printer, command: command, cancel: cancel, signals: func() <-chan os.Signal { return allSignals(ctx) }}
	f.io.Out = p
	err := do(ctx)
	f.io.Out = f.out
	if code := p.close(); code == 126 || code == 127 { // of a shell that found no such program
		return usagef("--no-pager shows the output without one", "cannot run the pager %q", command)
	}
	var sig Signal
	switch stopped := errors.Is(err, errPagerClosed) || errors.Is(err, context.Canceled); {
	case err == nil || !stopped && context.Cause(ctx) == nil:
	case errors.As(context.Cause(ctx), &sig):
		return &Error{Code: sig.Code(), What: sig.Error()}
	case stopped:
		return nil
	}
	return err
}

// pager is a pager, which starts when something is written to it.
type pager struct {
	*printer
	command string
	cancel  context.CancelCauseFunc
	signals func() <-chan os.Signal

	begin   sync.Once
	in      io.WriteCloser // of the pager; nil if it has not started
	restore []func()       // what the printer was before
	ended   chan struct{}
	code    int // that it ended with
}

// Write implements io.Writer.
func (p *pager) Write(b []byte) (int, error) {
	p.begin.Do(p.start)
	if p.in == nil { // there is no such pager
		return p.out.Write(b)
	}
	n, err := p.in.Write(b)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, os.ErrClosed) {
		err = errPagerClosed
	}
	return n, err
}

// start starts the pager. The terminal, and Ctrl-C, are the pager's until it ends.
func (p *pager) start() {
	c := exec.Command("sh", "-c", p.command)
	c.Stdout, c.Stderr = p.out.first, p.err.first
	c.Env = os.Environ()
	if _, set := os.LookupEnv("LESS"); !set {
		c.Env = append(c.Env, "LESS=FRX")
	}
	in, err := c.StdinPipe()
	if err != nil {
		return
	}
	if err := c.Start(); err != nil {
		return
	}
	p.in, p.ended = in, make(chan struct{})
	p.restore = []func(){p.hush(), p.err.hold()}
	signals := p.signals()
	go func() {
		_ = c.Wait() // whatever it ends with, its user has seen enough
		p.code = c.ProcessState.ExitCode()
		p.cancel(errPagerClosed)
		close(p.ended)
	}()
	go func() {
		for {
			select {
			case <-p.ended:
				return
			case s := <-signals:
				p.cancel(Signal{s})
				if s != os.Interrupt {
					_ = c.Process.Signal(s) // it may have ended
				}
			}
		}
	}()
}

// close ends the input of the pager, waits for its end, shows what was held back, and
// returns the exit code of the pager.
func (p *pager) close() int {
	if p.in == nil {
		return 0
	}
	_ = p.in.Close() // it may have ended
	<-p.ended
	for _, back := range p.restore {
		back()
	}
	return p.code
}
