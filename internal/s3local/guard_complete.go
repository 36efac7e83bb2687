package s3local

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/versity/versitygw/backend/posix"
	"github.com/versity/versitygw/s3err"
)

// The backend marks an upload that is being completed by the name of its
// folder. To a completion that finds no folder of the plain name it answers
// 200 if it finds a marked one, or any object with the upload's key: it takes
// itself for the repetition of one that goes well or went well. But that one
// may yet fail its condition, may have died with the server of its time, or
// the object may be another upload's, while this one was aborted. So the guard
// lets the completions of an upload go one after the other, says NoSuchUpload
// where there is none, as S3 does, and takes the marks away at the start.

// inProgress ends the names of marked folders: upload.token.inprogress.
const inProgress = ".inprogress"

// turns lets one holder of a name in at a time.
type turns struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed when the holder leaves
}

// take waits for the turn.
func (t *turns) take(ctx context.Context, name string) (leave func(), err error) {
	for {
		t.mu.Lock()
		wait := t.held[name]
		if wait == nil {
			mine := make(chan struct{})
			if t.held == nil {
				t.held = map[string]chan struct{}{}
			}
			t.held[name] = mine
			t.mu.Unlock()
			return func() {
				t.mu.Lock()
				delete(t.held, name)
				t.mu.Unlock()
				close(mine)
			}, nil
		}
		t.mu.Unlock()
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// completing waits until nobody else completes the upload, and makes sure
// that it is there.
func (g *guard) completing(ctx context.Context, in *s3.CompleteMultipartUploadInput) (leave func(), err error) {
	if !g.on.completions || in.Bucket == nil || in.Key == nil || in.UploadId == nil {
		return func() {}, nil
	}
	folder := uploadFolder(*in.Bucket, *in.Key, *in.UploadId)
	if leave, err = g.completions.take(ctx, folder); err != nil {
		return nil, err
	}
	if _, err := os.Stat(*in.Bucket); err != nil {
		return leave, nil // the backend has an answer for that
	}
	if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		leave()
		return nil, s3err.GetNoSuchUploadErr(*in.UploadId)
	}
	return leave, nil
}

// uploadFolder is where the backend keeps the parts of an upload, from its
// working directory.
func uploadFolder(bucket, key, upload string) string {
	return filepath.Join(bucket, posix.MetaTmpMultipartDir, fmt.Sprintf("%x", sha256.Sum256([]byte(key))), upload)
}

// unmark gives the uploads whose completion a server did not survive their
// plain names back, so that they can be completed, listed and aborted. Nobody
// else may use the folder.
func unmark() error {
	marked, err := filepath.Glob(filepath.Join("*", posix.MetaTmpMultipartDir, "*", "*"+inProgress))
	for _, name := range marked {
		upload, _, _ := strings.Cut(filepath.Base(name), ".")
		err = errors.Join(err, os.Rename(name, filepath.Join(filepath.Dir(name), upload)))
	}
	if err != nil {
		return fmt.Errorf("free the uploads that were being completed: %w", err)
	}
	return nil
}
