package s3local

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"

	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3err"
	"golang.org/x/sync/semaphore"
)

// An upload must end exactly once. The backend alone has two faults there.
//
// First, it renames the folder of an upload while it completes the upload. A
// completion that does not find the folder gets 200 if there is a renamed folder, or
// any object with the key: the backend assumes that it repeats a successful
// completion. But the first completion may still fail its condition, it may have
// been killed with the server, or the object may be that of another upload while
// this one was aborted.
//
// Second, a part that has arrived is put into the folder of its upload, which is
// created if missing. After an abort or a completion that restores the upload, with
// this part, for ever.
//
// So completion and abort lock the upload exclusively, a part locks it shared, and
// each replies NoSuchUpload if there is no such upload, as S3 does. The start of a
// server undoes the renames.

// inProgress ends the names of marked folders: upload.token.inprogress.
const inProgress = ".inprogress"

// turns are locks by name. Waiting for one ends with a context.
type turns struct {
	mu   sync.Mutex
	held map[string]*turn // of those that somebody holds or waits for
}

// turn is the lock of one name.
type turn struct {
	*semaphore.Weighted
	users int // holders and those that wait
}

// How much of a lock is taken.
const (
	shared int64 = 1
	alone  int64 = 1 << 30
)

// take waits for the lock in FIFO order.
func (t *turns) take(ctx context.Context, name string, share int64) (leave func(), err error) {
	t.mu.Lock()
	l := t.held[name]
	if l == nil {
		l = &turn{Weighted: semaphore.NewWeighted(alone)}
		if t.held == nil {
			t.held = map[string]*turn{}
		}
		t.held[name] = l
	}
	l.users++
	t.mu.Unlock()
	drop := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(t.held, name)
		}
	}
	if err := l.Acquire(ctx, share); err != nil {
		drop()
		return nil, context.Cause(ctx)
	}
	return func() { l.Release(share); drop() }, nil
}

// upload takes the lock of an upload and checks that the upload exists.
func (g *guard) upload(ctx context.Context, bucket, key, id *string, share int64) (leave func(), err error) {
	if !g.on.uploads || bucket == nil || key == nil || id == nil {
		return func() {}, nil
	}
	folder := uploadFolder(*bucket, *key, *id)
	if leave, err = g.uploads.take(ctx, folder, share); err != nil {
		return nil, err
	}
	if _, err := os.Stat(*bucket); err != nil {
		return leave, nil // the backend has an answer for that
	}
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		// The backend makes the folder of the key for the file of a part.
		_ = os.Remove(filepath.Dir(folder)) // unless it has other uploads
		leave()
		return nil, s3err.GetNoSuchUploadErr(*id)
	}
	return leave, nil
}

// uploadFolder is where the backend keeps the parts of an upload.
func uploadFolder(bucket, key, upload string) string {
	return filepath.Join(bucket, posix.MetaTmpMultipartDir, fmt.Sprintf("%x", sha256.Sum256([]byte(key))), upload)
}

// unmark restores the folder names of uploads whose completion was killed with the
// server, so that they can be completed, listed and aborted. No other process may
// use the folder.
func (s *store) unmark() error {
	marked, err := fs.Glob(os.DirFS(s.root), path.Join("*", posix.MetaTmpMultipartDir, "*", "*"+inProgress))
	for _, name := range marked {
		upload, _, _ := strings.Cut(path.Base(name), ".")
		err = errors.Join(err, os.Rename(s.root+name, s.root+path.Join(path.Dir(name), upload)))
	}
	if err != nil {
		return fmt.Errorf("free the uploads that were being completed: %w", err)
	}
	return nil
}
