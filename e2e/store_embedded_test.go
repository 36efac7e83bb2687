//go:build !interop

package e2e

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/mraws/mraws/internal/datadir"
	"github.com/mraws/mraws/internal/s3fs"
)

// openStore starts `mraws s3` and returns a client of it, and the variables
// by which other processes of the test find it.
func openStore(t *testing.T, b *fixture) (*s3fs.Store, []string) {
	t.Helper()
	data := filepath.Join(b.dir, "data")
	b.start("s3", "--data-dir", data)
	var at datadir.Endpoint
	b.until("the embedded server runs", func() (ok bool) {
		var err error
		at, err = datadir.Find(t.Context(), data)
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
func cliEnv(t *testing.T, b *fixture) []string {
	t.Helper()
	at, err := datadir.Find(t.Context(), filepath.Join(b.dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	return []string{"AWS_ENDPOINT_URL=" + at.URL, "AWS_ACCESS_KEY_ID=" + at.AccessKey,
		"AWS_SECRET_ACCESS_KEY=" + at.SecretKey, "AWS_REGION=" + at.Region, "AWS_DEFAULT_REGION=" + at.Region}
}

// fileOf is where the embedded server keeps an object.
func (b *fixture) fileOf(key string) string {
	return filepath.Join(b.dir, "data", "s3", "mapreducedata", key)
}

// keptFile is a second name of the file of an object. The server replaces and
// removes names, so the file stays, with all that the server notes at it.
func (b *fixture) keptFile(key string) string { return filepath.Join(b.dir, "data", "kept", key) }

// keep keeps an object for putBack.
func (b *fixture) keep(key string) {
	b.t.Helper()
	link(b.t, b.fileOf(key), b.keptFile(key))
}

// putBack puts an object back as it was, ETag and all.
func (b *fixture) putBack(key string) {
	b.t.Helper()
	if err := os.Remove(b.fileOf(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		b.t.Fatal(err)
	}
	link(b.t, b.keptFile(key), b.fileOf(key))
}

// link gives a file a second name.
func link(t *testing.T, from, to string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(from, to); err != nil {
		t.Fatal(err)
	}
}
