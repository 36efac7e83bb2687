package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// ErrFolderObject means that an object with the name of a folder has bytes:
// whether they are input nobody can tell.
var ErrFolderObject = errors.New("an object whose key ends in a slash has bytes")

// ErrOwnObjects means that a source has objects in common with what the job writes.
var ErrOwnObjects = errors.New("has objects in common with what the job writes")

// place is where a source lies, for people.
func (c *Coordinator) place(s Source) string {
	if s == (Source{}) {
		s = Source{Bucket: c.o.Store.Bucket(), Prefix: c.o.Layout.InputDir()}
	}
	return layout.Place(s.Bucket, s.Prefix)
}

// sources are where the job's input lies.
func (c *Coordinator) sources() []Source {
	if len(c.o.Sources) == 0 {
		return []Source{{}}
	}
	return c.o.Sources
}

// places are the sources, for people.
func (c *Coordinator) places() string {
	var all []string
	for _, s := range c.sources() {
		if all = append(all, c.place(s)); len(all) == mostPlaces && len(c.sources()) > mostPlaces {
			return strings.Join(all, ", ") + fmt.Sprintf(" and %d more", len(c.sources())-mostPlaces)
		}
	}
	return strings.Join(all, ", ")
}

// mostPlaces bounds the sources that a message names.
const mostPlaces = 5

// inputs lists the input, in byte order of name, and says how the buckets are reached
// that some of it lies in. An object of several sources counts once.
func (c *Coordinator) inputs(ctx context.Context, format input.Format) ([]manifest.Object, map[string]manifest.Access, error) {
	var own []manifest.Object
	if slices.Contains(c.sources(), Source{}) {
		var err error
		if own, err = c.own(ctx, format); err != nil {
			return nil, nil, err
		}
	}
	v, err := c.survey(ctx)
	if err != nil {
		return nil, nil, err
	}
	return ordered(append(own, c.compressed(format, v.objects)...)), v.buckets, nil
}

// ordered is the input of several sources in byte order of name, each object once.
func ordered(objects []manifest.Object) []manifest.Object {
	slices.SortStableFunc(objects, func(a, b manifest.Object) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(objects, func(a, b manifest.Object) bool { return a.Name == b.Name })
}

// own lists the job's own input: the objects that the job names, or all below
// input/ but those that [layout.Hidden] passes over.
func (c *Coordinator) own(ctx context.Context, format input.Format) ([]manifest.Object, error) {
	if c.o.Expected != nil {
		return c.compressed(format, c.o.Expected), nil
	}
	l := c.o.Layout
	var objects []manifest.Object
	named := map[string]bool{} // those that are yet to come
	for _, name := range c.o.Names {
		named[name] = true
	}
	var archived []object.Info
	for o, err := range c.o.Store.List(ctx, l.InputDir()) {
		if err != nil {
			return nil, fmt.Errorf("list the input: %w", err)
		}
		name, ok := l.InputName(o.Key)
		switch {
		case c.o.Names != nil && !named[name]:
			continue
		case c.o.Names != nil:
			delete(named, name)
		case !ok && o.Size > 0:
			return nil, fmt.Errorf("%w: s3://%s/%s has %d", ErrFolderObject, c.o.Store.Bucket(), o.Key, o.Size)
		case !ok || layout.Hidden(name) || !c.o.Pick.Takes(name, layout.Place(c.o.Store.Bucket(), o.Key)):
			continue
		}
		if o.Archived != "" {
			archived = append(archived, o)
		}
		objects = append(objects, manifest.Object{Name: name, ETag: o.ETag, Size: o.Size, Compression: c.compression(format, name)})
	}
	for _, name := range c.o.Names {
		if named[name] {
			return nil, c.bucket.foreign(l.Input(name), "it is input of the job, and was deleted after it was uploaded")
		}
	}
	if err := restored(ctx, c.home, c.o.Store.Bucket(), archived); err != nil {
		return nil, err
	}
	return objects, nil
}

// compression says by its name how an object is probably compressed.
func (c *Coordinator) compression(format input.Format, name string) manifest.Compression {
	if !c.decompresses(format) {
		return ""
	}
	return manifest.CompressionOf(name)
}

// decompresses tells whether objects that are compressed are decompressed before
// they are read.
func (c *Coordinator) decompresses(format input.Format) bool {
	return c.o.Decompress != (manifest.Decompress{}) && format.Decompresses()
}

// Foresee looks, before anything is uploaded, whether Run would refuse to work
// in this place: it returns the *ConflictError that Run would return. It says
// whether the job is there already. Then differ is asked which of the job's
// Names are not in the bucket as they are to be uploaded.
func (c *Coordinator) Foresee(ctx context.Context, differ func(context.Context) ([]string, error)) (found bool, err error) {
	if err := c.o.check(); err != nil {
		return false, err
	}
	stored, err := c.readJob(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return false, c.vacant(ctx)
	}
	if err != nil {
		return false, err
	}
	app := c.expected(stored.Spec)
	others, err := differ(ctx)
	if err != nil {
		return true, err
	}
	pinned := make(map[string]manifest.Object, len(stored.Objects))
	for _, o := range stored.Objects {
		pinned[o.Name] = o
	}
	var objects []manifest.Object
	format := app.InputFormat()
	for _, name := range c.o.Names {
		o, ok := pinned[name]
		if !ok || slices.Contains(others, name) {
			o = manifest.Object{Name: name}
		}
		o.Compression = c.compression(format, name)
		objects = append(objects, o)
	}
	v, err := c.survey(ctx)
	if err != nil {
		return true, err
	}
	objects = append(objects, c.compressed(format, v.objects)...)
	return true, c.conflict(stored, c.outline(app, ordered(objects)))
}

// vacant returns the error of the first commit or output that lies where a new
// job would have its own.
func (c *Coordinator) vacant(ctx context.Context) error {
	l := c.o.Layout
	if err := c.unowned(ctx); err != nil {
		return err
	}
	for _, dir := range []string{l.CommitDir(), l.OutputDir()} {
		for o, err := range c.o.Store.List(ctx, dir) {
			if err != nil {
				return fmt.Errorf("look for another job: %w", err)
			}
			name := strings.TrimPrefix(o.Key, dir)
			if o.Key == l.Success() || name != "" && name[0] != '_' {
				if dir == l.OutputDir() {
					return c.bucket.foreignOutput(o.Key, "there is no job that it belongs to")
				}
				return c.bucket.foreign(o.Key, "there is no job that it belongs to")
			}
		}
	}
	return nil
}
