package hadoop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mraws/mraws/internal/object"
)

// FS is the command `hadoop fs` over buckets.
type FS struct {
	Root  Root
	Store func(bucket string) Store
	// Remove deletes objects of a bucket.
	Remove   func(ctx context.Context, bucket string, keys []string) error
	User     string // who owns files in listings
	Out, Err io.Writer
}

// The exit codes of `hadoop fs` besides 0.
const (
	Failed    = 1
	UsageCode = 255 // Hadoop returns -1
)

// refusal is an error that Hadoop reports of a path.
type refusal struct{ path, why string }

func (r *refusal) Error() string { return fmt.Sprintf("`%s': %s", r.path, r.why) }

const (
	noSuchFile = "No such file or directory"
	isFolder   = "Is a directory"
	exists     = "File exists"
	isRoot     = "Operation not permitted: it is the root of the file system"
)

// usage is an error of the command line of a command.
type usage string

func (u usage) Error() string { return string(u) }

// verb is one command of `hadoop fs`.
type verb struct {
	flags []string // that it takes; what they have no effect on is left out
	least int      // paths
	run   func(f *FS, ctx context.Context, c *call) error
}

// call is one command line.
type call struct {
	name string
	set  map[string]bool // flags
	args []string
}

// verbs returns the commands by name.
func verbs() map[string]verb {
	ls := verb{[]string{"-R", "-d", "-h", "-C"}, 0, (*FS).ls}
	cat := verb{[]string{"-ignoreCrc"}, 1, (*FS).cat}
	put := verb{[]string{"-f", "-p", "-l", "-d"}, 2, (*FS).put}
	get := verb{[]string{"-f", "-p", "-ignoreCrc", "-crc"}, 1, (*FS).get}
	nothing := verb{[]string{"-R"}, 2, (*FS).nothing}
	rm := verb{[]string{"-r", "-R", "-f", "-skipTrash", "-safely"}, 1, (*FS).rm}
	return map[string]verb{
		"-ls": ls, "-lsr": ls, "-cat": cat, "-put": put, "-copyFromLocal": put, "-get": get, "-copyToLocal": get, "-rm": rm, "-rmr": rm,
		"-mkdir": {[]string{"-p"}, 1, (*FS).mkdir}, "-touchz": {nil, 1, (*FS).touchz}, "-du": {[]string{"-s", "-h", "-x"}, 0, (*FS).du},
		"-test": {[]string{"-e", "-d", "-f", "-s", "-z"}, 1, (*FS).test},
		"-text": {[]string{"-ignoreCrc"}, 1, (*FS).text}, "-tail": {nil, 1, (*FS).tail}, "-head": {nil, 1, (*FS).head},
		"-cp": {[]string{"-f", "-p", "-d"}, 2, (*FS).cp}, "-mv": {nil, 2, (*FS).mv}, "-rmdir": {[]string{"-ignore-fail-on-non-empty"}, 1, (*FS).rmdir},
		"-getmerge": {[]string{"-nl", "-skip-empty-file"}, 2, (*FS).getmerge}, "-count": {nil, 1, (*FS).count},
		"-chmod": nothing, "-chown": nothing, "-chgrp": nothing,
	}
}

// Run runs the command that args begin with, such as -ls, and returns the exit code of
// Hadoop. What Hadoop would refuse is told to Err; an error is one of the store.
func (f *FS) Run(ctx context.Context, args []string) (code int, err error) {
	if len(args) == 0 {
		fmt.Fprintln(f.Err, "Usage: hadoop fs COMMAND PATH...")
		return UsageCode, nil
	}
	v, ok := verbs()[args[0]]
	if !ok {
		fmt.Fprintf(f.Err, "%s: Unknown command\n", args[0])
		return UsageCode, nil
	}
	c := &call{name: args[0][1:], set: map[string]bool{}}
	if args[0] == "-lsr" || args[0] == "-rmr" {
		c.set["-R"] = true
	}
	rest := args[1:]
	for len(rest) > 0 && len(rest[0]) > 1 && rest[0][0] == '-' {
		flag := "-" + strings.TrimLeft(rest[0], "-") // some have two dashes
		if !slices.Contains(v.flags, flag) {
			fmt.Fprintf(f.Err, "%s: Illegal option %s\n", args[0], rest[0])
			return UsageCode, nil
		}
		c.set[flag], rest = true, rest[1:]
	}
	if c.args = rest; len(rest) < v.least {
		fmt.Fprintf(f.Err, "%s: Not enough arguments: expected %d but got %d\n", args[0], v.least, len(rest))
		return UsageCode, nil
	}
	err = v.run(f, ctx, c)
	var refused *refusal
	var bad usage
	switch {
	case errors.Is(err, errSilent):
		return Failed, nil
	case errors.As(err, &refused):
		fmt.Fprintf(f.Err, "%s: %v\n", c.name, refused)
		return Failed, nil
	case errors.As(err, &bad):
		fmt.Fprintf(f.Err, "%s: %v\n", c.name, bad)
		return UsageCode, nil
	}
	return 0, err
}

// errSilent means exit code 1 without a message.
var errSilent = errors.New("no")

// found returns what a path names; it must name something.
func (f *FS) found(ctx context.Context, arg string) ([]Entry, Store, error) {
	p, err := f.Root.Parse(arg)
	if err != nil {
		return nil, nil, usage(err.Error())
	}
	st := f.Store(p.Bucket)
	entries, err := Find(ctx, st, p)
	if err == nil && len(entries) == 0 {
		err = &refusal{arg, noSuchFile}
	}
	return entries, st, err
}

// each calls do for everything that the arguments name. What Hadoop refuses of one
// argument does not keep it from the others.
func (f *FS) each(ctx context.Context, c *call, do func(st Store, e Entry) error) error {
	failed := false
	tell := func(err error) error {
		var r *refusal
		if !errors.As(err, &r) {
			return err
		}
		failed = true
		fmt.Fprintf(f.Err, "%s: %v\n", c.name, r)
		return nil
	}
	for _, arg := range c.args {
		entries, st, err := f.found(ctx, arg)
		var r *refusal
		if errors.As(err, &r) && c.name[:2] == "rm" && c.set["-f"] {
			continue
		}
		if err != nil {
			if err := tell(err); err != nil {
				return err
			}
		}
		for _, e := range entries {
			if err := tell(do(st, e)); err != nil {
				return err
			}
		}
	}
	if failed {
		return errSilent
	}
	return nil
}

func (f *FS) ls(ctx context.Context, c *call) error {
	if len(c.args) == 0 {
		c.args = []string{"."}
	}
	return f.each(ctx, c, func(st Store, e Entry) error {
		if !e.Folder || c.set["-d"] {
			return f.line(c, e)
		}
		all, err := children(ctx, st, e, c.set["-R"])
		if err != nil {
			return err
		}
		if len(all) > 0 && !c.set["-R"] && !c.set["-C"] {
			fmt.Fprintf(f.Out, "Found %d items\n", len(all))
		}
		for _, e := range all {
			if err := f.line(c, e); err != nil {
				return err
			}
		}
		return nil
	})
}

// line writes a line of a listing, in the columns of Hadoop.
func (f *FS) line(c *call, e Entry) error {
	if c.set["-C"] {
		_, err := fmt.Fprintln(f.Out, e.Show())
		return err
	}
	_, err := fmt.Fprintln(f.Out, ListLine(e, f.User))
	return err
}

// ListLine is the line of `hadoop fs -ls` for a file or folder.
func ListLine(e Entry, user string) string {
	mode, copies := "-rw-r--r--", "1"
	if e.Folder {
		mode, copies = "drwxr-xr-x", "-"
	}
	when := e.Modified
	if when.IsZero() {
		when = time.Unix(0, 0)
	}
	return fmt.Sprintf("%s %3s %s supergroup %10d %s %s", mode, copies, user, e.Size, when.Local().Format("2006-01-02 15:04"), e.Show())
}

// Fetch writes a file into a new file of this machine, which is gone again if that
// fails.
func Fetch(ctx context.Context, st Store, e Entry, file string, mode os.FileMode) error {
	to, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	if err = errors.Join(copyTo(ctx, to, st, e), to.Close()); err != nil {
		err = errors.Join(err, os.Remove(file))
	}
	return err
}

func (f *FS) get(ctx context.Context, c *call) error {
	to := "."
	if n := len(c.args) - 1; n > 0 {
		c.args, to = c.args[:n], c.args[n]
	}
	info, err := os.Stat(to)
	into := err == nil && info.IsDir()
	if len(c.args) > 1 && !into {
		return &refusal{to, noSuchFile}
	}
	return f.each(ctx, c, func(st Store, e Entry) error {
		file := to
		if into {
			file = filepath.Join(to, filepath.Base(e.Name))
		}
		if !e.Folder {
			return f.getOne(ctx, c, st, e, file)
		}
		all, err := children(ctx, st, e, true)
		if err == nil {
			err = os.MkdirAll(file, 0o755)
		}
		for _, child := range all {
			below, lerr := filepath.Localize(strings.Trim(strings.TrimPrefix(child.Name, e.Name), "/"))
			switch {
			case err != nil:
			case lerr != nil:
				err = lerr
			case child.Folder:
				err = os.MkdirAll(filepath.Join(file, below), 0o755)
			default:
				err = f.getOne(ctx, c, st, child, filepath.Join(file, below))
			}
		}
		return err
	})
}

// getOne fetches one file. With -f it takes the place of one that is there, once it is
// whole.
func (f *FS) getOne(ctx context.Context, c *call, st Store, e Entry, file string) error {
	if c.set["-f"] {
		part := file + "._COPYING_" // as Hadoop has it
		if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := Fetch(ctx, st, e, part, 0o644); err != nil {
			return err
		}
		if err := os.Rename(part, file); err != nil {
			return errors.Join(err, os.Remove(part))
		}
		return nil
	}
	err := Fetch(ctx, st, e, file, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return &refusal{file, exists}
	}
	return err
}

func (f *FS) put(ctx context.Context, c *call) error {
	t, err := f.target(ctx, c)
	if err != nil {
		return err
	}
	for _, from := range c.args {
		at := t.at(filepath.Base(from))
		info, err := os.Stat(from)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return &refusal{from, noSuchFile}
		case err == nil && info.IsDir():
			err = f.putFolder(ctx, c, from, at)
		case err == nil:
			err = f.putFile(ctx, c, from, at)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// putFolder writes the files of a folder of this machine.
func (f *FS) putFolder(ctx context.Context, c *call, from string, to Path) error {
	if _, err := f.Store(to.Bucket).Put(ctx, to.Folder(), nil, object.PutOptions{}); err != nil {
		return err
	}
	return filepath.WalkDir(from, func(file string, e fs.DirEntry, err error) error {
		below, rerr := filepath.Rel(from, file)
		switch {
		case err != nil:
			return err
		case rerr != nil:
			return rerr
		case e.IsDir():
			return nil
		}
		return f.putFile(ctx, c, file, to.Join(filepath.ToSlash(below)))
	})
}

func (f *FS) putFile(ctx context.Context, c *call, from string, to Path) (err error) {
	file, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return &refusal{from, "Is not a file"}
	}
	_, err = f.Store(to.Bucket).PutFile(ctx, to.Key(), file, info.Size(), object.PutOptions{IfAbsent: !c.set["-f"]})
	if errors.Is(err, fs.ErrExist) {
		return &refusal{to.String(), exists}
	}
	return err
}

func (f *FS) mkdir(ctx context.Context, c *call) error {
	for _, arg := range c.args {
		p, err := f.Root.Parse(arg)
		if err != nil {
			return usage(err.Error())
		}
		st := f.Store(p.Bucket)
		entries, err := Find(ctx, st, p)
		switch {
		case err != nil:
			return err
		case len(entries) > 0 && !entries[0].Folder, len(entries) > 0 && !c.set["-p"]:
			return &refusal{arg, exists}
		case len(entries) > 0:
			continue
		}
		if _, err := st.Put(ctx, p.Folder(), nil, object.PutOptions{}); err != nil {
			return err
		}
	}
	return nil
}

func (f *FS) touchz(ctx context.Context, c *call) error {
	for _, arg := range c.args {
		p, err := f.Root.Parse(arg)
		if err != nil {
			return usage(err.Error())
		}
		if _, err := f.Store(p.Bucket).Put(ctx, p.Key(), nil, object.PutOptions{IfAbsent: true}); errors.Is(err, fs.ErrExist) {
			return &refusal{arg, exists}
		} else if err != nil {
			return err
		}
	}
	return nil
}

func (f *FS) rm(ctx context.Context, c *call) error {
	return f.each(ctx, c, func(st Store, e Entry) error {
		keys := []string{e.Key}
		if e.Folder {
			if !c.set["-r"] && !c.set["-R"] {
				return &refusal{e.Show(), isFolder}
			}
			if e.Name == "" {
				return &refusal{e.Path.String(), isRoot}
			}
			keys = nil
			for o, err := range st.List(ctx, e.Key) {
				if err != nil {
					return err
				}
				keys = append(keys, o.Key)
			}
		}
		if err := f.Remove(ctx, e.Path.Bucket, keys); err != nil {
			return err
		}
		_, err := fmt.Fprintf(f.Out, "Deleted %s\n", e.Show())
		return err
	})
}

func (f *FS) du(ctx context.Context, c *call) error {
	if len(c.args) == 0 {
		c.args = []string{"."}
	}
	return f.each(ctx, c, func(st Store, e Entry) error {
		all := []Entry{e}
		if e.Folder && !c.set["-s"] {
			var err error
			if all, err = children(ctx, st, e, false); err != nil {
				return err
			}
		}
		for _, e := range all {
			if e.Folder {
				below, err := children(ctx, st, e, true)
				if err != nil {
					return err
				}
				for _, file := range below {
					e.Size += file.Size
				}
			}
			if _, err := fmt.Fprintf(f.Out, "%d  %d  %s\n", e.Size, e.Size, e.Show()); err != nil {
				return err
			}
		}
		return nil
	})
}

func (f *FS) test(ctx context.Context, c *call) error {
	p, err := f.Root.Parse(c.args[0])
	if err != nil {
		return usage(err.Error())
	}
	entries, err := Find(ctx, f.Store(p.Bucket), p)
	if err != nil {
		return err
	}
	ok := len(entries) > 0
	for _, e := range entries {
		ok = ok && (!c.set["-d"] || e.Folder) && (!c.set["-f"] || !e.Folder) && (!c.set["-s"] || e.Folder || e.Size > 0) && (!c.set["-z"] || e.Size == 0)
	}
	if !ok {
		return errSilent
	}
	return nil
}
