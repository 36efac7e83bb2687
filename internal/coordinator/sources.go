package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/inventory"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/pick"
	"github.com/mraws/mraws/internal/scratch"
)

// Source is a place that input lies in, but for objects that [layout.Hidden] passes
// over. The zero value is the job's own input/.
type Source struct {
	Bucket, Prefix string
	Kind           Kind
}

// Kind says what [Source.Prefix] is.
type Kind int

const (
	// Below is all objects whose keys begin with the prefix.
	Below Kind = iota
	// Object is the object whose key the prefix is, hidden or not.
	Object
	// Named is the object whose key the prefix is, or if there is none all objects of
	// the folder of that name.
	Named
	// Matching is all objects that the prefix, a pattern of package pick, matches, if
	// it is not the name of an object or a folder itself.
	Matching
	// Listed is all objects of an S3 Inventory, whose manifest.json is the object
	// whose key the prefix is.
	Listed
)

// NothingError means that a source has no object.
type NothingError struct {
	Source Source
	Access manifest.Access // how its bucket was asked
}

// Error names the place.
func (e *NothingError) Error() string {
	at := layout.Place(e.Source.Bucket, e.Source.Prefix)
	switch e.Source.Kind {
	case Matching:
		return "nothing matches " + at
	case Listed:
		return "the inventory " + at + " lists no object"
	}
	return "there is no object and no folder " + at
}

// SourceError means that a source cannot be listed.
type SourceError struct {
	Source Source
	Access manifest.Access // how its bucket was asked
	Err    error
}

// Error names the place.
func (e *SourceError) Error() string {
	return fmt.Sprintf("list the input %s: %v", layout.Place(e.Source.Bucket, e.Source.Prefix), e.Err)
}

// Unwrap returns the cause.
func (e *SourceError) Unwrap() error { return e.Err }

// ArchivedError means that an object of the input must be restored before it is read.
type ArchivedError struct {
	Place string // s3://bucket/key
	Class string // storage class
	More  int    // further objects
}

// Error names the object and its storage class.
func (e *ArchivedError) Error() string {
	text := fmt.Sprintf("%s is in the storage class %s: it cannot be read before it is restored", e.Place, e.Class)
	if e.More > 0 {
		text += fmt.Sprintf(", nor can %d more objects of the input", e.More)
	}
	return text
}

// surveyed is what was found in sources other than the job's own input/.
type surveyed struct {
	at      time.Time // when the listing began
	objects []manifest.Object
	buckets map[string]manifest.Access
}

// surveyLasts is how long a listing of sources is used in place of another.
const surveyLasts = time.Minute

// Survey lists the sources other than the job's own input/, so that what is wrong with
// them is known before Run. It returns a *[NothingError], *[SourceError] or
// *[ArchivedError], where these apply. Run uses what it found if it comes soon.
func (c *Coordinator) Survey(ctx context.Context) error {
	if err := c.o.Pick.Check(); err != nil {
		return err
	}
	_, err := c.survey(ctx)
	return err
}

func (c *Coordinator) survey(ctx context.Context) (*surveyed, error) {
	if c.surveyed != nil && time.Since(c.surveyed.at) < surveyLasts {
		return c.surveyed, nil
	}
	v := &surveyed{at: time.Now(), buckets: map[string]manifest.Access{}}
	var mu sync.Mutex
	found := make([][]manifest.Object, len(c.o.Sources))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for i, s := range c.o.Sources {
		if s == (Source{}) {
			continue
		}
		g.Go(func() error {
			l, err := c.list(gctx, s)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			found[i] = l.objects
			if a := l.access(); a != (manifest.Access{}) && len(l.objects) > 0 {
				v.buckets[l.bucket] = a
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	v.objects = slices.Concat(found...)
	c.surveyed = v
	return v, nil
}

// Bucket is another bucket that input lies in.
type Bucket interface {
	Lister
	// Access is how a worker reaches the bucket. Its region may be known only once
	// something was listed.
	Access() manifest.Access
}

// lister returns the bucket of that name; "" is that of the job. It says how the bucket
// is reached.
func (c *Coordinator) lister(ctx context.Context, bucket string) (from Lister, access func() manifest.Access, err error) {
	switch {
	case bucket == "" || bucket == c.o.Store.Bucket():
		return c.home, func() manifest.Access { return manifest.Access{} }, nil
	case c.o.Buckets == nil:
		return nil, nil, fmt.Errorf("list the input: no other bucket than s3://%s can be read here, such as s3://%s", c.o.Store.Bucket(), bucket)
	}
	b, err := c.o.Buckets(ctx, bucket)
	if err != nil {
		return nil, nil, err
	}
	return b, b.Access, nil
}

// listing is the listing of a source that is not the job's own input/.
type listing struct {
	c      *Coordinator
	source Source
	bucket string // that the objects lie in: of an inventory, the one that it lists
	from   Lister
	access func() manifest.Access
	seen   bool // something, which the job may pass over

	objects  []manifest.Object
	archived []object.Info
}

// list lists the objects of a source that is not the job's own input/.
func (c *Coordinator) list(ctx context.Context, s Source) (*listing, error) {
	if !layout.ValidBucket(s.Bucket) && s.Bucket != c.o.Store.Bucket() {
		return nil, fmt.Errorf("list the input: %q cannot be the name of a bucket", s.Bucket)
	}
	l := &listing{c: c, source: s}
	err := l.enter(ctx, s.Bucket)
	if err == nil {
		err = l.find(ctx)
	}
	if err == nil {
		err = l.restored(ctx)
	}
	if err == nil && !l.seen {
		err = &NothingError{s, l.access()}
	}
	var nothing *NothingError
	var archived *ArchivedError
	switch {
	case err == nil:
		return l, nil
	case errors.As(err, &nothing), errors.As(err, &archived), errors.Is(err, ErrOwnObjects), errors.Is(err, ErrFolderObject):
		return nil, err
	}
	failed := &SourceError{Source: s, Err: err}
	if l.access != nil {
		failed.Access = l.access()
	}
	return nil, failed
}

// enter goes on with the objects of a bucket.
func (l *listing) enter(ctx context.Context, bucket string) (err error) {
	l.bucket = bucket
	l.from, l.access, err = l.c.lister(ctx, bucket)
	return err
}

// find finds the objects.
func (l *listing) find(ctx context.Context) error {
	key := l.source.Prefix
	switch l.source.Kind {
	case Object:
		_, err := l.object(ctx, key)
		return err
	case Named:
		if ok, err := l.object(ctx, key); ok || err != nil {
			return err
		}
		return l.below(ctx, strings.TrimSuffix(key, "/")+"/", nil)
	case Matching:
		return l.matching(ctx, key)
	case Listed:
		return l.inventory(ctx, key)
	}
	return l.below(ctx, key, nil)
}

// object takes the object of that key, if there is one.
func (l *listing) object(ctx context.Context, key string) (ok bool, err error) {
	if key == "" || strings.HasSuffix(key, "/") {
		return false, nil
	}
	info, err := l.from.Stat(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		info.Key = key
		err = l.add(info, false)
	}
	return err == nil, err
}

// matching takes what a pattern matches, or the object or folder of that very name.
func (l *listing) matching(ctx context.Context, pattern string) error {
	if ok, err := l.object(ctx, pattern); ok || err != nil && !errors.Is(err, fs.ErrPermission) {
		return err
	}
	if err := l.below(ctx, strings.TrimSuffix(pattern, "/")+"/", nil); err != nil || l.seen {
		return err
	}
	keys, err := pick.Parse(pattern)
	if err != nil {
		return err
	}
	for _, own := range l.own() { // where the job will write what the pattern matches
		for _, name := range []string{"mr-out-0", "mr-0-0", "_SUCCESS"} {
			if keys.Match(own.Dir + name) {
				return l.ownError(own)
			}
		}
	}
	for _, prefix := range keys.Prefixes() {
		if err := l.below(ctx, prefix, keys.Match); err != nil {
			return err
		}
	}
	return nil
}

// below takes all objects whose keys begin with prefix and for which match, unless it
// is nil, returns true.
func (l *listing) below(ctx context.Context, prefix string, match func(key string) bool) error {
	if match == nil {
		for _, own := range l.own() {
			if strings.HasPrefix(own.Dir, prefix) {
				return l.ownError(own)
			}
		}
	}
	for o, err := range l.from.List(ctx, prefix) {
		if err != nil {
			return err
		}
		if match != nil && !match(o.Key) {
			continue
		}
		if err := l.add(o, match == nil && layout.HiddenBelow(prefix, o.Key)); err != nil {
			return err
		}
	}
	return nil
}

// own are the places in the bucket that the job writes to.
func (l *listing) own() []manifest.Place {
	lay, home := l.c.o.Layout, l.c.o.Store.Bucket()
	all := []manifest.Place{{Bucket: home, Dir: lay.IntermediateDir()}, {Bucket: home, Dir: lay.OwnOutputDir()}, l.c.o.OutputAt}
	return slices.DeleteFunc(all, func(p manifest.Place) bool { return p.Bucket != l.bucket })
}

func (l *listing) ownError(own manifest.Place) error {
	return fmt.Errorf("list the input: %s %w: %s", layout.Place(l.source.Bucket, l.source.Prefix), ErrOwnObjects, own)
}

// add takes an object, unless it is hidden.
func (l *listing) add(o object.Info, hidden bool) error {
	for _, own := range l.own() {
		if strings.HasPrefix(o.Key, own.Dir) {
			return l.ownError(own)
		}
	}
	l.seen = true
	place := layout.Place(l.bucket, o.Key)
	switch {
	case strings.HasSuffix(o.Key, "/") && o.Size > 0:
		return fmt.Errorf("%w: %s has %d", ErrFolderObject, place, o.Size)
	case strings.HasSuffix(o.Key, "/"), hidden:
		return nil
	}
	found := manifest.Object{Name: place, Bucket: l.bucket, Key: o.Key, ETag: o.ETag, Size: o.Size}
	if name, ok := l.c.o.Layout.InputName(o.Key); ok && l.bucket == l.c.o.Store.Bucket() {
		found.Name, found.Bucket, found.Key = name, "", ""
	}
	name := o.Key
	if found.Bucket == "" {
		name = found.Name
	}
	if !l.c.o.Pick.Takes(name, place) {
		return nil
	}
	l.objects = append(l.objects, found)
	if o.Archived != "" {
		l.archived = append(l.archived, o)
	}
	return nil
}

// restored returns an error if an object cannot be read before it is restored.
func (l *listing) restored(ctx context.Context) error {
	return restored(ctx, l.from, l.bucket, l.archived)
}

// restored looks which archived objects of a bucket have been restored, and returns an
// *[ArchivedError] if some have not.
func restored(ctx context.Context, from Lister, bucket string, archived []object.Info) error {
	still := make([]string, len(archived)) // their classes
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for i, o := range archived {
		g.Go(func() error {
			now, err := from.Stat(gctx, o.Key)
			still[i] = now.Archived
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	var out *ArchivedError
	for i, class := range still {
		switch {
		case class == "":
		case out == nil:
			out = &ArchivedError{Place: layout.Place(bucket, archived[i].Key), Class: class}
		default:
			out.More++
		}
	}
	if out == nil {
		return nil
	}
	return out
}

const (
	// mostManifest bounds a manifest.json in bytes.
	mostManifest = 64 << 20
	// listChunk and listWindow say how a file of an inventory is read.
	listChunk, listWindow = 4 << 20, 4
)

// inventory takes the objects that an S3 Inventory lists. What it does not say of an
// object, the bucket is asked for.
func (l *listing) inventory(ctx context.Context, key string) (err error) {
	body, err := l.from.OpenChunks(ctx, key, "", 0, -1, listChunk, listWindow)
	if err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(body, mostManifest))
	if err = errors.Join(err, body.Close()); err != nil {
		return err
	}
	m, err := inventory.Parse(data)
	if err != nil {
		return err
	}
	if !layout.ValidBucket(m.Dest) || !layout.ValidBucket(m.Source) {
		return fmt.Errorf("there can be no bucket %q or %q, which it names", m.Dest, m.Source)
	}
	files, _, err := l.c.lister(ctx, m.Dest)
	if err == nil {
		err = l.enter(ctx, m.Source)
	}
	if err != nil {
		return err
	}
	read := m.Read
	if m.Parquet {
		if l.c.o.Parquet == nil {
			return ErrNoParquet
		}
		read = func(f inventory.File, body io.Reader, each func(inventory.Entry) error) error {
			return readParquet(l.c.o.Parquet, m, f, body, each)
		}
	}
	var vague []string // keys
	for _, f := range m.Files {
		body, err := files.OpenChunks(ctx, f.Key, "", 0, -1, listChunk, listWindow)
		if err != nil {
			return err
		}
		err = read(f, body, func(e inventory.Entry) error {
			if e.Size < 0 || e.ETag == "" {
				vague = append(vague, e.Key)
				return nil
			}
			return l.add(object.Info{Key: e.Key, Size: e.Size, ETag: e.ETag, Archived: archiveOf(e.Class)}, layout.Hidden(e.Key))
		})
		if err = errors.Join(err, body.Close()); err != nil {
			return fmt.Errorf("%s: %w", layout.Place(m.Dest, f.Key), err)
		}
	}
	return l.ask(ctx, vague)
}

// ErrNoParquet means that an inventory is in Parquet, and this program reads none.
var ErrNoParquet = errors.New("the inventory is in Parquet, which this program does not read")

// readParquet reads a file of an inventory. Parquet is read from its end, so the file is
// copied into a temporary one first, and its bytes compared with the manifest.
func readParquet(parquet input.ParquetReader, m *inventory.Manifest, f inventory.File, body io.Reader, each func(inventory.Entry) error) (err error) {
	file, err := scratch.Create(os.TempDir(), "mraws-inventory-*")
	if err != nil {
		return fmt.Errorf("make a temporary file: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	size, err := f.Copy(file, body)
	if err != nil {
		return err
	}
	columns := m.Columns()
	r, err := parquet(input.Piece{Object: f.Key, Size: size, Length: size, Rows: input.Rows{Fields: true}, Open: func(off, n int64) (input.Body, error) {
		return section{input.NewBuffered(io.NewSectionReader(file, off, n), n)}, nil
	}}, input.Table{Columns: columns})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for row := 1; r.Next(); row++ {
		fields := r.Record().Fields
		e, there, err := m.Entry(func(column string) string {
			if i := slices.Index(columns, column); i >= 0 {
				return string(fields.Text(i)) // of null it is empty
			}
			return ""
		})
		if err != nil {
			return fmt.Errorf("row %d: %w", row, err)
		}
		if !there {
			continue
		}
		if err := each(e); err != nil {
			return err
		}
	}
	return r.Err()
}

// section is an [input.Body] of a file that stays open.
type section struct{ input.Buffered }

// Close implements io.Closer.
func (section) Close() error { return nil }

// archiveOf is what [object.Info] says of a storage class.
func archiveOf(class string) string {
	if class == "GLACIER" || class == "DEEP_ARCHIVE" {
		return class
	}
	return ""
}

// ask takes objects of which only the keys are known. One that has gone is passed over.
func (l *listing) ask(ctx context.Context, keys []string) error {
	infos := make([]object.Info, len(keys))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(readers)
	for i, key := range keys {
		g.Go(func() (err error) {
			infos[i], err = l.from.Stat(gctx, key)
			if infos[i].Key = key; errors.Is(err, fs.ErrNotExist) {
				infos[i].Key, err = "", nil
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, o := range infos {
		if o.Key == "" {
			continue
		}
		if err := l.add(o, layout.Hidden(o.Key)); err != nil {
			return err
		}
	}
	return nil
}

// compressed says of objects how they are decompressed.
func (c *Coordinator) compressed(format input.Format, objects []manifest.Object) []manifest.Object {
	out := slices.Clone(objects)
	for i := range out {
		name := out[i].Name
		if out[i].Bucket != "" {
			name = out[i].Key
		}
		out[i].Compression = c.compression(format, name)
	}
	return out
}
