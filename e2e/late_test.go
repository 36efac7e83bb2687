//go:build !interop

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestResetUnderAStoppedWorker: a worker stands still in front of a write while
// its job is reset and another is begun in the same place, over other input.
// When it goes on it writes for the old job. The new one counts none of that,
// puts its own in the place, and ends; the worker itself works for it then.
func TestResetUnderAStoppedWorker(t *testing.T) {
	for _, point := range []string{"worker.put.partition.before", "worker.put.map-record.before", "worker.commit.output.before"} {
		t.Run(point, func(t *testing.T) {
			b := newFixture(t)
			armed, err := armable()
			if err != nil {
				t.Fatal(err)
			}
			input := filepath.Join(b.dir, "words")
			upload := func(text string) {
				if err := os.WriteFile(input, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				b.run(0, "upload-input", input)
			}
			job := []string{"--app", "wc", "--nreduce", "1"}
			upload("old old\n")
			first, _ := b.coordinator(job...)
			plain := b.env
			b.env = append(plain[:len(plain):len(plain)], "MRAWS_FAILPOINTS="+point+"=stop")
			args := []string{"worker", "--app", "wc", "--slots", "1", "--coord-timeout", "1h"}
			w := b.launch(exec.Command(armed, args...), args)
			b.env = plain
			b.until("the worker stops", func() bool { return strings.Contains(w.errout.String(), "failpoint "+point) })
			b.kill(first)
			b.run(0, "reset", "--yes", "--force", "--input")
			upload("new words\n")
			second, _ := b.coordinator(job...)
			b.until("the other job is planned", func() bool { return strings.Contains(second.errout.String(), "job ready") })
			if err := w.Process.Signal(syscall.SIGCONT); err != nil {
				t.Fatal(err)
			}
			for _, p := range []*process{second, w} {
				if code := b.exit(p); code != 0 {
					t.Errorf("mraws %s: exit code %d", p.name, code)
				}
			}
			if d := cmp.Diff(map[int]string{0: "new 1\nwords 1\n"}, b.outputs()); d != "" {
				t.Error(d)
			}
			b.run(0, "verify", "--app", "wc")
		})
	}
}
