package cmd

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/escape"
	"github.com/mraws/mraws/internal/events"
)

// Words for TASK that are no task.
const (
	failedTasks = "failed" // those that failed or were lost
	allTasks    = "all"
)

func (f *frame) logsCommand() *cobra.Command {
	of := logsFilter{}
	c := &cobra.Command{
		Use:   "logs TASK",
		Short: "Print what became of the attempts at a task, with their errors",
		Long: "Print the attempts at a task in the order in which they started: worker, times, how each ended,\n" +
			"and the whole text of its error, which has the last lines of stderr of an executable. With the\n" +
			"word failed for TASK it prints the attempts of all tasks that failed or were lost, with the word\n" +
			"all those of all tasks. It reads the event log in the bucket; no coordinator is needed.",
		Example: "  " + f.name + " logs map-3\n  " + f.name + " logs failed counts\n  " + f.name + " logs all last --worker i-0a-712-k3vxq2a",
		RunE: f.run(func(ctx context.Context, s *session, args []string) error {
			if of.word = args[0]; of.word != failedTasks && of.word != allTasks {
				phase, index, err := parseTask(args[0], failedTasks, allTasks)
				if err != nil {
					return err
				}
				of.word = fmt.Sprintf("%s-%d", phase, index)
			}
			return s.withStore(ctx, func(st *store) error {
				l, err := s.openLog(ctx, st)
				if err != nil {
					return err
				}
				return l.logs(ctx, of)
			})
		}),
	}
	f.takesJob(c, 1)
	c.Flags().StringVar(&of.worker, "worker", "", "only attempts of this `worker`")
	completes(c, "worker", f.completeWorkers)
	return paging(c)
}

// logsFilter says which attempts are printed.
type logsFilter struct {
	word   string // a task, failedTasks or allTasks
	worker string // "" is any
}

// attemptJSON is an attempt as a machine reads it.
type attemptJSON struct {
	Task        string      `json:"task"`
	Attempt     string      `json:"attempt"`
	Worker      string      `json:"worker,omitempty"`
	Started     events.Time `json:"started,omitzero"`
	Ended       events.Time `json:"ended,omitzero"`
	Outcome     string      `json:"outcome"`
	Speculative bool        `json:"speculative,omitempty"`
	Error       string      `json:"error,omitempty"`
}

// logs prints attempts.
func (l *jobLog) logs(ctx context.Context, of logsFilter) error {
	state, err := l.replay(ctx)
	if err != nil {
		return err
	}
	if of.worker != "" && state.Workers[of.worker] == nil {
		return l.noWorker(of.worker, state.Names())
	}
	list := []attemptJSON{}
	add := func(a *events.Attempt) {
		if of.worker != "" && a.Worker != of.worker || of.word == failedTasks && a.Outcome != "failed" && a.Outcome != "lost" {
			return
		}
		list = append(list, attemptJSON{
			Task: a.Task, Attempt: a.ID, Worker: a.Worker, Started: a.Start, Ended: a.End,
			Outcome: cmp.Or(a.Outcome, "running"), Speculative: a.Speculative, Error: a.Cause,
		})
	}
	if of.word != failedTasks && of.word != allTasks {
		t := state.Task(of.word)
		if t == nil {
			return usagef("they are numbered from 0", "job %s has no task %s", l.job.ID, of.word)
		}
		for _, a := range t.Attempts {
			add(a)
		}
	} else {
		for _, tasks := range [][]events.Task{state.Map, state.Reduce} {
			for i := range tasks {
				for _, a := range tasks[i].Attempts {
					add(a)
				}
			}
		}
	}
	if l.forMachines() {
		return printList(l.printer, struct {
			Schema   string        `json:"schema"`
			Job      string        `json:"job"`
			Attempts []attemptJSON `json:"attempts"`
		}{"mraws/logs/v1", l.job.ID, list}, list)
	}
	if len(list) == 0 {
		what := "no attempt at " + of.word + " has started"
		switch of.word {
		case failedTasks:
			what = "no attempt has failed or was lost"
		case allTasks:
			what = "no attempt has started"
		}
		if of.worker != "" {
			what += " on " + of.worker
		}
		l.note("%s", what)
		return nil
	}
	for _, a := range list {
		if err := l.say("%s", attemptText(a)); err != nil {
			return err
		}
	}
	return nil
}

// attemptText is an attempt for people: a line, and its error below it.
func attemptText(a attemptJSON) string {
	text := fmt.Sprintf("%s  %s", a.Task, a.Attempt)
	if a.Worker != "" {
		text += "  on " + a.Worker
	}
	if a.Started != 0 {
		text += "  started " + a.Started.Time().Format("2006-01-02 15:04:05.000")
	}
	text += "  " + a.Outcome
	if a.Started != 0 && a.Ended >= a.Started {
		text += " after " + secondsText(float64(a.Ended-a.Started)/1000)
	}
	if a.Speculative {
		text += ", speculative"
	}
	text = escape.Line(text)
	if a.Error != "" {
		text += "\n    " + strings.ReplaceAll(escape.Lines(strings.TrimSpace(a.Error)), "\n", "\n    ")
	}
	return text
}
