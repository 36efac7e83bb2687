//go:build !interop

package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/manifest"
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

// TestPreflight: a store in another process is tried before a job, one that is
// part of the same process is not. Only a trial has an upload called off.
func TestPreflight(t *testing.T) {
	for name, want := range map[string]int64{"served elsewhere": 1, "served here": 0} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			if want == 0 {
				b.env = append(b.env, "MRAWS_DATA_DIR="+filepath.Join(b.dir, "solo"))
			}
			b.run(0, append([]string{"upload-input", "--local"}, b.books()...)...)
			out, _ := b.run(0, "run", "--local", "--app", "wc", "--output", "json")
			var job manifest.Success
			if err := json.Unmarshal([]byte(out), &job); err != nil {
				t.Fatal(err)
			}
			if got := job.Requests["AbortMultipartUpload"]; got != want || job.Requests["PutObject"] == 0 {
				t.Errorf("%d uploads called off, want %d: %v", got, want, job.Requests)
			}
		})
	}
}
