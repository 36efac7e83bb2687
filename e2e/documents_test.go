package e2e

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docBlock is a block of commands of a document.
type docBlock struct {
	document string // below the root of the repository
	line     int    // of the document, where the block begins
	kind     string // sh, bash: commands; console: commands behind "$ ", each with what it prints
	text     string
	why      string // why it is not run; "" runs it
	prints   *string
	about    bool // prints is compared without numbers, times and ids
}

// shellKinds are the kinds of blocks that have commands.
var shellKinds = []string{"sh", "bash", "console", "shell"}

// reasons are why a block is not run.
var reasons = []string{
	"needs an AWS account",
	"reads a bucket on the internet",
	"needs a program that CI has not",
	"installs packages of the system",
	"is a test of its own",
	"shows one moment of a job",
}

var (
	notRun = regexp.MustCompile(`^<!-- not run: (.*) -->$`)
	// hidden is what a command in another kind of block begins with, or in one that is
	// marked by its indent.
	hidden = regexp.MustCompile(`^(    )?(\$ .*|(\./)?mraws [a-z-]+ .*|go (run|build|test) .*|aws s3 .*|apt-get .*)$`)
)

// documents are the paths of all documents with commands, below the root.
func documents(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, dir := range []string{".", "docs", "deploy", "examples", "clients", "configs", "bench"} {
		err := filepath.WalkDir(filepath.Join("..", dir), func(path string, e fs.DirEntry, err error) error {
			deeper := dir == "." && path != ".."
			switch {
			case err != nil:
				return err
			case e.IsDir() && (deeper || e.Name() == "decisions"):
				return fs.SkipDir
			case strings.HasSuffix(path, ".md"):
				all = append(all, filepath.ToSlash(strings.TrimPrefix(path, "../")))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// blocks reads the blocks of commands of a document in Markdown. A block of the kind
// text behind one shows how its standard output ends, and one of the kind
// "text about" shows it without numbers, times and ids. A comment
// <!-- not run: REASON --> in front of a block keeps it from being run.
func blocks(t *testing.T, document string) (all []docBlock) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", document))
	if err != nil {
		t.Fatal(err)
	}
	in, begin, why := "", 0, ""
	open := false
	var text strings.Builder
	for i, line := range strings.Split(string(data), "\n") {
		fence, isFence := strings.CutPrefix(strings.TrimLeft(line, " "), "```")
		at := fmt.Sprintf("%s:%d", document, i+1)
		switch {
		case isFence && !open:
			open, in, begin = true, fence, i+1
			text.Reset()
		case isFence:
			open = false
			b := docBlock{document: document, line: begin, kind: in, text: text.String(), why: why}
			switch {
			case slices.Contains(shellKinds, in):
				all = append(all, b)
			case (in == "text" || in == "text about") && len(all) > 0:
				last := &all[len(all)-1]
				last.prints, last.about = &b.text, in == "text about"
			}
			why = ""
		case open:
			text.WriteString(line + "\n")
			if !slices.Contains(shellKinds, in) && in != "text" && hidden.MatchString(line) {
				t.Errorf("%s has a command in a block of the kind %q: %s", at, in, line)
			}
		case notRun.MatchString(line):
			why = notRun.FindStringSubmatch(line)[1]
			if !slices.Contains(reasons, why) {
				t.Errorf("%s: %q is no reason of the list %q", at, why, reasons)
			}
		case strings.TrimSpace(line) != "" && why != "":
			t.Errorf("%s: no block of commands follows the comment that it is not run", at)
			why = ""
		case strings.HasPrefix(line, "    ") && hidden.MatchString(line):
			t.Errorf("%s has a command outside of a block: %s", at, line)
		}
	}
	if open {
		t.Errorf("%s:%d: the block does not end", document, begin)
	}
	return all
}

// TestDocumentBlocks counts the blocks of commands of all documents. Those without
// a reason are run with the tag documents.
func TestDocumentBlocks(t *testing.T) {
	t.Parallel()
	run, why, files := 0, map[string]int{}, 0
	for _, document := range documents(t) {
		all := blocks(t, document)
		if len(all) > 0 {
			files++
		}
		for _, b := range all {
			if b.why == "" {
				run++
			} else {
				why[b.why]++
			}
		}
	}
	not := 0
	for _, reason := range slices.Sorted(maps.Keys(why)) {
		t.Logf("not run: %2d, %s", why[reason], reason)
		not += why[reason]
	}
	t.Logf("%d blocks of commands in %d documents: %d are run, %d not", run+not, files, run, not)
	if run < 70 || not > 20 {
		t.Errorf("%d blocks are run and %d not", run, not)
	}
}
