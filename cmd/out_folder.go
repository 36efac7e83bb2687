package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/s3fs"
)

// outFolder is the folder of --out. It is made and locked before the job begins. At
// any time it has the parts of one job only.
type outFolder struct {
	path  string
	fresh bool     // this process made it
	dir   *os.File // open and locked: no other run fetches into it
}

// partial is its subfolder for parts until all of them are fetched.
const partial = ".mraws-partial"

// partName is that of a part of the output of a job.
var partName = regexp.MustCompile(`^mr-out-(0|[1-9][0-9]*)$`)

// openOut creates or checks a folder. If it is not empty, overwrite allows to
// replace the parts of another job in it. Other files stay.
func openOut(path string, overwrite bool) (*outFolder, error) {
	wrong := func(err error, hint string) error {
		return &Error{Code: ExitUsage, What: "cannot write the output to " + path, Cause: err, Hint: hint}
	}
	info, err := os.Stat(path)
	o := &outFolder{path: path, fresh: errors.Is(err, os.ErrNotExist)}
	switch {
	case o.fresh:
		if err := os.MkdirAll(path, 0o777); err != nil {
			return nil, wrong(err, "name a folder that can be made with --out")
		}
	case err != nil:
		return nil, wrong(err, "name another folder with --out")
	case !info.IsDir():
		return nil, wrong(errors.New("it is a file"), "--out names a folder: each part of the output is a file in it")
	}
	if o.dir, err = os.Open(path); err != nil {
		return nil, wrong(err, "name another folder with --out")
	}
	switch err := o.prepare(overwrite); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, &Error{Code: ExitConflict, What: "another run writes its output to " + path, Hint: "wait for it, or name another folder with --out"}
	case err != nil:
		return nil, wrong(errors.Join(err, o.Close()), "--overwrite replaces the output of an earlier run; or name another folder with --out")
	}
	return o, nil
}

func (o *outFolder) prepare(overwrite bool) error {
	// Some file systems have no locks: two runs into one folder go unnoticed there.
	if err := syscall.Flock(int(o.dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		err = errors.Join(err, o.dir.Close())
		o.dir = nil
		return err
	}
	if err := os.RemoveAll(filepath.Join(o.path, partial)); err != nil { // of a run that was killed
		return err
	}
	entries, err := os.ReadDir(o.path)
	if err != nil {
		return err
	}
	if len(entries) > 0 && !overwrite {
		return fmt.Errorf("it is not empty: it holds %q", entries[0].Name())
	}
	return os.Mkdir(filepath.Join(o.path, partial), 0o777)
}

// Close removes the partial parts, and the folder if it was made and is empty.
func (o *outFolder) Close() error {
	if o == nil || o.dir == nil {
		return nil
	}
	err := os.RemoveAll(filepath.Join(o.path, partial))
	if o.fresh {
		_ = os.Remove(o.path) // fails if it holds the output
	}
	err = errors.Join(err, o.dir.Close())
	o.dir = nil
	return err
}

// fetch writes all outputs to the partial folder, and then moves them over those of
// another job.
func (o *outFolder) fetch(ctx context.Context, st *s3fs.Store, success *manifest.Success) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(fetchers)
	name := func(r int) string { return "mr-out-" + strconv.Itoa(r) }
	for r, out := range success.Outputs {
		g.Go(func() error {
			return fetchFile(gctx, st, out.Key, filepath.Join(o.path, partial, name(r)))
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	entries, err := os.ReadDir(o.path)
	if err != nil {
		return fmt.Errorf("fetch the output: %w", err)
	}
	for _, e := range entries {
		if partName.MatchString(e.Name()) {
			if err := os.Remove(filepath.Join(o.path, e.Name())); err != nil {
				return fmt.Errorf("replace the output: %w", err)
			}
		}
	}
	for r := range success.Outputs {
		if err := os.Rename(filepath.Join(o.path, partial, name(r)), filepath.Join(o.path, name(r))); err != nil {
			return fmt.Errorf("fetch the output: %w", err)
		}
	}
	return nil
}
