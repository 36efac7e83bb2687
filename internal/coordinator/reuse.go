package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
)

// ErrNoEarlierJob means that there is no job to take map tasks over from.
var ErrNoEarlierJob = errors.New("there is no job to take map tasks over from")

// earlier reads the job from which map tasks are taken over, and says below which prefix
// it lies. It returns nil if none is named, and if that job would make something else of
// the same input: the log says why.
func (c *Coordinator) earlier(ctx context.Context, app manifest.Spec, objects []manifest.Object) (old *manifest.Job, prefix string, err error) {
	switch {
	case c.o.Finished != nil:
		if _, err := c.readJob(ctx); !errors.Is(err, fs.ErrNotExist) {
			return nil, "", nil // this job goes on as it was planned
		}
		old, prefix, err = c.newest(ctx, app, objects)
	case c.o.Reuse != nil:
		prefix = *c.o.Reuse
		old, err = c.named(ctx, layout.New(prefix))
	}
	if old == nil || err != nil {
		return nil, "", err
	}
	if why := c.unlike(old, app, objects); why != "" {
		c.o.Log.Warn().Str("job", old.ID).Str("why", why).Msg("no map task of the earlier job is taken over")
		return nil, "", nil
	}
	return old, prefix, nil
}

// mostCompared bounds the finished jobs whose specs are compared.
const mostCompared = 50

// newest finds the newest finished job of the app in the bucket that has map tasks to be
// taken over. Where none has any, it returns the newest of all.
func (c *Coordinator) newest(ctx context.Context, app manifest.Spec, objects []manifest.Object) (old *manifest.Job, prefix string, err error) {
	prefixes, err := c.o.Finished(ctx, app.App.Name)
	if err != nil {
		return nil, "", fmt.Errorf("look for the newest finished job: %w", err)
	}
	prefixes = slices.DeleteFunc(prefixes, func(p string) bool { return p == c.o.Layout.Prefix() })
	for _, p := range prefixes[:min(len(prefixes), mostCompared)] {
		job, _, err := jobstate.ReadJob(ctx, c.home, layout.New(p))
		switch {
		case errors.Is(err, fs.ErrNotExist), jobstate.Invalid(err):
			continue
		case err != nil:
			return nil, "", err
		}
		usable := c.unlike(job, app, objects) == "" && sharesTask(job, objects)
		if old == nil || usable {
			old, prefix = job, p
		}
		if usable {
			break
		}
	}
	if old == nil {
		return nil, "", fmt.Errorf("%w: s3://%s has no finished job of app %s", ErrNoEarlierJob, c.o.Store.Bucket(), app.App.Name)
	}
	c.o.Log.Info().Str("job", old.ID).Str("prefix", prefix).Msg("the newest finished job of the app")
	return old, prefix, nil
}

// named reads the job that lies there; nil if this one goes on without it.
func (c *Coordinator) named(ctx context.Context, lay layout.Layout) (*manifest.Job, error) {
	old, _, err := jobstate.ReadJob(ctx, c.o.Store, lay)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := c.readJob(ctx); err == nil {
			return nil, nil
		}
		return nil, fmt.Errorf("%w: s3://%s/%s does not exist", ErrNoEarlierJob, c.o.Store.Bucket(), lay.Job())
	}
	return old, err
}

// unlike says why a map task of old may make something else than one of this job that
// reads the same; "" if it does not.
func (c *Coordinator) unlike(old *manifest.Job, app manifest.Spec, objects []manifest.Object) string {
	ours := c.outline(app, old.Objects)
	ours.OutputAt = old.OutputAt
	if !ours.MapOnly() {
		ours.Output = old.Output // which reduce tasks make
	}
	switch diff := manifest.Diff(old, ours); {
	case len(diff) > 0:
		return strings.Join(diff, "; ")
	case old.App.SHA256 != ours.App.SHA256:
		return "another build of the app"
	case !ours.MapOnly() && ours.Partitioner.Name == manifest.Range:
		return "key ranges come from a sample of all input"
	case ours.SideEffects:
		return "the tasks of the app have side effects"
	case !ours.App.Apart() && !slices.EqualFunc(old.Objects, objects, func(a, b manifest.Object) bool { return a.Name == b.Name }):
		return "objects were added or removed, and the app can ask for the names of all"
	}
	return ""
}

// keep plans the tasks of objects so that those of an earlier job stay as they were
// whose objects have not changed. What lies between them is cut by plan, which gets some
// of the objects.
func keep(old *manifest.Job, objects []manifest.Object, plan func([]manifest.Object) ([][]manifest.Piece, error)) ([][]manifest.Piece, error) {
	at := places(objects)
	kept := map[int][][]manifest.Piece{} // by their first object
	for _, task := range old.Tasks {
		if pieces := moved(old, task, objects, at); pieces != nil {
			kept[pieces[0].Object] = append(kept[pieces[0].Object], pieces)
		}
	}
	var tasks [][]manifest.Piece
	for i := 0; i < len(objects); {
		if same := kept[i]; same != nil {
			tasks = append(tasks, same...)
			last := same[len(same)-1]
			i = last[len(last)-1].Object + 1
			continue
		}
		end := i + 1
		for end < len(objects) && kept[end] == nil {
			end++
		}
		between, err := plan(objects[i:end])
		if err != nil {
			return nil, err
		}
		for _, task := range between {
			for p := range task {
				task[p].Object += i
			}
			tasks = append(tasks, task)
		}
		i = end
	}
	return tasks, nil
}

// moved returns the pieces of a task of old in terms of objects, nil if one of its
// objects has changed or others lie between them now.
func moved(old *manifest.Job, task []manifest.Piece, objects []manifest.Object, at map[string]int) []manifest.Piece {
	pieces := slices.Clone(task)
	for p := range pieces {
		o := old.Objects[task[p].Object]
		i, there := at[o.Name]
		if !there || objects[i] != o || p > 0 && i != pieces[p-1].Object+1 {
			return nil
		}
		pieces[p].Object = i
	}
	return pieces
}

// sharesTask says whether a task of old reads only objects that have not changed.
func sharesTask(old *manifest.Job, objects []manifest.Object) bool {
	at := places(objects)
	return slices.ContainsFunc(old.Tasks, func(task []manifest.Piece) bool { return moved(old, task, objects, at) != nil })
}

// places are the indices of objects by name.
func places(objects []manifest.Object) map[string]int {
	at := make(map[string]int, len(objects))
	for i, o := range objects {
		at[o.Name] = i
	}
	return at
}

// reuse notes in the spec of a new job from which one map tasks are taken over, if any
// are.
func reuse(job, old *manifest.Job, prefix string) (tasks int) {
	if old == nil {
		return 0
	}
	keys := make(map[string]bool, len(old.Tasks))
	for m := range old.Tasks {
		keys[old.TaskKey(m)] = true
	}
	for m := range job.Tasks {
		if keys[job.TaskKey(m)] {
			tasks++
		}
	}
	if tasks > 0 {
		job.Reuse = manifest.Reuse{Job: old.ID, Prefix: prefix}
	}
	return tasks
}
