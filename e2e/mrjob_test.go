//go:build mrjob

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// mrjobSays are the counters of the job's own in what mrjob says.
var mrjobSays = regexp.MustCompile(`(?m)^\t(words|initials)\n((?:\t\t.*\n)+)`)

// TestMrjob runs a job of the real mrjob, of two steps with a combiner, FILES,
// SORT_VALUES, protocols and counters, on mraws in place of Hadoop, and compares
// lines and counters with those of mrjob's runner in its own process.
// MRAWS_MRJOB_PYTHON is a Python that has mrjob.
func TestMrjob(t *testing.T) {
	python := os.Getenv("MRAWS_MRJOB_PYTHON")
	if python == "" {
		t.Fatal("MRAWS_MRJOB_PYTHON is not set: scripts/mrjob.sh says it")
	}
	b := newPlainFixture(t)
	b.env = append(b.env, "PATH="+filepath.Dir(python)+string(os.PathListSeparator)+os.Getenv("PATH")) // tasks run python3
	job, err := os.ReadFile(filepath.Join("testdata", "mrjob_words.py"))
	if err != nil {
		t.Fatal(err)
	}
	b.write("job.py", string(job), 0o644)
	b.write("stop.txt", "the a of and\n", 0o644)
	books := []string{b.write("b1.txt", "the cat saw the dog\na dog of the cat's\ncat", 0o644), b.write("b2.txt", "dogs and cats\nthe doubt, the dot\n", 0o644)}
	run := func(args ...string) (lines []string, counters []string) {
		t.Helper()
		c := exec.Command(python, append(append([]string{"job.py"}, args...), books...)...)
		c.Dir, c.Env = b.dir, b.env
		var out, errs strings.Builder
		c.Stdout, c.Stderr = &out, &errs
		if err := c.Run(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, errs.String())
		}
		lines = strings.Split(strings.TrimSpace(out.String()), "\n")
		slices.Sort(lines)
		return lines, mrjobSays.FindAllString(errs.String(), -1)
	}
	want, wantCounters := run("-r", "inline")
	if len(want) != 3 || len(wantCounters) != 2 {
		t.Fatalf("mrjob itself: %q, counters %q", want, wantCounters)
	}
	got, gotCounters := run("-r", "hadoop", "--hadoop-bin", b.bin+" hadoop", "--hadoop-streaming-jar", "none", "-D", "mapreduce.job.reduces=3")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("lines (-mrjob +mraws):\n%s", diff)
	}
	if diff := cmp.Diff(wantCounters, gotCounters); diff != "" {
		t.Errorf("counters (-mrjob +mraws):\n%s", diff)
	}
	for _, dir := range []string{"fs/", "jobs/"} { // mrjob removes its folder, and so its jobs
		for o, err := range b.store.List(t.Context(), b.layout.Prefix()+"/"+dir) {
			if err != nil {
				t.Fatal(err)
			}
			t.Errorf("%s is left", o.Key)
		}
	}
	t.Run("examples", func(t *testing.T) { mrjobExamples(t, b, python, books) })
	b.write("stop.txt", "", 0o644)
	b.write("job.py", strings.Replace(string(job), "word = word.lower()", "raise ValueError('no such luck')", 1), 0o644)
	c := exec.Command(python, append([]string{"job.py", "-r", "hadoop", "--hadoop-bin", b.bin + " hadoop --max-attempts 1", "--hadoop-streaming-jar", "none"}, books...)...)
	c.Dir, c.Env = b.dir, b.env
	out, err := c.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "Probable cause of failure:") || !strings.Contains(string(out), "ValueError: no such luck") {
		t.Errorf("a job that fails: %v\n%s", err, out)
	}
}

// mrjobExamples runs jobs of mrjob's own examples, as they were installed: one with
// a combiner, one of several steps that ships a file, one whose lines a command of
// the shell filters, one of two steps whose values are sorted. The runner is that of
// mrjob which gives the lines to compare with.
func mrjobExamples(t *testing.T, b *fixture, python string, books []string) {
	for _, example := range []struct{ name, runner string }{
		{"mr_word_freq_count", "inline"},
		{"mr_most_used_word", "inline"},
		{"mr_words_containing_u_freq_count", "local"},
		{"mr_next_word_stats", "inline"},
	} {
		run := func(args ...string) []string {
			t.Helper()
			c := exec.Command(python, append(append([]string{"-m", "mrjob.examples." + example.name}, args...), books...)...)
			c.Dir, c.Env = b.dir, b.env
			var out, errs strings.Builder
			c.Stdout, c.Stderr = &out, &errs
			if err := c.Run(); err != nil {
				t.Fatalf("%s %v: %v\n%s", example.name, args, err, errs.String())
			}
			lines := strings.Split(strings.TrimSpace(out.String()), "\n")
			slices.Sort(lines)
			return lines
		}
		want := run("-r", example.runner)
		if want[0] == "" {
			t.Fatalf("%s: mrjob itself gives no line", example.name)
		}
		got := run("-r", "hadoop", "--hadoop-bin", b.bin+" hadoop", "--hadoop-streaming-jar", "none", "-D", "mapreduce.job.reduces=3")
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: lines (-mrjob +mraws):\n%s", example.name, diff)
		}
	}
}
