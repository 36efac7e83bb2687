package s3conform

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"testing"

	"github.com/mraws/mraws/internal/s3fs"
)

// uploads lists the unfinished uploads of key. (MinIO lists them by whole
// keys only.)
func (s suite) uploads(t *testing.T, key string) []s3fs.Upload {
	t.Helper()
	var all []s3fs.Upload
	for u, err := range s.Uploads(t.Context(), key) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, u)
	}
	return all
}

// noUploads fails if something was left of an upload.
func (s suite) noUploads(t *testing.T, key string) {
	t.Helper()
	if left := s.uploads(t, key); left != nil {
		t.Errorf("left over of uploads: %v", left)
	}
}

// abort: an upload that came to nothing leaves nothing.
func (s suite) abort(t *testing.T) {
	ctx := t.Context()
	begin := func(ctx context.Context, key string) s3fs.Writer {
		w, err := s.Create(ctx, key, s3fs.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(noise(2*partSize+1, 1)); err != nil {
			t.Fatal(err)
		}
		return w
	}

	w := begin(ctx, "aborted")
	if got := s.uploads(t, "aborted"); len(got) != 1 || got[0].Key != "aborted" || got[0].ID == "" || got[0].Initiated.IsZero() {
		t.Errorf("uploads are %+v", got)
	}
	if err := w.Abort(); err != nil {
		t.Error(err)
	}
	if err := w.Abort(); err != nil {
		t.Errorf("abort a second time: %v", err)
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("write after Abort succeeded")
	}

	cancelled, cancel := context.WithCancel(ctx)
	w = begin(cancelled, "cancelled")
	cancel()
	if _, err := w.Commit(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("commit after cancellation: %v", err)
	}
	big := noise(multipartAbove+1, 1)
	if _, err := s.PutFile(cancelled, "file", bytes.NewReader(big), int64(len(big)), s3fs.PutOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("put after cancellation: %v", err)
	}

	s.put(t, "taken", nil, s3fs.PutOptions{})
	if _, err := s.PutFile(ctx, "taken", bytes.NewReader(big), int64(len(big)), s3fs.PutOptions{IfAbsent: true}); !exists(err) {
		t.Errorf("conditional upload onto an object: %v", err)
	}
	s.want(t, "taken", nil)

	small, err := s.Create(ctx, "small", s3fs.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := small.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := small.Abort(); err != nil {
		t.Error(err)
	}
	for _, key := range []string{"aborted", "cancelled", "file", "small"} {
		s.noUploads(t, key)
		if _, err := s.Stat(ctx, key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("stat of %s: %v", key, err)
		}
	}
	s.noUploads(t, "taken")
	if err := s.AbortUpload(ctx, s3fs.Upload{Key: "aborted", ID: "b7b4a3a0-0000-4000-8000-000000000000"}); err != nil {
		t.Logf("abort of an unknown upload: %v", err)
	}
}
