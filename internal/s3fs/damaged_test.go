package s3fs_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/mraws/mraws/internal/s3fs"
)

// TestDamagedAtRest changes a byte behind the server's back: whoever reads
// it is told so, by an error that says more than that reading failed.
func TestDamagedAtRest(t *testing.T) {
	l := startLocal(t)
	o := l.options()
	o.MaxAttempts = 2
	s, err := s3fs.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.EnsureBucket(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "a", []byte("some text"), s3fs.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(l.dir, "s3", "test", "a"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("S"), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Get(t.Context(), "a"); !errors.Is(err, s3fs.ErrDamaged) {
		t.Errorf("Get: %v", err)
	}
	body, err := s.OpenRange(t.Context(), "a", "", 0, -1)
	if err == nil {
		_, err = io.Copy(io.Discard, body)
		err = errors.Join(err, body.Close())
	}
	if !errors.Is(err, s3fs.ErrDamaged) {
		t.Errorf("OpenRange: %v", err)
	}
}
