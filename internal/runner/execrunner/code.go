package execrunner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/shipped"
)

// cache has the files that jobs ship, each once for all attempts of the host.
type cache struct {
	host *Host

	mu    sync.Mutex
	files map[string]*cached // by name in the cache
}

// cached is a file, or a folder into which an archive was unpacked.
type cached struct {
	once sync.Once
	path string
	err  error
}

// place puts a file where an attempt needs it.
func (c *cache) place(ctx context.Context, lay layout.Layout, f manifest.CodeFile, at string, beat func()) error {
	for {
		one, mine := c.entry(f), false
		one.once.Do(func() { mine = true; one.path, one.err = c.fetch(ctx, lay, f, beat) })
		if one.err == nil {
			if f.Archive != "" {
				return os.Symlink(one.path, at)
			}
			return copyFile(one.path, at, mode(f.Executable))
		}
		c.forget(f, one)
		if mine || ctx.Err() != nil {
			return one.err
		}
		// The other's error may be the end of its attempt: try ourselves.
	}
}

// name is that of the file in the cache.
func cacheName(f manifest.CodeFile) string {
	name := f.SHA256
	if f.Archive != "" {
		name += "." + f.Archive
	} else if f.Executable {
		name += ".x"
	}
	return name
}

func (c *cache) entry(f manifest.CodeFile) *cached {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files == nil {
		c.files = map[string]*cached{}
	}
	one := c.files[cacheName(f)]
	if one == nil {
		one = new(cached)
		c.files[cacheName(f)] = one
	}
	return one
}

// forget lets the file be fetched again.
func (c *cache) forget(f manifest.CodeFile, one *cached) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.files[cacheName(f)] == one {
		delete(c.files, cacheName(f))
	}
}

func mode(executable bool) fs.FileMode {
	if executable {
		return 0o755
	}
	return 0o644
}

// fetch fetches a file, and unpacks an archive.
func (c *cache) fetch(ctx context.Context, lay layout.Layout, f manifest.CodeFile, beat func()) (path string, err error) {
	dir := filepath.Join(c.host.dir, "code")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make a directory for files: %w", err)
	}
	tmp, err := os.CreateTemp(dir, "fetch-")
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w", lay.Code(f.SHA256), err)
	}
	defer func() {
		_ = tmp.Close()
		_ = os.Remove(tmp.Name()) // it may have another name by now
	}()
	if err := shipped.Fetch(ctx, c.host.o.Store, lay, f, tmp, beat); err != nil {
		return "", err
	}
	to := filepath.Join(dir, cacheName(f))
	if f.Archive != "" {
		if err := unpack(ctx, tmp, f, to, c.host.o.Limits.Disk, beat); err != nil {
			return "", errors.Join(fmt.Errorf("unpack %s: %w", f.Name, err), removeAll(to))
		}
		return to, nil
	}
	if err := errors.Join(tmp.Chmod(mode(f.Executable)), tmp.Close()); err != nil {
		return "", fmt.Errorf("fetch %s: %w", lay.Code(f.SHA256), err)
	}
	if err := os.Rename(tmp.Name(), to); err != nil {
		return "", fmt.Errorf("fetch %s: %w", lay.Code(f.SHA256), err)
	}
	return to, nil
}

// unpacker unpacks an archive into a folder, which it does not leave, whatever the
// names and links of the archive say.
type unpacker struct {
	ctx  context.Context
	root *os.Root
	left int64 // bytes that it may write yet
	beat func()
}

// unpack unpacks an archive of at most limit bytes, 0 for any number, into a new
// folder.
func unpack(ctx context.Context, in *os.File, f manifest.CodeFile, to string, limit int64, beat func()) (err error) {
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	u := &unpacker{ctx: ctx, root: root, left: limit, beat: beat}
	if limit == 0 {
		u.left = 1 << 62
	}
	return shipped.Walk(f.Archive, in, f.Size, u.entry)
}

// entry writes what an archive has at a time.
func (u *unpacker) entry(e shipped.Entry) error {
	name := filepath.Clean(e.Name)
	switch {
	case e.Mode.IsDir():
		return u.root.MkdirAll(name, 0o755)
	case e.Mode.Type() == fs.ModeSymlink:
		return u.link(name, func() error { return u.root.Symlink(e.Link, name) })
	case e.Link != "":
		return u.link(name, func() error { return u.root.Link(filepath.Clean(e.Link), name) })
	}
	return u.file(name, e.Mode, e.Body)
}

// file writes a file. Of its mode only the right to run it counts.
func (u *unpacker) file(name string, mode fs.FileMode, r io.Reader) error {
	if err := u.parent(name); err != nil {
		return err
	}
	out, err := u.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644|mode&0o111)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.MultiWriter(out, shipped.Beating(u.beat)), &bounded{u.ctx, io.LimitReader(r, u.left+1)})
	if u.left -= n; err == nil && u.left < 0 {
		err = errors.New("it has more bytes than executables may use here")
	}
	return errors.Join(err, out.Close())
}

// link makes a link.
func (u *unpacker) link(name string, make func() error) error {
	if err := u.parent(name); err != nil {
		return err
	}
	return make()
}

// parent makes the folder that a file is in.
func (u *unpacker) parent(name string) error {
	if u.ctx.Err() != nil {
		return context.Cause(u.ctx)
	}
	return u.root.MkdirAll(filepath.Dir(name), 0o755)
}

// bounded is a reader that ends with a context.
type bounded struct {
	ctx context.Context
	r   io.Reader
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	return b.r.Read(p)
}
