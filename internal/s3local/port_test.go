package s3local

import (
	"net"
	"strings"
	"testing"
)

// TestPortIsKept: a client that outlives a server finds the next one, unless
// somebody else has the port by then.
func TestPortIsKept(t *testing.T) {
	dir := t.TempDir()
	startOnce := func() string {
		t.Helper()
		s, err := Start(t.Context(), Options{DataDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		return s.Endpoint().URL
	}
	first := startOnce()
	if again := startOnce(); again != first {
		t.Errorf("the second server is at %s, the first was at %s", again, first)
	}
	taken, err := net.Listen("tcp", strings.TrimPrefix(first, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if other := startOnce(); other == first {
		t.Errorf("two listeners at %s", first)
	}
}
