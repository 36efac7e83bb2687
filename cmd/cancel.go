package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/cancel"
	"github.com/mraws/mraws/internal/coordinator/lease"
	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/wire"
)

func (f *frame) cancelCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "cancel",
		Short: "End a job and keep what is committed",
		Long: "End a job. Its coordinator sees that when it renews its lease, tells its workers and the\n" +
			"standbys, and all of them end with exit code 9. The command waits for that. A job whose coordinator\n" +
			"is gone is marked as cancelled.\n\n" +
			"Nothing is deleted: committed tasks are kept, and a `run` or `coordinator` line that is started\n" +
			"again resumes the job. `reset` removes it. A job that is done or has failed is exit code 7.",
		Example: "  " + f.name + " cancel counts\n  " + f.name + " cancel last\n  " + f.name + " cancel --prefix runs/42",
		RunE: f.run(func(ctx context.Context, s *session, _ []string) error {
			return s.withStore(ctx, func(st *store) error { return cancelJob(ctx, s, st) })
		}),
	}
	f.takesJob(c, 0)
	return c
}

func cancelJob(ctx context.Context, s *session, st *store) error {
	o := cancel.Options{
		Store: st, Layout: s.layout, Output: st, Ended: lease.HasEnded,
		By: manifest.Cancel{At: time.Now().UTC().Truncate(time.Second), By: thisUser()},
	}
	o.Waits = func(a *manifest.Coordinator) {
		s.note("waiting for the coordinator at %s to end", wire.Text(strings.Join(a.Addresses, ", "), 255))
	}
	job, _, err := jobstate.ReadJob(ctx, st, s.layout)
	switch {
	case err == nil:
		if o.Layout = job.Layout(s.layout); job.OutputAt.Bucket != "" {
			o.Output = st.In(job.OutputAt.Bucket)
		}
	case !errors.Is(err, fs.ErrNotExist) && !jobstate.Invalid(err):
		return err
	}
	outcome, err := cancel.Run(ctx, o)
	if err != nil {
		return fmt.Errorf("cancel the job in s3://%s: %w", s.where(), err)
	}
	return cancelled(s, outcome)
}

// cancelled says what came of it.
func cancelled(s *session, outcome cancel.Outcome) error {
	where := "s3://" + s.where()
	conflict := func(hint, format string) error {
		return &Error{Code: ExitConflict, What: fmt.Sprintf(format, where), Hint: hint}
	}
	text := ""
	switch outcome {
	case cancel.Done:
		return conflict("`mraws status` shows it", "nothing to cancel: the job in %s is done")
	case cancel.Failed:
		return conflict("`mraws status` shows why", "nothing to cancel: the job in %s has failed")
	case cancel.Never:
		return usagef(nameJob, "there is no job in %s: no coordinator has announced itself", where)
	case cancel.TakenOver:
		return conflict("`mraws cancel` cancels that one", "another coordinator was started meanwhile on the job in %s")
	case cancel.Ignored:
		return conflict("end it with a signal: it is of a version that cannot be cancelled, or the store honours no conditional writes", "the coordinator of the job in %s goes on")
	case cancel.Ended:
		text = "cancelled " + where + ": its coordinator has ended"
	case cancel.Marked:
		text = "cancelled " + where + ": no coordinator runs it"
	case cancel.Before:
		text = where + " was cancelled before"
	}
	if s.forMachines() {
		return s.printDoc(struct {
			Schema  string         `json:"schema"`
			Bucket  string         `json:"bucket"`
			Prefix  string         `json:"prefix"`
			Outcome cancel.Outcome `json:"outcome"`
		}{"mraws/cancel/v1", s.conf.Bucket, s.layout.Prefix(), outcome})
	}
	if err := s.say("%s", text); err != nil {
		return err
	}
	s.note("%s", s.paste("committed tasks are kept: the line that began the job resumes it, and `mraws reset --yes` removes it"))
	return nil
}

// thisUser names who runs this process, for people.
func thisUser() string {
	name := "user " + strconv.Itoa(os.Getuid())
	if u, err := user.Current(); err == nil && layout.ValidName(u.Username) {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return wire.Text(name+"@"+host, 255)
}
