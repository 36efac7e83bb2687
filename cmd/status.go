package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/status"
)

// statusFlags are those of `status`.
type statusFlags struct {
	json, watch bool
	every       time.Duration
}

func (f *frame) statusCommand() *cobra.Command {
	o := &statusFlags{}
	c := &cobra.Command{
		Use:   "status",
		Short: "Show the status of a job",
		Long: "Show the status of a job: its committed tasks, for which no coordinator is needed, and, if\n" +
			"the coordinator answers, its workers and running attempts; if none does, what the event log says\n" +
			"of these. The exit code is 0 whatever the job's state, and 2 if there is no job.",
		Example: "  " + f.name + " status\n  " + f.name + " status last --watch\n  " + f.name + " status --prefix runs/42\n  " + f.name + " status --json | jq .state",
		RunE: f.run(func(ctx context.Context, s *session, _ []string) (err error) {
			if o.json {
				f.output = "json"
			}
			token, err := s.token()
			if err != nil {
				return err
			}
			show, over := s.showReports(o.watch)
			defer over()
			log := new(status.LogReader)
			for {
				began := time.Now()
				if over, err := showJob(ctx, s, o, token, log, show); over || err != nil {
					return err
				}
				// Listings of large jobs take long, and cost.
				select {
				case <-ctx.Done():
					return context.Cause(ctx)
				case <-time.After(max(o.every, 4*time.Since(began), 100*time.Millisecond)):
				}
			}
		}),
	}
	c.Flags().BoolVar(&o.json, "json", false, "the same as -o json")
	c.Flags().BoolVar(&o.watch, "watch", false, "repeat until the job is done or has failed")
	c.Flags().DurationVar(&o.every, "every", 2*time.Second, "interval of --watch")
	config.AddFlags(c.Flags(), "tls-ca", "tls-cert", "tls-key", "token-file")
	f.takesJob(c, 0)
	return c
}

// askPatience is how long the coordinator may take to answer.
const askPatience = 3 * time.Second

// showJob shows the job below the session's prefix, and says whether that is
// all there is to show. The store is closed in between: if this process serves
// an embedded one, nobody is to come to depend on that.
func showJob(ctx context.Context, s *session, f *statusFlags, token string, log *status.LogReader, show func(*status.Report) error) (over bool, err error) {
	st, err := s.openStore(ctx, found)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	r, err := status.Read(ctx, status.Options{
		Store: st, Buckets: st.readable, Layout: s.layout, Files: tlsFiles(s.conf), Token: token, Patience: askPatience, Log: log,
	})
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	if err != nil {
		return false, statusError(ctx, s, st, err)
	}
	if r.Incomplete() {
		r.Notes = append(r.Notes, s.paste("the job is done, but records or outputs are missing: `mraws verify` lists them"))
	}
	return !f.watch || r.Over(), show(r)
}

// showReports returns what shows one report after the other, until over is called: as bars
// on a terminal, and at the end whole; below each other elsewhere, and as documents, where there may be
// several one after the other.
func (p *printer) showReports(watch bool) (show func(*status.Report) error, over func()) {
	if watch && !p.forMachines() && p.term.out && os.Getenv("TERM") != "dumb" {
		return p.watchReports()
	}
	gap := ""
	return func(r *status.Report) error {
		switch {
		case p.forMachines() && watch:
			doc, err := encodeNext(p.output, r)
			if err != nil {
				return fmt.Errorf("write result as %s: %w", p.output, err)
			}
			_, err = safely{p.io.Out}.Write(doc)
			return err
		case p.forMachines():
			return p.printDoc(r)
		}
		err := p.say("%s%s", gap, statusText(r))
		gap = "\n"
		return err
	}, func() {}
}

// watchReports draws reports as a coordinator draws its job.
func (p *printer) watchReports() (show func(*status.Report) error, over func()) {
	to := p.err
	if !p.term.err {
		to = &lockedWriter{first: p.out.first}
	}
	p.activity.following.Add(1)
	var s jobScreen
	return func(r *status.Report) error {
			v := s.report(time.Now(), r)
			if !r.Over() {
				to.draw(v.lines)
				return nil
			}
			to.draw(view{bars: v.bars}.lines) // the text below says the rest
			to.leave()
			return p.say("%s", statusText(r))
		}, func() {
			to.leave()
			p.activity.following.Add(-1)
		}
}

// statusError explains why there is nothing to tell.
func statusError(ctx context.Context, s *session, st *store, err error) error {
	var none *status.NoJobError
	var unreadable *status.UnreadableError
	switch {
	case errors.As(err, &none):
		return &Error{Code: ExitUsage, What: err.Error(), Hint: otherPrefixes(ctx, st, s.layout)}
	case errors.As(err, &unreadable):
		return &Error{Code: ExitConflict, What: unreadable.Key + " cannot be read", Cause: unreadable.Err,
			Hint: "it is damaged, or another version of " + s.name + " wrote it: use that version, or remove the job: `mraws reset --yes`"}
	}
	return fmt.Errorf("read the status of the job in s3://%s: %w", s.where(), err)
}

// mostPrefixes is how many prefixes a hint names.
const mostPrefixes = 5

// otherPrefixes is a hint on where else a job may be: right below the root of
// the bucket, where `run` puts each of its jobs into a folder of its own.
func otherPrefixes(ctx context.Context, st *store, lay layout.Layout) string {
	if lay.Prefix() != "" {
		return nameJob
	}
	var names []string
	for dir, err := range st.ListDirs(ctx, "") {
		if err != nil {
			return nameJob // what could not be found is no job
		}
		switch dir {
		case lay.InputDir(), lay.IntermediateDir(), lay.OutputDir():
		default:
			names = append(names, fmt.Sprintf("%q", strings.TrimSuffix(dir, "/")))
		}
	}
	if len(names) == 0 {
		return nameJob
	}
	more := ""
	if n := len(names) - mostPrefixes; n > 0 {
		names, more = names[n:], fmt.Sprintf(" and %d before these", n)
	}
	return nameJob + "; the bucket has " + strings.Join(names, ", ") + more
}
