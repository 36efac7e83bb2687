//go:build !interop

package e2e

import (
	"path/filepath"
	"testing"

	"github.com/mraws/mraws/internal/s3fs"
	"github.com/mraws/mraws/internal/s3local"
)

// openStore starts `mraws s3` and returns a client of it, and the variables
// by which other processes of the test find it.
func openStore(t *testing.T, b *bench) (*s3fs.Store, []string) {
	t.Helper()
	data := filepath.Join(b.dir, "data")
	b.start("s3", "--data-dir", data)
	var at s3local.Endpoint
	b.until("the embedded server runs", func() (ok bool) {
		var err error
		at, err = s3local.Find(t.Context(), data)
		return err == nil
	})
	store, err := s3fs.Open(t.Context(), s3fs.Options{
		Bucket: "mapreducedata", Region: at.Region, Endpoint: at.URL, AccessKey: at.AccessKey, SecretKey: at.SecretKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.EnsureBucket(t.Context()); err != nil {
		t.Fatal(err)
	}
	return store, []string{"MRAWS_LOCAL=true", "MRAWS_DATA_DIR=" + data}
}

// cliEnv is the environment in which the AWS CLI finds the store.
func cliEnv(t *testing.T, b *bench) []string {
	t.Helper()
	at, err := s3local.Find(t.Context(), filepath.Join(b.dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	return []string{"AWS_ENDPOINT_URL=" + at.URL, "AWS_ACCESS_KEY_ID=" + at.AccessKey,
		"AWS_SECRET_ACCESS_KEY=" + at.SecretKey, "AWS_REGION=" + at.Region, "AWS_DEFAULT_REGION=" + at.Region}
}
