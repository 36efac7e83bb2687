package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/e2e/patterns"
)

// put puts objects under input/, whatever their names.
func (b *fixture) put(files map[string]string) {
	b.t.Helper()
	for name, text := range files {
		if _, err := b.store.Put(b.t.Context(), b.layout.Input(name), []byte(text), putOptions); err != nil {
			b.t.Fatal(err)
		}
	}
}

// grepped runs grep over what is uploaded, in several map tasks, and returns
// what it found in the order of the file, without the file's name.
func (b *fixture) grepped(pattern string, ignoreCase, invert bool) []string {
	b.t.Helper()
	b.run(0, "run", "--app", "grep", "--nreduce", "1", "--split-size", "64KiB", "--verify", "--app-arg", "pattern="+pattern,
		"--app-arg", "ignore-case="+strconv.FormatBool(ignoreCase), "--app-arg", "invert="+strconv.FormatBool(invert))
	lines := patterns.Lines(b.outputs()[0])
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, "f ")
	}
	b.run(0, "reset", "--yes")
	return lines
}

// TestGrep: whole jobs find the lines that the regular expression alone finds.
func TestGrep(t *testing.T) {
	b := newPlainFixture(t)
	text := patterns.New(2, true).Text(20_000) + "abc\nxabcx\n\r\n\nlast abc"
	b.put(map[string]string{"f": text})
	for _, pattern := range []string{"^abc$", "abc$", "", `\r`, "a.c|^b"} {
		for _, invert := range []bool{false, true} {
			want := patterns.Grep(text, regexp.MustCompile(pattern).MatchString, !invert)
			if got := b.grepped(pattern, false, invert); !slices.Equal(got, want) {
				t.Errorf("%q, invert %t: %d lines, want %d", pattern, invert, len(got), len(want))
			}
		}
	}
}

// TestSort: the outputs of sort one after the other are what sort(1) writes in
// the C locale, whatever ends a line and whatever bytes stand in it.
func TestSort(t *testing.T) {
	b := newPlainFixture(t)
	rng := rand.New(rand.NewPCG(3, 3))
	word := []string{"a", "b", "ab", "\r", "\r\n", "\n", "\n", "\r\n", " ", "\t", "\xff", "é", "\x01", "zz", "\x00"}
	files := map[string]string{"crlf": "b\r\na\r\na\na\n"}
	var all bytes.Buffer
	for i := range 6 {
		var text strings.Builder
		for range 30_000 {
			text.WriteString(word[rng.IntN(len(word))])
		}
		files[fmt.Sprint(i)] = text.String()
	}
	for _, name := range []string{"0", "1", "2", "3", "4", "5", "crlf"} {
		for _, line := range patterns.Lines(files[name]) {
			all.WriteString(line + "\n")
		}
	}
	b.put(files)
	path := filepath.Join(b.dir, "all")
	if err := os.WriteFile(path, all.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, unique := range []bool{false, true} {
		sort := exec.Command("sort", path)
		if unique {
			sort.Args = append(sort.Args, "-u")
		}
		sort.Env = append(os.Environ(), "LC_ALL=C")
		want, err := sort.Output()
		if err != nil {
			t.Fatal(err)
		}
		b.run(0, "run", "--app", "sort", "--nreduce", "3", "--split-size", "64KiB", "--verify", "--app-arg", "unique="+strconv.FormatBool(unique))
		got, _ := b.run(0, "cat")
		if got != string(want) {
			t.Errorf("unique %t: %d bytes, sort(1) has %d, or they differ", unique, len(got), len(want))
		}
		b.run(0, "reset", "--yes")
	}
}

// TestNames: objects with any name are indexed and searched, two of one base
// name are two, and no name looks like two.
func TestNames(t *testing.T) {
	b := newPlainFixture(t)
	b.put(map[string]string{
		"i/a/R.md": "whale\n", "i/b/R.md": "whale\n", "i/a,b.md": "whale\n", "i/c\nd.md": "whale\n", "e\\f 1:g\t.md": "whale\n",
	})
	for app, want := range map[string][]string{
		"indexer": {`whale 5 a/R.md,a\x2cb.md,b/R.md,c\nd.md,e\\f 1:g\t.md`},
		"grep":    {`e\\f 1\x3ag\t.md 1:whale`, `i/a,b.md 1:whale`, `i/a/R.md 1:whale`, `i/b/R.md 1:whale`, `i/c\nd.md 1:whale`},
	} {
		args := []string{"run", "--app", app, "--nreduce", "2", "--workers", "2", "--verify"}
		if app == "grep" {
			args = append(args, "--app-arg", "pattern=^whale$")
		}
		b.run(0, args...)
		out, _ := b.run(0, "cat")
		got := patterns.Lines(out)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", app, diff)
		}
		b.run(0, "reset", "--yes")
	}
}
