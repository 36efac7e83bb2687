package s3fs_test

import (
	"testing"

	"github.com/mraws/mraws/internal/s3fs"
	"github.com/mraws/mraws/internal/s3local"
)

// openLocal returns a new bucket of a new embedded server.
func openLocal(t testing.TB, o s3fs.Options) *s3fs.Store {
	t.Helper()
	srv, err := s3local.Start(t.Context(), s3local.Options{DataDir: t.TempDir(), Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	ep := srv.Endpoint()
	o.Bucket, o.Endpoint, o.Region = "conform", ep.URL, ep.Region
	o.AccessKey, o.SecretKey = ep.AccessKey, ep.SecretKey
	s, err := s3fs.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.EnsureBucket(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}
