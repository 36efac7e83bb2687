//go:build !interop

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/failpoint"
	"github.com/mraws/mraws/internal/manifest"
)

// killedAt leads a job until its first worker is killed at one failpoint, and then the
// coordinator at another. It returns the second worker, which lives.
func (b *fixture) killedAt(job []string, coordinator, worker string) (lives *process) {
	b.t.Helper()
	armed := func(points string) *fixture {
		c := *b
		c.set(failpoint.Variable, points)
		return &c
	}
	leads, _ := armed(coordinator).coordinator(job...)
	dies := armed(worker).start("worker")
	if code := b.exit(dies); code != 137 {
		b.t.Fatalf("the worker that is killed at %s: exit code %d", worker, code)
	}
	lives = b.start("worker")
	if code := b.exit(leads); code != 137 {
		b.t.Fatalf("the coordinator that is killed at %s: exit code %d", coordinator, code)
	}
	return lives
}

// TestOutputElsewhere: a job writes its output into a folder of another bucket. A worker
// is killed before it commits an output there, and the coordinator before it writes the
// summary; the next one goes on. No other job gets the place. All commands find the
// output there, and reset deletes what the job wrote there and nothing else.
func TestOutputElsewhere(t *testing.T) {
	b := fixtureOf(t, armable)
	b.traces()
	b.set("MRAWS_LEASE", "1s")
	b.fill("books")
	results, lay := b.store.In("results"), b.layout.WithOutput("results", b.layout.Prefix()+"/")
	place := "s3://results/" + b.layout.Prefix()
	job := []string{"--app", "wc", "--nreduce", "3", "--output-at", place}
	write := func(name, text string) string {
		path := filepath.Join(b.dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	lives := b.killedAt(job, "coordinator.put.success.before=kill", "worker.commit.output.before=kill")
	out, _ := b.run(0, append([]string{"coordinator"}, job...)...)
	wants(t, out, "SUCCEEDED", "output  "+place+"/ (3 parts)", "reused 3")
	if code := b.exit(lives); code != 0 {
		t.Errorf("the worker: exit code %d", code)
	}
	b.traced()

	keys := func() (found []string) {
		for o, err := range results.List(t.Context(), "") {
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, o.Key)
		}
		return found
	}
	want := []string{lay.Success(), lay.Owner(), lay.Output(0), lay.Output(1), lay.Output(2)}
	if diff := cmp.Diff(want, keys()); diff != "" || len(b.keys(b.layout.OutputDir())) > 0 {
		t.Errorf("%v in output/, in the place (-want +got):\n%s", b.keys(b.layout.OutputDir()), diff)
	}
	data, _, err := results.Get(t.Context(), lay.Success())
	if err != nil {
		t.Fatal(err)
	}
	if s, err := manifest.DecodeSuccess(data, lay, ""); err != nil || s.Outputs[2].Key != lay.Output(2) {
		t.Errorf("the summary: %v, %+v", err, s)
	}

	text, _ := b.run(0, "cat")
	plain := *b
	plain.set("MRAWS_PREFIX", b.layout.Prefix()+"/plain")
	plain.run(0, "run", "--app", "wc", "--nreduce", "3", "--local", "--prefix", b.layout.Prefix()+"/plain", write("a", book(0)), write("b", book(1)), write("c", book(2)))
	same, _ := plain.run(0, "cat")
	if text == "" || text != same {
		t.Errorf("the output is another than that of a job that writes to output/: %d and %d bytes", len(text), len(same))
	}
	out, _ = b.run(0, "verify", "--app", "wc")
	wants(t, out, "reference")
	out, _ = b.run(0, "status")
	wants(t, out, "done")
	out, _ = b.run(0, append([]string{"coordinator"}, job...)...)
	wants(t, out, "already done")

	_, says := b.run(7, "coordinator", "--app", "wc", "--nreduce", "3")
	wants(t, says, "place of the output: "+place+"/ -> output/")
	_, says = plain.run(7, append([]string{"run", "--prefix", b.layout.Prefix() + "/second", write("d", "x\n")}, job...)...)
	wants(t, says, place+"/ belongs to another job", "s3://results/"+lay.Owner())
	_, says = plain.run(7, append([]string{"run", "--prefix", b.layout.Prefix() + "/third", write("e", "x\n"), "--output-at", place + "/sub"}, job[:4]...)...)
	wants(t, says, "s3://results/"+lay.Owner())
	_, says = plain.run(2, "run", "--app", "wc", "--output-at", "s3://results/", write("f", "x\n"))
	wants(t, says, "must be a folder of the bucket")

	if _, err := results.Put(t.Context(), lay.OutputDir()+"_note", []byte("of somebody"), putOptions); err != nil {
		t.Fatal(err)
	}
	if err := results.Delete(t.Context(), lay.Output(1)); err != nil {
		t.Fatal(err)
	}
	out, _ = b.run(8, "verify")
	wants(t, out, lay.Output(1), lay.OutputDir()+"_note")
	out, _ = b.run(0, "reset", "--yes")
	wants(t, out, place+"/: 4 objects")
	if left := append(keys(), b.keys(b.layout.IntermediateDir())...); !slices.Equal(left, []string{lay.OutputDir() + "_note"}) {
		t.Errorf("after the reset: %s", strings.Join(left, ", "))
	}
}
