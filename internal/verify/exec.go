package verify

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// A job of executables or of a module is verified without running them: what its tasks
// committed, shuffled and read is the same, each key lies in its partition, and
// the shipped files are those that the job's spec names. Whether a line of output is
// one that the executables write is not checked.

// apart says whether the job's application consists of executables or of a module.
func (a *audit) apart() bool { return a.job.App.Apart() }

// execApp stands for the application of such a job: it has a partitioner, and no
// code.
func (a *audit) execApp() *mr.App {
	app := &mr.App{Name: a.job.App.Name}
	if a.job.Partitioner.Name == manifest.ByTask {
		tasks := len(a.job.Tasks)
		app.Partition = func(key []byte, n int) int {
			if len(key) != 4 {
				return -1
			}
			m := int(binary.BigEndian.Uint32(key))
			if m >= tasks {
				return -1
			}
			return m * n / tasks
		}
	}
	return app
}

// code tells of each shipped file, by key, whether the listing had it.
type code map[string]bool

// newCode is the files that the job's spec names.
func (a *audit) newCode() code {
	c := code{}
	for _, f := range a.job.App.Shipped() {
		c[a.lay.Code(f.SHA256)] = false
	}
	return c
}

// see says whether the object is a shipped file.
func (c code) see(key string) bool {
	_, ok := c[key]
	if ok {
		c[key] = true
	}
	return ok
}

// checkCode compares the bytes of the shipped files with their digests.
func (a *audit) checkCode(ctx context.Context, seen code) error {
	files, before := a.job.App.Shipped(), a.rep.Found
	defer func() { a.damaged = a.rep.Found - before }()
	return a.each(ctx, a.opt.Concurrency, len(files), func(ctx context.Context, i int, find *finder) error {
		f := files[i]
		key := a.lay.Code(f.SHA256)
		if !seen[key] {
			find.add(Missing, key, "shipped file %s", f.Name)
			return nil
		}
		sha, size := sha256.New(), int64(0)
		body, err := a.stream(ctx, key, "", 0, -1)
		if err == nil {
			size, err = io.Copy(sha, body)
			err = errors.Join(err, body.Close())
		}
		if kind := faultOf(err); kind != "" {
			find.add(kind, key, "shipped file %s: %v", f.Name, err)
			return nil
		}
		if err != nil {
			return err
		}
		if size != f.Size || hex.EncodeToString(sha.Sum(nil)) != f.SHA256 {
			find.add(Replaced, key, "shipped file %s: its %d bytes are others than those that were shipped", f.Name, size)
		}
		return nil
	})
}
