//go:build !interop

package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestCoordinatorLocal: one process serves the store beside the coordinator,
// workers of the same user find it in the data folder, and when that process
// is killed the next one takes its place under the running workers.
func TestCoordinatorLocal(t *testing.T) {
	b := newBench(t)
	b.env = append(b.env, "MRAWS_DATA_DIR="+filepath.Join(b.dir, "solo"), "MRAWS_LOCAL=", "MRAWS_COORD_TIMEOUT=60s")
	b.run(0, append([]string{"upload-input", "--local"}, b.books()...)...)
	line := []string{"--local", "--app", "jobcount", "--app-arg", "stall=300ms", "--nreduce", "2"}
	c, _ := b.coordinator(line...)
	w := b.start("worker", "--app", "jobcount", "--slots", "1") // the folder is there, so it needs no --local
	b.until("the worker has joined", func() bool { return strings.Contains(c.errout.String(), "worker joined") })
	b.kill(c)
	again, _ := b.coordinator(line...)
	for _, p := range []*process{again, w} {
		if code := b.exit(p); code != 0 {
			t.Errorf("mraws %s: exit code %d", p.name, code)
		}
	}
	b.run(0, "verify", "--app", "jobcount")
}
