package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/jobs"
	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// Completion of words. What a shell offers comes from the program, the configuration and
// the store of the line, in the time of completing, and without a word on stderr. Nothing
// is created for it: no data folder, no bucket, and no server that outlives it.

// completing bounds the time for a completion: a shell waits for it.
const completing = time.Second

// noFiles says that what is offered is all there is.
const noFiles = cobra.ShellCompDirectiveNoFileComp

// inOrder says the same of what comes in an order of its own.
const inOrder = noFiles | cobra.ShellCompDirectiveKeepOrder

// completes makes fn complete a flag that c has just been given.
func completes(c *cobra.Command, flag string, fn cobra.CompletionFunc) {
	_ = c.RegisterFlagCompletionFunc(flag, fn) // the flag was defined before
}

// completeRest completes what no command has said how to complete: flags with few
// values, files and folders, and nothing where any word will do.
func completeRest(c *cobra.Command) {
	keys := map[string]config.Key{}
	for _, k := range config.Keys() {
		keys[k.Name] = k
	}
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if _, done := c.GetFlagCompletionFunc(f.Name); done {
			return
		}
		kind := f.Value.Type()
		if k, ok := keys[f.Name]; ok {
			kind = k.Type
		}
		value, _ := pflag.UnquoteUsage(f)
		switch {
		case len(flagChoices(f, keys)) > 0:
			completes(c, f.Name, cobra.FixedCompletions(flagChoices(f, keys), noFiles))
		case kind == "dir" || value == "folder":
			_ = c.MarkFlagDirname(f.Name) // it is a flag of c
		case kind != "file" && value != "file" && value != "command" && value != "INPUT":
			completes(c, f.Name, cobra.NoFileCompletions)
		}
	})
	if c.ValidArgsFunction == nil && c.ValidArgs == nil && !takesFiles(c) {
		c.ValidArgsFunction = cobra.NoFileCompletions
	}
}

// takesFiles tells whether the arguments of a command are files.
func takesFiles(c *cobra.Command) bool { return c.Name() == "run" || c.Name() == "upload-input" }

// flagChoices are the values of a flag that has few, nil for one that has many.
func flagChoices(f *pflag.Flag, keys map[string]config.Key) []string {
	switch v := f.Value.(type) {
	case *oneOf:
		return v.words()
	case *severalOf:
		return v.choices
	}
	return keys[f.Name].Choices
}

// complete opens the store of the line that is being completed, and says nothing. What
// is found when the time is over is not offered: it may be half of it.
func (f *frame) complete(c *cobra.Command, find func(ctx context.Context, s *session, st *store) ([]cobra.Completion, error)) ([]cobra.Completion, cobra.ShellCompDirective) {
	conf, err := f.load(c)
	if err != nil {
		return nil, noFiles // there is nobody to be told
	}
	ctx, cancel := context.WithTimeout(c.Context(), completing)
	defer cancel()
	f.quiet = true
	s := &session{frame: f, target: &target{conf: conf, verb: c.Name(), layout: layout.New(conf.Prefix), serves: f.start != nil, said: true, asks: true}, waits: waits{printer: f.printer}}
	f.log = zerolog.Nop()
	if local, _, err := s.choose(found); err != nil || local && !s.hasData() {
		return nil, noFiles
	}
	offered := make(chan []cobra.Completion, 1)
	go func() { // the process ends with the completion, whatever this waits for
		var all []cobra.Completion
		err := s.withStore(ctx, func(st *store) (err error) { all, err = find(ctx, s, st); return err })
		if err != nil {
			all = nil
		}
		offered <- all
	}()
	select {
	case all := <-offered:
		return all, inOrder
	case <-ctx.Done():
		return nil, noFiles
	}
}

// completeJob completes by what a job has whose name may be in the line. Where there is no
// name, and no job at the prefix, it is the newest one.
func (f *frame) completeJob(c *cobra.Command, find func(ctx context.Context, s *session, st *store, job *manifest.Job) ([]cobra.Completion, error)) ([]cobra.Completion, cobra.ShellCompDirective) {
	return f.complete(c, func(ctx context.Context, s *session, st *store) ([]cobra.Completion, error) {
		s.job, _ = c.Flags().GetString("job")
		if n, args := ownWordsOf(c), c.Flags().Args(); s.job == "" && len(args) > n {
			s.job = args[n]
		}
		named := s.job != ""
		if err := s.findJob(ctx, st); err != nil {
			return nil, err
		}
		job, _, err := jobstate.ReadJob(ctx, st, s.layout)
		if errors.Is(err, fs.ErrNotExist) && !named {
			s.job = jobs.Last
			if err = s.findJob(ctx, st); err == nil {
				job, _, err = jobstate.ReadJob(ctx, st, s.layout)
			}
		}
		if err != nil {
			return nil, err
		}
		return find(ctx, s, st, job)
	})
}

// completeJobs completes JOB.
func (f *frame) completeJobs(c *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return f.complete(c, func(ctx context.Context, s *session, st *store) ([]cobra.Completion, error) {
		return offerJobs(ctx, st, s.layout.Prefix(), true, func(j jobs.Job) string { return j.Name })
	})
}

// completeNames completes --name by the jobs right below the prefix: their lines go on
// with them.
func (f *frame) completeNames(c *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return f.complete(c, func(ctx context.Context, s *session, st *store) ([]cobra.Completion, error) {
		return offerJobs(ctx, st, s.layout.Prefix(), false, func(j jobs.Job) string {
			if jobs.CheckName(j.Name) != nil {
				return ""
			}
			return j.Name
		})
	})
}

// completePrefixes completes a prefix of the bucket, and last if that is one.
func (f *frame) completePrefixes(last bool) cobra.CompletionFunc {
	return func(c *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return f.complete(c, func(ctx context.Context, _ *session, st *store) ([]cobra.Completion, error) {
			return offerJobs(ctx, st, "", last, func(j jobs.Job) string { return j.Prefix })
		})
	}
}

// offerJobs are the jobs below a prefix, the newest first, by a word for each; "" is not
// offered.
func offerJobs(ctx context.Context, st *store, base string, last bool, word func(jobs.Job) string) (all []cobra.Completion, err error) {
	list, err := jobs.Find(ctx, jobOptions(st, base))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	for i, j := range list.Jobs {
		text := strings.TrimSpace(fmt.Sprintf("%s %s", j.State, j.App)) + ", " + ageText(now, j.Created)
		if i == 0 && last {
			all = append(all, cobra.CompletionWithDesc(jobs.Last, text))
		}
		if w := word(j); w != "" {
			all = append(all, cobra.CompletionWithDesc(w, text))
		}
	}
	return all, nil
}

// mostTasks bounds the tasks of a phase that are offered.
const mostTasks = 1000

// completeTasks completes TASK of a command about one job.
func (f *frame) completeTasks(c *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	all, how := f.completeJob(c, func(_ context.Context, _ *session, _ *store, job *manifest.Job) (all []cobra.Completion, _ error) {
		for _, p := range []struct {
			phase mr.Phase
			tasks int
		}{{mr.MapPhase, len(job.Tasks)}, {mr.ReducePhase, job.NReduce}} {
			for i := range min(p.tasks, mostTasks) {
				all = append(all, fmt.Sprintf("%s-%d", p.phase, i))
			}
		}
		return all, nil
	})
	if c.Name() == "logs" {
		all = append([]cobra.Completion{
			cobra.CompletionWithDesc(failedTasks, "attempts of all tasks that failed or were lost"),
			cobra.CompletionWithDesc(allTasks, "attempts of all tasks"),
		}, all...)
	}
	return all, how
}

// completePartitions completes the partition of an output.
func (f *frame) completePartitions(c *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return f.completeJob(c, func(_ context.Context, _ *session, _ *store, job *manifest.Job) (all []cobra.Completion, _ error) {
		for i := range min(job.Outputs(), mostTasks) {
			all = append(all, fmt.Sprint(i))
		}
		return all, nil
	})
}

// completeNamed completes a named output.
func (f *frame) completeNamed(c *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return f.completeJob(c, func(_ context.Context, _ *session, _ *store, job *manifest.Job) (all []cobra.Completion, _ error) {
		return namesOf(job), nil
	})
}

// completeWorkers completes a worker that the event log of a job names.
func (f *frame) completeWorkers(c *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return f.completeJob(c, func(ctx context.Context, s *session, st *store, job *manifest.Job) (all []cobra.Completion, _ error) {
		state := new(events.State)
		err := events.NewReader(st, s.layout, job.ID).Read(ctx, func(e events.Entry) error { state.Apply(e); return nil })
		for _, name := range state.Names() {
			all = append(all, cobra.CompletionWithDesc(name, state.Workers[name].Host))
		}
		return all, err
	})
}

// completeParams completes --app-arg by the parameters of the app of the line.
func (t appTable) completeParams(c *cobra.Command, _ []string, begun string) (all []cobra.Completion, _ cobra.ShellCompDirective) {
	name, _ := c.Flags().GetString("app")
	app, err := t.sole(name)
	if err != nil {
		return nil, noFiles
	}
	named, _, valued := strings.Cut(begun, "=")
	given, _ := c.Flags().GetStringArray("app-arg")
	for _, p := range app.Params {
		switch {
		case valued && p.Name == named:
			return prefixed(p.Name+"=", paramValues(p)), inOrder
		case !valued && !slices.ContainsFunc(given, func(g string) bool { return strings.HasPrefix(g, p.Name+"=") }):
			all = append(all, cobra.CompletionWithDesc(p.Name+"=", p.Help))
		}
	}
	if valued { // of an app that has no such parameter
		return nil, noFiles
	}
	return all, inOrder | cobra.ShellCompDirectiveNoSpace
}

// prefixed are words with the same beginning.
func prefixed(begin string, words []string) (all []cobra.Completion) {
	for _, w := range words {
		all = append(all, begin+w)
	}
	return all
}

// paramValues are values of a parameter: its default, and those of a switch if it takes
// these and not any.
func paramValues(p mr.Param) (values []string) {
	if p.Default != "" {
		values = append(values, p.Default)
	}
	if p.Check == nil || p.Check("neither true nor false") == nil {
		return values
	}
	for _, v := range []string{"true", "false"} {
		if p.Check(v) == nil && v != p.Default {
			values = append(values, v)
		}
	}
	return values
}

// bashAlone is for shells without the package bash-completion, whose function it is. It
// puts the words together again that bash cuts at "=" and ":".
const bashAlone = `if ! declare -F _get_comp_words_by_ref >/dev/null; then
_get_comp_words_by_ref() {
    local line=${COMP_LINE:0:COMP_POINT}
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    cword=$((${#words[@]} - 1))
    cur=${words[cword]}
    prev=${words[cword - 1]}
}
fi

`

// completeBashAlone makes the script for bash work without the package bash-completion.
func completeBashAlone(root *cobra.Command) {
	c, _, err := root.Find([]string{"completion", "bash"})
	if err != nil || c.RunE == nil {
		return // the program has no such command
	}
	script := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if _, err := io.WriteString(c.Root().OutOrStdout(), bashAlone); err != nil {
			return err
		}
		return script(c, args)
	}
}

// completeTopics completes the words of help.
func completeTopics(c *cobra.Command, args []string, _ string) (all []cobra.Completion, _ cobra.ShellCompDirective) {
	topic, _, err := c.Root().Find(args)
	if err != nil {
		return nil, noFiles
	}
	for _, sub := range topic.Commands() {
		if sub.IsAvailableCommand() {
			all = append(all, cobra.CompletionWithDesc(sub.Name(), sub.Short))
		}
	}
	return all, noFiles
}
