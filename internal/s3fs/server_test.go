package s3fs_test

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/mraws/mraws/internal/s3fs"
)

// policy returns a store that is asked what it would do, and asks for nothing.
func policy(t *testing.T, server s3fs.Server) *s3fs.Store {
	t.Helper()
	o := quick()
	o.Server, o.PartSize = server, 8<<20
	s, _ := fake(t, o, apiError(404, "NoSuchKey"))
	return s
}

// TestReach: from a server on this machine a large range is one stream, of
// which little is held.
func TestReach(t *testing.T) {
	const chunk = 64 << 10
	for _, tt := range []struct {
		server         s3fs.Server
		n, reach, held int64
	}{
		{s3fs.Elsewhere, 1 << 30, chunk, chunk}, {s3fs.Elsewhere, 10, 10, 10},
		{s3fs.SameMachine, 1 << 30, 1 << 30, s3fs.ViewSize}, {s3fs.SameProcess, s3fs.MinDirect, s3fs.MinDirect, s3fs.ViewSize},
		{s3fs.SameProcess, s3fs.MinDirect - 1, chunk, chunk}, {s3fs.SameMachine, 10, 10, 10},
	} {
		if reach, held := policy(t, tt.server).Reach(tt.n, chunk); reach != tt.reach || held != tt.held {
			t.Errorf("server %d, %d bytes: reach %d, held %d, want %d and %d", tt.server, tt.n, reach, held, tt.reach, tt.held)
		}
	}
}

// TestCut: parts grow with what is expected, as memory allows; a server on
// this machine gets in one request what is expected to fit into memory.
func TestCut(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct {
		server                      s3fs.Server
		expect, memory, part, whole int64
	}{
		{s3fs.Elsewhere, 0, 0, 8 * mib, 8 * mib}, {s3fs.Elsewhere, 1 << 40, 64 * mib, 8 * mib, 8 * mib},
		{s3fs.Elsewhere, 1 << 40, 256 * mib, 32 * mib, 32 * mib}, {s3fs.Elsewhere, 1 << 40, 1 << 40, 64 * mib, 64 * mib},
		{s3fs.Elsewhere, 1 << 30, 1 << 40, 16 * mib, 16 * mib},
		{s3fs.SameMachine, 0, 0, 8 * mib, 8 * mib}, {s3fs.SameMachine, 0, 100 * mib, 8 * mib, 100 * mib},
		{s3fs.SameProcess, 100 * mib, 100 * mib, 8 * mib, 100 * mib}, {s3fs.SameProcess, 100*mib + 1, 100 * mib, 8 * mib, 8 * mib},
		{s3fs.SameMachine, 0, 1 << 40, 8 * mib, 256 * mib},
	} {
		part, whole := policy(t, tt.server).Cut(s3fs.PutOptions{Expect: tt.expect, Memory: tt.memory})
		if part != tt.part || whole != tt.whole {
			t.Errorf("server %d, %d expected, %d of memory: parts of %d and up to %d whole, want %d and %d",
				tt.server, tt.expect, tt.memory, part, whole, tt.part, tt.whole)
		}
	}
}

// TestNoStream: a stream that cannot be opened is none.
func TestNoStream(t *testing.T) {
	if r, err := policy(t, s3fs.SameMachine).Stream(t.Context(), key, etag, 0, 10); r != nil || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, %v", r, err)
	}
}

// TestPreflightOfOwnServer: the server of this process is not asked.
func TestPreflightOfOwnServer(t *testing.T) {
	s := policy(t, s3fs.SameProcess)
	if err := s.Preflight(t.Context(), "p/"); err != nil || len(s.Requests()) != 0 {
		t.Errorf("%v, after %v", err, s.Requests())
	}
}
