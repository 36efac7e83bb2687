//go:build !interop

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/manifest"
)

// marking is a mapper that sends lines with "bad" to the named output errors, and those
// of digits to rest.
const marking = `sed -e 's/^.*bad.*$/output:errors\t&/' -e 's/^[0-9]*$/output:rest\tn\t&/'`

// TestNamedOutputs: scripts write lines to named outputs, of a map-only job and of one
// with a reducer. cat shows them, --out carries them over, verify finds each change of
// them, and a later job reads of the output the output alone, unless it names them.
func TestNamedOutputs(t *testing.T) {
	b := newFixture(t)
	for i, text := range []string{"one\nbad two\n12\n", "three\n7\nso bad\n", "four\n"} {
		b.putInput(i, text)
	}
	folder := filepath.Join(b.dir, "folder")
	out, _ := b.run(0, "run", "--mapper", marking, "--named-outputs", "errors,rest=csv", "--workers", "2", "--out", folder)
	wants(t, out, "SUCCEEDED", "named   s3://", "_named/errors/ (2 lines, ", "_named/rest/ (2 lines, ")
	want := []string{
		"errors/mr-out-0:bad two\n", "errors/mr-out-1:so bad\n",
		"rest/mr-out-0.csv:key,value\nn,12\n", "rest/mr-out-1.csv:key,value\nn,7\n",
	}
	if d := cmp.Diff(want, b.named()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if d := cmp.Diff([]string{"one\n", "three\n", "four\n"}, outputList(b.outputs())); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	for name, text := range map[string]string{"mr-out-2": "four\n", "_named/errors/mr-out-1": "so bad\n", "_named/rest/mr-out-0.csv": "key,value\nn,12\n"} {
		if got, err := os.ReadFile(filepath.Join(folder, name)); err != nil || string(got) != text {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
	for line, text := range map[string]string{
		"cat --named errors": "bad two\nso bad\n", "cat --named rest": "key,value\nn,12\nn,7\n", "cat": "one\nthree\nfour\n",
		"cat --named errors --partition 1": "so bad\n", "cat --named rest --head 1": "key,value\nn,12\n",
	} {
		if out, _ := b.run(0, strings.Fields(line)...); out != text {
			t.Errorf("%s: %q", line, out)
		}
	}
	_, says := b.run(2, "cat", "--named", "other")
	wants(t, says, `has no named output "other"`, "it has errors, rest")
	b.damageNamed()

	// What reads the output, and what reads a named output.
	in := "s3://" + b.store.Bucket() + "/" + b.layout.OutputDir()
	out, _ = b.run(0, "run", "--prefix", b.layout.Prefix()+"-again", "--mapper", "cat", "--reducer", "cat", "--nreduce", "1", "--in", in)
	wants(t, out, "read    15 B in 3 records")
	out, _ = b.run(0, "run", "--prefix", b.layout.Prefix()+"-errors", "--mapper", "cat", "--reducer", "cat", "--nreduce", "1", "--in", in+"_named/errors/")
	wants(t, out, "read    15 B in 2 records")

	// A name that is not declared fails the job, and another list makes another job.
	_, says = b.run(4, "run", "--prefix", b.layout.Prefix()+"-undeclared", "--in", in, "--mapper", `sed 's/^/output:typo\t/'`, "--named-outputs", "errors")
	wants(t, says, `"typo", which the job does not declare: it has errors`)
	_, says = b.run(7, "run", "--mapper", marking, "--named-outputs", "errors")
	wants(t, says, "output: lines named=errors,rest=csv -> lines named=errors")
	_, says = b.run(2, "run", "--mapper", "cat", "--named-outputs", "a/b")
	wants(t, says, "--named-outputs: the name \"a/b\" is not made of letters")
	b.run(0, "reset", "--yes")
	if left := b.keys(b.layout.OutputDir()); len(left) > 0 {
		t.Errorf("reset left %q", left)
	}
}

// putInput puts an object below input/.
func (b *fixture) putInput(i int, text string) {
	b.t.Helper()
	if _, err := b.store.Put(b.t.Context(), b.layout.Input(fmt.Sprintf("in%02d.txt", i)), []byte(text), putOptions); err != nil {
		b.t.Fatal(err)
	}
}

// damageNamed changes objects of named outputs, one at a time.
func (b *fixture) damageNamed() {
	b.t.Helper()
	b.run(0, "verify")
	key := b.layout.Named("errors", 1)
	data, info, err := b.store.Get(b.t.Context(), key)
	if err != nil {
		b.t.Fatal(err)
	}
	was := &stored{data, info.Meta}
	for _, c := range []struct {
		key   string
		now   *stored
		finds string
	}{
		{key, &stored{[]byte("So bad\n"), info.Meta}, "finding: output: " + key},
		{key, &stored{[]byte("so\n"), info.Meta}, "finding: replaced: " + key},
		{key, nil, "finding: missing: " + key},
		{b.layout.Named("errors", 2), was, "no task of this job writes it"},
		{b.layout.Named("other", 0), was, "no task of this job writes it"},
		{b.layout.NamedAttempt(0, "x", "other"), was, "no task of this job writes it"},
	} {
		b.overwrite(c.key, c.now)
		out, _ := b.run(8, "verify")
		wants(b.t, out, c.finds)
		if c.key == key {
			b.overwrite(key, was)
		} else {
			b.overwrite(c.key, nil)
		}
	}
	b.run(0, "verify")
}

// TestNamedOutputsOfAnApp: an app writes to named outputs, of a job whose output lies
// elsewhere. A worker is killed behind its commit, and the coordinator between two
// copies; the next one makes those that are missing. verify compares each record with
// the reference.
func TestNamedOutputsOfAnApp(t *testing.T) {
	b := fixtureOf(t, armable)
	b.set("MRAWS_LEASE", "1s")
	b.fill("words")
	results, lay := b.store.In("results"), b.layout.WithOutput("results", b.layout.Prefix()+"/")
	job := []string{"--app", "fickle", "--app-arg", "named=true", "--nreduce", "3", "--output-at", "s3://results/" + b.layout.Prefix()}
	lives := b.killedAt(job, "coordinator.copy.named.after=kill@2", "worker.commit.output.after=kill")
	list := func() (keys []string) {
		for o, err := range results.List(t.Context(), lay.NamedDir()) {
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, o.Key)
		}
		return keys
	}
	if n := len(list()); n == 0 {
		t.Error("there is no copy")
	}
	b.run(0, append([]string{"coordinator"}, job...)...)
	b.exit(lives)
	data, _, err := results.Get(t.Context(), lay.Success())
	if err != nil {
		t.Fatal(err)
	}
	s, err := manifest.Decode[manifest.Success](data, manifest.SuccessSchema)
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, n := range s.Named {
		keys = append(keys, n.Key)
	}
	if len(keys) == 0 || !slices.Equal(keys, list()) {
		t.Errorf("the summary lists %q, there is %q", keys, list())
	}
	out, _ := b.run(0, "verify", "--app", "fickle")
	wants(t, out, "reference  ok")
	out, _ = b.run(0, "cat", "--named", "seen")
	wants(t, out, "key,value\n", "alpha,")

	if err := results.Delete(t.Context(), s.Named[0].Key); err != nil {
		t.Fatal(err)
	}
	out, _ = b.run(8, "verify")
	wants(t, out, "finding: missing: s3://results/"+s.Named[0].Key)
	b.run(0, "reset", "--yes")
	if left := list(); len(left) > 0 {
		t.Errorf("reset left %q", left)
	}
}

// named returns the objects of named outputs, each as its key below _named/ and its text.
func (b *fixture) named() (all []string) {
	b.t.Helper()
	for _, key := range b.keys(b.layout.NamedDir()) {
		data, _, err := b.store.Get(b.t.Context(), key)
		if err != nil {
			b.t.Fatal(err)
		}
		all = append(all, strings.TrimPrefix(key, b.layout.NamedDir())+":"+string(data))
	}
	return all
}
