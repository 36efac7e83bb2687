package cmd

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/s3fs"
)

// outFolder is the folder of --out. It is made and locked before the job begins. At
// any time it has the parts of one job only.
type outFolder struct {
	path  string
	fresh bool     // this process made it
	dir   *os.File // open and locked: no other run fetches into it
	held  []string // parts that lie in it and may be those of this very job; nil for none
}

// partial is its subfolder for parts until all of them are fetched.
const partial = ".mraws-partial"

// namedFolder is its subfolder for named outputs, as in the bucket.
const namedFolder = "_named"

// partName is that of a part of the output of a job.
var partName = regexp.MustCompile(`^mr-out-(0|[1-9][0-9]*)(\.[a-z.]+)?$`)

// replaceHint says what to do about a folder that is not empty.
const replaceHint = "--overwrite replaces the output of an earlier run; or name another folder with --out"

// unfitFolder is the error of a folder that cannot take the output.
func unfitFolder(path string, err error, hint string) error {
	return &Error{Code: ExitUsage, What: "cannot write the output to " + path, Cause: err, Hint: hint}
}

// openOut creates or checks a folder. If it is not empty, overwrite allows to
// replace the parts of another job in it. Other files stay. again says that the job may be
// done: a folder that has nothing but parts is then for [outFolder.check] to judge.
func openOut(path string, overwrite, again bool) (*outFolder, error) {
	wrong := func(err error, hint string) error { return unfitFolder(path, err, hint) }
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
	switch err := o.prepare(overwrite, again); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, &Error{Code: ExitConflict, What: "another run writes its output to " + path, Hint: "wait for it, or name another folder with --out"}
	case err != nil:
		return nil, wrong(errors.Join(err, o.Close()), replaceHint)
	}
	return o, nil
}

func (o *outFolder) prepare(overwrite, again bool) error {
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
		parts, others, err := o.parts()
		if err != nil {
			return err
		}
		if !again || others {
			return notEmpty(entries[0].Name())
		}
		o.held = parts
	}
	return os.Mkdir(filepath.Join(o.path, partial), 0o777)
}

// parts lists the parts of the output of a job that lie in the folder, and in folders of
// partitions, and says whether there is anything else.
func (o *outFolder) parts() (parts []string, others bool, err error) {
	err = filepath.WalkDir(o.path, func(at string, e fs.DirEntry, err error) error {
		name, rerr := filepath.Rel(o.path, at)
		switch {
		case err != nil || rerr != nil:
			return errors.Join(err, rerr)
		case name == ".", e.IsDir() && strings.Contains(e.Name(), "="):
		case name == partial:
			return fs.SkipDir
		case e.Type().IsRegular() && partName.MatchString(e.Name()):
			parts = append(parts, name)
		default:
			if others = true; e.IsDir() {
				return fs.SkipDir
			}
		}
		return nil
	})
	return parts, others, err
}

// fileOf is the name of an object of a job in the folder.
func fileOf(n manifest.NamedOutput) string {
	return filepath.Join(filepath.FromSlash(n.Name), path.Base(n.Key))
}

func notEmpty(name string) error { return fmt.Errorf("it is not empty: it holds %q", name) }

// check returns an error unless the parts that lie in the folder, if any do, are those of
// the job that is done below lay, byte for byte: the same line has run before.
func (o *outFolder) check(ctx context.Context, st *store, lay layout.Layout) error {
	if o == nil || len(o.held) == 0 {
		return nil
	}
	success, err := doneJob(ctx, st, lay)
	same := false
	if err == nil && success != nil {
		same, err = o.holds(success)
	}
	switch {
	case err != nil:
		return err
	case !same:
		return unfitFolder(o.path, notEmpty(o.held[0]), replaceHint)
	}
	return nil
}

// doneJob reads the summary of the job below lay, nil if there is none of use.
func doneJob(ctx context.Context, st *store, lay layout.Layout) (*manifest.Success, error) {
	none := func(err error) bool { return errors.Is(err, fs.ErrNotExist) || jobstate.Invalid(err) }
	job, _, err := jobstate.ReadJob(ctx, st, lay)
	if err == nil {
		in := st.Store
		if job.OutputAt.Bucket != "" {
			in = st.In(job.OutputAt.Bucket)
		}
		success, _, serr := jobstate.ReadSuccess(ctx, in, job.Layout(lay), job.ID)
		if serr == nil {
			return success, nil
		}
		err = serr
	}
	if none(err) {
		return nil, nil
	}
	return nil, fmt.Errorf("read the job: %w", err)
}

// holds says whether the parts in the folder are the outputs of a job.
func (o *outFolder) holds(success *manifest.Success) (bool, error) {
	objects := success.Objects()
	if len(o.held) != len(objects) {
		return false, nil
	}
	for _, out := range objects {
		name := fileOf(out)
		if !slices.Contains(o.held, name) {
			return false, nil
		}
		hash, err := hashFile(filepath.Join(o.path, name))
		if err != nil || hash != out.Hash {
			return false, err
		}
	}
	return true, nil
}

// hashFile is the hex SHA-256 of a file.
func hashFile(path string) (_ string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sum := sha256.New()
	_, err = io.Copy(sum, f)
	return hex.EncodeToString(sum.Sum(nil)), err
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
func (o *outFolder) fetch(ctx context.Context, to *printer, st *s3fs.Store, success *manifest.Success) error {
	var total int64
	for _, n := range slices.Concat(success.Objects(), success.Named) {
		total += n.Size
	}
	p := to.newProgress("fetch", total, true)
	defer p.end()
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(fetchers)
	objects := success.Objects()
	get := func(n manifest.NamedOutput, to string) {
		g.Go(func() error {
			to = filepath.Join(o.path, partial, to)
			if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
				return fmt.Errorf("fetch %s: %w", n.Key, err)
			}
			return fetchFile(gctx, st, n.Key, to, p)
		})
	}
	for _, n := range objects {
		get(n, fileOf(n))
	}
	for _, n := range success.Named {
		get(n, filepath.Join(namedFolder, fileOf(n)))
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := o.removeParts(); err != nil {
		return fmt.Errorf("replace the output: %w", err)
	}
	if err := os.RemoveAll(filepath.Join(o.path, namedFolder)); err != nil {
		return fmt.Errorf("replace the named outputs: %w", err)
	}
	if len(success.Named) > 0 {
		if err := os.Rename(filepath.Join(o.path, partial, namedFolder), filepath.Join(o.path, namedFolder)); err != nil {
			return fmt.Errorf("fetch the named outputs: %w", err)
		}
	}
	for _, n := range objects {
		to := filepath.Join(o.path, fileOf(n))
		err := os.MkdirAll(filepath.Dir(to), 0o777)
		if err == nil {
			err = os.Rename(filepath.Join(o.path, partial, fileOf(n)), to)
		}
		if err != nil {
			return fmt.Errorf("fetch the output: %w", err)
		}
	}
	return nil
}

// removeParts removes the parts of another job, and the folders of its partitions that are
// empty then.
func (o *outFolder) removeParts() error {
	parts, _, err := o.parts()
	for _, name := range parts {
		err = errors.Join(err, os.Remove(filepath.Join(o.path, name)))
		for dir := filepath.Dir(name); dir != "."; dir = filepath.Dir(dir) {
			_ = os.Remove(filepath.Join(o.path, dir)) // fails if it holds anything
		}
	}
	return err
}
