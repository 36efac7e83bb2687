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
)

// ErrFolderObject means that an object with the name of a folder has bytes:
// whether they are input nobody can tell.
var ErrFolderObject = errors.New("an object whose key ends in a slash has bytes")

// ErrOwnObjects means that a source has objects in common with what the job writes.
var ErrOwnObjects = errors.New("has objects in common with what the job writes")

// Source is a place that input lies in: all objects of a bucket whose keys begin
// with a prefix, but those that [layout.Hidden] passes over. The zero value is
// the job's own input/.
type Source struct {
	Bucket, Prefix string
	// Object says that Prefix is the key of the only object.
	Object bool
}

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
		all = append(all, c.place(s))
	}
	return strings.Join(all, ", ")
}

// inputs lists the input, in byte order of name. An object of several sources
// counts once.
func (c *Coordinator) inputs(ctx context.Context, format input.Format) ([]manifest.Object, error) {
	var objects []manifest.Object
	for _, s := range c.sources() {
		found, err := c.list(ctx, format, s)
		if err != nil {
			return nil, err
		}
		objects = append(objects, found...)
	}
	return c.ordered(objects), nil
}

// ordered is the input of several sources in byte order of name, each object once.
func (c *Coordinator) ordered(objects []manifest.Object) []manifest.Object {
	if len(c.o.Sources) == 0 {
		return objects
	}
	slices.SortStableFunc(objects, func(a, b manifest.Object) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(objects, func(a, b manifest.Object) bool { return a.Name == b.Name })
}

// list lists the objects of a source. One that lies below the job's own input/
// is named as there.
func (c *Coordinator) list(ctx context.Context, format input.Format, s Source) ([]manifest.Object, error) {
	if s == (Source{}) {
		return c.own(ctx, format)
	}
	l, ours := c.o.Layout, s.Bucket == c.o.Store.Bucket()
	if !layout.ValidBucket(s.Bucket) && !ours {
		return nil, fmt.Errorf("list the input: %q cannot be the name of a bucket", s.Bucket)
	}
	own := c.o.Store.Bucket()
	for _, p := range []manifest.Place{{Bucket: own, Dir: l.IntermediateDir()}, {Bucket: own, Dir: l.OwnOutputDir()}, c.o.OutputAt} {
		if s.Bucket == p.Bucket && (!s.Object && strings.HasPrefix(p.Dir, s.Prefix) || strings.HasPrefix(s.Prefix, p.Dir)) {
			return nil, fmt.Errorf("list the input: %s %w: %s", c.place(s), ErrOwnObjects, p)
		}
	}
	from, err := c.lister(s.Bucket)
	if err != nil {
		return nil, err
	}
	var objects []manifest.Object
	for o, err := range from.List(ctx, s.Prefix) {
		switch {
		case err != nil:
			return nil, fmt.Errorf("list the input: %w", err)
		case s.Object && o.Key != s.Prefix:
			return objects, nil // the object comes first, if it is there
		case strings.HasSuffix(o.Key, "/") && o.Size > 0:
			return nil, fmt.Errorf("%w: %s has %d", ErrFolderObject, layout.Place(s.Bucket, o.Key), o.Size)
		case strings.HasSuffix(o.Key, "/"), layout.Hidden(o.Key):
			continue
		}
		found := manifest.Object{
			Name: layout.Place(s.Bucket, o.Key), Bucket: s.Bucket, Key: o.Key, ETag: o.ETag, Size: o.Size, Compression: c.compression(format, o.Key),
		}
		if name, ok := l.InputName(o.Key); ok && ours {
			found.Name, found.Bucket, found.Key = name, "", ""
		}
		objects = append(objects, found)
	}
	return objects, nil
}

// lister returns the bucket of that name; "" is that of the job.
func (c *Coordinator) lister(bucket string) (Lister, error) {
	switch {
	case bucket == "" || bucket == c.o.Store.Bucket():
		return c.home, nil
	case c.o.Buckets == nil:
		return nil, fmt.Errorf("list the input: no other bucket than s3://%s can be read here, such as s3://%s", c.o.Store.Bucket(), bucket)
	}
	return c.o.Buckets(bucket), nil
}

// own lists the job's own input: the objects that the job names, or all below
// input/ but those that [layout.Hidden] passes over.
func (c *Coordinator) own(ctx context.Context, format input.Format) ([]manifest.Object, error) {
	l := c.o.Layout
	var objects []manifest.Object
	named := map[string]bool{} // those that are yet to come
	for _, name := range c.o.Names {
		named[name] = true
	}
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
		case !ok || layout.Hidden(name):
			continue
		}
		objects = append(objects, manifest.Object{Name: name, ETag: o.ETag, Size: o.Size, Compression: c.compression(format, name)})
	}
	for _, name := range c.o.Names {
		if named[name] {
			return nil, c.bucket.foreign(l.Input(name), "it is input of the job, and was deleted after it was uploaded")
		}
	}
	return objects, nil
}

// compression says how an object is decompressed before it is read.
func (c *Coordinator) compression(format input.Format, name string) manifest.Compression {
	if c.o.Decompress == (manifest.Decompress{}) || !format.Decompresses() {
		return ""
	}
	return manifest.CompressionOf(name)
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
	for _, s := range c.o.Sources {
		if s == (Source{}) {
			continue
		}
		found, err := c.list(ctx, format, s)
		if err != nil {
			return true, err
		}
		objects = append(objects, found...)
	}
	return true, c.conflict(stored, c.outline(app, c.ordered(objects)))
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

// warnOfBytes warns of input whose compression is not read.
func (c *Coordinator) warnOfBytes(format input.Format, objects []manifest.Object) {
	if c.o.Decompress == (manifest.Decompress{}) || !format.Decompresses() {
		return // as they were asked for, or as the format wants them
	}
	var names []string
	for _, o := range objects {
		if o.Compression == "" && manifest.Unread(o.Name) {
			names = append(names, o.At(c.o.Layout))
		}
	}
	for _, name := range names[:min(len(names), mostWarned)] {
		c.o.Log.Warn().Str("key", name).Msg("the compression that its name shows is not supported: its bytes are read as they are")
	}
	if more := len(names) - mostWarned; more > 0 {
		c.o.Log.Warn().Int("objects", more).Msg("more objects have such a name")
	}
}

// mostWarned bounds the objects that a warning names.
const mostWarned = 5
