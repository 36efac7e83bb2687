// Package shipped has the files that jobs ship, with --file and --archive. It
// fetches them from the bucket (shipped.go), walks through archives (archive.go), and
// keeps those of applications in Go for all attempts of a process (cache.go). Package
// execrunner puts those of executables into their working directories.
package shipped

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// fetchChunk is how many bytes of a file one request asks for.
const fetchChunk = 8 << 20

// Source is what the package needs of the bucket.
type Source interface {
	// OpenChunks streams the bytes [off, off+n) of an object, n = -1 is all of it,
	// by requests of chunk bytes. An empty etag stands for any version. Errors,
	// from the call or from the stream, wrap fs.ErrNotExist where that applies.
	OpenChunks(ctx context.Context, key, etag string, off, n, chunk int64, window int) (io.ReadCloser, error)
}

// DamagedError says that a shipped file is gone, or is not as the job ships it: so it
// is for every attempt.
type DamagedError struct {
	Key string // whole S3 key
	Err error
}

// Error names the key.
func (e *DamagedError) Error() string { return fmt.Sprintf("fetch %s: %v", e.Key, e.Err) }

// Unwrap returns the cause.
func (e *DamagedError) Unwrap() error { return e.Err }

// Fetch writes the bytes of a file to w and calls beat as they come. It returns a
// *DamagedError if there is no such object, or one with other bytes; w may have got
// them by then.
func Fetch(ctx context.Context, from Source, lay layout.Layout, f manifest.CodeFile, w io.Writer, beat func()) (err error) {
	key := lay.Code(f.SHA256)
	sha := sha256.New()
	n, err := copyObject(ctx, from, key, io.MultiWriter(w, sha, Beating(beat)), f.Size+1)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, object.ErrDamaged):
		return &DamagedError{key, err}
	case err != nil:
		return fmt.Errorf("fetch %s: %w", key, err)
	case n != f.Size || hex.EncodeToString(sha.Sum(nil)) != f.SHA256:
		return &DamagedError{key, errors.New("it has other bytes than the file that the job ships")}
	}
	return nil
}

// copyObject writes at most so many bytes of an object to w.
func copyObject(ctx context.Context, from Source, key string, w io.Writer, most int64) (n int64, err error) {
	body, err := from.OpenChunks(ctx, key, "", 0, -1, fetchChunk, 2)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	return io.Copy(w, io.LimitReader(body, most))
}

// Beating is a writer that calls a function for each write.
type Beating func()

// Write implements io.Writer.
func (b Beating) Write(p []byte) (int, error) { b(); return len(p), nil }
