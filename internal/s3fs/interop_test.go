//go:build interop

package s3fs_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/s3fs"
	"github.com/mraws/mraws/internal/s3fs/s3conform"
)

// minio is a MinIO server of its own data folder on loopback.
type minio struct {
	bin, dir, addr string
	cmd            *exec.Cmd
	log            *os.File
}

// minioKey is both halves of the root credentials of a server that only this
// test reaches.
const minioKey = "conformance"

// startMinIO starts the server that MRAWS_MINIO names; scripts/minio.sh
// builds it.
func startMinIO(t *testing.T) *minio {
	t.Helper()
	bin := os.Getenv("MRAWS_MINIO")
	if bin == "" {
		t.Fatal("MRAWS_MINIO does not name a MinIO binary: MRAWS_MINIO=$(scripts/minio.sh) go test -tags interop")
	}
	// MinIO cannot tell which port it got, so it is told a free one.
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &minio{bin: bin, dir: t.TempDir(), addr: ln.Addr().String()}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if m.log, err = os.Create(filepath.Join(t.TempDir(), "minio.log")); err != nil {
		t.Fatal(err)
	}
	m.start(t)
	t.Cleanup(func() {
		m.kill()
		if t.Failed() {
			out, _ := os.ReadFile(m.log.Name())
			t.Logf("MinIO said:\n%s", out)
		}
		m.log.Close()
	})
	return m
}

func (m *minio) options() s3fs.Options {
	return s3fs.Options{Bucket: "test", Endpoint: "http://" + m.addr, Region: "us-east-1", AccessKey: minioKey, SecretKey: minioKey}
}

// start starts the process and waits until it takes a bucket.
func (m *minio) start(t *testing.T) {
	t.Helper()
	m.cmd = exec.Command(m.bin, "server", m.dir, "--address", m.addr, "--console-address", "127.0.0.1:0", "--quiet")
	m.cmd.Env = append(os.Environ(), "MINIO_ROOT_USER="+minioKey, "MINIO_ROOT_PASSWORD="+minioKey,
		"MINIO_UPDATE=off", "MINIO_BROWSER=off", "HOME="+m.dir)
	m.cmd.Stdout, m.cmd.Stderr = m.log, m.log
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	o := m.options()
	o.Bucket, o.MaxAttempts, o.BackoffBase = "ready", 30, 100*time.Millisecond
	s, err := s3fs.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := s.EnsureBucket(ctx); err != nil {
		t.Fatal(err)
	}
}

// kill is the power button.
func (m *minio) kill() {
	_ = m.cmd.Process.Kill()
	_ = m.cmd.Wait() // says that it was killed
}

func TestConformanceOfMinIO(t *testing.T) {
	m := startMinIO(t)
	s3conform.Run(t, s3conform.Target{Options: m.options(), Restart: func(t *testing.T) {
		m.kill()
		m.start(t)
	}})
}
