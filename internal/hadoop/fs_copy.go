package hadoop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/mraws/mraws/internal/object"
)

const (
	itself   = "is a subdirectory of itself"
	sameFile = "are the same file"
	noFolder = "Is not a directory"
)

// target is where files go that a command names last.
type target struct {
	arg  string
	to   Path
	into bool // it is a folder that is there
}

// target looks at the last argument and takes it away.
func (f *FS) target(ctx context.Context, c *call) (t target, err error) {
	n := len(c.args) - 1
	t.arg, c.args = c.args[n], c.args[:n]
	if t.to, err = f.Root.Parse(t.arg); err != nil {
		return t, usage(err.Error())
	}
	if t.to.pattern() {
		return t, &refusal{t.arg, noSuchFile}
	}
	entries, err := Find(ctx, f.Store(t.to.Bucket), t.to)
	if err != nil {
		return t, err
	}
	t.into = strings.HasSuffix(t.arg, "/") || len(entries) > 0 && entries[0].Folder
	if n > 1 && !t.into {
		return t, &refusal{t.arg, noSuchFile}
	}
	return t, nil
}

// at is where one of the files or folders goes.
func (t target) at(base string) Path {
	if t.into {
		return t.to.Join(base)
	}
	return t.to
}

func (f *FS) cp(ctx context.Context, c *call) error {
	return f.transfer(ctx, c, func(Entry, []string) error { return nil })
}

// mv copies and deletes: a bucket has no names that could be changed. What says that a
// folder is the output of a job stays behind, so the job goes with it.
func (f *FS) mv(ctx context.Context, c *call) error {
	for _, arg := range c.args[:len(c.args)-1] {
		if p, err := f.Root.Parse(arg); err == nil && p.Name == "" {
			return &refusal{arg, isRoot}
		}
	}
	return f.transfer(ctx, c, func(e Entry, keys []string) error { return f.Remove(ctx, e.Path.Bucket, keys) })
}

// transfer copies what the arguments but the last name. done gets each of it with the
// keys of its objects.
func (f *FS) transfer(ctx context.Context, c *call, done func(e Entry, keys []string) error) error {
	t, err := f.target(ctx, c)
	if err != nil {
		return err
	}
	n := 0
	return f.each(ctx, c, func(st Store, e Entry) error {
		at := t.at(Path{Name: e.Name}.Base())
		if n++; n > 1 && !t.into {
			return &refusal{t.arg, noFolder}
		}
		if !e.Folder {
			if err := f.copyFile(ctx, c, st, e, at); err != nil {
				return err
			}
			return done(e, []string{e.Key})
		}
		if at.Bucket == e.Path.Bucket && strings.HasPrefix(at.Folder(), e.Key) {
			return &refusal{e.Show() + "' to `" + at.String(), itself}
		}
		keys, err := f.copyFolder(ctx, c, st, e, at)
		if err != nil {
			return err
		}
		return done(e, keys)
	})
}

// copyFolder copies a folder and returns the keys of all its objects.
func (f *FS) copyFolder(ctx context.Context, c *call, st Store, e Entry, to Path) (keys []string, err error) {
	for o, err := range st.List(ctx, e.Key) {
		if err != nil {
			return nil, err
		}
		keys = append(keys, o.Key)
	}
	all, err := children(ctx, st, e, true)
	if err != nil {
		return nil, err
	}
	for _, child := range append([]Entry{e}, all...) {
		at := to.Join(strings.Trim(strings.TrimPrefix(child.Name, e.Name), "/"))
		if !child.Folder {
			err = f.copyFile(ctx, c, st, child, at)
		} else {
			_, err = f.Store(at.Bucket).Put(ctx, at.Folder(), nil, object.PutOptions{})
		}
		if err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// copyFile copies one file, in the store if it stays in its bucket.
func (f *FS) copyFile(ctx context.Context, c *call, st Store, e Entry, to Path) error {
	o := object.PutOptions{IfAbsent: !c.set["-f"]}
	var err error
	switch dst := f.Store(to.Bucket); {
	case to.Bucket == e.Path.Bucket && to.Key() == e.Key:
		return &refusal{e.Show() + "' and `" + to.String(), sameFile}
	case e.summary:
		_, err = dst.Put(ctx, to.Key(), nil, o)
	case to.Bucket == e.Path.Bucket:
		_, err = dst.Copy(ctx, e.Key, "", to.Key(), o)
	default:
		err = carry(ctx, st, e, dst, to.Key(), o)
	}
	if errors.Is(err, fs.ErrExist) {
		return &refusal{to.String(), exists}
	}
	return err
}

// carry copies a file to another bucket, by way of a file of this machine.
func carry(ctx context.Context, from Store, e Entry, to Store, key string, o object.PutOptions) (err error) {
	file, err := os.CreateTemp("", "mraws-hadoop-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	if err := copyTo(ctx, file, from, e); err != nil {
		return err
	}
	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	_, err = to.PutFile(ctx, key, file, size, o)
	return err
}

// getmerge writes all files of folders, and files, into one file of this machine. That
// file is as it was if a path names nothing.
func (f *FS) getmerge(ctx context.Context, c *call) (err error) {
	n := len(c.args) - 1
	name := c.args[n]
	c.args = c.args[:n]
	type source struct {
		st Store
		Entry
	}
	var sources []source
	err = f.each(ctx, c, func(st Store, e Entry) error {
		all := []Entry{e}
		if e.Folder {
			var err error
			if all, err = children(ctx, st, e, false); err != nil {
				return err
			}
		}
		for _, e := range all {
			if !e.Folder && (e.Size > 0 || !c.set["-skip-empty-file"]) {
				sources = append(sources, source{st, e})
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	file, err := os.Create(name)
	if errors.Is(err, fs.ErrNotExist) {
		return &refusal{name, noSuchFile}
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	for _, s := range sources {
		if err := copyTo(ctx, file, s.st, s.Entry); err != nil {
			return err
		}
		if !c.set["-nl"] {
			continue
		}
		if _, err := io.WriteString(file, "\n"); err != nil {
			return err
		}
	}
	return nil
}

// rmdir removes folders in which nothing is shown.
func (f *FS) rmdir(ctx context.Context, c *call) error {
	return f.each(ctx, c, func(st Store, e Entry) error {
		if !e.Folder {
			return &refusal{e.Show(), noFolder}
		}
		all, err := children(ctx, st, e, true)
		switch {
		case err != nil:
			return err
		case e.Name == "":
			return &refusal{e.Path.String(), isRoot}
		case len(all) > 0 && c.set["-ignore-fail-on-non-empty"]:
			return nil
		case len(all) > 0:
			return &refusal{e.Show(), "Directory is not empty"}
		}
		var keys []string
		for o, err := range st.List(ctx, e.Key) {
			if err != nil {
				return err
			}
			keys = append(keys, o.Key)
		}
		return f.Remove(ctx, e.Path.Bucket, keys)
	})
}

// count writes how many folders and files there are, and how many bytes they have.
func (f *FS) count(ctx context.Context, c *call) error {
	return f.each(ctx, c, func(st Store, e Entry) error {
		folders, files, size := 0, 0, int64(0)
		all := []Entry{e}
		if e.Folder {
			below, err := children(ctx, st, e, true)
			if err != nil {
				return err
			}
			all = append(all, below...)
		}
		for _, e := range all {
			if e.Folder {
				folders++
				continue
			}
			files, size = files+1, size+e.Size
		}
		_, err := fmt.Fprintf(f.Out, "%12d %12d %18d %s\n", folders, files, size, e.Show())
		return err
	})
}

// nothing is a command that sets what a bucket does not have: rights, owners. Its first
// argument is that; the files must be there.
func (f *FS) nothing(ctx context.Context, c *call) error {
	c.args = c.args[1:]
	return f.each(ctx, c, func(Store, Entry) error { return nil })
}
