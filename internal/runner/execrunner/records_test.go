package execrunner

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/manifest"
)

// TestRecords: pairs of any bytes and sizes are read as they were written, however
// they come.
func TestRecords(t *testing.T) {
	all := []string{"", "a|", "|b", "key\t\n|value\x00\n", strings.Repeat("k", 100) + "|" + strings.Repeat("v", 3*readBlock), "end|"}
	var b bytes.Buffer
	g := gather{w: &b}
	for _, p := range all {
		k, v, _ := strings.Cut(p, "|")
		g.record([]byte(k), []byte(v))
	}
	g.flush()
	text := b.String()
	for name, r := range map[string]*strings.Reader{"whole": strings.NewReader(text), "bytes": strings.NewReader(text)} {
		var got []string
		in := iotest.DataErrReader(r)
		if name == "bytes" {
			in = iotest.HalfReader(r)
		}
		err := readRecords(in, func(int) error { return nil }, func(k, v []byte) error {
			got = append(got, strings.TrimSuffix(string(k)+"|"+string(v), "|"))
			return nil
		})
		var want []string
		for _, p := range all {
			want = append(want, strings.TrimSuffix(p, "|"))
		}
		if err != nil || !cmp.Equal(want, got) {
			t.Errorf("%s: %v, %d records", name, err, len(got))
		}
	}
	for end, want := range map[int]string{3: "ends within a record: 3 bytes", 8: "", 17: "", 12: "ends within a record: 4 bytes"} {
		err := readRecords(strings.NewReader(text[:end]), func(int) error { return nil }, func(_, _ []byte) error { return nil })
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%d bytes: %v, want %q", end, err, want)
		}
	}
	if err := readRecords(strings.NewReader("a line of text\n"), func(int) error { return nil }, nil); err == nil || !strings.Contains(err.Error(), "lines in place of records") {
		t.Errorf("lines: %v", err)
	}
}

// TestExamples: the word counts of examples/records give the same in each
// language.
func TestExamples(t *testing.T) {
	dir, err := filepath.Abs("../../../examples/records")
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(t.TempDir(), "count")
	for language, command := range map[string]string{"python3": "python3 " + dir + "/count.py", "node": "node " + dir + "/count.js", "cc": bin} {
		t.Run(language, func(t *testing.T) {
			if _, err := exec.LookPath(language); err != nil {
				t.Skip(language + " is not installed")
			}
			if language == "cc" {
				if out, err := exec.Command("cc", "-O2", "-Wall", "-o", bin, dir+"/count.c").CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			}
			b := newBench(t, command+" map", command+" reduce")
			b.exec.Records = manifest.BinaryRecords
			got, err := b.mapAll(true, object{"a", "the cat\nthe  dog"}, object{"b", "\n"})
			want(t, got, err, "the|1", "cat|1", "the|1", "dog|1")
			got, err = b.reduce("a\tb|1", "the|1", "the|1", "the|40")
			want(t, got, err, "a\tb 1", "the 42")
			b.exec.Combiner = command + " combine"
			got, err = b.mapAll(false, object{"a", "the cat\nthe dog"})
			want(t, got, err, "cat|1", "dog|1", "the|2")
		})
	}
}

// TestRecordsMisused: what executables must not do with records.
func TestRecordsMisused(t *testing.T) {
	b := newBench(t, "echo a longer line of text", "cat")
	b.exec.Records = manifest.BinaryRecords
	if _, err := b.mapAll(true, object{"a", "x"}); err == nil || !strings.Contains(err.Error(), "lines in place of records") {
		t.Errorf("lines: %v", err)
	}
	if _, err := b.reduce("key|value"); err == nil || !strings.Contains(err.Error(), "a reducer writes records without a key") {
		t.Errorf("a reducer with keys: %v", err)
	}
	got, err := b.reduce("|value")
	want(t, got, err, "value")
}
