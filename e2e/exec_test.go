package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/object"
)

// write writes a file into the folder of the fixture, where commands run.
func (b *fixture) write(name, text string, mode os.FileMode) string {
	b.t.Helper()
	path := filepath.Join(b.dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		b.t.Fatal(err)
	}
	return path
}

// TestExecWordCount: scripts count words as the application does, byte for byte,
// with and without a combiner.
func TestExecWordCount(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not installed")
	}
	b := newPlainFixture(t)
	b.write("m.py", "import re, sys\nfor line in sys.stdin:\n    for w in re.findall(r'[^\\W\\d_]+', line):\n        print(w, 1, sep='\\t')\n", 0o644)
	b.write("r.py", `import itertools, sys
between = sys.argv[1]
pairs = (line.rstrip('\n').split('\t') for line in sys.stdin)
for word, group in itertools.groupby(pairs, key=lambda p: p[0]):
    print(word, sum(int(n) for _, n in group), sep=between)
`, 0o644)
	books := b.books()
	b.run(0, append([]string{"run", "--app", "wc", "--nreduce", "3", "--out", "wc"}, books...)...)
	code := []string{"--mapper", "python3 m.py", "--reducer", "python3 r.py ' '", "--file", "m.py", "--file", "r.py", "--nreduce", "3", "--verify"}
	b.run(0, append(append([]string{"run", "--prefix", newPrefix(), "--out", "plain"}, code...), books...)...)
	b.run(0, append(append([]string{"run", "--prefix", newPrefix(), "--out", "combined", "--combiner", `python3 r.py "	"`}, code...), books...)...)
	for r := range 3 {
		name := fmt.Sprintf("mr-out-%d", r)
		want, err := os.ReadFile(filepath.Join(b.dir, "wc", name))
		if err != nil || len(want) == 0 {
			t.Fatalf("%d bytes, %v", len(want), err)
		}
		for _, dir := range []string{"plain", "combined"} {
			got, err := os.ReadFile(filepath.Join(b.dir, dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != string(want) {
				t.Errorf("%s of %s differs from that of wc", name, dir)
			}
		}
	}
}

// pids reads the process ids that executables have written to a file.
func pids(t *testing.T, file string) []int {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	var all []int
	for f := range strings.FieldsSeq(string(text)) {
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

// allGone says whether none of the processes runs.
func allGone(all []int) bool {
	for _, pid := range all {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err == nil && !strings.Contains(string(stat), ") Z ") {
			return false
		}
	}
	return true
}

// TestExecKilled: a worker and a coordinator are killed while executables run. None
// of these is left behind, not even one that has left its process group, the output
// is the same and the counters are exact.
func TestExecKilled(t *testing.T) {
	b := newPlainFixture(t)
	b.write("m.sh", `#!/bin/sh
setsid sleep 1000 &
echo $$ $! >> "$DIR/pids"
echo reporter:counter:test,maps,1 >&2
while [ ! -e "$DIR/gate" ]; do sleep 0.05; done
awk '{ for (i = 1; i <= NF; i++) print $i "\t1" }'
`, 0o755)
	b.write("r.sh", `awk -F '\t' '{ n[$1] += $2 } END { for (k in n) print k, n[k] }'`+"\n", 0o644)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	line := []string{"--mapper", "m.sh", "--reducer", "sh r.sh", "--file", "m.sh", "--file", "r.sh", "--env", "DIR=" + b.dir, "--nreduce", "2"}
	first, _ := b.coordinator(line...)
	killed := b.start("worker", "--slots", "2")
	file := filepath.Join(b.dir, "pids")
	b.until("two mappers run", func() bool { return len(pids(t, file)) >= 4 })
	b.kill(killed)
	b.until("the mappers of the killed worker are gone", func() bool { return allGone(pids(t, file)) })
	b.until("its directory is gone", func() bool {
		left, err := filepath.Glob(filepath.Join(b.dir, "mraws-exec-*"))
		return err == nil && len(left) == 0
	})
	worker := b.start("worker", "--slots", "2")
	b.until("two others run", func() bool { return len(pids(t, file)) >= 8 })
	b.kill(first)
	second, _ := b.coordinator(line...)
	b.write("gate", "", 0o644)
	for _, p := range []*process{second, worker} {
		if code := b.exit(p); code != 0 {
			t.Errorf("mraws %s: exit code %d", p.name, code)
		}
	}
	if !allGone(pids(t, file)) {
		t.Error("executables are left behind")
	}
	if n := b.success().Counters["test,maps"]; n != 8 {
		t.Errorf("%d maps were counted, want 8", n)
	}
	want := map[string]int{}
	for i := range 8 {
		for _, w := range strings.FieldsFunc(book(i), func(c rune) bool { return c == ' ' || c == '\n' || c == '\t' }) {
			want[w]++
		}
	}
	got := map[string]int{}
	for _, text := range b.outputs() {
		for l := range strings.Lines(text) {
			i := strings.LastIndexByte(l, ' ')
			n, err := strconv.Atoi(strings.TrimSuffix(l[i+1:], "\n"))
			if err != nil {
				t.Fatal(err)
			}
			got[l[:i]] += n
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	b.run(0, "verify")
}

// TestExecHostile: executables that behave badly fail their job with the reason,
// and nothing of them is left.
func TestExecHostile(t *testing.T) {
	for name, tt := range map[string]struct {
		script string
		flags  []string
		want   string
	}{
		"loops":                {"while :; do :; done", []string{"--task-timeout", "1s"}, "no progress for 1s"},
		"ignores signals":      {"trap '' TERM INT HUP; (trap '' TERM; setsid sleep 1000) & while :; do sleep 1000; done", []string{"--task-timeout", "1s"}, "no progress for 1s"},
		"closes its output":    {"exec >&-; sleep 1000", []string{"--task-timeout", "1s"}, "no progress for 1s"},
		"writes to stderr":     {"exec cat /dev/zero >&2", []string{"--task-timeout", "1s"}, "no progress for 1s"},
		"leaves and fails":     {"setsid sleep 1000 & echo $! >> $DIR/pids; exit 9", nil, "exit code 9"},
		"fills the disk":       {"i=0; while :; do head -c 100000 /dev/zero > $i; i=$((i+1)); done", []string{"--exec-disk", "1MiB"}, "its files have more than 1048576 bytes"},
		"takes much memory":    {"exec awk 'BEGIN { s = \"x\"; while (1) s = s s }'", []string{"--exec-memory", "64MiB"}, "mapper"},
		"writes much":          {"while :; do echo a line of output; done", []string{"--exec-output", "1MiB"}, "more than 1048576 bytes"},
		"writes no line break": {"exec cat /dev/zero", nil, "a line of more than 67108864 bytes"},
		"is killed":            {"kill -KILL $$", nil, "ended by signal 9"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newPlainFixture(t)
			b.write("m.sh", "#!/bin/sh\necho $$ >> $DIR/pids\n"+tt.script+"\n", 0o755)
			input := b.write("in.txt", "a line\n", 0o644)
			args := []string{"run", "--max-attempts", "1", "--workers", "1", "--mapper", "m.sh", "--reducer", "cat", "--file", "m.sh", "--env", "DIR=" + b.dir}
			_, stderr := b.run(4, append(append(args, tt.flags...), input)...)
			wants(t, stderr, tt.want)
			all := pids(t, filepath.Join(b.dir, "pids"))
			if len(all) == 0 || !allGone(all) {
				t.Errorf("of processes %v not all are gone", all)
			}
			if left, err := filepath.Glob(filepath.Join(b.dir, "mraws-exec-*")); err != nil || len(left) > 0 {
				t.Errorf("left in scratch: %v, %v", left, err)
			}
		})
	}
}

// TestExecNotStarted: a worker that cannot start a program says so when it joins,
// and runs nothing.
func TestExecNotStarted(t *testing.T) {
	b := newPlainFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	c, _ := b.coordinator("--mapper", "no-such-program -x", "--reducer", "cat")
	_, stderr := b.run(7, "worker")
	wants(t, stderr, "no-such-program: not found on worker ", "the coordinator takes --file and --archive")
	_, stderr = b.run(7, "worker", "--app", "wc")
	wants(t, stderr, "the job runs app exec", "without --app")
	b.kill(c)
}

// TestExecCodeVerified: verify finds a shipped file that is missing, one that has
// other bytes, and one that the job does not ship.
func TestExecCodeVerified(t *testing.T) {
	b := newPlainFixture(t)
	b.write("words.txt", "words\n", 0o644)
	input := b.write("in.txt", "a line\n", 0o644)
	line := []string{"run", "--mapper", "cat", "--reducer", "-", "--file", "words.txt", "--nreduce", "2", input}
	b.run(0, line...)
	keys := b.keys(b.layout.CodeDir())
	if len(keys) != 1 {
		t.Fatalf("shipped are %q", keys)
	}
	put := func(key, text string) {
		t.Helper()
		if _, err := b.store.Put(t.Context(), key, []byte(text), object.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	put(keys[0], "wards\n")
	stdout, _ := b.run(8, "verify")
	wants(t, stdout, "shipped file words.txt: its 6 bytes are others")
	put(keys[0], "words\n")
	b.run(0, "verify")
	put(b.layout.CodeDir()+"other", "x")
	stdout, _ = b.run(8, "verify")
	wants(t, stdout, "_code/other")
	if err := b.store.Delete(t.Context(), b.layout.CodeDir()+"other", keys[0]); err != nil {
		t.Fatal(err)
	}
	stdout, _ = b.run(8, "verify")
	wants(t, stdout, "shipped file words.txt")
	b.run(0, "reset", "--yes")
	if left := b.keys(b.layout.IntermediateDir()); len(left) > 0 {
		t.Errorf("after the reset there is %q", left)
	}
}
