// Package upload uploads local files to the input of a job. [Find] makes a plan of
// files and names from the arguments of a user, and [Run] uploads the plan.
//
// The names below input/ are:
//
//	a/b/book.txt      book.txt           a file has its base name
//	a/b/books         books/x/1.txt      a folder keeps its tree below its base name
//	a/*/[1-9].txt     x/1.txt            a glob keeps what follows its fixed part (a/)
//
// so that two folders do not collide. Two files with one name are an error.
// Folders and globs skip hidden files, files whose name begins with "_", and links
// to folders. An argument can name each of these. An argument may name a pipe, and
// "-" is the standard input: see [Plan.Spool].
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
	"syscall"
	"unicode/utf8"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/pick"
)

// File is one file of a plan.
type File struct {
	Path string // absolute, or Stdin
	Name string // below input/
	Size int64  // bytes, when the plan was made; of a pipe once it is spooled
	// Pipe says that the file can be read only once, from its start.
	Pipe bool

	spool *os.File // the content of a pipe
}

// Skipped is a file that a plan skipped.
type Skipped struct{ Path, Why string }

// Plan is a list of files, sorted by name.
type Plan struct {
	Files   []File
	Bytes   int64
	Skipped []Skipped
}

// Heads calls look with the name and the first bytes of each file, at most so many, and
// ends with its first error. What cannot be read has no bytes here: the upload tells.
func (p *Plan) Heads(size int, look func(name string, head []byte) error) error {
	buf := make([]byte, size)
	head := func(file File) []byte {
		f := file.spool
		if f == nil {
			var err error
			if f, err = os.Open(file.Path); err != nil {
				return nil
			}
			defer f.Close() // opened for reading: nothing to lose
		}
		n, _ := f.ReadAt(buf, 0)
		return buf[:n]
	}
	for _, file := range p.Files {
		if err := look(file.Name, head(file)); err != nil {
			return err
		}
	}
	return nil
}

// NothingError says that no file is left to upload, and which were skipped.
type NothingError struct {
	Passed []Passed // in the order in which the reasons occurred
}

// Hidden reports whether a file was skipped for its name.
func (e *NothingError) Hidden() bool {
	return slices.ContainsFunc(e.Passed, func(p Passed) bool { return p.Why == dot || p.Why == underscore })
}

// NameError says that the name of a file cannot be part of a key.
type NameError struct{ Path, Why string }

// Error says which file, and why.
func (e *NameError) Error() string { return fmt.Sprintf("%q cannot be a key: %s", e.Path, e.Why) }

// Passed is the files that were skipped for one reason.
type Passed struct {
	Why   string
	Count int
	First []string // paths, at most maxFirst
}

const maxFirst = 3

// Error returns the reasons, each with its count and its first paths.
func (e *NothingError) Error() string {
	if len(e.Passed) == 0 {
		return "no files to upload: the folder has none"
	}
	var b strings.Builder
	b.WriteString("no files to upload, all are skipped")
	for i, p := range e.Passed {
		fmt.Fprintf(&b, "%s %d: %s (%s", [...]string{":", ";"}[min(i, 1)], p.Count, p.Why, strings.Join(p.First, ", "))
		if p.Count > len(p.First) {
			b.WriteString(", ...")
		}
		b.WriteString(")")
	}
	return b.String()
}

// Search says which files a plan skips.
type Search struct {
	// Filter takes or leaves out files by their names below input/. It does not
	// apply to pipes.
	pick.Filter
	// Avoid lists files and folders that are never read, by whatever path or
	// link they are reached.
	Avoid []Avoid
	// Store tells whether a folder is the data folder of an embedded server,
	// whose store and credentials are never read.
	Store func(dir string) bool
}

// Avoid is a file or folder that is not read, and why.
type Avoid struct{ Path, Why string }

// StoreFolder is the reason for which a data folder is not read.
const StoreFolder = "data folder of the embedded S3 server"

// Find makes a plan of files, folders and globs (with ** for any depth,
// https://pkg.go.dev/github.com/bmatcuk/doublestar/v4).
func Find(args []string, o Search) (*Plan, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	f := &finder{filter: o.Filter, byName: map[string]File{}, fence: newFence(o)}
	for _, arg := range args {
		if err := f.argument(arg); err != nil {
			return nil, err
		}
	}
	return f.plan()
}

type finder struct {
	filter  pick.Filter
	fence   *fence
	byName  map[string]File
	skipped []Skipped
	passed  []Passed // all skipped files, with and without a warning
	pipes   int      // without a name of their own
}

// argument takes a literal path if there is one, else a glob.
func (f *finder) argument(arg string) error {
	if strings.HasPrefix(arg, "s3://") {
		return fmt.Errorf("%s is not a local path", arg)
	}
	if isStdin(arg) {
		return f.add(File{Path: Stdin, Name: stdinName, Pipe: true})
	}
	info, err := os.Stat(arg)
	if errors.Is(err, fs.ErrNotExist) && pick.IsPattern(arg) {
		return f.glob(arg)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", arg, errors.Unwrap(err)) // as Stat says it, without "stat"
	}
	abs, err := filepath.Abs(arg)
	if err != nil {
		return err
	}
	name := strings.Trim(filepath.Base(abs), "/")
	if info.Mode().Type() == fs.ModeNamedPipe {
		if isDescriptor(abs) { // its number has no meaning and changes
			f.pipes++
			name = fmt.Sprintf("pipe-%d", f.pipes)
		}
		return f.add(File{Path: abs, Name: name, Pipe: true})
	}
	if why := f.fence.bars(abs, info); why != "" {
		return fmt.Errorf("%s is not uploaded: it belongs to the %s", arg, why)
	}
	return f.take(abs, name, info)
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
	base, last := doublestar.SplitPattern(pattern)
	named := strings.HasPrefix(path.Base(last), "_")
	for _, m := range matches {
		abs, err := filepath.Abs(m)
		if err != nil {
			return err
		}
		info, why, err := f.look(abs)
		switch {
		case err != nil:
			return err
		case why == "" && info.IsDir() && isLink(abs):
			why = linkToFolder
		case why == "" && !info.IsDir() && !named && layout.Hidden(m):
			why = underscore
		case why == "":
			why = f.fence.bars(abs, info)
		}
		if why != "" {
			f.skip(abs, why)
			continue
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

// take adds a file, or the tree of a folder, with this name.
func (f *finder) take(abs, name string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return f.walk(abs, name)
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is neither a file nor a folder", abs)
	}
	return f.add(File{Path: abs, Name: name, Size: info.Size()})
}

const (
	underscore = `its name begins with "_", and it is not named in INPUT`

	dot = `its name begins with "."`

	linkLoop     = "symbolic link to itself"
	linkToFolder = "link to a folder"
)

func isLink(p string) bool {
	info, err := os.Lstat(p)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// look returns the file info of p after links, or why p cannot be input.
func (f *finder) look(p string) (info fs.FileInfo, why string, err error) {
	info, err = os.Stat(p)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, "broken link", nil
	case errors.Is(err, syscall.ELOOP):
		return nil, linkLoop, nil
	case err != nil:
		return nil, "", err
	case !info.IsDir() && !info.Mode().IsRegular():
		return nil, "not a regular file", nil
	}
	return info, "", nil
}

// skip skips p with a warning.
func (f *finder) skip(p, why string) {
	f.skipped = append(f.skipped, Skipped{p, why})
	f.pass(p, why)
}

// pass records a skipped file.
func (f *finder) pass(p, why string) {
	i := slices.IndexFunc(f.passed, func(o Passed) bool { return o.Why == why })
	if i < 0 {
		i = len(f.passed)
		f.passed = append(f.passed, Passed{Why: why})
	}
	o := &f.passed[i]
	if o.Count++; o.Count <= maxFirst {
		o.First = append(o.First, p)
	}
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
			f.pass(p, dot)
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			if why := f.fence.folder(p); why != "" {
				f.skip(p, why)
				return fs.SkipDir
			}
			return nil
		}
		info, why, err := f.look(p)
		switch {
		case err != nil:
			return err
		case why != "":
		case info.IsDir():
			why = linkToFolder
		case layout.Hidden(p):
			why = underscore
		default:
			why = f.fence.file(p, d, info)
		}
		if why != "" {
			f.skip(p, why)
			return nil
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		return f.add(File{Path: p, Name: path.Join(name, filepath.ToSlash(rel)), Size: info.Size()})
	})
}

func (f *finder) add(file File) error {
	if !file.Pipe && !f.filter.Takes(file.Name, "") {
		why := "no include pattern matches"
		if len(f.filter.Include) == 0 || (pick.Filter{Include: f.filter.Include}).Takes(file.Name, "") {
			why = "an exclude pattern matches"
		}
		f.pass(file.Path, why)
		return nil
	}
	if why := badName(file.Name); why != "" {
		return &NameError{file.Path, why}
	}
	if other, ok := f.byName[file.Name]; ok && other.Path != file.Path {
		return fmt.Errorf("%s and %s would both be input/%s", other.Path, file.Path, file.Name)
	}
	f.byName[file.Name] = file
	return nil
}

// badName returns why a name is not accepted by all stores. S3 needs UTF-8 and at
// most 1024 bytes with the prefix. XML listings allow no control characters. The
// embedded server needs names of files.
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
		return nil, &NothingError{f.passed}
	}
	slices.SortFunc(p.Files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	return p, nil
}
