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

// An upload ends once. The backend alone does not see to that, in two ways.
//
// It marks an upload that is being completed by the name of its folder. To a
// completion that finds no folder of the plain name it answers 200 if it finds
// a marked one, or any object with the upload's key: it takes itself for the
// repetition of one that goes well or went well. But that one may yet fail its
// condition, may have died with the server of its time, or the object may be
// another upload's, while this one was aborted.
//
// And when a part has come in as a whole it is put into the folder of its
// upload, which is made if missing: behind an abort or a completion that
// brings the upload back, with this part, for ever.
//
// So whoever ends an upload has it for himself, a part shares it with others
// while it is put there, and each finds NoSuchUpload where there is none, as in
// S3. The marks are taken away at the start.

// inProgress ends the names of marked folders: upload.token.inprogress.
const inProgress = ".inprogress"

// turns are locks with names, which wait no longer than a context lasts.
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

// take waits for the lock; who comes first is served first.
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

// upload takes the lock of an upload and makes sure that it is there.
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

// unmark gives the uploads whose completion a server did not survive their
// plain names back, so that they can be completed, listed and aborted. Nobody
// else may use the folder.
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
