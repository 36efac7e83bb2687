package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/apps"
	"github.com/mraws/mraws/mr"
	"github.com/mraws/mraws/mr/mrtest"
)

// TestOutputDependsOnInputAppAndReducesAlone runs the same input with every
// number of reduces and of workers and every shuffle, and wants the bytes of
// the sequential reference each time (I6).
func TestOutputDependsOnInputAppAndReducesAlone(t *testing.T) {
	for _, name := range []string{"wc", "indexer", "nocrash"} {
		for _, r := range []int{1, 3, 10, 50} {
			t.Run(fmt.Sprintf("%s-%d", name, r), func(t *testing.T) {
				place := newPlainFixture
				if r == 3 { // of the same code one number shows all races
					place = newFixture
				}
				b := place(t)
				b.run(0, append([]string{"upload-input"}, b.books()...)...)
				want := reference(t, name, r)
				for i, workers := range []int{1, 2, 5} {
					shuffle := []string{"plain", "packed", "auto"}[i]
					out := filepath.Join(b.dir, strconv.Itoa(workers))
					b.run(0, "run", "--app", name, "--nreduce", strconv.Itoa(r), "--workers", strconv.Itoa(workers), "--shuffle", shuffle, "--verify", "--out", out)
					for i := range r {
						got, err := os.ReadFile(filepath.Join(out, fmt.Sprintf("mr-out-%d", i)))
						if err != nil {
							t.Fatal(err)
						}
						if d := cmp.Diff(want[i], string(got)); d != "" {
							t.Fatalf("%d workers, mr-out-%d:\n%s", workers, i, d)
						}
					}
					b.run(0, "reset", "--yes")
				}
			})
		}
	}
}

// reference runs an app on the books in this process, sequentially, and
// deals its lines out as the lab does.
func reference(t *testing.T, name string, r int) []string {
	t.Helper()
	inputs := map[string]string{}
	for i := range 8 {
		inputs[fmt.Sprintf("pg-book%d.txt", i)] = book(i)
	}
	want := make([]string, r)
	for _, line := range mrtest.Run(t, app(t, name), r, inputs) {
		key, _, _ := strings.Cut(line, " ")
		p := mr.Partition([]byte(key), r)
		want[p] += line + "\n"
	}
	return want
}

func app(t *testing.T, name string) mr.App {
	t.Helper()
	for _, a := range apps.Table() {
		if a.Name == name {
			return a
		}
	}
	t.Fatalf("no app %s", name)
	return mr.App{}
}

// TestPackedShuffle: a job that packs writes an object for each map task and
// no more, and goes on packing when it is taken up again without a word of it.
// What is deleted or damaged is made again.
func TestPackedShuffle(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	line := []string{"run", "--app", "wc", "--nreduce", "10", "--workers", "2"}
	b.run(0, append(line, "--shuffle", "packed", "--verify")...)
	want := []string{}
	for m := range 8 {
		want = append(want, b.layout.Packed(m))
	}
	slices.Sort(want)
	parts := func() (keys []string) {
		for _, key := range b.keys(b.layout.IntermediateDir()) {
			if strings.Contains(key, "/mr-") {
				keys = append(keys, key)
			}
		}
		return keys
	}
	if d := cmp.Diff(want, parts()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(reference(t, "wc", 10), outputList(b.outputs())); d != "" {
		t.Error(d)
	}

	before := b.outputs()
	if err := b.store.Delete(t.Context(), b.layout.Success(), b.layout.Output(3), b.layout.Output(4), b.layout.MapCommit(1), b.layout.Packed(1), b.layout.Packed(6)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.store.Put(t.Context(), b.layout.Packed(5), []byte("something else"), putOptions); err != nil {
		t.Fatal(err)
	}
	out, _ := b.run(8, "verify", "--app", "wc")
	wants(t, out, b.layout.Packed(5)+": it has 14 bytes", b.layout.Packed(6)+": the 10 partitions of map task 6")
	_, log := b.run(0, append(line, "--shuffle", "plain")...)
	wants(t, log, "its map task is run again")
	if d := cmp.Diff(before, b.outputs()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(want, parts()); d != "" {
		t.Error(d)
	}
	b.run(0, "verify", "--app", "wc")
}

// TestFourLines is the specification: upload, coordinator, workers, verify,
// reset, each a process, with workers that find the coordinator by address
// and in the bucket, and the app learnt from the first of them.
func TestFourLines(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	c, address := b.coordinator("--nreduce", "10")
	byAddress := b.start("worker", "--coord", address, "--app", "wc")
	inBucket := b.start("worker", "--app", "wc")
	for _, p := range []*process{c, byAddress, inBucket} {
		if code := b.exit(p); code != 0 {
			t.Errorf("mraws %s: exit code %d", p.name, code)
		}
	}
	out, _ := b.run(0, "verify", "--app", "wc")
	wants(t, out, "structure", "proof", "reference")
	if d := cmp.Diff(reference(t, "wc", 10), outputList(b.outputs())); d != "" {
		t.Error(d)
	}

	late := b.start("worker", "--coord", address, "--app", "wc", "--coord-timeout", "1s")
	if code := b.exit(late); code != 0 {
		t.Errorf("a worker that comes after the end: exit code %d, want 0", code)
	}
	b.run(2, "reset") // neither a terminal nor --yes
	if len(b.keys(b.layout.OutputDir())) == 0 {
		t.Error("reset without --yes deleted")
	}
	b.run(0, "reset", "--yes")
	if left := append(b.keys(b.layout.OutputDir()), b.keys(b.layout.IntermediateDir())...); len(left) > 0 {
		t.Errorf("reset left %v", left)
	}
	if n := len(b.keys(b.layout.InputDir())); n != 8 {
		t.Errorf("reset left %d inputs, want 8", n)
	}
	b.run(0, "reset", "--yes", "--input")
	if left := b.keys(b.layout.InputDir()); len(left) > 0 {
		t.Errorf("reset --input left %v", left)
	}
}

func outputList(m map[int]string) []string {
	list := make([]string, len(m))
	for r, s := range m {
		list[r] = s
	}
	return list
}

// TestWorkerFindsThePrefix: a worker that is told neither the prefix nor
// the address finds the coordinator by looking through the bucket.
func TestWorkerFindsThePrefix(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	c, address := b.coordinator("--app", "wc")
	var env []string
	for _, e := range b.env {
		if !strings.HasPrefix(e, "MRAWS_PREFIX=") {
			env = append(env, e)
		}
	}
	b.env = env
	w := b.start("worker", "--coord", address, "--app", "wc", "--slots", "1")
	if code := b.exit(w); code != 0 {
		t.Fatalf("worker with --coord alone: exit code %d", code)
	}
	if code := b.exit(c); code != 0 {
		t.Fatalf("coordinator: exit code %d", code)
	}
}

// TestRefusals: what cannot work is refused with its exit code, and the
// message names both sides.
func TestRefusals(t *testing.T) {
	b := newFixture(t)
	_, stderr := b.run(2, "coordinator", "--app", "wc")
	wants(t, stderr, "mraws: error: no input", "hint:", "upload-input")
	b.run(0, append([]string{"upload-input"}, b.books()...)...)

	_, stderr = b.run(5, "worker", "--coord", "127.0.0.1:1", "--app", "wc", "--coord-timeout", "200ms")
	wants(t, stderr, "127.0.0.1:1", "no coordinator", "hint:")
	_, stderr = b.run(5, "worker", "--app", "wc", "--coord-timeout", "200ms")
	wants(t, stderr, b.layout.Coordinator())
	_, stderr = b.run(2, "worker", "--app", "wordcount")
	wants(t, stderr, "wordcount", "mraws apps")
	_, stderr = b.run(2, "run", "--app", "crash")
	wants(t, stderr, "--processes")
	_, stderr = b.run(2, "run", "--app", "grep")
	wants(t, stderr, "pattern")

	c, address := b.coordinator("--app", "early_exit", "--nreduce", "3")
	_, stderr = b.run(7, "worker", "--coord", address, "--app", "wc")
	wants(t, stderr, "early_exit", "wc")
	b.until("the job is in the bucket", func() bool { return len(b.keys(b.layout.Job())) == 1 })
	b.kill(c)

	for _, line := range [][]string{
		{"--app", "wc", "--nreduce", "3"},
		{"--app", "early_exit", "--nreduce", "4"},
		{"--app", "early_exit", "--nreduce", "3", "--app-arg", "stall=7s"},
	} {
		_, stderr = b.run(7, append([]string{"coordinator"}, line...)...)
		wants(t, stderr, "belongs to another job", "mraws reset", "--prefix")
	}
	more := filepath.Join(b.dir, "more.txt")
	if err := os.WriteFile(more, []byte("more\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	b.run(0, "upload-input", more)
	_, stderr = b.run(7, "coordinator", "--app", "early_exit", "--nreduce", "3")
	wants(t, stderr, "has changed since job", "input added: \"more.txt\"", "mraws reset --yes")
}

// TestForeignOutput: output that no job of ours wrote is not overwritten and
// not taken for ours.
func TestForeignOutput(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	key := b.layout.Output(1)
	if _, err := b.store.Put(t.Context(), key, []byte("mine 1\n"), putOptions); err != nil {
		t.Fatal(err)
	}
	_, stderr := b.run(7, "run", "--app", "wc")
	wants(t, stderr, key, "hint:")
	if data, _, err := b.store.Get(t.Context(), key); err != nil || string(data) != "mine 1\n" {
		t.Errorf("the foreign output is now %q, %v", data, err)
	}
}

// TestVerifyFindsAChangedByte: one byte in an output, and verify says which
// partition and line.
func TestVerifyFindsAChangedByte(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	b.run(0, "run", "--app", "wc", "--nreduce", "2")
	key := b.layout.Output(1)
	data, info, err := b.store.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-2] ^= 1 // a digit of the last count
	o := putOptions
	o.Meta = info.Meta
	if _, err := b.store.Put(t.Context(), key, data, o); err != nil {
		t.Fatal(err)
	}
	stdout, stderr := b.run(8, "verify", "--app", "wc")
	wants(t, stdout+stderr, "mr-out-1")
}

// TestEmptyInput: no input is an error unless it is asked for.
func TestEmptyInput(t *testing.T) {
	b := newFixture(t)
	b.run(2, "run", "--app", "wc")
	b.run(0, "run", "--app", "wc", "--nreduce", "3", "--allow-empty", "--verify")
	if d := cmp.Diff([]string{"", "", ""}, outputList(b.outputs())); d != "" {
		t.Error(d)
	}
}
