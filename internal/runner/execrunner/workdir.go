package execrunner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
)

// NotFoundError says that a command cannot be started.
type NotFoundError struct {
	Name string // of the program
	Why  string // such as "not found"
	// Shipped says that it is a shipped file that may not be executed.
	Shipped bool
}

// Error reads "python3: not found".
func (e *NotFoundError) Error() string { return e.Name + ": " + e.Why }

// Check returns a [*NotFoundError] if a command of e cannot be started on this
// machine: its program is neither among the files nor in the folders of PATH. What
// lies in an archive is not looked at.
func Check(e *manifest.Exec) error {
	if e.Module != nil {
		return nil // it is shipped, and its functions are no programs
	}
	for _, c := range e.Commands() {
		words, err := manifest.SplitCommand(c.Line)
		if err != nil {
			return fmt.Errorf("%s %q: %w", c.Role, short(c.Line), err)
		}
		if err := checkProgram(words[0], e); err != nil {
			return err
		}
	}
	return nil
}

func checkProgram(name string, e *manifest.Exec) error {
	first, rest, below := strings.Cut(strings.TrimPrefix(name, "./"), "/")
	i := slices.IndexFunc(e.Files, func(f manifest.CodeFile) bool { return f.Name == first })
	switch shipped := i >= 0; {
	case filepath.IsAbs(name):
	case shipped && e.Files[i].Archive != "" && below && rest != "":
		return nil
	case shipped && !below && e.Files[i].Archive != "":
		return &NotFoundError{Name: name, Why: "it is the folder of an archive"}
	case shipped && !below && !e.Files[i].Executable:
		return &NotFoundError{Name: name, Why: "it is shipped, and no executable file", Shipped: true}
	case shipped && !below:
		return nil
	case strings.Contains(name, "/"):
		return &NotFoundError{Name: name, Why: "it is not among the files that are shipped"}
	}
	_, err := lookPath(name, e.Env)
	return err
}

// lookPath finds a program in the folders of PATH, which the variables may set.
func lookPath(name string, env map[string]string) (string, error) {
	if filepath.IsAbs(name) {
		if err := executable(name); err != nil {
			return "", &NotFoundError{Name: name, Why: err.Error()}
		}
		return name, nil
	}
	path, ok := env["PATH"]
	if !ok {
		path = os.Getenv("PATH")
	}
	var denied error
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue // it would mean another folder for each attempt
		}
		file := filepath.Join(dir, name)
		err := executable(file)
		if err == nil {
			return file, nil
		}
		if errors.Is(err, errNotExecutable) && denied == nil {
			denied = &NotFoundError{Name: name, Why: file + " is " + err.Error()}
		}
	}
	if denied != nil {
		return "", denied
	}
	return "", &NotFoundError{Name: name, Why: "not found"}
}

var errNotExecutable = errors.New("no executable file")

// executable returns an error unless there is an executable file.
func executable(file string) error {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("not found")
	case err != nil:
		return err
	case info.IsDir() || info.Mode()&0o111 == 0:
		return errNotExecutable
	}
	return nil
}

// workdir is the working directory of an attempt.
type workdir struct {
	root string // of all that the attempt has
	work string // the working directory
	tmp  string // for temporary files
}

// newWorkdir makes one with the files in it.
func (h *Host) newWorkdir(ctx context.Context, lay layout.Layout, files []manifest.CodeFile, beat func()) (*workdir, error) {
	h.mu.Lock()
	h.next++
	root := filepath.Join(h.dir, "attempt-"+strconv.Itoa(h.next))
	h.mu.Unlock()
	d := &workdir{root: root, work: filepath.Join(root, "work"), tmp: filepath.Join(root, "tmp")}
	for _, dir := range []string{root, d.work, d.tmp} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, errors.Join(fmt.Errorf("make a working directory: %w", err), d.Close())
		}
	}
	for _, f := range files {
		if err := h.cache.place(ctx, lay, f, filepath.Join(d.work, f.Name), beat); err != nil {
			return nil, errors.Join(fmt.Errorf("place file %s: %w", f.Name, err), d.Close())
		}
	}
	return d, nil
}

// Close removes the directory.
func (d *workdir) Close() error { return removeAll(d.root) }

// find returns the path of a program: a shipped file, or one in the folders of
// PATH.
func (d *workdir) find(name string, env map[string]string) (string, error) {
	if filepath.IsAbs(name) {
		return lookPath(name, env)
	}
	file := filepath.Join(d.work, name)
	err := executable(file)
	switch {
	case err == nil:
		return file, nil
	case strings.Contains(name, "/"):
		return "", &NotFoundError{Name: name, Why: err.Error()}
	}
	return lookPath(name, env)
}

// removeAll removes a directory, also one whose owner may not write to it any
// more.
func removeAll(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, _ error) error {
		if d != nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove a working directory: %w", err)
	}
	return nil
}

// copyFile copies a file. It shares the bytes of a large one, which the attempts
// are not to change.
func copyFile(from, to string, mode fs.FileMode) (err error) {
	const large = 4 << 20
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	if info, err := in.Stat(); err == nil && info.Size() > large && os.Link(from, to) == nil {
		return nil
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
