// Package upload brings local files into the input of a job: [Find] makes a
// plan of files and names out of what a user typed, [Run] carries it out.
//
// How names below input/ come about:
//
//	a/b/book.txt      book.txt           a file has its base name
//	a/b/books         books/x/1.txt      a folder keeps its tree below its base name
//	a/*/[1-9].txt     x/1.txt            a glob keeps what follows its fixed part (a/)
//
// so that two folders do not collide. Two files with one name are an error.
// Folders and globs pass over hidden files, and over links to folders; a
// hidden file or folder can be named itself.
package upload

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"
)

// File is one file of a plan.
type File struct {
	Path string // absolute, so that it survives a change of the working directory
	Name string // below input/
	Size int64  // bytes, when the plan was made
}

// Skipped is something that a plan passed over.
type Skipped struct{ Path, Why string }

// Plan is a list of files, sorted by name.
type Plan struct {
	Files   []File
	Bytes   int64
	Skipped []Skipped
}

// ErrNothing says that no file is left to upload.
var ErrNothing = errors.New("no files to upload")

// Find makes a plan of files, folders and globs (with ** for any depth,
// https://pkg.go.dev/github.com/bmatcuk/doublestar/v4). Where include is not
// empty only files that match one of its patterns stay: a pattern with a
// slash is matched with the whole name, one without with its last element.
func Find(args, include []string) (*Plan, error) {
	for _, p := range include {
		if !doublestar.ValidatePattern(p) {
			return nil, fmt.Errorf("include pattern %q is malformed", p)
		}
	}
	f := &finder{include: include, byName: map[string]File{}}
	for _, arg := range args {
		if err := f.argument(arg); err != nil {
			return nil, err
		}
	}
	return f.plan()
}

type finder struct {
	include []string
	byName  map[string]File
	skipped []Skipped
}

// argument takes a literal path if there is one, else a glob.
func (f *finder) argument(arg string) error {
	if strings.HasPrefix(arg, "s3://") {
		return fmt.Errorf("%s is not a local path", arg)
	}
	info, err := os.Stat(arg)
	if errors.Is(err, fs.ErrNotExist) && strings.ContainsAny(arg, "*?[{") {
		return f.glob(arg)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", arg, errors.Unwrap(err)) // as Stat says it, without "stat"
	}
	abs, err := filepath.Abs(arg)
	if err != nil {
		return err
	}
	return f.take(abs, strings.Trim(filepath.Base(abs), "/"), info)
}

func (f *finder) glob(arg string) error {
	pattern := filepath.ToSlash(filepath.Clean(arg))
	matches, err := doublestar.FilepathGlob(pattern, doublestar.WithNoHidden(), doublestar.WithNoFollow(), doublestar.WithFailOnIOErrors())
	if err != nil {
		return fmt.Errorf("expand %q: %w", arg, err)
	}
	if len(matches) == 0 {
		return fmt.Errorf("nothing matches %q", arg)
	}
	base, _ := doublestar.SplitPattern(pattern)
	for _, m := range matches {
		info, err := os.Stat(m)
		if errors.Is(err, fs.ErrNotExist) {
			f.skipped = append(f.skipped, Skipped{m, "broken link"})
			continue
		}
		if err != nil {
			return err
		}
		abs, err := filepath.Abs(m)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(base, m)
		if err != nil {
			return err
		}
		if name == "." { // ** matches its own folder
			name = ""
		}
		if err := f.take(abs, filepath.ToSlash(name), info); err != nil {
			return err
		}
	}
	return nil
}

// take adds a file or the tree of a folder as name.
func (f *finder) take(abs, name string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return f.walk(abs, name)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is neither a file nor a folder", abs)
	}
	return f.add(File{abs, name, info.Size()})
}

func (f *finder) walk(abs, name string) error {
	root, err := filepath.EvalSymlinks(abs) // WalkDir does not follow a link, not even its root
	if err != nil {
		return err
	}
	return filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case p == root:
			return nil
		case strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return nil
		}
		info, err := os.Stat(p)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			f.skipped = append(f.skipped, Skipped{p, "broken link"})
			return nil
		case err != nil:
			return err
		case info.IsDir():
			f.skipped = append(f.skipped, Skipped{p, "link to a folder"})
			return nil
		case !info.Mode().IsRegular():
			f.skipped = append(f.skipped, Skipped{p, "not a regular file"})
			return nil
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		return f.add(File{p, path.Join(name, filepath.ToSlash(rel)), info.Size()})
	})
}

func (f *finder) add(file File) error {
	if !f.included(file.Name) {
		return nil
	}
	if why := badName(file.Name); why != "" {
		return fmt.Errorf("%s cannot be a key: %s", file.Path, why)
	}
	if other, ok := f.byName[file.Name]; ok && other.Path != file.Path {
		return fmt.Errorf("%s and %s would both be input/%s", other.Path, file.Path, file.Name)
	}
	f.byName[file.Name] = file
	return nil
}

func (f *finder) included(name string) bool {
	return len(f.include) == 0 || slices.ContainsFunc(f.include, func(p string) bool {
		if !strings.Contains(p, "/") {
			name = path.Base(name)
		}
		return doublestar.MatchUnvalidated(p, name)
	})
}

// badName holds names to what every store takes: S3 wants UTF-8 and at most
// 1024 bytes with the prefix, XML listings no control characters, the
// embedded server file names.
func badName(name string) string {
	switch {
	case !utf8.ValidString(name):
		return "its name is not UTF-8"
	case strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "its name has control characters"
	case len(name) > 480:
		return "its name is longer than 480 bytes"
	}
	return ""
}

func (f *finder) plan() (*Plan, error) {
	p := &Plan{Skipped: f.skipped}
	for _, file := range f.byName {
		// "a" and "a/b" cannot both exist on stores that keep files.
		for dir := path.Dir(file.Name); dir != "."; dir = path.Dir(dir) {
			if other, ok := f.byName[dir]; ok {
				return nil, fmt.Errorf("%s would be input/%s, and %s below it", other.Path, other.Name, file.Path)
			}
		}
		p.Files = append(p.Files, file)
		p.Bytes += file.Size
	}
	if len(p.Files) == 0 {
		return nil, ErrNothing
	}
	slices.SortFunc(p.Files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return p, nil
}
