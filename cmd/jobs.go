package cmd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/coordinator/lease"
	"github.com/mraws/mraws/internal/escape"
	"github.com/mraws/mraws/internal/jobs"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/reset"
)

func (f *frame) jobsCommand() *cobra.Command {
	states := stateFilter{}
	c := &cobra.Command{
		Use:   "jobs",
		Short: "List the jobs of a bucket or a data folder",
		Long: "List the jobs of a bucket or a data folder, the newest first: those below --prefix, or all of\n" +
			"them. Every command about a job takes the name of one as JOB, or how it begins, or `last`, which\n" +
			"is the newest.\n\n" +
			"A job is running while a coordinator renews its announcement. It is done, or has failed, or its\n" +
			"coordinator was stopped, or has abandoned it: it ended without saying so. A stopped or abandoned\n" +
			"job resumes when its `run` or `coordinator` line is started again.",
		Example: "  " + f.name + " jobs\n  " + f.name + " jobs --state running,failed\n  " + f.name + " jobs -o json | jq -r '.jobs[].name'\n" +
			"  " + f.name + " jobs prune --older 7d",
		RunE: f.run(func(ctx context.Context, s *session, _ []string) error {
			return s.withStore(ctx, func(st *store) error {
				list, err := s.listJobs(ctx, st)
				if err != nil {
					return err
				}
				return s.printJobs(st, slices.DeleteFunc(list, func(j jobs.Job) bool { return !states.take(j.State) }))
			})
		}),
	}
	states.add(c, "only jobs in this `state`")
	c.AddCommand(f.pruneCommand())
	return paging(c)
}

// stateFilter is the states of --state; none is all.
type stateFilter []string

func (f *stateFilter) add(c *cobra.Command, help string) {
	var names []string
	for _, s := range jobs.States() {
		names = append(names, string(s))
	}
	c.Flags().Var(&severalOf{(*[]string)(f), names}, "state", help+": "+strings.Join(names, ", ")+"; several with commas")
}

func (f stateFilter) take(s jobs.State) bool { return len(f) == 0 || slices.Contains(f, string(s)) }

// listJobs lists the jobs of the session's prefix, the newest first.
func (s *session) listJobs(ctx context.Context, st *store) ([]jobs.Job, error) {
	list, err := jobs.Find(ctx, jobOptions(st, s.layout.Prefix()))
	if err != nil {
		return nil, fmt.Errorf("list the jobs in s3://%s: %w", s.where(), err)
	}
	if list.Partial != "" {
		s.note("warning: not all folders were searched: s3://%s/%s has too many, or may not be listed; --prefix names the folder of the jobs", st.Bucket(), list.Partial)
	}
	return list.Jobs, nil
}

// finishedJobs returns the prefixes of the finished jobs of an app in the bucket, that
// which ended last first.
func (s *session) finishedJobs(ctx context.Context, st *store, app string) (prefixes []string, err error) {
	list, err := jobs.Find(ctx, jobOptions(st, ""))
	if err != nil {
		return nil, fmt.Errorf("list the jobs in s3://%s: %w", st.Bucket(), err)
	}
	if list.Partial != "" {
		s.log.Warn().Str("folder", list.Partial).Msg("not all folders were searched for finished jobs: this one has too many, or may not be listed")
	}
	done := slices.DeleteFunc(list.Jobs, func(j jobs.Job) bool { return j.State != jobs.Done || j.App != app })
	slices.SortStableFunc(done, func(a, b jobs.Job) int { return b.Seen.Compare(a.Seen) })
	for _, j := range done {
		prefixes = append(prefixes, j.Prefix)
	}
	return prefixes, nil
}

type jobRow struct {
	Name        string     `json:"name"`
	Job         string     `json:"job,omitempty"`
	App         string     `json:"app,omitempty"`
	State       jobs.State `json:"state"`
	Prefix      string     `json:"prefix"`
	Where       string     `json:"where"`
	Created     *time.Time `json:"created,omitempty"`
	Seen        *time.Time `json:"seen,omitempty"` // the last sign of life
	InputBytes  *int64     `json:"input_bytes,omitempty"`
	OutputBytes *int64     `json:"output_bytes,omitempty"`
	Output      string     `json:"output,omitempty"` // of a place of its own
	Failure     string     `json:"failure,omitempty"`
}

func newJobRow(bucket string, j jobs.Job) jobRow {
	known := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		t = t.UTC()
		return &t
	}
	size := func(n int64) *int64 {
		if n < 0 {
			return nil
		}
		return &n
	}
	r := jobRow{
		Name: j.Name, Job: escape.Short(j.ID, 255), App: escape.Short(j.App, 255), State: j.State, Prefix: j.Prefix, Where: whereText(bucket, j),
		Created: known(j.Created), Seen: known(j.Seen), InputBytes: size(j.InputBytes), OutputBytes: size(j.OutputBytes), Failure: escape.Short(j.Failure, 8<<10),
	}
	if j.OutputAt.Bucket != "" {
		r.Output = layout.Place(j.OutputAt.Bucket, j.OutputAt.Dir)
	}
	return r
}

// jobRows are the rows of a list of jobs.
func jobRows(bucket string, list []jobs.Job) []jobRow {
	rows := make([]jobRow, len(list))
	for i, j := range list {
		rows[i] = newJobRow(bucket, j)
	}
	return rows
}

// whereText is the folder of a job.
func whereText(bucket string, j jobs.Job) string {
	return layout.Place(bucket, layout.New(j.Prefix).Root())
}

// printJobs prints a list of jobs.
func (s *session) printJobs(st *store, list []jobs.Job) error {
	if s.forMachines() {
		rows := jobRows(st.Bucket(), list)
		return printList(s.printer, struct {
			Schema string   `json:"schema"`
			Bucket string   `json:"bucket"`
			Prefix string   `json:"prefix"`
			Jobs   []jobRow `json:"jobs"`
		}{"mraws/jobs/v1", st.Bucket(), s.layout.Prefix(), rows}, rows)
	}
	if len(list) == 0 {
		s.note("no jobs in s3://%s", s.where())
		return nil
	}
	header, rows := jobTable(st.Bucket(), list)
	return s.printTable(header, rows)
}

// jobTable is a list of jobs for people.
func jobTable(bucket string, list []jobs.Job) (header []string, rows [][]string) {
	size := func(n int64) string {
		if n < 0 {
			return "-"
		}
		return bytesText(n)
	}
	now := time.Now()
	for _, j := range list {
		rows = append(rows, []string{
			j.Name, cmp.Or(escape.Short(j.App, 64), "-"), string(j.State), ageText(now, j.Created), size(j.InputBytes), size(j.OutputBytes), whereText(bucket, j),
		})
	}
	return []string{"name", "app", "state", "age", "input", "output", "where"}, rows
}

// ageText says how long ago a time was, in its largest unit: "45s", "12m", "3h", "8d".
func ageText(now, then time.Time) string {
	age := max(0, now.Sub(then))
	switch {
	case then.IsZero():
		return "-"
	case age < time.Minute:
		return fmt.Sprintf("%ds", age/time.Second)
	case age < time.Hour:
		return fmt.Sprintf("%dm", age/time.Minute)
	case age < 48*time.Hour:
		return fmt.Sprintf("%dh", age/time.Hour)
	}
	return fmt.Sprintf("%dd", age/(24*time.Hour))
}

// pruneFlags are those of `jobs prune`.
type pruneFlags struct {
	older              days
	states             stateFilter
	yes, dryRun, input bool
}

func (f *frame) pruneCommand() *cobra.Command {
	o := &pruneFlags{}
	c := &cobra.Command{
		Use:   "prune",
		Short: "Delete old jobs",
		Long: "Delete what `reset` deletes of each job that has ended, or has shown no sign of life, for as long\n" +
			"as --older says: all objects and unfinished uploads below its intermediate/ and output/. Lists\n" +
			"the jobs and asks first; without a terminal it needs --yes.\n\n" +
			"It never deletes a running job, nor one whose output a running job reads. Input stays, unless\n" +
			"--input is given; then the files below input/ of these jobs go too, and never what a job has\n" +
			"read elsewhere. An output that a job has written elsewhere (--out s3://…) stays; `reset` of that\n" +
			"job deletes it.",
		Example: "  " + f.name + " jobs prune --older 7d\n  " + f.name + " jobs prune --older 12h --state failed,abandoned --dry-run\n" +
			"  " + f.name + " jobs prune --older 30d --yes --input --local",
		Args: cobra.NoArgs,
		RunE: f.run(func(ctx context.Context, s *session, _ []string) error {
			switch {
			case !o.older.set:
				return usagef("such as --older 7d; --older 0s is all jobs that do not run", "--older is required: how long ago a job must have ended")
			case !o.yes && !o.dryRun && !f.term.in:
				return usagef("add --yes; --dry-run only lists the jobs", "prune deletes data and cannot ask: stdin is not a terminal")
			}
			return s.withStore(ctx, func(st *store) error { return pruneJobs(ctx, s, st, o) })
		}),
	}
	c.Flags().Var(&o.older, "older", "only jobs that ended so long ago, such as 7d or 12h")
	completes(c, "older", cobra.FixedCompletions([]string{"12h", "1d", "7d", "30d"}, inOrder))
	o.states.add(c, "only jobs in this `state`")
	c.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "only list what would be deleted")
	c.Flags().BoolVar(&o.input, "input", false, "delete the input of these jobs too")
	return c
}

func pruneJobs(ctx context.Context, s *session, st *store, o *pruneFlags) error {
	all, err := s.listJobs(ctx, st)
	if err != nil {
		return err
	}
	before := time.Now().Add(-o.older.age)
	var list []jobs.Job
	for _, j := range all {
		if j.State.Live() || !o.states.take(j.State) || j.Seen.After(before) {
			continue
		}
		if reader := readBy(all, st.Bucket(), j); reader != "" {
			s.note("%s stays: the running job %s reads it", whereText(st.Bucket(), j), reader)
			continue
		}
		list = append(list, j)
	}
	if o.dryRun || len(list) == 0 {
		return s.printPruned(st, o.dryRun, list)
	}
	if !o.yes {
		header, rows := jobTable(st.Bucket(), list)
		question := fmt.Sprintf("%s\nDelete %s? [y/N] ", tableText(header, rows), countText(int64(len(list)), "job"))
		if err := s.ask(ctx, question); err != nil {
			return err
		}
	}
	pruned, err := s.prune(ctx, st, list, o.input)
	return errors.Join(s.printPruned(st, false, pruned), err)
}

// readBy names a running job that reads the output of j, or reuses its map tasks; "" is
// none.
func readBy(all []jobs.Job, bucket string, j jobs.Job) string {
	own := layout.Place(bucket, layout.New(j.Prefix).Root())
	for _, other := range all {
		if other.State.Live() && slices.ContainsFunc(other.Reads, func(folder string) bool { return readsOf(folder, own, j.Prefix) }) {
			return other.Name
		}
	}
	return ""
}

// readsOf tells whether a folder is one of the job whose folder is own. Of a job at the
// root of the bucket these are its own folders only.
func readsOf(folder, own, prefix string) bool {
	rest, ok := strings.CutPrefix(folder, own)
	return ok && (prefix != "" || rest == "" || strings.HasPrefix(rest, "output/") || strings.HasPrefix(rest, "intermediate/"))
}

// atATime is how many jobs are deleted side by side.
const atATime = 4

// prune deletes jobs, and returns those that it has deleted. A job that fails does not
// keep the others.
func (s *session) prune(ctx context.Context, st *store, list []jobs.Job, input bool) (pruned []jobs.Job, err error) {
	p := s.newProgress("prune", int64(len(list)), false)
	defer p.end()
	errs, busy := make([]error, len(list)), make([]bool, len(list))
	gone := make(chan struct{}, len(list))
	g := new(errgroup.Group)
	g.SetLimit(atATime)
	for i, j := range list {
		g.Go(func() error {
			busy[i], errs[i] = pruneJob(ctx, st, j, input)
			gone <- struct{}{}
			p.set(int64(len(gone)))
			return nil
		})
	}
	_ = g.Wait() // it reports through errs
	for i, j := range list {
		switch {
		case busy[i]:
			s.note("%s stays: a coordinator runs it by now", whereText(st.Bucket(), j))
		case errs[i] == nil:
			pruned = append(pruned, j)
		case ctx.Err() != nil:
			return pruned, context.Cause(ctx)
		default:
			errs[i] = fmt.Errorf("prune %s: %w", whereText(st.Bucket(), j), errs[i])
		}
	}
	return pruned, errors.Join(errs...)
}

// pruneJob deletes a job unless a coordinator holds its lease.
func pruneJob(ctx context.Context, st *store, j jobs.Job, input bool) (busy bool, err error) {
	lay := layout.New(j.Prefix)
	holder, err := reset.Holder(ctx, st, lay, lease.HasEnded)
	if err != nil && !errors.Is(err, fs.ErrPermission) || holder != nil {
		return holder != nil, err
	}
	_, err = reset.Run(ctx, st, lay, reset.Options{Input: input})
	return false, err
}

// printPruned prints which jobs were deleted, or would be.
func (s *session) printPruned(st *store, dryRun bool, list []jobs.Job) error {
	if s.forMachines() {
		rows := jobRows(st.Bucket(), list)
		return printList(s.printer, struct {
			Schema string   `json:"schema"`
			Bucket string   `json:"bucket"`
			DryRun bool     `json:"dry_run"`
			Jobs   []jobRow `json:"jobs"`
		}{"mraws/prune/v1", st.Bucket(), dryRun, rows}, rows)
	}
	if len(list) == 0 {
		s.note("no jobs to delete in s3://%s", s.where())
		return nil
	}
	word := "deleted"
	if dryRun {
		word = "would delete"
	}
	for _, j := range list {
		if err := s.say("%s %s: %s, %s", word, whereText(st.Bucket(), j), j.State, cmp.Or(escape.Short(j.App, 64), "no app")); err != nil {
			return err
		}
		if r := newJobRow(st.Bucket(), j); r.Output != "" {
			s.note("its output in %s stays", r.Output)
		}
	}
	return nil
}
