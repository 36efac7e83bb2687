package cmd

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/mraws/mraws/internal/coordinator"
	"github.com/mraws/mraws/internal/decompress"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/spot"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/internal/worker"
)

// roleError gives the errors of coordinator and worker their exit codes and
// hints. Errors that it does not know go on to explain.
func (l *commandLine) roleError(err error) error {
	var reset *coordinator.ResetError
	var over *coordinator.BudgetError
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
	var size *manifest.SizeError
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
			Hint: l.nameInput() + "`mraws upload-input PATH…` uploads files (names that begin with _ or a dot are no input); --allow-empty accepts a job without input"}
	case isInputError(err):
		return inputError(err)
	case errors.As(err, new(*decompress.RefusedError)):
		return &Error{Code: ExitUsage, What: err.Error(), Hint: asItIs}
	case errors.As(err, &size):
		return &Error{Code: ExitUsage, What: err.Error(), Hint: "correct the object, leave it out with --exclude, or name the format that it has with --format"}
	case errors.As(err, &conflict):
		return &Error{Code: ExitConflict, What: conflict.What, Cause: differences(conflict), Hint: conflictHint(conflict)}
	case errors.As(err, &job):
		return &Error{Code: ExitJobFailed, What: "the job failed", Cause: lines(slices.DeleteFunc([]string{job.Cause, job.Reads}, func(s string) bool { return s == "" })), Hint: l.failureHint(job)}
	case errors.As(err, &over):
		return &Error{Code: ExitCancelled, What: "stopped: " + err.Error(), Hint: l.budgetHint(over)}
	case errors.As(err, new(*coordinator.CancelledError)):
		return &Error{Code: ExitCancelled, What: err.Error(), Hint: l.stopHint()}
	case errors.As(err, &failed) && failed.Cancelled:
		return &Error{Code: ExitCancelled, What: failed.Cause}
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
	for _, a := range planAdvice {
		if errors.Is(err, a.err) {
			return &Error{Code: ExitUsage, What: err.Error(), Hint: a.hint}
		}
	}
	if r, ok := wire.AsRefusal(err); ok {
		code, hint := refusalAdvice(r)
		return &Error{Code: code, What: r.What, Hint: hint}
	}
	return err
}

// planAdvice says what can be done about each reason for which a job cannot be planned.
var planAdvice = []struct {
	err  error
	hint string
}{
	{coordinator.ErrNoEarlierJob, "--reuse names the --prefix of the earlier job, or last; leave it out to read all input"},
	{coordinator.ErrManyTasks, "raise --split-size"},
	{coordinator.ErrManyLineTasks, "more lines a task make fewer tasks"},
	{coordinator.ErrCompressedLines, "decompress it before, or let the size decide what a task reads"},
	{coordinator.ErrOwnObjects, "name folders in which the job has none of its own, or give it a --prefix outside of them"},
	{coordinator.ErrFolderObject, "if it is input, give it a key without the slash; otherwise delete it"},
}

// nameInput is the hint for a run that names no input; "" for other commands.
func (l *commandLine) nameInput() string {
	if l.at == nil || l.at.verb != "run" || l.at.step {
		return ""
	}
	return "name files or folders: " + strings.TrimSuffix(l.again(), "`") + " PATH…`\n"
}

// conflictHints say what can be done about each kind of conflict.
var conflictHints = map[coordinator.ConflictKind]string{
	coordinator.ForeignObject: "`mraws reset --yes` empties intermediate/ and output/, or choose another --prefix",
	coordinator.OtherJob:      "`mraws reset --yes` removes that job, or give this one a --prefix of its own",
	coordinator.OtherInput: "the job resumes only over the versions (ETags) that it was planned with\n" +
		"`mraws reset --yes` removes the job, and the same line then runs it over the input as it is now; or give this one a --prefix of its own",
	coordinator.OtherCoordinator: "nothing is lost: the other coordinator resumes the job",
	coordinator.WasReset:         "nothing of this job is left to go on with; give it a --prefix of its own to run it beside the other",
	coordinator.DamagedRecord:    "delete that object and start the same line again: its map task is run again",
	coordinator.DamagedSummary:   "delete that object and start the same line again: the summary is written again, and no task is run again",
	coordinator.DamagedOutput:    "delete that object and start the same line again: its task is run again",
	coordinator.ForeignPlace:     "name another place with --output-at, or reset the job that this one belongs to",
	coordinator.ForeignOutput:    "delete that object, or name another place with --output-at",
}

// conflictHint says what can be done about a conflict.
func conflictHint(c *coordinator.ConflictError) string {
	hint := conflictHints[c.Kind]
	if c.Kind == coordinator.OtherJob && slices.Contains(c.Diff, "decompress by content: false -> true") {
		return "an earlier version planned that job, which told compressed input by its names: finish it with that version; or " + hint
	}
	return hint
}

// refusalAdvice is the exit code of a refusal, and what can be done about it.
// A reason that a newer coordinator gives has no advice.
func refusalAdvice(r *wire.Refusal) (code int, hint string) {
	about := shellQuote(r.About)
	switch r.Reason {
	case wire.ReasonVersion:
		return ExitConflict, "run the same version of the binary everywhere"
	case wire.ReasonBuild:
		return ExitConflict, "run the same build of the binary everywhere"
	case wire.ReasonApp:
		if r.About == "" {
			return ExitConflict, "start the worker without --app"
		}
		return ExitConflict, "start the worker with --app " + about
	case wire.ReasonExecutables:
		return ExitConflict, "install the program on the worker, or ship it: the coordinator takes --file and --archive; a program that runs no modules needs cli.With(wasm.Runtime())"
	case wire.ReasonRows:
		return ExitUsage, "start the coordinator with a format of rows, " + formatsHint
	case wire.ReasonParams:
		return ExitConflict, "leave out --app-arg: workers use the job's parameters"
	case wire.ReasonUnknownParam:
		return ExitUsage, "`mraws apps` lists the parameters of each app"
	case wire.ReasonMissingParam:
		return ExitUsage, "give --app-arg " + about + "=…"
	case wire.ReasonBucket:
		return ExitUsage, "start the worker with --bucket " + about + ", or with the same store settings as the coordinator"
	case wire.ReasonPrefix:
		with := "without --prefix"
		if r.About != "" {
			with = "with --prefix " + about
		}
		return ExitUsage, "start the worker " + with + ", or name the coordinator of its own with --coord"
	case wire.ReasonSeveral:
		return ExitUsage, "name one with --prefix or --coord"
	case wire.ReasonPlainText:
		return ExitUsage, "start the coordinator without --insecure, or the worker with it"
	case wire.ReasonTLS:
		return ExitUsage, "leave --insecure out"
	case wire.ReasonAuthority:
		return ExitUsage, "set --tls-ca, --tls-cert and --tls-key on both sides or on neither"
	}
	return ExitConflict, ""
}

// budgetHint says how to go on with a job that may cost no more.
func (l *commandLine) budgetHint(e *coordinator.BudgetError) string {
	const lost = "nothing that is committed is lost: "
	if l.at != nil && l.at.step {
		return lost + "raise max-usd of the step, and " + l.again() + " goes on with it"
	}
	return lost + l.again("--max-usd", strconv.FormatFloat(2*e.Max, 'f', -1, 64)) + " goes on with the job"
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
	failedRecord = regexp.MustCompile(`record at byte [0-9]+ of |row group [0-9]+ of |longer than [0-9]+ bytes`)
	failedRead   = regexp.MustCompile(`^map task .*(record at byte|row group) [0-9]+ of `)
	failedObject = regexp.MustCompile(`^map task .* (is no Parquet: |is Parquet with |has no header: |has no column "|has a row at byte [0-9]+ |has column .* compressed with LZ4|has .* in two of the columns)`)
	failedOfApp  = regexp.MustCompile(`; the record is "`)
	failedBudget = regexp.MustCompile(`[0-9] bad records?, max-bad-records is `)
	failedBreak  = regexp.MustCompile(`there is a line break in it, and the application reads lines`)
	failedIdle   = regexp.MustCompile(`no progress for [0-9a-z.]+, the task time-out`)
	failedKind   = regexp.MustCompile(`which is not read: |its first bytes do not match its name`)
	failedCut    = regexp.MustCompile(`, and was cut as if it were not`)
	failedDict   = regexp.MustCompile(`too large a dictionary`)
	failedSize   = regexp.MustCompile(`it decompresses to more than the limit`)
	failedFile   = regexp.MustCompile(`: decompress .* at byte [0-9]+ of [0-9]+`)
	failedMemory = regexp.MustCompile(`bytes of memory.* \(exec-memory\)`)
	failedHost   = regexp.MustCompile(`killed: the machine, or the control group of the worker, had no more memory`)
	failedExec   = regexp.MustCompile(`: (mapper|combiner|reducer) "`)
)

// failureHint is what can be done about a job that failed.
func (l *commandLine) failureHint(job *coordinator.JobError) string {
	cause := job.Cause
	switch {
	case job.Lost:
		return "remove the job with `mraws reset --yes`, then start it again: " + l.again()
	case job.Input:
		return "put the input back as it was, or remove the job with `mraws reset --yes`; then start it again: " + l.again()
	}
	if failedCut.MatchString(cause) {
		return "give the coordinator s3:GetObject of the input, or decompress the object before; then remove the job with `mraws reset --yes`, and start it again: " + l.again()
	}
	if job.Seam {
		return "a --split-size that is larger than the object has it read as one piece, without a guess; that makes another job, which needs another --prefix, or `mraws reset --yes` first"
	}
	var b strings.Builder
	if m := failedTask.FindStringSubmatch(cause); m != nil {
		b.WriteString("`mraws replay " + m[1] + "-" + m[2] + "` runs only this task again\n")
	}
	if job.Commands && failedBreak.MatchString(cause) {
		b.WriteString("with --records binary the mapper gets records of any bytes; that makes another job, which needs another --prefix, or `mraws reset --yes` first\n")
	}
	ofCode := failedExec.MatchString(cause) || failedOfApp.MatchString(cause)
	refused := !ofCode && (failedRead.MatchString(cause) || failedObject.MatchString(cause)) // by the reader of the input
	over := failedBudget.MatchString(cause)
	if failedRecord.MatchString(cause) && !over && !failedExec.MatchString(cause) { // of a process nobody knows over which record it fails
		b.WriteString("a new run with --max-bad-records N skips up to N such records, after `mraws reset --yes`\n")
	}
	if failedIdle.MatchString(cause) {
		b.WriteString("--task-timeout sets how long an attempt may make no progress; 0 is no limit\n")
	}
	if failedKind.MatchString(cause) {
		b.WriteString(asItIs + "\n")
	}
	if failedDict.MatchString(cause) {
		b.WriteString("a larger --memory gives each task room for a larger dictionary, up to 64 MiB\n")
	}
	if failedSize.MatchString(cause) {
		b.WriteString("if the object is sound, raise --decompress-ratio or --decompress-limit\n")
	}
	const another = " makes another job, which needs another --prefix, or `mraws reset --yes` first\n"
	if failedFile.MatchString(cause) {
		b.WriteString("an object or flag that is corrected" + another)
	}
	if failedMemory.MatchString(cause) {
		b.WriteString("a larger --exec-memory, of run or of each worker, gives the commands of a task more memory, and the job stays the same\n")
	}
	if failedHost.MatchString(cause) {
		b.WriteString("a smaller --workers of run, or --slots of each worker, runs fewer tasks beside each other\n")
	}
	if failedExec.MatchString(cause) {
		b.WriteString("a command or file that is corrected" + another)
	}
	switch {
	case over:
		b.WriteString("a larger --max-bad-records, or an object that is corrected," + another)
	case refused:
		b.WriteString("an object or flag that is corrected" + another)
	default:
		b.WriteString("committed tasks are kept; once the cause is removed, to resume: " + l.again())
	}
	return b.String()
}

// differs is what differs in a conflict, a line each.
type differs struct{ *coordinator.ConflictError }

func (e *differs) Error() string { return strings.Join(e.Diff, "\n") }
func (e *differs) Unwrap() error { return e.ConflictError }

// differences are those of a conflict, nil if it is about something else.
func differences(e *coordinator.ConflictError) error {
	if len(e.Diff) == 0 {
		return nil
	}
	return &differs{e}
}

// lines makes one error of several lines of explanation.
func lines(of []string) error {
	if len(of) == 0 {
		return nil
	}
	return errors.New(strings.Join(of, "\n"))
}

// asItIs is the advice about input that is not what its bytes or its name say, or an
// archive.
const asItIs = "--decompress off reads all input as it is; --exclude '**/*.tar' leaves out objects whose keys match\n" +
	"either makes another job, which needs another --prefix, or `mraws reset --yes` first"
