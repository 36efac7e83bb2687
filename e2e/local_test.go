//go:build !interop

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/manifest"
)

// TestCoordinatorLocal: one process serves the store beside the coordinator,
// workers of the same user find it in the data folder, and when that process
// is killed the next one takes its place under the running workers.
func TestCoordinatorLocal(t *testing.T) {
	b := newFixture(t)
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
			b := newFixture(t)
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

// TestDirectReadsBreak: input that is read from the embedded server as it is
// mapped is read to its end by the attempt that began, although two
// replies break and only one request may be in flight.
func TestDirectReadsBreak(t *testing.T) {
	b := newFixture(t)
	faults, data := filepath.Join(b.dir, "faults.txt"), filepath.Join(b.dir, "faulty")
	if err := os.WriteFile(faults, []byte("GetObject *input/* nth=1 reset 1500000\nGetObject *input/* nth=2 short 1200000\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	server := b.start("s3", "--data-dir", data, "--faults", faults)
	b.until("the faulty server runs", func() bool { return strings.Contains(server.out.String(), "endpoint") })
	b.env = append(b.env, "MRAWS_DATA_DIR="+data)
	large := filepath.Join(b.dir, "large.txt")
	if err := os.WriteFile(large, []byte(words(1, 8<<20)), 0o644); err != nil {
		t.Fatal(err)
	}
	b.run(0, "upload-input", large)
	out, _ := b.run(0, "run", "--app", "wc", "--split-size", "4MiB", "--s3-concurrency", "1", "--output", "json")
	var job manifest.Success
	if err := json.Unmarshal([]byte(out), &job); err != nil {
		t.Fatal(err)
	}
	if n := job.Map.Granted; n != job.Map.Tasks {
		t.Errorf("%d attempts for %d tasks", n, job.Map.Tasks)
	}
	if err := server.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	b.exit(server)
	if text := server.errout.String(); strings.Count(text, `"played":1`) != 2 {
		t.Errorf("not all faults were played:\n%s", text)
	}
	b.run(0, "verify", "--app", "wc")
}

// TestHeir: a job whose store was served by another command goes on when that command
// ends, or is killed: the first of those that use the store serves it.
func TestHeir(t *testing.T) {
	b := newFixture(t)
	b.env = append(b.env, "MRAWS_DATA_DIR="+filepath.Join(b.dir, "solo"))
	input := b.write("a.txt", "the cat\n", 0o644)
	line := []string{"--local", "--nreduce", "1", "--mapper", `sh -c 'touch "$DIR/runs"; until [ -e "$DIR/gate" ]; do sleep 0.05; done; cat'`, "--env", "DIR=" + b.dir, input}
	for _, end := range []os.Signal{os.Interrupt, os.Kill} {
		server := b.start("s3")
		b.until("the server runs", func() bool { return strings.Contains(server.out.String(), "endpoint") })
		var jobs []*process
		for range 2 {
			jobs = append(jobs, b.start(append([]string{"run", "--prefix", newPrefix()}, line...)...))
		}
		b.until("a mapper runs", func() bool { _, err := os.Stat(filepath.Join(b.dir, "runs")); return err == nil })
		if err := server.Process.Signal(end); err != nil {
			t.Fatal(err)
		}
		b.exit(server)
		served := func() (n int) {
			for _, j := range jobs {
				n += strings.Count(j.errout.String(), "it is served here now")
			}
			return n
		}
		b.until("a job serves", func() bool { return served() == 1 })
		b.write("gate", "", 0o644)
		for _, j := range jobs {
			if code := b.exit(j); code != 0 {
				t.Errorf("%v: exit code %d\n%s", end, code, j.errout.String())
			}
		}
		for _, name := range []string{"runs", "gate"} {
			if err := os.Remove(filepath.Join(b.dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
}
