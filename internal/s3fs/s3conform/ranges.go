package s3conform

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/mraws/mraws/internal/s3fs"
)

// ranges: every range of an object is what a slice of it would be.
func (s suite) ranges(t *testing.T) {
	ctx := t.Context()
	s = s.chunked(t)
	const size = 2*chunk + 1000
	data := noise(size, 3)
	obj := s.put(t, "k", data, s3fs.PutOptions{})
	s.put(t, "empty", nil, s3fs.PutOptions{})
	for _, tt := range []struct{ off, n int64 }{
		{0, 1}, {size - 1, 1}, {size - 1, -1}, {0, size}, {0, -1}, {0, 0}, {size, 0}, {size, -1},
		{chunk - 1, 2}, {chunk, 1}, {chunk - 1, chunk + 2}, {1, size - 1}, {1, -1}, {2 * chunk, 1000},
	} {
		want := data[tt.off:]
		if tt.n >= 0 {
			want = want[:tt.n]
		}
		for _, etag := range []string{"", obj.ETag} {
			got, err := s.readRange(ctx, "k", etag, tt.off, tt.n)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("bytes %d+%d: %d bytes, %v", tt.off, tt.n, len(got), err)
			}
			if got, err := s.copyRange(ctx, "k", etag, tt.off, tt.n); err != nil || !bytes.Equal(got, want) {
				t.Errorf("copy bytes %d+%d: %d bytes, %v", tt.off, tt.n, len(got), err)
			}
		}
	}
	if got, err := s.readRange(ctx, "empty", "", 0, -1); err != nil || len(got) != 0 {
		t.Errorf("all of the empty object: %q, %v", got, err)
	}
	for _, tt := range []struct {
		key    string
		off, n int64
	}{{"k", size, 1}, {"k", size - 1, 2}, {"k", 0, size + 1}, {"k", size + 1, -1}, {"empty", 0, 1}, {"empty", 1, -1}} {
		if got, err := s.readRange(ctx, tt.key, "", tt.off, tt.n); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("bytes %d+%d of %s: %d bytes, %v", tt.off, tt.n, tt.key, len(got), err)
		}
	}
}

// copyRange is readRange by io.Copy, behind a first byte that was read.
func (s suite) copyRange(ctx context.Context, key, etag string, off, n int64) (_ []byte, err error) {
	r, err := s.OpenRange(ctx, key, etag, off, n)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	var all bytes.Buffer
	if _, err := io.CopyN(&all, r, 1); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	_, err = io.Copy(&all, r)
	return all.Bytes(), err
}

// pinnedReads: a read is of the version that it names, or of the one that
// it began with.
func (s suite) pinnedReads(t *testing.T) {
	ctx := t.Context()
	s = s.chunked(t)
	const size = 8 * chunk
	first := s.put(t, "k", noise(size, 1), s3fs.PutOptions{})
	r, err := s.OpenRange(ctx, "k", "", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	s.put(t, "k", noise(size, 2), s3fs.PutOptions{})
	got, err := io.ReadAll(r)
	if err == nil && !bytes.Equal(got, noise(size, 1)) {
		t.Error("a read mixed two versions")
	}
	if err != nil && !errors.Is(err, s3fs.ErrPrecondition) {
		t.Errorf("read of an object that changes: %v", err)
	}
	for _, n := range []int64{1, chunk + 1, -1} {
		if _, err := s.readRange(ctx, "k", first.ETag, 0, n); !errors.Is(err, s3fs.ErrPrecondition) {
			t.Errorf("read %d bytes of a former version: %v", n, err)
		}
	}
}
