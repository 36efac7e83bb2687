package cmd

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/mraws/mraws/internal/coordinator"
	"github.com/mraws/mraws/internal/spot"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/internal/worker"
)

// roleError gives the errors of coordinator and worker their exit codes and
// hints. Errors that it does not know go on to explain.
func (l *commandLine) roleError(err error) error {
	var reset *coordinator.ResetError
	if errors.As(err, &reset) {
		err = l.roleError(reset.Err)
		if e := (*Error)(nil); errors.As(err, &e) {
			e.Hint = "job " + reset.Job + " was removed while it ran, and its committed tasks with it; `mraws reset --yes` removes what was written since\n" +
				"to run it from the beginning: " + l.again()
		}
		return err
	}
	var conflict *coordinator.ConflictError
	var job *coordinator.JobError
	var failed *worker.JobFailedError
	var unreachable *worker.UnreachableError
	var stuck *worker.StuckError
	var sig Signal
	var notice *spot.Notice
	switch {
	case err == nil:
		return nil
	case errors.As(err, &sig):
		return &Error{Code: sig.Code(), What: sig.Error()}
	case errors.As(err, &notice):
		return &Error{Code: ExitTerminate, What: notice.Error()}
	case errors.Is(err, coordinator.ErrNoInput):
		return &Error{Code: ExitUsage, What: err.Error(),
			Hint: "`mraws upload-input PATH…` uploads files (names that begin with _ or a dot are no input); --allow-empty accepts a job without input"}
	case errors.Is(err, coordinator.ErrFolderObject):
		return &Error{Code: ExitUsage, What: err.Error(),
			Hint: "if it is input, give it a key without the slash; otherwise delete it"}
	case errors.As(err, &conflict):
		return &Error{Code: ExitConflict, What: conflict.What, Cause: lines(conflict.Diff), Hint: conflict.Hint}
	case errors.As(err, &job):
		return &Error{Code: ExitJobFailed, What: "the job failed", Cause: errors.New(job.Cause), Hint: l.failureHint(job)}
	case errors.As(err, &failed):
		return &Error{Code: ExitJobFailed, What: "the coordinator ended the job", Cause: errors.New(failed.Cause)}
	case errors.As(err, &stuck):
		return &Error{Code: ExitInternal, What: err.Error(),
			Hint: "the log has the stack of each; start the worker again to run other tasks"}
	case errors.As(err, &unreachable) && wire.IsDenied(unreachable.Cause):
		return &Error{Code: ExitDenied, What: "the coordinator at " + unreachable.Where + " rejected this worker", Cause: unreachable.Cause,
			Hint: "set --token-file on both sides, with the same token, or on neither"}
	case errors.As(err, &unreachable) && wire.IsMismatch(unreachable.Cause):
		return &Error{Code: ExitUnreachable, What: "TLS handshake failed: " + unreachable.Where, Cause: unreachable.Cause,
			Hint: "set --tls-ca, --tls-cert and --tls-key, or --insecure, on both sides or on neither; another program may use that port"}
	case errors.As(err, &unreachable):
		return &Error{Code: ExitUnreachable, What: unreachable.Error(), Cause: unreachable.Cause,
			Hint: "start it with `mraws coordinator`, check --coord and the firewall, or wait longer with --coord-timeout"}
	}
	if r, ok := wire.AsRefusal(err); ok {
		code := ExitConflict
		if r.Reason == wire.ReasonUsage {
			code = ExitUsage
		}
		return &Error{Code: code, What: r.What, Hint: r.Hint}
	}
	return err
}

// stopHint says how to go on with a job that a signal stopped, and how to
// remove what there is of it; "" for a command that has begun none.
func (l *commandLine) stopHint() string {
	if l.at == nil || !l.at.chosen || !slices.Contains([]string{"run", "coordinator"}, l.at.verb) {
		return ""
	}
	remove := "`mraws reset --yes`"
	if l.at.ownPrefix {
		remove = "`mraws reset --yes --input`"
	}
	return "committed tasks are kept; to resume: " + l.again() + "\nto remove the job: " + remove
}

// failedTask and failedRecord are what the cause of a failed job says of the
// task and of the record at hand.
var (
	failedTask   = regexp.MustCompile(`^(map|reduce) task ([0-9]+): `)
	failedRecord = regexp.MustCompile(`record at byte [0-9]+ of |longer than [0-9]+ bytes`)
)

// failureHint is what can be done about a job that failed.
func (l *commandLine) failureHint(job *coordinator.JobError) string {
	cause := job.Cause
	if job.Input {
		return "put the input back as it was, or remove the job with `mraws reset --yes`; then start it again: " + l.again()
	}
	var b strings.Builder
	if m := failedTask.FindStringSubmatch(cause); m != nil {
		b.WriteString("`mraws replay " + m[1] + "-" + m[2] + "` runs only this task again\n")
	}
	if failedRecord.MatchString(cause) {
		b.WriteString("a new run with --max-bad-records N skips up to N such records, after `mraws reset --yes`\n")
	}
	b.WriteString("committed tasks are kept; once the cause is removed, to resume: " + l.again())
	return b.String()
}

// lines makes one error of several lines of explanation.
func lines(of []string) error {
	if len(of) == 0 {
		return nil
	}
	return errors.New(strings.Join(of, "\n"))
}
