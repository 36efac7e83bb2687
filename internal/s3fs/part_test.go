package s3fs_test

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/s3fs"
)

// TestPartSizes: parts of a large file are larger than the store's own, those
// of a writer only if it is asked to; all but the last are alike.
func TestPartSizes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		write func(*s3fs.Store) error
		want  []int
	}{
		{"file", func(s *s3fs.Store) error {
			_, err := s.PutFile(t.Context(), key, bytes.NewReader(bytesOf(4500)), 4500, s3fs.PutOptions{})
			return err
		}, []int{1000, 1000, 1000, 1000, 500}},
		{"large file", func(s *s3fs.Store) error {
			_, err := s.PutFile(t.Context(), key, bytes.NewReader(bytesOf(64*3000)), 64*3000, s3fs.PutOptions{})
			return err
		}, slices.Repeat([]int{3000}, 64)},
		{"very large file", func(s *s3fs.Store) error {
			_, err := s.PutFile(t.Context(), key, bytes.NewReader(bytesOf(100*8000)), 100*8000, s3fs.PutOptions{})
			return err
		}, slices.Repeat([]int{8000}, 100)},
		{"writer", func(s *s3fs.Store) error { return written(t, s, 2500, s3fs.PutOptions{}) }, []int{1000, 1000, 500}},
		{"writer of large parts", func(s *s3fs.Store) error { return written(t, s, 5000, s3fs.PutOptions{PartSize: 2000}) }, []int{2000, 2000, 1000}},
		{"writer of small parts", func(s *s3fs.Store) error { return written(t, s, 2500, s3fs.PutOptions{PartSize: 10}) }, []int{1000, 1000, 500}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var mu sync.Mutex
			var got []int
			s := uploadServer(t, map[string]http.HandlerFunc{"part": func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				mu.Lock()
				got = append(got, len(body))
				mu.Unlock()
				ok("")(w, r)
			}})
			if err := tt.write(s); err != nil {
				t.Fatal(err)
			}
			slices.SortFunc(got, func(a, b int) int { return b - a })
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("sizes of parts (-want +got):\n%s", diff)
			}
		})
	}
}

// written writes n bytes by a writer.
func written(t *testing.T, s *s3fs.Store, n int, o s3fs.PutOptions) error {
	w, err := s.Create(t.Context(), key, o)
	if err != nil {
		return err
	}
	if _, err := w.Write(bytesOf(n)); err != nil {
		return err
	}
	_, err = w.Commit(t.Context())
	return err
}
