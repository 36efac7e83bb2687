package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime/debug"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/escape"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/shipped"
	"github.com/mraws/mraws/internal/verify"
	"github.com/mraws/mraws/mr"
)

func (f *frame) verifyCommand() *cobra.Command {
	var name, seal string
	c := &cobra.Command{
		Use:   "verify",
		Short: "Check a finished job, using only its bucket",
		Long: "Check a finished job, using only its bucket:\n" +
			"  structure  every record, partition and output exists as recorded and sealed, and no unknown object\n" +
			"  proof      the records that maps emitted, that were shuffled and that reduces read are the\n" +
			"             same, sorted, each in its partition, and every output line has one of their keys\n" +
			"  reference  with --app: the output equals that of one sequential run over the same input\n" +
			"  seal       one checksum over every byte of the job; keep it, and --seal proves later that nothing\n" +
			"             has changed\n" +
			"Every fault is listed, and the exit code is then 8.",
		Example: "  " + f.name + " verify --app wc\n  " + f.name + " verify last --app wc\n  " + f.name + " verify --app indexer --prefix runs/42 -o json\n  " + f.name + " verify --seal HEX",
	}
	f.takesJob(c, 0)
	c.Flags().StringVar(&name, "app", "", "compare with a sequential run of this app, which must be the job's")
	c.Flags().StringVar(&seal, "seal", "", "the seal that the job must have, as verify has printed it before")
	completes(c, "app", f.apps.complete)
	config.AddFlags(c.Flags(), "memory", "scratch", "task-timeout")
	c.RunE = f.run(func(ctx context.Context, s *session, _ []string) error {
		var app *mr.App
		if c.Flags().Changed("app") {
			found, err := s.apps.find(name)
			if err != nil {
				return err
			}
			if app = &found; s.process.neededBy(found) {
				return s.callApart(ctx)
			}
		}
		asked := strings.ToLower(seal)
		if _, err := manifest.ParseDigest(asked); err != nil && c.Flags().Changed("seal") {
			return usagef("give the 64 hex digits that verify has printed", "%q is no seal", seal)
		}
		if err := s.setMemory(s.conf.Memory); err != nil {
			return err
		}
		return s.withStore(ctx, func(st *store) error { return s.verifyJob(ctx, st, app, asked) })
	})
	return c
}

// verifyJob verifies the job below the session's prefix, with the reference
// if app is given, and prints the report. A finding is an [ExitMismatch]. seal
// is what the job's must be, "" for any.
func (s *session) verifyJob(ctx context.Context, st *store, app *mr.App, seal string) error {
	rep, err := s.verified(ctx, st, app, seal)
	if err != nil {
		return err
	}
	if s.forMachines() {
		err = s.printDoc(rep)
	} else {
		err = s.say("%s", verifyText(rep))
	}
	if err != nil || rep.OK() {
		return err
	}
	return mismatch(rep, s.where())
}

// verified is verifyJob without what it prints.
func (s *session) verified(ctx context.Context, st *store, app *mr.App, seal string) (rep *verify.Report, err error) {
	budget := s.memory
	if s.conf.Memory == 0 {
		budget = min(budget, verify.DefaultMemory)
	}
	debug.SetMemoryLimit(memoryLimit(budget))
	o := verify.Options{
		Seal: seal, Scratch: s.conf.Scratch, Memory: budget, Concurrency: s.requests / 2,
		Progress: new(verify.Progress), Lookup: s.apps.lookup, Buckets: st.verifiable, Parquet: s.parquet.verify,
	}
	if s.parquetOut.Read != nil {
		o.ParquetOutput = func(r io.ReaderAt, size int64) (verify.ParquetRows, error) {
			rows, err := s.parquetOut.Read(r, size)
			return parquetText{rows}, err
		}
	}
	files := shipped.NewCache(s.shipOptions(st))
	defer func() { err = errors.Join(err, files.Close()) }()
	o.Files = func(ctx context.Context, lay layout.Layout, all []manifest.CodeFile) (fs.FS, error) {
		return files.Files(ctx, lay, all, func() {})
	}
	if app != nil {
		o.App, o.Code = app.Name, new(verify.Code)
		limited, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		ctx = limited
		limit := s.conf.TaskTimeout
		defer s.waits.watchCode(app.Name, limit, o.Code.State, func() {
			cancel(&Error{What: fmt.Sprintf("the code of app %s has made no progress for %v", app.Name, limit),
				Hint: "--task-timeout sets this limit; 0 is none"})
		})()
	}
	var finished atomic.Bool
	over := s.followOne("verify", false, func() (done, total int64) {
		if done, total = o.Progress.Bytes(); finished.Load() {
			return total, total
		}
		return min(done, total-1), total // some bytes may be read twice
	})
	rep, err = interruptible(ctx, func() (*verify.Report, error) { return verify.Run(ctx, st, s.layout, o) })
	finished.Store(err == nil)
	over()
	if err != nil {
		return nil, verifyError(s, err)
	}
	return rep, nil
}

// verifyError explains why nothing could be verified.
func verifyError(s *session, err error) error {
	var none *verify.NoJobError
	var conflict *verify.ConflictError
	var unknown *verify.UnknownAppError
	var told *Error
	switch {
	case errors.As(err, &told):
		return told
	case errors.As(err, &none):
		return usagef(nameJob, "there is no job in s3://%s: %s does not exist", s.where(), none.Key)
	case errors.As(err, &conflict):
		hint := "verify with the build of " + s.name + " that ran the job"
		if conflict.What == "app" {
			hint = "verify with --app " + conflict.Job
		}
		return &Error{Code: ExitConflict, What: err.Error(), Hint: hint}
	case errors.As(err, &unknown):
		return &Error{Code: ExitUsage, What: err.Error(), Hint: "`mraws apps` lists the apps"}
	}
	return fmt.Errorf("verify s3://%s: %w", s.where(), err)
}

// shownFindings is how many findings an error names.
const shownFindings = 5

// mismatch is the error of a report with findings on the job at where.
func mismatch(rep *verify.Report, where string) error {
	var lines []string
	changed, seals := 0, 0
	for i, f := range rep.Findings {
		if i < shownFindings {
			lines = append(lines, f.String())
		}
		switch f.Kind {
		case verify.InputChanged:
			changed++
		case verify.OtherSeal:
			seals++
		}
	}
	hint := "-o json lists the findings; `mraws reset --yes` removes the job, which can then be run again"
	switch {
	case rep.Unfinished():
		hint = "start coordinator and workers again: they resume the job"
	case seals == rep.Found:
		hint = "the job fits its own seal: check what --seal and --prefix name; another job in its place, or the same job run again, has another seal"
	case changed == rep.Found:
		hint = "the job itself is intact: restore the inputs, or remove the job with `mraws reset --yes` and run it over the new inputs"
	}
	return &Error{
		Code: ExitMismatch, What: fmt.Sprintf("%s in job %s in s3://%s", countText(int64(rep.Found), "finding"), rep.Job, where),
		Cause: errors.New(strings.Join(lines, "\n")), Hint: hint,
	}
}

// verifyText is a report for people.
func verifyText(rep *verify.Report) string {
	var b strings.Builder
	fmt.Fprintf(&b, "job %s: app %s, %s, %s\n", rep.Job, rep.App, countText(int64(rep.Maps), "map task"), countText(int64(rep.Reduces), "reduce task"))
	line := func(step string, state verify.State, format string, args ...any) {
		fmt.Fprintf(&b, "%-10s %-8s %s\n", step, state, fmt.Sprintf(format, args...))
	}
	count := func(n int, noun string) string { return countText(int64(n), noun) }
	st, p, ref := &rep.Structure, &rep.Proof, &rep.Reference
	skipped := ""
	if st.Skipped > 0 {
		skipped = ", " + countText(st.Skipped, "record") + " skipped"
	}
	line("structure", st.State, "%s, %s (%s), %s (%s), %s (%s)%s", count(st.Commits, "commit record"),
		count(st.Partitions, "partition"), bytesText(st.PartBytes), count(st.Outputs, "output"), bytesText(st.OutputBytes),
		count(st.Inputs, "input"), bytesText(st.InputBytes), skipped)
	line("proof", p.State, "%s emitted, %s shuffled and read, %s, %s", countText(p.Emitted, "pair"),
		countText(p.Records, "record"), countText(p.Keys, "key"), countText(p.Lines, "output line"))
	switch {
	case ref.State == verify.Skipped:
		line("reference", ref.State, "%s", ref.Why)
	case ref.Check:
		line("reference", ref.State, "app %s checked %s in %s by its own rule", ref.App, countText(ref.Lines, "line"), count(ref.Outputs, "output"))
	default:
		line("reference", ref.State, "app %s, one sequential run: %s, %s, %s in %s", ref.App, countText(ref.Records, "input record"),
			countText(ref.Pairs, "pair"), countText(ref.Lines, "line"), count(ref.Outputs, "output"))
	}
	switch {
	case rep.Seal != "":
		line("seal", verify.OK, "%s", rep.Seal)
	case rep.Unfinished():
		line("seal", verify.Skipped, "the job is not finished")
	default:
		line("seal", verify.Failed, "the job differs from its seal")
	}
	for _, c := range ref.Partitions {
		fmt.Fprintf(&b, "  partition %d: %s not equal\n", c.Partition, countText(c.Different, "line"))
		fmt.Fprintf(&b, "    expected %s, SHA-256 %s\n", countText(c.ExpectedLines, "line"), c.ExpectedHash)
		fmt.Fprintf(&b, "    got      %s, SHA-256 %s\n", countText(c.GotLines, "line"), c.GotHash)
	}
	for _, d := range ref.Differences {
		fmt.Fprintf(&b, "  partition %d line %d: expected %s, got %s\n", d.Partition, d.Line, orNoLine(d.Expected), orNoLine(d.Got))
	}
	for _, f := range rep.Findings {
		fmt.Fprintf(&b, "finding: %s\n", escape.Line(fmt.Sprint(f)))
	}
	if more := rep.Found - len(rep.Findings); more > 0 {
		fmt.Fprintf(&b, "and %s more\n", count(more, "finding"))
	}
	for _, n := range rep.Notes {
		fmt.Fprintf(&b, "note: %s\n", escape.Line(n))
	}
	verdict := fmt.Sprintf("verified in %.1fs", rep.Seconds)
	if !rep.OK() {
		verdict = fmt.Sprintf("NOT verified: %s", count(rep.Found, "finding"))
	}
	return b.String() + verdict
}

func orNoLine(s string) string {
	if s == "" {
		return "no line"
	}
	return s
}
