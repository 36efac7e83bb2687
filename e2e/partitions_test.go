//go:build !interop

package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/manifest"
)

// TestPartitions: scripts write rows to folders by the values of columns. The summary lists
// them, cat shows them, --out carries them over and finds them again, verify finds each
// change of them, a later job reads the rows alone, and reset removes them.
func TestPartitions(t *testing.T) {
	b := newFixture(t)
	for i, text := range []string{"2025\t01\tone\t1\n2026\t01\ttwo\t2\n", "2026\t01\tthree, four\t3\n\t02\tfive\t5\n", "2025\t01\tsix\t6\n"} {
		b.putInput(i, text)
	}
	folder := filepath.Join(b.dir, "folder")
	job := []string{"run", "--mapper", "cat", "--output-format", "csv", "--output-columns", "year:int,month,text,n:int", "--output-partition", "year,month", "--workers", "2"}
	out, _ := b.run(0, slices.Concat(job, []string{"--out", folder})...)
	wants(t, out, "SUCCEEDED", "5 lines", "output/ (3 partitions, 5 parts)", "year=2025/month=01/mr-out-0.csv")
	want := map[string]string{
		"year=2025/month=01/mr-out-0.csv":                       "text,n\none,1\n",
		"year=2025/month=01/mr-out-2.csv":                       "text,n\nsix,6\n",
		"year=2026/month=01/mr-out-0.csv":                       "text,n\ntwo,2\n",
		"year=2026/month=01/mr-out-1.csv":                       "text,n\n\"three, four\",3\n",
		"year=__HIVE_DEFAULT_PARTITION__/month=02/mr-out-1.csv": "text,n\nfive,5\n",
	}
	if d := cmp.Diff(want, b.partitions()); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if d := cmp.Diff(want, filesOf(t, folder)); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	for line, text := range map[string]string{
		"cat":               "text,n\none,1\nsix,6\ntwo,2\n\"three, four\",3\nfive,5\n",
		"cat --partition 1": "text,n\n\"three, four\",3\nfive,5\n", "cat --head 1": "text,n\none,1\n",
	} {
		if out, _ := b.run(0, strings.Fields(line)...); out != text {
			t.Errorf("%s: %q", line, out)
		}
	}
	out, _ = b.run(0, "status", "-o", "json")
	wants(t, out, `"lines": 5`)
	b.damagePartitions()

	// Again with the same folder, with one that holds something else, and over another job.
	b.run(0, slices.Concat(job, []string{"--out", folder})...)
	b.write("folder/year=2025/other.txt", "x", 0o644)
	_, says := b.run(2, slices.Concat(job, []string{"--out", folder})...)
	wants(t, says, "it is not empty")
	b.run(0, "run", "--prefix", b.layout.Prefix()+"-plain", "--mapper", "cat", "--in", "s3://"+b.store.Bucket()+"/"+b.layout.InputDir(), "--out", folder, "--overwrite")
	if got := filesOf(t, folder); len(got) != 4 || got["year=2025/other.txt"] != "x" || got["mr-out-2"] != "2025\t01\tsix\t6\n" {
		t.Errorf("%q", got)
	}

	// A later job reads the rows of the folders.
	in := "s3://" + b.store.Bucket() + "/" + b.layout.OutputDir()
	out, _ = b.run(0, "run", "--prefix", b.layout.Prefix()+"-again", "--format", "csv", "--as", "tsv", "--columns", "n", "--mapper", "cat", "--reducer", "cat", "--nreduce", "1", "--in", in)
	wants(t, out, "read    76 B in 5 records")
	out, _ = b.run(0, "run", "--prefix", b.layout.Prefix()+"-glob", "--format", "csv", "--mapper", "cat", "--in", in+"**")
	wants(t, out, "in 5 records")
	out, _ = b.run(0, "run", "--prefix", b.layout.Prefix()+"-one", "--format", "csv", "--mapper", "cat", "--in", in+"year=2026/")
	wants(t, out, "in 2 records")

	_, says = b.run(7, "run", "--mapper", "cat", "--output-format", "csv", "--output-columns", "year:int,month,text,n:int")
	wants(t, says, "output: csv columns=year:int,month,text,n:int partition=year,month -> csv columns=year:int,month,text,n:int")
	b.run(0, "reset", "--yes")
	if left := b.keys(b.layout.OutputDir()); len(left) > 0 {
		t.Errorf("reset left %q", left)
	}
}

// partitions returns the objects in folders of partitions by their key below output/.
func (b *fixture) partitions() map[string]string {
	b.t.Helper()
	all := map[string]string{}
	for _, key := range b.keys(b.layout.OutputDir()) {
		name := strings.TrimPrefix(key, b.layout.OutputDir())
		if name[0] == '_' {
			continue
		}
		data, _, err := b.store.Get(b.t.Context(), key)
		if err != nil {
			b.t.Fatal(err)
		}
		all[name] = string(data)
	}
	return all
}

// besides returns the objects of named outputs and partitions, each as its key and its
// text.
func (b *fixture) besides() []string {
	b.t.Helper()
	all := b.named()
	there := b.partitions()
	for _, name := range slices.Sorted(maps.Keys(there)) {
		if strings.Contains(name, "=") {
			all = append(all, name+":"+there[name])
		}
	}
	return all
}

// filesOf returns the files below a folder by name.
func filesOf(t *testing.T, folder string) map[string]string {
	t.Helper()
	all := map[string]string{}
	if err := filepath.WalkDir(folder, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(folder, path)
		all[filepath.ToSlash(name)] = string(data)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// damagePartitions changes objects of partitions, one at a time.
func (b *fixture) damagePartitions() {
	b.t.Helper()
	b.run(0, "verify")
	key := b.layout.OutputDir() + "year=2026/month=01/mr-out-1.csv"
	data, info, err := b.store.Get(b.t.Context(), key)
	if err != nil {
		b.t.Fatal(err)
	}
	was := &stored{data, info.Meta}
	list := b.layout.Partitioned().Output(1)
	lines, listed, err := b.store.Get(b.t.Context(), list)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range []struct {
		key      string
		was, now *stored
		finds    string
	}{
		{key, was, &stored{[]byte(strings.Replace(string(data), "3\n", "4\n", 1)), info.Meta}, "finding: output: " + key},
		{key, was, &stored{[]byte("text,n\n"), info.Meta}, "finding: replaced: " + key},
		{key, was, nil, "finding: missing: " + key},
		{b.layout.OutputDir() + "year=2026/month=01/mr-out-2.csv", nil, was, "no task of this job writes it"},
		{b.layout.OutputDir() + "year=2027/month=01/mr-out-1.csv", nil, was, "no task of this job writes it"},
		{b.layout.OutputDir() + "other=2/mr-out-1.csv", nil, was, "no task of this job writes it"},
		{b.layout.NamedAttempt(0, "x", "year=1"), nil, was, "no task of this job writes it"},
		{list, &stored{lines, listed.Meta}, &stored{[]byte(strings.Replace(string(lines), `"lines":1`, `"lines":2`, 1)), listed.Meta}, "finding: output: " + list},
		{list, &stored{lines, listed.Meta}, nil, "finding: missing: " + list},
	} {
		b.overwrite(c.key, c.now)
		out, _ := b.run(8, "verify")
		wants(b.t, out, c.finds)
		b.overwrite(c.key, c.was)
	}
	b.run(0, "verify")
}

// TestPartitionsOfAnApp: the rows of an application in Go, of a job whose output lies in
// another bucket, in every format. The reference of verify has the same rows in the same
// partitions. Neither a worker that is killed behind its commit nor a coordinator that is
// killed between two copies leaves anything else, and _SUCCESS comes last.
func TestPartitionsOfAnApp(t *testing.T) {
	b := fixtureOf(t, armable)
	b.set("MRAWS_LEASE", "1s")
	b.fill("words")
	results := b.store.In("results")
	for i, format := range []string{"lines", "csv", "tsv", "json", "parquet"} {
		dir := fmt.Sprintf("%s-%s/", b.layout.Prefix(), format)
		lay := b.layout.WithOutput("results", dir)
		list := func() (keys []string) {
			for o, err := range results.List(t.Context(), dir) {
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(o.Key, "=") {
					keys = append(keys, o.Key)
				}
			}
			return keys
		}
		job := []string{"--app", "wc", "--nreduce", "2", "--output-at", "s3://results/" + dir, "--output-format", format, "--output-partition", "count"}
		if i == 0 {
			lives := b.killedAt(job, "coordinator.copy.named.after=kill@2", "worker.commit.output.after=kill")
			if n := len(list()); n == 0 {
				t.Error("there is no copy")
			}
			if _, err := results.Stat(t.Context(), lay.Success()); err == nil {
				t.Error("there is _SUCCESS before all copies are made")
			}
			b.run(0, append([]string{"coordinator"}, job...)...)
			b.exit(lives)
		} else {
			b.run(0, append([]string{"run", "--workers", "2"}, job...)...)
		}
		data, _, err := results.Get(t.Context(), lay.Success())
		if err != nil {
			t.Fatal(err)
		}
		s, err := manifest.Decode[manifest.Success](data, manifest.SuccessSchema)
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, n := range s.Partitions {
			keys = append(keys, n.Key)
		}
		if len(keys) == 0 || !slices.Equal(keys, list()) {
			t.Errorf("%s: the summary lists %q, there is %q", format, keys, list())
		}
		out, _ := b.run(0, "verify", "--app", "wc")
		wants(t, out, "reference  ok")
		b.run(0, "reset", "--yes")
		if left := list(); len(left) > 0 {
			t.Errorf("reset left %q", left)
		}
	}
}
