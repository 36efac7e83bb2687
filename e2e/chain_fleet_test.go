//go:build !interop

package e2e

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestChainOfCoordinatorKilled: a coordinator leads a chain of three steps on one port, and
// is killed in the map phase and in the reduce phase of each. The same line goes on, the
// two workers that were started once serve all steps, no step runs again that is done, and
// workers and coordinator end with 0 when the chain is over.
func TestChainOfCoordinatorKilled(t *testing.T) {
	b := newPlainFixture(t)
	b.set("MRAWS_LEASE", "1s")
	b.set("MRAWS_COORD_TIMEOUT", "60s")
	file, steps, runs := b.gatedChain()
	port := freePort(t)
	line := []string{"coordinator", "-f", file, "--port", port}
	serve := []string{"worker", "--coord", "127.0.0.1:" + port, "--slots", "1"}
	workers := []*process{b.start(serve...), b.start(serve...)}
	done := map[string]int{}
	for _, step := range steps {
		for _, phase := range []string{"map", "reduce"} {
			at := step + "." + phase
			p := b.start(line...)
			b.until(at+" runs", func() bool {
				if p.ended() {
					t.Fatalf("the chain ended in front of %s:\n%s", at, p.errout.String())
				}
				return runs()[at] > 0
			})
			b.kill(p)
			b.write("gates/"+at, "", 0o644)
			now := runs()
			for name, n := range done {
				if now[name] != n {
					t.Errorf("killed in %s: %s has run %d times, and %d before", at, name, now[name], n)
				}
			}
		}
		done[step+".map"] = runs()[step+".map"]
	}
	out, _ := b.run(0, line...)
	wants(t, out, "chain chain: 3 steps")
	gone := 0
	for _, w := range workers {
		gone += strings.Count(w.errout.String(), "waits for the next one of its chain")
		if code := b.exit(w); code != 0 {
			t.Errorf("a worker: exit code %d", code)
		}
	}
	if gone < 2 {
		t.Errorf("workers have gone on to another job %d times", gone)
	}
	b.run(0, "run", "-f", file, "--prefix", b.layout.Prefix()+"/whole")
	want := b.chainOutputs(b.layout.Prefix()+"/whole/chain", steps...)
	got := b.chainOutputs(b.layout.Prefix()+"/chain", steps...)
	if diff := cmp.Diff(want, got); diff != "" || len(got) != 6 {
		t.Errorf("%d outputs: %s", len(got), diff)
	}
}

// TestChainOfCoordinatorRounds: workers of a chain whose last step ends by a condition hear
// of its end.
func TestChainOfCoordinatorRounds(t *testing.T) {
	b := newPlainFixture(t)
	b.set("MRAWS_COORD_TIMEOUT", "60s")
	file := b.write("loop.yaml", `
steps:
- name: loop
  input: a.txt
  nreduce: 1
  repeat: {until: "counter loop,left == 0", at-most: 20}
  mapper: >-
    sh -c 'while read n w; do n=$((n / 2)); [ $n = 0 ] || echo reporter:counter:loop,left,1 >&2; echo "$n $w"; done'
`, 0o644)
	b.write("a.txt", "5 x\n3 y\n", 0o644)
	port := freePort(t)
	worker := b.start("worker", "--coord", "127.0.0.1:"+port)
	b.run(0, "coordinator", "-f", file, "--port", port)
	out, _ := b.run(0, "coordinator", "-f", file, "--port", port) // no worker is needed
	wants(t, out, "done before")
	b.run(2, "coordinator", "-f", file, "--nreduce", "3")
	b.run(2, "coordinator", "--plan")
	if code := b.exit(worker); code != 0 {
		t.Errorf("the worker: exit code %d", code)
	}
	got := ""
	for _, text := range b.chainOutputs(b.layout.Prefix()+"/loop", "loop/round-0003") {
		got += text
	}
	if got != "0 x\n0 y\n" {
		t.Errorf("%q", got)
	}
}
