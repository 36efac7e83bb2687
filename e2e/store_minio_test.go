//go:build interop

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/s3fs"
)

// minioKey is both halves of the root credentials of a server that only
// these tests reach.
const minioKey = "end-to-end"

// server is a running MinIO.
type server struct {
	url string
	// keep ends the server when it is closed: by the end of this process, or
	// by the collector if nobody held it.
	keep io.Closer
}

// minio is the one MinIO server of all tests; they keep apart by prefix.
var minio = sync.OnceValues(startMinIO)

// startMinIO starts the server that MRAWS_MINIO names. A shell watches the
// test process and ends the server with it.
func startMinIO() (*server, error) {
	bin := os.Getenv("MRAWS_MINIO")
	if bin == "" {
		return nil, errors.New("MRAWS_MINIO does not name a MinIO binary: MRAWS_MINIO=$(scripts/minio.sh) go test -tags interop")
	}
	dir, err := os.MkdirTemp("", "mraws-minio-")
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := ln.Addr().String()
	if err := ln.Close(); err != nil {
		return nil, err
	}
	const keeper = `"$1" server "$2" --address "$3" --console-address 127.0.0.1:0 --quiet >"$2.log" 2>&1 & pid=$!
		while read -r _; do :; done; kill -9 $pid; wait $pid; rm -rf "$2" "$2.log"`
	c := exec.Command("sh", "-c", keeper, "keeper", bin, dir, address)
	c.Env = append(os.Environ(), "MINIO_ROOT_USER="+minioKey, "MINIO_ROOT_PASSWORD="+minioKey, "MINIO_UPDATE=off", "MINIO_BROWSER=off", "HOME="+dir)
	keep, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	url := "http://" + address
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := s3fs.Open(ctx, minioOptions(url, 100))
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if err := s.EnsureBucket(ctx); err != nil {
		return nil, fmt.Errorf("MinIO at %s: %w", url, err)
	}
	return &server{url, keep}, nil
}

func minioOptions(url string, attempts int) s3fs.Options {
	return s3fs.Options{Bucket: "mapreducedata", Region: "us-east-1", Endpoint: url, AccessKey: minioKey, SecretKey: minioKey,
		MaxAttempts: attempts, BackoffBase: 100 * time.Millisecond}
}

// openStore returns a client of the MinIO server, and the variables by which
// the processes of the test find it.
func openStore(t *testing.T, b *fixture) (*s3fs.Store, []string) {
	t.Helper()
	m, err := minio()
	if err != nil {
		t.Fatal(err)
	}
	store, err := s3fs.Open(t.Context(), minioOptions(m.url, 8))
	if err != nil {
		t.Fatal(err)
	}
	return store, append(cliEnv(t, b), "MRAWS_ENDPOINT="+m.url)
}

// cliEnv is the environment in which the AWS CLI finds the store.
func cliEnv(t *testing.T, _ *fixture) []string {
	t.Helper()
	m, err := minio()
	if err != nil {
		t.Fatal(err)
	}
	return []string{"AWS_ENDPOINT_URL=" + m.url, "AWS_ACCESS_KEY_ID=" + minioKey, "AWS_SECRET_ACCESS_KEY=" + minioKey,
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1"}
}

// keep keeps a copy of an object for putBack.
func (b *fixture) keep(key string) { b.copyOf(key, "kept-"+key) }

// putBack puts an object back as it was, ETag and all.
func (b *fixture) putBack(key string) { b.copyOf("kept-"+key, key) }

// copyOf copies an object over another.
func (b *fixture) copyOf(from, to string) {
	b.t.Helper()
	info, err := b.store.Stat(b.t.Context(), from)
	if err == nil {
		_, err = b.store.Copy(b.t.Context(), from, info.ETag, to, object.PutOptions{})
	}
	if err != nil {
		b.t.Fatal(err)
	}
}
