package wire

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"google.golang.org/grpc/grpclog"
)

// TestLibraryIsQuiet lets the gRPC library write a line in a process of its
// own, which shows it only where the environment asks.
func TestLibraryIsQuiet(t *testing.T) {
	const line, child = "something went wrong inside", "MRAWS_TEST_LIBRARY_WRITES"
	if os.Getenv(child) != "" {
		grpclog.Error(line)
		return
	}
	for _, level := range []string{"", "error"} {
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLibraryIsQuiet$")
		c.Env = append(os.Environ(), child+"=1", "GRPC_GO_LOG_SEVERITY_LEVEL="+level)
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if got, want := strings.Contains(string(out), line), level != ""; got != want {
			t.Errorf("GRPC_GO_LOG_SEVERITY_LEVEL=%q: the line is shown: %v, want %v\n%s", level, got, want, out)
		}
	}
}
