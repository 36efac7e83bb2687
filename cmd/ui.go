package cmd

import (
	"context"
	"crypto/rand"
	"errors"
	"iter"
	"net"
	"net/url"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/coordinator"
	"github.com/mraws/mraws/internal/dashboard"
	assets "github.com/mraws/mraws/internal/dashboard/page"
	"github.com/mraws/mraws/internal/escape"
	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/jobs"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/metrics"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/s3fs"
)

func (f *frame) uiCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "ui",
		Short: "Serve the dashboard of the jobs of a bucket or a data folder",
		Long: "Serve a page that shows the jobs of a bucket or a data folder, those below --prefix, or all of\n" +
			"them, and each of them live, whatever process runs it and after its end. It prints the link, and\n" +
			"serves until it is interrupted. JOB is the one that the link opens.\n\n" +
			"It listens on port 1235 of loopback, or on a free one if that is taken. --http names another\n" +
			"address; if others can reach that, the link has a token, and nothing is served without it.",
		Example: "  " + f.name + " ui\n  " + f.name + " ui last --local\n  " + f.name + " ui --bucket my-bucket --http 0.0.0.0:8080",
		RunE: f.run(func(ctx context.Context, s *session, _ []string) error {
			base, given := s.layout.Prefix(), s.job != ""
			return s.withStore(ctx, func(st *store) error {
				b := &board{session: s, base: base, st: st}
				addresses := []string{s.conf.HTTP}
				if s.conf.HTTP == "" {
					addresses = []string{uiAddress, "127.0.0.1:0"}
				}
				if err := b.open(addresses...); err != nil {
					return err
				}
				path := "/"
				if given {
					path = jobPage(s.layout.Prefix())
				}
				if err := s.say("%s", b.link(path)); err != nil {
					return errors.Join(err, b.Close())
				}
				<-ctx.Done()
				return errors.Join(context.Cause(ctx), b.Close())
			})
		}),
	}
	f.takesJob(c, 0)
	config.AddFlags(c.Flags(), "http")
	return c
}

// uiAddress is where ui listens if it may choose: an address that one can remember.
const uiAddress = "127.0.0.1:1235"

// board is a dashboard that this process serves.
type board struct {
	*session
	base string // below which jobs are shown
	st   *store

	pages  *dashboard.Server
	server *metrics.Server
	token  string // "" for none
	asked  object.Tally

	mu  sync.Mutex
	led map[string]*coordinator.Coordinator // of this process, by prefix
}

// openBoard serves the dashboard where that is configured, and prints the link to the job
// below a prefix. The caller closes s.board.
func (s *session) openBoard(st *store, prefix string) error {
	if s.conf.HTTP == "" {
		return nil
	}
	b := &board{session: s, base: layout.New(s.conf.Prefix).Prefix(), st: st}
	if err := b.open(s.conf.HTTP); err != nil {
		return err
	}
	s.board = b
	s.note("dashboard: %s", b.link(jobPage(prefix)))
	return nil
}

// open serves at the first of the addresses that is free.
func (b *board) open(addresses ...string) (err error) {
	address := addresses[0]
	if !onLoopback(address) {
		b.token = rand.Text()
	}
	store := lookStore{b.st.Store, &b.asked}
	at := *b.session.target // as it is now: a run changes its own
	o := dashboard.Options{
		Store: store, Files: assets.Assets, Log: b.log, Token: b.token, MaxUSD: b.conf.MaxUSD, Hurry: b.hurry,
		Jobs: jobOptions(b.st, b.base),
		Explain: func(prefix string, state *events.State, job *manifest.Job) (any, []dashboard.Finding) {
			at, line := at, *b.commandLine
			at.layout = layout.New(prefix)
			line.at = &at
			return explainedTo(state, job, line.paste)
		},
	}
	o.Jobs.Store = store
	o.Jobs.Buckets = func(name string) jobs.Store { return lookStore{b.st.In(name), &b.asked} }
	b.pages = dashboard.New(o)
	for _, address = range addresses {
		if b.server, err = metrics.Serve(address, b.pages); err == nil {
			return nil
		}
	}
	_ = b.pages.Close() // it has no reader
	if errors.Is(err, syscall.EADDRINUSE) {
		return &Error{Code: ExitConflict, What: "cannot serve the dashboard on " + address, Cause: err,
			Hint: "each process needs a port of its own: choose another for --http, or 0 for any"}
	}
	return &Error{Code: ExitUsage, What: "cannot serve the dashboard on " + address, Cause: err, Hint: "check --http"}
}

// jobPage is the path of the page of a job.
func jobPage(prefix string) string { return (&url.URL{Path: "/job/" + prefix}).EscapedPath() }

// link is the address of a page, with the token.
func (b *board) link(path string) string {
	host, port, err := net.SplitHostPort(b.server.Addr().String())
	if err != nil {
		return ""
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		if reached, err := advertised("", boundTo{b.server.Addr()}); err == nil {
			host, _, _ = net.SplitHostPort(reached[0])
		}
	}
	link := "http://" + net.JoinHostPort(host, port) + path
	if b.token != "" {
		link += "?token=" + b.token
	}
	return link
}

// boundTo is a listener of which only the address is asked.
type boundTo struct{ addr net.Addr }

func (l boundTo) Addr() net.Addr            { return l.addr }
func (l boundTo) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (l boundTo) Close() error              { return nil }

// explainedTo is what a page shows of what cost a job most time.
func explainedTo(state *events.State, job *manifest.Job, paste func(string) string) (any, []dashboard.Finding) {
	r := explained(state, job, paste)
	list := make([]dashboard.Finding, len(r.Findings))
	for i, f := range r.Findings {
		list[i] = dashboard.Finding{
			Cause: string(f.Cause), Title: causeText(f.Cause), Seconds: f.Seconds, Share: f.Share, Phases: f.Phases,
			Text: escape.Line(f.Text), Setting: escape.Line(f.Advice),
		}
	}
	return r, list
}

// lead says that a coordinator of this process leads the job below a prefix.
func (b *board) lead(prefix string, c *coordinator.Coordinator) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.led == nil {
		b.led = map[string]*coordinator.Coordinator{}
	}
	b.led[prefix] = c
}

// hurry lets a coordinator of this process write its event log sooner.
func (b *board) hurry(prefix string) {
	b.mu.Lock()
	c := b.led[prefix]
	b.mu.Unlock()
	if c != nil {
		c.Hurry()
	}
}

// traffic is what the dashboard has asked of the store: no part of what a job has.
func (b *board) traffic() object.Traffic {
	if b == nil {
		return object.Traffic{}
	}
	return b.asked.Traffic()
}

// Close ends the dashboard, and the streams of its readers first.
func (b *board) Close() error {
	if b == nil {
		return nil
	}
	return errors.Join(b.pages.Close(), b.server.Close())
}

// lookStore reads a store, and counts what that asks of it.
type lookStore struct {
	*s3fs.Store
	asked *object.Tally
}

// Get implements [dashboard.Store].
func (s lookStore) Get(ctx context.Context, key string) ([]byte, object.Info, error) {
	return s.Store.Get(object.WithTally(ctx, s.asked), key)
}

// List implements [dashboard.Store].
func (s lookStore) List(ctx context.Context, prefix string) iter.Seq2[object.Info, error] {
	return s.Store.List(object.WithTally(ctx, s.asked), prefix)
}

// Dirs implements [dashboard.Store].
func (s lookStore) Dirs(ctx context.Context, prefix string, pages int) (dirs []string, more bool, err error) {
	return s.Store.Dirs(object.WithTally(ctx, s.asked), prefix, pages)
}
