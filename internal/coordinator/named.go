package coordinator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// An attempt writes what it has for named outputs and for partitions of the output below
// _attempts/, and its record names these objects. So the commit of the task's output commits them too. Their plain names
// get copies here, before _SUCCESS, of the attempts that have committed alone. Whoever
// copies them again, as another coordinator may, writes the same bytes.

// namedCopy is a named output of a task that is to be copied.
type namedCopy struct {
	manifest.NamedOutput
	attempt string
	plain   string
}

// namedCopies are those that the records of all outputs name, by plain name.
func (l *loop) namedCopies() map[string]namedCopy {
	all := map[string]namedCopy{}
	for _, rec := range l.reduces {
		for _, n := range rec.Besides() {
			c := namedCopy{n, n.Writer(l.o.Layout), l.job.NamedKey(l.o.Layout, n.Name, n.Task)}
			all[c.plain] = c
		}
	}
	return all
}

// listNamed puts them into the summary.
func (l *loop) listNamed(s *manifest.Success) {
	var all []manifest.NamedOutput
	for plain, c := range l.namedCopies() {
		n := c.NamedOutput
		n.Key, n.ETag, n.Attempt = plain, "", c.attempt
		all = append(all, n)
	}
	s.List(all)
}

// mostCopies is how many copies the coordinator asks for at the same time. The store
// makes them: nothing of them passes through the coordinator.
const mostCopies = 32

// mostObjects bounds the objects that are copied, which the summary lists.
const mostObjects = 200_000

// publishNamed gives every named output and every partition its plain name. What lies there and is of
// another job, or of a task that has nothing for that output, is an error: a reader of
// the folder would take it for the job's.
func (s *restorer) publishNamed(ctx context.Context) error {
	var job *manifest.Job
	var all map[string]namedCopy
	s.call(ctx, func() { job, all = s.loop.job, s.loop.namedCopies() })
	if job == nil || len(job.Output.Named()) == 0 && !job.Output.Partitioned() {
		return context.Cause(ctx)
	}
	if len(all) > mostObjects {
		return &JobError{Cause: fmt.Sprintf("it has %d objects of named outputs and partitions, more than %d: partition by fewer columns, or have fewer tasks", len(all), mostObjects)}
	}
	there := map[string]object.Info{}
	dir := s.layout.NamedDir()
	if job.Output.Partitioned() {
		dir = s.layout.OutputDir()
	}
	for o, err := range s.store.List(ctx, dir) {
		if err != nil {
			return fmt.Errorf("list the named outputs: %w", err)
		}
		if _, ours := all[o.Key]; ours {
			there[o.Key] = o
		} else if !strings.HasSuffix(o.Key, "/") && (strings.HasPrefix(o.Key, s.layout.NamedDir()) || job.InPartition(s.layout, o.Key)) {
			return s.strayNamed(o.Key)
		}
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(mostCopies)
	for _, c := range all {
		if gctx.Err() != nil {
			break
		}
		g.Go(func() error { return s.copyNamed(gctx, job, c, there[c.plain]) })
	}
	return cmp.Or(g.Wait(), context.Cause(ctx))
}

// strayNamed is the error of an object in the place of a named output for which its
// task has nothing.
func (s *restorer) strayNamed(key string) error {
	return &ConflictError{
		Kind: ForeignObject,
		What: s.name(key) + " is in the way of the named outputs or partitions of the job",
		Diff: []string{"its task has written nothing there: it is of another job, or of an attempt whose output was deleted while the job ran"},
	}
}

// copyNamed copies a named output, unless it is there already, as the listing says. What
// lies there of another job is an error.
func (s *restorer) copyNamed(ctx context.Context, job *manifest.Job, c namedCopy, there object.Info) error {
	if there.Key != "" {
		if ok, err := s.hasNamed(ctx, job, c); ok || err != nil {
			return err
		}
	}
	f, _ := job.NamedFormat(c.Name) // its record was validated
	_, err := s.store.Copy(ctx, c.Key, c.ETag, c.plain, object.PutOptions{ContentType: f.ContentType()})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, object.ErrPrecondition):
		return &JobError{Lost: true, Cause: fmt.Sprintf("%s is missing or was changed, which attempt %s wrote for %s",
			s.name(c.Key), c.attempt, c.Name)}
	}
	if ok, lerr := s.hasNamed(ctx, job, c); ok || lerr != nil { // the reply was lost
		return lerr
	}
	return err
}

// hasNamed tells whether the copy that is to be made is there. What lies there of another
// job is an error.
func (s *restorer) hasNamed(ctx context.Context, job *manifest.Job, c namedCopy) (bool, error) {
	info, err := s.store.Stat(ctx, c.plain)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read the metadata of %s: %w", c.plain, err)
	case info.Meta[manifest.MetaJob] != job.ID:
		return false, s.foreignOutput(c.plain, "no attempt of this job wrote it")
	}
	return info.Meta[manifest.MetaAttempt] == c.attempt && info.Meta[manifest.MetaHash] == c.Hash && info.Size == c.Size, nil
}
