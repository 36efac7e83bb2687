package s3fs_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/s3fs"
)

// TestDamagedAtRest changes the bytes of an object behind the server's back:
// whoever reads it is told so, by an error that says more than that reading
// failed, after a few tries.
func TestDamagedAtRest(t *testing.T) {
	l := startLocal(t)
	const size = 2 << 20
	data := bytes.Repeat([]byte("some text\n"), size/10+1)[:size]
	for name, harm := range map[string]func(path string) error{
		"flipped": func(path string) error {
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				return err
			}
			b := []byte{0}
			_, err1 := f.ReadAt(b, size/2)
			b[0] ^= 0x10
			_, err2 := f.WriteAt(b, size/2)
			return errors.Join(err1, err2, f.Close())
		},
		"cut":     func(path string) error { return os.Truncate(path, size-1) },
		"halved":  func(path string) error { return os.Truncate(path, size/2) },
		"emptied": func(path string) error { return os.Truncate(path, 0) },
	} {
		for _, server := range []s3fs.Server{s3fs.Elsewhere, s3fs.SameMachine} {
			o := l.options()
			o.Server, o.BackoffBase = server, time.Millisecond
			s, err := s3fs.Open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if err := s.EnsureBucket(t.Context()); err != nil {
				t.Fatal(err)
			}
			info, err := s.Put(t.Context(), name, data, s3fs.PutOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if err := harm(filepath.Join(l.dir, "s3", "test", name)); err != nil {
				t.Fatal(err)
			}
			before := s.Requests()["GetObject"]
			if _, _, err := s.Get(t.Context(), name); !errors.Is(err, s3fs.ErrDamaged) {
				t.Errorf("%s: Get: %v", name, err)
			}
			if n := s.Requests()["GetObject"] - before; n > 4 {
				t.Errorf("%s: asked for %d times", name, n)
			}
			body, err := s.Stream(t.Context(), name, info.ETag, 0, size)
			if err == nil {
				_, err = body.WriteTo(io.Discard)
				err = errors.Join(err, body.Close())
			}
			if !errors.Is(err, object.ErrDamaged) {
				t.Errorf("%s: a stream from server %d: %v", name, server, err)
			}
			if name == "flipped" {
				continue // a part of an object has no checksum
			}
			for _, off := range []int64{0, size - 100} {
				body, err := s.OpenChunks(t.Context(), name, info.ETag, off, size-off, 256<<10, 1)
				if err == nil {
					_, err = io.Copy(io.Discard, body)
					err = errors.Join(err, body.Close())
				}
				if !errors.Is(err, object.ErrDamaged) {
					t.Errorf("%s: chunks from %d on: %v", name, off, err)
				}
			}
		}
	}
}
