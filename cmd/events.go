package cmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/escape"
	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/manifest"
)

func (f *frame) eventsCommand() *cobra.Command {
	follow, of := false, eventFilter{}
	c := &cobra.Command{
		Use:   "events",
		Short: "Print the event log of a job",
		Long: "Print the event log of a job, in order: tasks and attempts, workers, takeovers, totals. It lies\n" +
			"in the bucket, and no coordinator is needed. A coordinator writes what happens some seconds\n" +
			"later. With -o json, or jsonl, each event is a line of JSON.",
		Example: "  " + f.name + " events counts\n  " + f.name + " events last -f\n  " + f.name + " events last --task map-3\n  " + f.name + " events --prefix runs/42 -o json | jq -c 'select(.outcome == \"failed\")'",
		RunE: f.run(func(ctx context.Context, s *session, _ []string) error {
			if of.task != "" {
				phase, index, err := parseTask(of.task)
				if err != nil {
					return err
				}
				of.task = fmt.Sprintf("%s-%d", phase, index)
			}
			return s.withStore(ctx, func(st *store) error {
				l, err := s.openLog(ctx, st)
				if err != nil {
					return err
				}
				return l.print(ctx, follow, of)
			})
		}),
	}
	f.takesJob(c, 0)
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what comes until the job is done or has failed")
	c.Flags().StringVar(&of.worker, "worker", "", "only what happens to this `worker` and on it")
	c.Flags().StringVar(&of.task, "task", "", "only what happens to this `task`, such as map-3")
	completes(c, "worker", f.completeWorkers)
	completes(c, "task", f.completeTasks)
	return paging(c)
}

// eventFilter says which events are printed.
type eventFilter struct{ worker, task string } // "" is any

func (f eventFilter) takes(e events.Entry) bool {
	return (f.worker == "" || e.Worker == f.worker) && (f.task == "" || e.Task == f.task)
}

// jobLog is the event log of a job.
type jobLog struct {
	*session
	st     *store
	job    *manifest.Job
	reader *events.Reader
	over   bool // it has said that all tasks are committed
	failed bool // it has said that the job failed, and that its coordinator has ended
	lacks  int64

	workers map[string]bool // that it has named
}

// openLog finds the job whose event log is to be read.
func (s *session) openLog(ctx context.Context, st *store) (*jobLog, error) {
	job, err := s.readJob(ctx, st)
	if err != nil {
		return nil, err
	}
	return &jobLog{session: s, st: st, job: job, reader: events.NewReader(st, s.layout, job.ID), workers: map[string]bool{}}, nil
}

// noteEnd notes what an event says of the end of the job, and its worker.
func (l *jobLog) noteEnd(e events.Entry) {
	if e.Worker != "" {
		l.workers[e.Worker] = true
	}
	switch e.Type {
	case events.JobDone:
		l.over = true
	case events.OutputGone:
		l.over = false
	case events.CoordinatorStarted:
		l.failed = false
	case events.CoordinatorEnded:
		l.failed = strings.HasPrefix(e.Cause, "job failed: ")
	case events.EventsDropped:
		l.lacks += e.Dropped
	}
}

// followEvery is how often a reader that follows asks for the next segment, and every how
// many of these times it looks whether the job is done.
const followEvery, askDone = time.Second, 5

// print prints the log, to its end as it is, or until the job is over.
func (l *jobLog) print(ctx context.Context, follow bool, of eventFilter) error {
	out := bufio.NewWriterSize(l.io.Out, 64<<10)
	yield := func(e events.Entry) error {
		if l.noteEnd(e); !of.takes(e) {
			return nil
		}
		return l.printEvent(out, e)
	}
	err := l.reader.Read(ctx, yield)
	if follow {
		defer l.hush()() // it waits for the job
	}
	for turn := 0; err == nil && follow && !l.failed; turn++ {
		if err = out.Flush(); err != nil {
			break
		}
		var more bool
		if turn%askDone == 0 {
			if more, err = l.done(ctx); more || err != nil {
				break
			}
		}
		if more, err = l.reader.More(ctx, yield); more || err != nil {
			continue
		}
		select {
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-time.After(followEvery):
		}
	}
	if err == nil && follow {
		err = l.reader.Read(ctx, yield)
	}
	if err = errors.Join(err, out.Flush()); err != nil {
		return err
	}
	if err = l.complete(ctx, nil); err == nil && of.worker != "" && !l.workers[of.worker] {
		err = l.noWorker(of.worker, slices.Sorted(maps.Keys(l.workers)))
	}
	return err
}

// noWorker is the error of a name that no worker of the job has had.
func (l *jobLog) noWorker(name string, known []string) error {
	hint := "the event log names none"
	if len(known) > 0 {
		hint = "it has had " + strings.Join(known[:min(len(known), shownJobs)], ", ")
		if more := len(known) - shownJobs; more > 0 {
			hint += fmt.Sprintf(" and %d others", more)
		}
	}
	return usagef(nearHint(name, known)+hint, "job %s has had no worker %q", l.job.ID, name)
}

// done says whether the job has a summary.
func (l *jobLog) done(ctx context.Context) (bool, error) {
	from := l.st.Store
	if b := l.job.OutputAt.Bucket; b != "" {
		from = l.st.In(b)
	}
	_, err := from.Stat(ctx, l.job.Layout(l.layout).Success())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// complete says on stderr what the log lacks, and returns an error where there is none.
// State is what it comes to, nil if that is not known.
func (l *jobLog) complete(ctx context.Context, state *events.State) error {
	done, err := l.done(ctx)
	if err != nil {
		return err
	}
	lacks := l.reader.Faults()
	if l.reader.Empty() && len(lacks) == 0 {
		hint := "`mraws status` shows what the bucket has of the job"
		if !done {
			hint = "a coordinator writes the first events after some seconds; " + hint
		}
		return usagef(hint, "job %s has no event log in s3://%s", l.job.ID, l.where())
	}
	switch {
	case state != nil && done:
		lacks = append(lacks, state.Missing()...)
	case l.lacks > 0:
		lacks = append(lacks, countText(l.lacks, "event")+" dropped")
	case done && !l.over:
		lacks = append(lacks, "there is no job.done")
	}
	if len(lacks) > 0 {
		l.note("the event log is incomplete: %s", strings.Join(lacks, "; "))
	}
	return nil
}

// replay reads the whole log.
func (l *jobLog) replay(ctx context.Context) (*events.State, error) {
	state := new(events.State)
	if err := l.reader.Read(ctx, func(e events.Entry) error { state.Apply(e); return nil }); err != nil {
		return nil, err
	}
	return state, l.complete(ctx, state)
}

func (l *jobLog) printEvent(out io.Writer, e events.Entry) error {
	if l.forMachines() {
		doc, err := encodeNext(l.output, e)
		if err != nil {
			return fmt.Errorf("write result as %s: %w", l.output, err)
		}
		_, err = safely{out}.Write(doc)
		return err
	}
	_, err := fmt.Fprintln(out, escape.Line(eventText(e)))
	return err
}

// eventText is an event for people, on one line.
func eventText(e events.Entry) string {
	words := []string{e.At.Time().Format("2006-01-02 15:04:05.000"), fmt.Sprintf("%-19s", e.Type)}
	add := func(format, value string) {
		if value != "" {
			words = append(words, fmt.Sprintf(format, value))
		}
	}
	if e.Type == events.CoordinatorStarted || e.Type == events.CoordinatorEnded {
		add("%s", e.Coordinator)
	}
	add("%s", e.App)
	add("%s", e.Phase)
	add("%s", e.Task)
	add("%s", e.Event.Attempt)
	add("on %s", e.Worker)
	add("%s", e.Host)
	add("%s", e.Outcome)
	add("from %s", e.From)
	add("to %s", e.To)
	switch e.Type {
	case events.AttemptStarted:
		add("slot %s", fmt.Sprint(e.Slot))
	case events.JobPlanned:
		add("%s", countText(int64(e.Maps), "map task"))
		add("%s", countText(int64(e.Reduces), "reduce task"))
		add("%s", countText(int64(e.Objects), "object"))
		add("%s", bytesText(e.Bytes))
	case events.WorkerJoined:
		add("%s", countText(int64(e.Slots), "slot"))
	case events.WorkerSampled:
		if m := e.Sample; m != nil {
			add("CPU %s", fmt.Sprintf("%.0f%% of %s", m.CPUPercent, countText(int64(m.Cores), "core")))
			add("memory %s", bytesText(m.MemoryBytes))
			add("%s", countText(m.S3Requests, "request"))
		}
	case events.EventsDropped:
		add("%s", countText(e.Dropped, "event"))
	case events.JobDone:
		if t := e.Totals; t != nil {
			add("read %s", bytesText(t.Input.Bytes))
			add("wrote %s", bytesText(t.Output.Bytes))
			add("%s", countText(int64(t.Map.Granted+t.Reduce.Granted), "attempt"))
		}
	}
	if e.Outcome == "committed" || e.Type == events.TaskRestored {
		add("read %s", bytesText(e.Bytes))
		add("wrote %s", bytesText(e.WroteBytes))
		add("in %s", secondsText(e.Seconds))
	}
	if e.Speculative {
		add("%s", "speculative")
	}
	text := strings.Join(words, "  ")
	if e.Cause != "" {
		text += "  " + strings.ReplaceAll(e.Cause, "\n", "; ")
	}
	return text
}
