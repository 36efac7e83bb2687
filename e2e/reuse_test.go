//go:build !interop

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// TestReuse: of a thousand objects one has changed. A job that takes over the map tasks
// of the last one reads this object and no other, has the output of all of them, and is
// whole without the job that it took them from.
func TestReuse(t *testing.T) {
	for name, c := range map[string]struct {
		app   []string
		reuse func(b *fixture) string
		want  func(i int) []string // lines of object i, which is not the changed one
		now   []string             // lines of the one that has changed
	}{
		"shuffled": {
			[]string{"--app", "wc", "--nreduce", "2"}, func(b *fixture) string { return b.layout.Prefix() + "/old" },
			nil, []string{"cat 999", "dog 1", "nothing 1", "saw 1000", "the 1000"},
		},
		"map-only, from the last": {
			[]string{"--app", "grep", "--app-arg", "pattern=the", "--nreduce", "0"}, func(*fixture) string { return "last" },
			func(i int) []string { return []string{fmt.Sprintf("the cat saw %d", i%7)} }, []string{"the dog saw nothing"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newPlainFixture(t)
			in := b.layout.Prefix() + "/data"
			put := func(i int, text string) {
				key := fmt.Sprintf("%s/in%04d.txt", in, i)
				if _, err := b.store.Put(t.Context(), key, []byte(text), putOptions); err != nil {
					t.Fatal(err)
				}
			}
			want := slices.Clone(c.now)
			for i := range 1000 {
				put(i, fmt.Sprintf("the cat saw %d\n", i%7))
				if c.want != nil && i != 500 {
					want = append(want, c.want(i)...)
				}
			}
			source := layout.Place("mapreducedata", in+"/")
			line := func(name string, more ...string) []string {
				return append(append([]string{"run", "--pack", "never", "--output", "json", "--prefix", b.layout.Prefix() + "/" + name}, c.app...), more...)
			}
			b.run(0, line("old", source)...)
			put(500, "the dog saw nothing\n")

			front, proxy := b.through("GetObject *data/in*.txt nth=1000000 reset 0", "GetObject *data/in0500.txt nth=1000000 reset 0")
			out, _ := front.run(0, line("new", "--reuse", c.reuse(b), source)...)
			var job manifest.Success
			if err := json.Unmarshal([]byte(out), &job); err != nil {
				t.Fatal(err)
			}
			if job.TakenOver != 999 || job.Input.Records != 1000 {
				t.Errorf("%d tasks were taken over, %d records read", job.TakenOver, job.Input.Records)
			}
			for _, c := range proxy.Counts() {
				if c.Seen != 1 {
					t.Errorf("%q: %d requests", c.Rule, c.Seen)
				}
			}
			b.run(0, "reset", "--yes", "--prefix", b.layout.Prefix()+"/old")
			b.run(0, "verify", "--app", c.app[1], "--prefix", b.layout.Prefix()+"/new")
			var lines []string
			for _, text := range b.chainOutputs(b.layout.Prefix(), "new") {
				lines = append(lines, strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })...)
			}
			slices.Sort(lines)
			slices.Sort(want)
			if diff := cmp.Diff(want, lines); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestReuseLimits: what is taken over, and what is not.
func TestReuseLimits(t *testing.T) {
	b := newFixture(t)
	for i, text := range []string{"a b\n", "b c\n", "c d\n"} {
		if _, err := b.store.Put(t.Context(), fmt.Sprintf("%s/data/%d", b.layout.Prefix(), i), []byte(text), putOptions); err != nil {
			t.Fatal(err)
		}
	}
	source := layout.Place("mapreducedata", b.layout.Prefix()+"/data/")
	taken := func(name string, args ...string) int {
		t.Helper()
		out, errout := b.run(0, append([]string{"run", "--output", "json", "--prefix", b.layout.Prefix() + "/" + name, source}, args...)...)
		var job manifest.Success
		if err := json.Unmarshal([]byte(out), &job); err != nil {
			t.Fatal(err)
		}
		if job.TakenOver > 0 && !strings.Contains(errout, "map tasks are taken over") {
			t.Errorf("%s: nothing is said of it:\n%s", name, errout)
		}
		return job.TakenOver
	}
	reuse := func(name string) []string { return []string{"--reuse", b.layout.Prefix() + "/" + name} }
	mapper := []string{"--mapper", "tr ' ' '\\n'", "--reducer", "uniq -c", "--nreduce", "2"}
	taken("exec", mapper...)
	taken("wc", "--app", "wc", "--nreduce", "2")
	if n := taken("packed", append(append(mapper, "--shuffle", "packed", "--verify"), reuse("exec")...)...); n != 3 {
		t.Errorf("packed: %d tasks", n)
	}
	if n := taken("plain", append(append(mapper, "--verify"), reuse("packed")...)...); n != 3 {
		t.Errorf("plain, of a job that took them over itself: %d tasks", n)
	}
	if n := taken("other", append([]string{"--mapper", "cat", "--reducer", "uniq -c", "--nreduce", "2"}, reuse("exec")...)...); n != 0 {
		t.Errorf("another mapper: %d tasks", n)
	}
	if n := taken("more", append([]string{"--app", "wc", "--nreduce", "3"}, reuse("wc")...)...); n != 0 {
		t.Errorf("more reduces: %d tasks", n)
	}
	if n := taken("last", "--app", "wc", "--nreduce", "2", "--reuse", "last"); n != 3 {
		t.Errorf("the newest job that fits is not the newest of the app: %d tasks", n)
	}
	_, says := b.run(2, "run", "--app", "grep", "--app-arg", "pattern=b", "--prefix", b.layout.Prefix()+"/first", "--reuse", "last", source)
	wants(t, says, "has no finished job of app grep", "or last")
	b.reuseOutputs(taken)
	if _, err := b.store.Put(t.Context(), b.layout.Prefix()+"/data/0a", []byte("e\n"), putOptions); err != nil {
		t.Fatal(err)
	}
	if n := taken("added", append(mapper, reuse("exec")...)...); n != 3 {
		t.Errorf("an object more, with executables: %d tasks", n)
	}
	if n := taken("named", append([]string{"--app", "wc", "--nreduce", "2"}, reuse("wc")...)...); n != 0 {
		t.Errorf("an object more, with an app that may know all names: %d tasks", n)
	}

	// A segment of the earlier job is lost: its task reads the input.
	old := layout.New(b.layout.Prefix() + "/added")
	for _, key := range b.keys(old.IntermediateDir()) {
		if m, _, ok := old.ParsePartition(key); ok && m == 1 {
			if err := b.store.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := taken("lost", append(append(mapper, "--verify"), reuse("added")...)...); n != 3 {
		t.Errorf("segments lost: %d tasks of 4", n)
	}
	want, got := b.chainOutputs(b.layout.Prefix()+"/added", ""), b.chainOutputs(b.layout.Prefix()+"/lost", "")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	b.run(2, "run", "--app", "wc", "--prefix", b.layout.Prefix()+"/none", "--reuse", b.layout.Prefix()+"/nope", source)
	b.run(2, "run", "--app", "wc", "--prefix", "same", "--reuse", "same", source)
}

// reuseOutputs: what is taken over in jobs without reduce tasks.
func (b *fixture) reuseOutputs(taken func(name string, args ...string) int) {
	b.t.Helper()
	prefix := b.layout.Prefix()
	direct := []string{"--app", "grep", "--app-arg", "pattern=b", "--nreduce", "0"}
	from := func(job string, more ...string) []string {
		return append(append(slices.Clone(direct), "--reuse", prefix+"/"+job), more...)
	}
	place := "s3://results/" + prefix + "/direct"
	taken("direct", append(direct, "--output-at", place)...)
	if n := taken("outputs", from("direct", "--verify")...); n != 3 {
		b.t.Errorf("outputs in a place of their own: %d tasks", n)
	}
	if n := taken("outputs-again", from("outputs", "--verify")...); n != 3 {
		b.t.Errorf("outputs of a job that took them over itself: %d tasks", n)
	}
	if n := taken("outputs-table", from("outputs", "--output-format", "csv", "--verify")...); n != 0 {
		b.t.Errorf("outputs of another format: %d tasks", n)
	}
	b.reuseBesides(taken)
	old := layout.New(prefix + "/outputs")
	if err := b.store.Delete(b.t.Context(), old.Output(0)); err != nil {
		b.t.Fatal(err)
	}
	_, out, err := b.store.Get(b.t.Context(), old.Output(1))
	if err == nil {
		_, err = b.store.Put(b.t.Context(), old.Output(1), bytes.Repeat([]byte("x"), int(out.Size)), object.PutOptions{Meta: out.Meta})
	}
	if err != nil {
		b.t.Fatal(err)
	}
	if n := taken("outputs-lost", from("outputs", "--verify")...); n != 1 {
		b.t.Errorf("one output deleted and one damaged: %d tasks of 3", n)
	}
}

// reuseBesides: named outputs and partitions come with the outputs. Where one is lost the
// input of its task is read.
func (b *fixture) reuseBesides(taken func(name string, args ...string) int) {
	b.t.Helper()
	prefix := b.layout.Prefix()
	job := []string{
		"--mapper", `sed -e 's/^\(.\) /\1\t/' -e 's/^a.*/output:first\t&/'`, "--nreduce", "0", "--named-outputs", "first",
		"--output-format", "csv", "--output-columns", "letter,other", "--output-partition", "letter", "--verify",
	}
	taken("besides", job...)
	if n := taken("besides-again", append(job, "--reuse", prefix+"/besides")...); n != 3 {
		b.t.Errorf("partitions and named outputs: %d tasks", n)
	}
	objects := func(name string) map[string]string {
		c := *b
		c.layout = layout.New(prefix + "/" + name)
		all := c.partitions()
		for _, text := range c.named() {
			all[text] = ""
		}
		return all
	}
	want := map[string]string{"letter=b/mr-out-1.csv": "other\nc\n", "letter=c/mr-out-2.csv": "other\nd\n", "first/mr-out-0.csv:letter,other\na,b\n": ""}
	for _, name := range []string{"besides", "besides-again"} {
		if d := cmp.Diff(want, objects(name)); d != "" {
			b.t.Errorf("%s: -want +got:\n%s", name, d)
		}
	}
	for _, key := range b.keys(layout.New(prefix + "/besides-again").AttemptsDir()) {
		if strings.HasSuffix(key, "/letter=b") {
			if err := b.store.Delete(b.t.Context(), key); err != nil {
				b.t.Fatal(err)
			}
		}
	}
	if n := taken("besides-lost", append(job, "--reuse", prefix+"/besides-again")...); n != 2 {
		b.t.Errorf("what one task has besides its output is lost: %d tasks of 3", n)
	}
	if d := cmp.Diff(want, objects("besides-lost")); d != "" {
		b.t.Errorf("-want +got:\n%s", d)
	}
}
