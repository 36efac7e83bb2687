package shipped

import (
	"archive/zip"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/scratch"
)

// Options are all that a cache is told.
type Options struct {
	Store   Source
	Scratch string // an existing directory for temporary files, which have no names
	// Most bounds what one job ships, with archives unpacked, in bytes; 0 is no bound.
	Most int64
}

// Cache has the files that jobs of applications in Go ship, those of each job once for
// all attempts of the process. Close frees them.
type Cache struct {
	o Options

	mu   sync.Mutex
	sets map[string]*set // by what makes the files
}

// set is what one job ships.
type set struct {
	once  sync.Once
	file  *scratch.File
	files fs.FS
	err   error
}

// NewCache returns a cache. It makes nothing before it is used.
func NewCache(o Options) *Cache { return &Cache{o: o, sets: map[string]*set{}} }

// Files returns the files of a job whose objects are in lay, as [mr.Task] has them,
// and fetches them unless another attempt has. It calls beat while it does. The error
// is a *DamagedError or an *ArchiveError if it would come back for every attempt.
func (c *Cache) Files(ctx context.Context, lay layout.Layout, files []manifest.CodeFile, beat func()) (fs.FS, error) {
	for {
		name, mine := setName(files), false
		one := c.set(name)
		one.once.Do(func() {
			mine = true
			one.file, one.files, one.err = Gather(ctx, c.o, files, func(f manifest.CodeFile, w io.Writer) error {
				return Fetch(ctx, c.o.Store, lay, f, w, beat)
			})
		})
		if one.err == nil {
			return one.files, nil
		}
		c.forget(name, one)
		if mine || ctx.Err() != nil {
			return nil, one.err
		}
		// The other's error may be the end of its attempt: try ourselves.
	}
}

// Close frees what has been fetched. Nobody may read it any more.
func (c *Cache) Close() (err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, one := range c.sets {
		if one.file != nil {
			err = errors.Join(err, one.file.Close())
		}
	}
	clear(c.sets)
	return err
}

// setName is the same for the same files under the same names.
func setName(files []manifest.CodeFile) string {
	var b strings.Builder
	for _, f := range files {
		fmt.Fprintf(&b, "%s %s %q\n", f.SHA256, f.Archive, f.Name)
	}
	return b.String()
}

func (c *Cache) set(name string) *set {
	c.mu.Lock()
	defer c.mu.Unlock()
	one := c.sets[name]
	if one == nil {
		one = new(set)
		c.sets[name] = one
	}
	return one
}

// forget lets the files be fetched again.
func (c *Cache) forget(name string, one *set) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sets[name] == one {
		delete(c.sets, name)
	}
}

// ArchiveError says that an archive cannot be read, or has what an application in Go
// cannot be given.
type ArchiveError struct {
	Name string // of the archive
	Err  error
}

// Error names the archive.
func (e *ArchiveError) Error() string { return fmt.Sprintf("unpack %s: %v", e.Name, e.Err) }

// Unwrap returns the cause.
func (e *ArchiveError) Unwrap() error { return e.Err }

// Gather returns the files as a file system, and the temporary file in which they lie;
// the caller closes that. read writes the bytes of a file, or of an archive, to w. An
// archive is a folder. Links are no part of a file system that is only read, so an
// archive with one is an *ArchiveError.
func Gather(ctx context.Context, o Options, files []manifest.CodeFile, read func(f manifest.CodeFile, w io.Writer) error) (*scratch.File, fs.FS, error) {
	file, err := scratch.Create(o.Scratch, "mraws-files-*")
	if err != nil {
		return nil, nil, fmt.Errorf("make a temporary file: %w", err)
	}
	out := &written{w: bufio.NewWriterSize(file, 256<<10)}
	g := &gatherer{ctx: ctx, o: o, out: zip.NewWriter(out), read: read, left: o.Most, seen: map[string]bool{}}
	if o.Most == 0 {
		g.left = 1 << 62
	}
	err = g.all(files)
	if err == nil {
		err = errors.Join(g.out.Close(), out.w.Flush())
	}
	if err == nil {
		var z *zip.Reader
		if z, err = zip.NewReader(file, out.n); err == nil {
			return file, z, nil
		}
	}
	return nil, nil, errors.Join(err, file.Close())
}

// written counts what is written.
type written struct {
	w *bufio.Writer
	n int64
}

func (w *written) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	w.n += int64(n)
	return n, err
}

// gatherer writes files, and those of archives, into one archive, in which none is
// compressed. Package archive/zip reads it as a file system.
type gatherer struct {
	ctx  context.Context
	o    Options
	out  *zip.Writer
	read func(manifest.CodeFile, io.Writer) error
	left int64 // bytes that may come yet
	seen map[string]bool
	// failed says that something of this process has failed, or the attempt has ended.
	failed bool
}

func (g *gatherer) all(files []manifest.CodeFile) error {
	for _, f := range files {
		err := g.one(f)
		if err != nil {
			return fmt.Errorf("shipped file %s: %w", f.Name, err)
		}
	}
	return nil
}

func (g *gatherer) one(f manifest.CodeFile) error {
	if f.Archive == "" {
		return g.add(f.Name, func(w io.Writer) error { return g.read(f, w) })
	}
	packed, err := scratch.Create(g.o.Scratch, "mraws-files-*")
	if err != nil {
		return fmt.Errorf("make a temporary file: %w", err)
	}
	if err = g.read(f, packed); err == nil {
		if err = g.archive(f, packed); err != nil && !g.failed {
			err = &ArchiveError{f.Name, err}
		}
	}
	return errors.Join(err, packed.Close())
}

// archive adds the files of an archive below its name.
func (g *gatherer) archive(f manifest.CodeFile, packed io.ReaderAt) error {
	if _, err := g.out.Create(f.Name + "/"); err != nil { // also one without files
		return err
	}
	return Walk(f.Archive, packed, f.Size, func(e Entry) error {
		switch {
		case e.Link != "" || e.Mode.Type() == fs.ModeSymlink:
			return fmt.Errorf("%q is a link, and an application in Go reads files alone", e.Name)
		case !fs.ValidPath(e.Name) || strings.Contains(e.Name, `\`):
			return fmt.Errorf("%q is no name of a file in it", e.Name)
		case e.Mode.IsDir():
			return nil
		}
		return g.add(path.Join(f.Name, e.Name), func(w io.Writer) error {
			_, err := io.Copy(w, e.Body)
			return err
		})
	})
}

// add adds a file.
func (g *gatherer) add(name string, write func(io.Writer) error) error {
	if g.seen[name] {
		return fmt.Errorf("there are two files with the name %q", name)
	}
	g.seen[name] = true
	w, err := g.out.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
	if err != nil {
		return err
	}
	return write(&counted{g, w})
}

// counted is a writer of a file.
type counted struct {
	*gatherer
	w io.Writer
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := 0, context.Cause(c.ctx)
	if c.left -= int64(len(p)); err == nil && c.left < 0 {
		err = fmt.Errorf("the files that the job ships have more than %d bytes (exec-disk)", c.o.Most)
	}
	if err == nil {
		n, err = c.w.Write(p)
	}
	c.failed = c.failed || err != nil
	return n, err
}
