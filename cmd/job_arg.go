package cmd

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/coordinator/lease"
	"github.com/mraws/mraws/internal/jobs"
	"github.com/mraws/mraws/internal/layout"
)

// A job lies below its prefix, and its name is the last element of that. Commands that
// make a job take --name; those about a job take JOB, as their last argument or as
// --job, and --prefix is then where the job is looked for.

// ownWords is the annotation of a command that takes JOB: how many arguments it has
// besides.
const ownWords = "mraws words before JOB"

// takesJob makes JOB the last argument of a command, which may be left out. words are
// its other arguments, which may not.
func (f *frame) takesJob(c *cobra.Command, words int) {
	c.Use += " [JOB]"
	annotate(c, ownWords, strconv.Itoa(words))
	c.Args = cobra.RangeArgs(words, words+1)
	c.Flags().String("job", "", "the `JOB` by name, in place of the argument; last is the newest one")
	completes(c, "job", f.completeJobs)
	c.ValidArgsFunction = func(c *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		switch {
		case len(args) < words:
			return f.completeTasks(c, args, begun)
		case len(args) > words || c.Flags().Changed("job"):
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return f.completeJobs(c, args, begun)
	}
}

// givesName gives a command --name.
func (f *frame) givesName(c *cobra.Command, help string) {
	c.Flags().String("name", "", help+": its prefix is this `name`, below --prefix if that is set")
	completes(c, "name", f.completeNames)
}

// ownWordsOf is how many arguments a command has before JOB, -1 where it takes no JOB.
func ownWordsOf(c *cobra.Command) int {
	n, err := strconv.Atoi(c.Annotations[ownWords])
	if err != nil {
		return -1
	}
	return n
}

// takeJob reads --name, --job and JOB, and returns the other arguments.
func (s *session) takeJob(c *cobra.Command, args []string) ([]string, error) {
	base := s.layout.Root()
	if flag := c.Flags().Lookup("name"); flag != nil && flag.Changed {
		name := flag.Value.String()
		if err := jobs.CheckName(name); err != nil {
			return nil, usagef("a job that lies deeper takes --prefix", "invalid --name %q: %w", name, err)
		}
		if _, err := layout.CheckPrefix(base + name); err != nil {
			return nil, usagef("", "invalid --name %q: %w", name, err)
		}
		s.layout, s.nameGiven = layout.New(base+name), true
	}
	words := ownWordsOf(c)
	if words < 0 {
		return args, nil
	}
	given := c.Flags().Changed("job")
	s.job = c.Flags().Lookup("job").Value.String()
	if len(args) > words {
		if given {
			return nil, usagef("leave one of them out", "JOB %q and --job %q name a job each", args[words], s.job)
		}
		s.job, given, args = args[words], true, args[:words]
	}
	if given && strings.Trim(s.job, "/") == "" {
		return nil, usagef("`mraws jobs` lists the jobs; without JOB the job is the one of --prefix", "JOB is empty")
	}
	return args, nil
}

// findJob finds the job that JOB means, once. Without one the job is that of the
// prefix.
func (s *session) findJob(ctx context.Context, st *store) error {
	word := s.job
	if s.job = ""; word == "" {
		return nil
	}
	job, err := jobs.Resolve(ctx, jobOptions(st, s.layout.Prefix()), word)
	var none *jobs.NoMatchError
	switch {
	case errors.As(err, &none):
		if s.verb == "worker" && !none.Many && word != jobs.Last {
			return s.await(word)
		}
		return noMatch(none, s.where())
	case err != nil:
		return fmt.Errorf("find job %q in s3://%s: %w", word, s.where(), err)
	}
	s.layout = layout.New(job.Prefix)
	return nil
}

// await makes word the prefix of a job that there is not yet, for a worker, which may
// start before its coordinator.
func (s *session) await(word string) error {
	prefix, err := layout.CheckPrefix(s.layout.Root() + strings.Trim(word, "/"))
	if err != nil {
		return usagef("", "job %q: %w", word, err)
	}
	s.layout = layout.New(prefix)
	return nil
}

// shownJobs is how many jobs a hint names.
const shownJobs = 5

// noMatch is the error of a word that means no job, or several.
func noMatch(e *jobs.NoMatchError, where string) *Error {
	hint := "`mraws jobs` lists the jobs"
	if e.Many {
		shown := e.Among[:min(len(e.Among), shownJobs)]
		more := ""
		if n := len(e.Among) - len(shown); n > 0 {
			more = fmt.Sprintf(" and %d older ones", n)
		}
		hint = "one of " + strings.Join(shown, ", ") + more
	} else if near := config.Nearest(e.Word, append(slices.Clone(e.Among), jobs.Last)); near != "" && e.Word != jobs.Last {
		hint = "did you mean " + near + "? " + hint
	}
	return usagef(hint, "%s in s3://%s", e, where)
}

// jobOptions are where jobs are looked for.
func jobOptions(st *store, base string) jobs.Options {
	return jobs.Options{
		Store: st, Base: base, Ended: lease.HasEnded,
		Buckets: func(name string) jobs.Store { return st.In(name) },
	}
}
