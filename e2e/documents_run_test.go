//go:build documents

package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// scene says how a block is run where a shell on one machine, with the embedded
// server, does not do. Everything in it is for bash.
type scene struct {
	document string
	has      string   // a part of the block by which it is found
	before   string   // makes what the reader has: files, earlier jobs
	replace  []string // pairs: a part of the block, and what is run in its place
	after    string   // checks what the block has done
	needs    string   // a tool that the test is given: readers, mrjob, guests
}

// docShell begins each script. remote has a server of S3 run in a process of its own,
// and commands use it, with these buckets, as they would a store with credentials.
// here has commands use the embedded server of the data folder again.
const docShell = `set -e
remote() {
	if [ ! -e "$HOME/remote.env" ]; then
		mkdir -p "$HOME/remote"
		mraws s3 --data-dir "$HOME/remote" >"$HOME/s3.log" 2>&1 &
		until mraws s3 --data-dir "$HOME/remote" --show-credentials >"$HOME/remote.new" 2>/dev/null; do sleep 0.05; done
		mv "$HOME/remote.new" "$HOME/remote.env"
	fi
	for bucket; do mraws jobs --data-dir "$HOME/remote" --bucket "$bucket" >/dev/null 2>&1 || true; done
	. "$HOME/remote.env"
	export MRAWS_ENDPOINT="$AWS_ENDPOINT_URL"
}
here() { unset MRAWS_ENDPOINT MRAWS_BUCKET MRAWS_PREFIX AWS_ENDPOINT_URL AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_REGION AWS_DEFAULT_REGION; }
late() { :; } # a worker that comes when the job is done finds no coordinator, or no server
running() { until grep -q "$2" "$1"; do sleep 0.05; done; }
`

// ranBlocks counts the blocks that have been run.
var ranBlocks, notBlocks atomic.Int64

// TestDocuments runs each block of commands of each document, those of a document in
// one shell as a reader would, and compares what they print with what is shown.
func TestDocuments(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	bin, err := plainBinary()
	if err != nil {
		t.Fatal(err)
	}
	used := make([]atomic.Bool, len(scenes))
	total, started := 0, map[string]bool{} // of the documents that -run lets through
	begin := time.Now()
	t.Run("each", func(t *testing.T) {
		for i, document := range documents(t) {
			all := blocks(t, document)
			if len(all) == 0 {
				continue
			}
			t.Run(document, func(t *testing.T) {
				started[document] = true
				total += len(all)
				t.Parallel()
				runDocument(t, docPlace{root: root, bin: filepath.Dir(bin), number: i + 1}, all, used)
			})
		}
	})
	for i := range scenes {
		if started[scenes[i].document] && !used[i].Load() {
			t.Errorf("no block of %s has %q", scenes[i].document, scenes[i].has)
		}
	}
	ran, not := int(ranBlocks.Load()), int(notBlocks.Load())
	t.Logf("%d blocks of commands: %d ran, %d have a reason not to, in %.0f s", total, ran, not, time.Since(begin).Seconds())
	if !t.Failed() && ran+not != total {
		t.Errorf("%d blocks neither ran nor have a reason", total-ran-not)
	}
}

// docPlace is where a document is run.
type docPlace struct {
	root, bin string // folders of the repository, and of the program
	number    int    // of the document, for an address of its own
}

// env is the environment of the commands.
func (p docPlace) env(t *testing.T, dir string) []string {
	t.Helper()
	goEnv, err := exec.Command("go", "env", "GOPATH", "GOCACHE", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	caches := strings.Fields(string(goEnv))
	path := p.bin + ":" + os.Getenv("PATH")
	if tools := readersFolder(t, dir); tools != "" {
		path = tools + ":" + path
	}
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "MRAWS_") && !strings.HasPrefix(e, "AWS_") && !strings.HasPrefix(e, "XDG_") {
			env = append(env, e)
		}
	}
	return append(env, "HOME="+dir, "PATH="+path, "MRAWS="+p.root, "LC_ALL=C", "AWS_EC2_METADATA_DISABLED=true",
		"GOPATH="+caches[0], "GOCACHE="+caches[1], "GOMODCACHE="+caches[2], "GOFLAGS=-modcacherw",
		"HOST="+p.host(), "MRAWS_LISTEN="+p.host(), "MRJOB_PYTHON="+os.Getenv("MRAWS_MRJOB_PYTHON"))
}

// host is an address of loopback that no other document has, so that each can use the
// port of its text.
func (p docPlace) host() string {
	pid := os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d", 1+pid>>8&0x7f, pid&0xff, p.number)
}

// readersFolder returns a folder with the readers of tables as commands, "" without
// MRAWS_READERS_PYTHON.
func readersFolder(t *testing.T, dir string) string {
	t.Helper()
	python := os.Getenv("MRAWS_READERS_PYTHON")
	if python == "" {
		return ""
	}
	tools := filepath.Join(dir, ".readers")
	duckdb := "#!" + python + "\nimport duckdb, sys\nassert sys.argv[1] == '-c'\nprint(duckdb.sql(sys.argv[2]))\n"
	readers := "#!/bin/sh\nexec " + python + " \"$@\"\n"
	for name, text := range map[string]string{"duckdb": duckdb, "python-with-readers": readers} {
		if err := os.MkdirAll(tools, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(tools, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return tools
}

// without are the tools that the machine lacks, by the caller's own word.
func without(tool string) bool {
	return tool != "" && slices.Contains(strings.Fields(os.Getenv("MRAWS_DOCUMENTS_WITHOUT")), tool)
}

// runDocument runs the blocks of a document.
func runDocument(t *testing.T, place docPlace, all []docBlock, used []atomic.Bool) {
	var script strings.Builder
	script.WriteString(docShell)
	mark := func(what string, i int) {
		fmt.Fprintf(&script, "echo '@@ %s %d'; echo '@@ %s %d' >&2\n", what, i, what, i)
	}
	var run []int
	for i, b := range all {
		s := sceneOf(t, b, used)
		switch {
		case b.why != "" || without(s.needs):
			notBlocks.Add(1)
			continue
		}
		run = append(run, i)
		text := b.text
		for from, to := range pairs(s.replace) {
			if !strings.Contains(text, from) {
				t.Fatalf("%s:%d has no %q", b.document, b.line, from)
			}
			text = strings.ReplaceAll(text, from, to)
		}
		mark("before", i)
		script.WriteString(s.before + "\n")
		mark("block", i)
		if b.kind == "console" {
			text = consoleScript(text)
		}
		script.WriteString(text)
		mark("after", i)
		script.WriteString(s.after + "\n")
	}
	printed, errs := shell(t, place, script.String())
	for _, i := range run {
		b := all[i]
		got, ok := printed[i]
		if !ok {
			t.Fatalf("%s:%d did not run:\n%s", b.document, b.line, errs)
		}
		ranBlocks.Add(1)
		compareBlock(t, b, got)
	}
	if t.Failed() {
		t.Logf("standard error:\n%s", errs)
	}
}

// sceneOf returns the scene of a block, an empty one if it has none.
func sceneOf(t *testing.T, b docBlock, used []atomic.Bool) (found scene) {
	t.Helper()
	for i, s := range scenes {
		if s.document == b.document && strings.Contains(b.text, s.has) {
			if used[i].Swap(true) {
				t.Errorf("%s:%d: another block has %q too", b.document, b.line, s.has)
			}
			return s
		}
	}
	return scene{}
}

// pairs goes through a list two by two.
func pairs(list []string) func(func(a, b string) bool) {
	return func(yield func(a, b string) bool) {
		for i := 0; i+1 < len(list); i += 2 {
			if !yield(list[i], list[i+1]) {
				return
			}
		}
	}
}

// consoleScript are the commands of a block of the kind console: what stands behind
// "$ ". Their errors are shown as well, and an exit code is no failure, since what is
// shown may be an error.
func consoleScript(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if command, ok := strings.CutPrefix(line, "$ "); ok {
			fmt.Fprintf(&b, "echo %s\n{ %s\n} 2>&1 || true\n", quoted(line), strings.TrimSpace(command))
		}
	}
	return b.String()
}

// quoted is a line as a word of bash.
func quoted(line string) string {
	return "'" + strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "'", `'\''`) + "'"
}

// shell runs a script in a new folder, and returns what each block has printed to
// standard output, and all of standard error. Every process of it has ended then.
func shell(t *testing.T, place docPlace, script string) (printed map[int]string, errs string) {
	t.Helper()
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "bash", "-c", script)
	c.Dir = filepath.Join(dir, "work")
	if err := os.Mkdir(c.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	// Files in place of pipes: what the script leaves in the background keeps them open.
	out, errout := newFile(t, dir, "out"), newFile(t, dir, "err")
	c.Stdout, c.Stderr = out, errout
	c.Env = place.env(t, dir)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	err := c.Run()
	if c.Process != nil {
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL) // servers that the document leaves running
	}
	errs = content(t, errout)
	all := content(t, out)
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, all, errs)
	}
	printed = map[int]string{}
	at := -1
	for line := range strings.Lines(all) {
		if m := docMark.FindStringSubmatch(line); m != nil {
			at = -1
			if m[1] == "block" {
				at, _ = strconv.Atoi(m[2])
				printed[at] = ""
			}
		} else if at >= 0 {
			printed[at] += line
		}
	}
	return printed, errs
}

// docMark is the line in front of what a block prints.
var docMark = regexp.MustCompile(`^@@ (\w+) (\d+)\n$`)

// newFile creates a file for what a script prints.
func newFile(t *testing.T, dir, name string) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// content is what was written to a file.
func content(t *testing.T, f *os.File) string {
	t.Helper()
	data, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// compareBlock compares what a block has printed with what the document shows.
func compareBlock(t *testing.T, b docBlock, got string) {
	t.Helper()
	switch {
	case b.kind == "console":
		if want := b.text; !shows(about(want), about(got)) {
			t.Errorf("%s:%d prints\n%s\nThe document shows\n%s", b.document, b.line, got, want)
		}
	case b.prints == nil:
	case b.about:
		if !shows(append([]string{"..."}, about(*b.prints)...), about(got)) {
			t.Errorf("%s:%d prints\n%s\nThe document shows about\n%s", b.document, b.line, got, *b.prints)
		}
	case !strings.HasSuffix(got, *b.prints):
		t.Errorf("%s:%d prints\n%s\nThe document shows at the end\n%s", b.document, b.line, got, *b.prints)
	}
}

// What differs from run to run.
var (
	ids   = regexp.MustCompile(`[0-9a-f]{64}|\b01[0-9a-hjkmnp-tv-z]{24}\b`)
	units = regexp.MustCompile(`\b[0-9][0-9,.]*(ms|µs|s|m|h)?([0-9.]+(ms|s|m))*( (B|KiB|MiB|GiB))?\b`)
)

// news begins lines of standard error that a document leaves out.
var news = regexp.MustCompile(`(?m)^(store: |uploaded |map: |reduce: |\{).*\n`)

// about are the words of a text without numbers, sizes, times and ids, wherever its
// lines end. A word that is "..." remains.
func about(text string) []string {
	text = ids.ReplaceAllString(news.ReplaceAllString(text, ""), "ID")
	return strings.Fields(units.ReplaceAllString(text, "N"))
}

// shows tells whether words are those of a pattern, in which "..." is any number of them.
func shows(pattern, words []string) bool {
	for i, word := range pattern {
		if word == "..." {
			for from := range len(words) - i + 1 {
				if shows(pattern[i+1:], words[i+from:]) {
					return true
				}
			}
			return false
		}
		if i >= len(words) || words[i] != word {
			return false
		}
	}
	return len(words) == len(pattern)
}
