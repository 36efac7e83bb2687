//go:build !interop

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/mraws/mraws/internal/datadir"
	"github.com/mraws/mraws/internal/s3fs"
)

// openFiles lists what the descriptors of a process stand for, nothing if it
// has ended.
func openFiles(pid int) (names []string) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	fds, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	for _, fd := range fds {
		if name, err := os.Readlink(dir + "/" + fd.Name()); err == nil {
			names = append(names, name)
		}
	}
	return names
}

// maxFiles watches a process and returns how many descriptors it has had at
// most so far, as far as can be seen from outside.
func (b *fixture) maxFiles(p *process) func() int64 {
	return b.most(p, func() int64 { return int64(len(openFiles(p.Process.Pid))) })
}

// TestFewDescriptors: a job of many segments, whose map tasks spill a dozen
// times, with few descriptors for everybody: server, coordinator and worker.
// (What is too few is refused: cmd/testdata/descriptors.txt.)
func TestFewDescriptors(t *testing.T) {
	b := newHeavyFixture(t)
	b.env = append(b.env, "MRAWS_DATA_DIR="+b.dir+"/few", "MRAWS_LOCAL=true")
	server := b.under("ulimit -n 192", "s3")
	b.until("the server runs", func() bool {
		at, err := datadir.Find(t.Context(), b.dir+"/few")
		if err != nil {
			return false
		}
		b.store, err = s3fs.Open(t.Context(), s3fs.Options{Bucket: "mapreducedata", Region: at.Region,
			Endpoint: at.URL, AccessKey: at.AccessKey, SecretKey: at.SecretKey})
		return err == nil
	})
	t.Cleanup(b.store.Close)
	var texts []string
	for i := range 30 {
		texts = append(texts, fmt.Sprintf("%d %d\n", i*1000, (i+1)*1000))
	}
	texts[7] = "7000 8000\n1000000 2500000\n"
	b.inputs(texts...)
	c := b.under("ulimit -n 64", "coordinator", "--app", "hotsum", "--app-arg", "keys=10000000", "--nreduce", "50")
	w := b.under("ulimit -n 64", "worker", "--app", "hotsum", "--slots", "1", "--memory", "32MiB", "--coord-timeout", "1m")
	files, served := b.maxFiles(w), b.maxFiles(server)
	for _, p := range []*process{c, w} {
		if code := b.exit(p); code != 0 {
			t.Fatalf("mraws %s: exit code %d", p.name, code)
		}
	}
	t.Logf("worker: at most %d of 64; server: at most %d of 192", files(), served())
	if n := files(); n > 64 || n < 20 {
		t.Errorf("the worker had up to %d descriptors", n)
	}
	if n := served(); n > 144 || n < 20 {
		t.Errorf("the server had up to %d descriptors, three quarters of 192 may be", n)
	}
	wants(t, w.errout.String(), `"s3-concurrency":4,`)
	if s := b.success(); s.Map.Failed+s.Reduce.Failed+s.Map.Lost+s.Reduce.Lost > 0 || s.Keys != 1_530_000 {
		t.Errorf("map %+v, reduce %+v, %d keys", s.Map, s.Reduce, s.Keys)
	}
	b.run(0, "verify")
}

// under is start behind a line of shell, such as one that sets a limit.
func (b *fixture) under(line string, args ...string) *process {
	b.t.Helper()
	return b.launch(exec.Command("sh", append([]string{"-c", line + ` && exec "$0" "$@"`, b.bin}, args...)...), args)
}
