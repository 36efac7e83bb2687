package cmd

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/coordinator/lease"
	"github.com/mraws/mraws/internal/reset"
	"github.com/mraws/mraws/internal/wire"
)

// resetFlags are those of `reset`.
type resetFlags struct{ yes, dryRun, force, input bool }

// others are those that say what is deleted.
func (o *resetFlags) others() string {
	if o.input {
		return " --input"
	}
	return ""
}

func (f *frame) resetCommand() *cobra.Command {
	o := &resetFlags{}
	c := &cobra.Command{
		Use:   "reset",
		Short: "Delete intermediate and output data of a job",
		Long: "Delete all objects and unfinished multipart uploads below intermediate/ and\n" +
			"output/ (with --input below input/ too). Asks first; without a terminal it\n" +
			"needs --yes. While a coordinator runs the job it needs --force.",
		Example: "  " + f.name + " reset --dry-run\n  " + f.name + " reset last\n  " + f.name + " reset --yes --prefix runs/42",
		RunE: f.run(func(ctx context.Context, s *session, _ []string) error {
			if !o.yes && !o.dryRun && !f.term.in {
				return usagef("add --yes: `mraws reset --yes"+o.others()+"`; --dry-run only lists the objects", "reset deletes data and cannot ask: stdin is not a terminal")
			}
			return s.withStore(ctx, func(st *store) error { return resetJob(ctx, s, st, o) })
		}),
	}
	c.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	c.Flags().BoolVar(&o.dryRun, "dry-run", false, "only list what would be deleted")
	c.Flags().BoolVar(&o.force, "force", false, "delete even while a coordinator runs the job")
	c.Flags().BoolVar(&o.input, "input", false, "delete the input too")
	f.takesJob(c, 0)
	return c
}

func resetJob(ctx context.Context, s *session, st *store, f *resetFlags) error {
	o := reset.Options{Input: f.input}
	var err error
	if o.Place, err = reset.Find(ctx, st, s.layout, func(bucket string) reset.PlaceStore { return st.In(bucket) }); err != nil {
		return err
	}
	busy, err := busyWith(ctx, s, st)
	if err != nil {
		return err
	}
	counts, err := reset.Look(ctx, st, s.layout, o)
	if err != nil {
		return err
	}
	total := reset.Total(counts)
	switch {
	case f.dryRun:
		if busy != "" {
			s.note("%s", busy)
		}
		return printReset(s, true, counts)
	case total.Empty():
		s.note("nothing to delete in s3://%s", s.where())
		return printReset(s, false, counts)
	case busy != "" && !f.force:
		return &Error{Code: ExitConflict, What: busy,
			Hint: "stop it and its workers first; `mraws reset --yes --force" + f.others() + "` deletes the job anyway"}
	case !f.yes:
		if err := s.confirm(ctx, s.conf.Bucket, counts, busy); err != nil {
			return err
		}
	}
	p := s.newProgress("reset", total.Objects, false)
	o.Progress = p.set
	counts, err = reset.Run(ctx, st, s.layout, o)
	p.end()
	var remains *reset.RemainsError
	switch {
	case errors.As(err, &remains):
		return &Error{Code: ExitConflict, What: err.Error(), Hint: "another process still writes: stop coordinator and workers, then reset again"}
	case err != nil:
		return err
	}
	return printReset(s, false, counts)
}

// busyWith says which coordinator is at work on the job; "" is none.
func busyWith(ctx context.Context, s *session, st *store) (string, error) {
	holder, err := reset.Holder(ctx, st, s.layout, lease.HasEnded)
	switch {
	case errors.Is(err, fs.ErrPermission):
		s.log.Warn().Str("key", s.layout.Coordinator()).Msg("not allowed to read the announcement: a coordinator may be running the job")
		return "", nil
	case err != nil || holder == nil:
		return "", err
	}
	return fmt.Sprintf("a coordinator runs the job in s3://%s, at %s", s.where(),
		wire.Text(strings.Join(holder.Addresses, ", "), 255)), nil
}

// confirm asks on the terminal.
func (p *printer) confirm(ctx context.Context, bucket string, counts []reset.Count, busy string) error {
	var b strings.Builder
	if busy != "" {
		fmt.Fprintf(&b, "  %s\n", busy)
	}
	for _, c := range counts {
		fmt.Fprintf(&b, "  s3://%s/%s  %s\n", cmp.Or(c.Bucket, bucket), c.Dir, resetText(c))
	}
	return p.ask(ctx, b.String()+"Delete "+resetText(reset.Total(counts))+"? [y/N] ")
}

// ask asks a question on the terminal. Any answer but yes is an error.
func (p *printer) ask(ctx context.Context, question string) error {
	defer p.hush()()
	fmt.Fprint(p.io.Err, question)
	type line struct {
		text string
		err  error
	}
	answers := make(chan line, 1)
	go func() { // nothing can end the reading of a terminal but its user
		text, err := bufio.NewReader(p.io.In).ReadString('\n')
		answers <- line{text, err}
	}()
	var answer line
	select {
	case answer = <-answers:
	case <-ctx.Done():
		answer.err = context.Cause(ctx)
	}
	if text := strings.ToLower(strings.TrimSpace(answer.text)); text == "y" || text == "yes" {
		return nil
	}
	if answer.err != nil { // the line is still open
		fmt.Fprintln(p.io.Err)
	}
	return &Error{What: "nothing was deleted: not confirmed", Cause: ctx.Err()}
}

func resetText(c reset.Count) string {
	text := countText(c.Objects, "object") + ", " + bytesText(c.Bytes)
	if c.Uploads > 0 {
		text += ", " + countText(c.Uploads, "unfinished upload")
	}
	return text
}

type countJSON struct {
	Dir     string `json:"dir,omitempty"`
	Objects int64  `json:"objects"`
	Bytes   int64  `json:"bytes"`
	Uploads int64  `json:"uploads"`
	Bucket  string `json:"bucket,omitempty"` // of a place that is not in the job's own folders
}

// printReset prints what was deleted, or would be.
func printReset(s *session, dryRun bool, counts []reset.Count) error {
	if s.forMachines() {
		var dirs []countJSON
		for _, c := range counts {
			dirs = append(dirs, countJSON(c))
		}
		return printList(s.printer, struct {
			Schema string      `json:"schema"`
			Bucket string      `json:"bucket"`
			DryRun bool        `json:"dry_run"`
			Total  countJSON   `json:"total"`
			Dirs   []countJSON `json:"dirs"`
		}{"mraws/reset/v1", s.conf.Bucket, dryRun, countJSON(reset.Total(counts)), dirs}, dirs)
	}
	word := "deleted"
	if dryRun {
		word = "would delete"
	}
	for _, c := range counts {
		if err := s.say("%s s3://%s/%s: %s", word, cmp.Or(c.Bucket, s.conf.Bucket), c.Dir, resetText(c)); err != nil {
			return err
		}
	}
	return nil
}
