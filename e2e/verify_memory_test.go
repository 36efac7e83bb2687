//go:build !interop

package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

// TestVerifyMemory: where a sort passes in a control group, its verification
// does, too; and one that is killed leaves no temporary files.
func TestVerifyMemory(t *testing.T) {
	const limit = 128 * mib
	b := newPlainFixture(t)
	input := filepath.Join(b.dir, "lines.txt")
	if err := os.WriteFile(input, []byte(words(3, 60<<20)), 0o644); err != nil {
		t.Fatal(err)
	}
	b.run(0, "upload-input", input)
	b.run(0, "run", "--app", "sort", "--nreduce", "4", "--workers", "2")
	scratch := filepath.Join(b.dir, "scratch")
	if err := os.Mkdir(scratch, 0o755); err != nil {
		t.Fatal(err)
	}
	b.env = append(b.env, "MRAWS_SCRATCH="+scratch)

	p := b.start("verify", "--app", "sort", "--memory", "32MiB")
	b.until("verify has temporary files", func() bool {
		for _, name := range openFiles(p.Process.Pid) {
			if filepath.Dir(name) == scratch {
				return true
			}
		}
		return false
	})
	b.kill(p)
	if left, err := os.ReadDir(scratch); err != nil || len(left) > 0 {
		t.Errorf("a killed verify has left %v, %v", left, err)
	}

	line := "true"
	if dir := b.cgroup(limit); dir != "" {
		line = "echo $$ >" + dir + "/cgroup.procs"
	}
	memory := "auto"
	if line == "true" { // no group can be made: the budget that auto would take there
		memory = "48MiB"
	}
	v := b.under(line, "verify", "--app", "sort", "--memory", memory)
	peak := b.peakMemory(v)
	if code := b.exit(v); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	t.Logf("verify has taken up to %d MiB", peak()/mib)
	if got := peak(); got > limit || got < 20*mib {
		t.Errorf("verify has taken up to %d bytes, want at most %d", got, limit)
	}
}
