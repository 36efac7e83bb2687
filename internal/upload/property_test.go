package upload

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"
)

// TestAnyTree: in any tree of files, links, pipes and hard links, no plan has
// a file of a data folder in it, by whatever way that is reached, nor one that
// is no regular file; and what is in the tree is no error of the search.
func TestAnyTree(t *testing.T) {
	base := t.TempDir()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		root := filepath.Join(base, fmt.Sprint(n))
		must(t, os.MkdirAll(root, 0o755))
		defer os.RemoveAll(root)
		dirs, all := grow(t, root)
		data := filepath.Join(rapid.SampledFrom(dirs).Draw(t, "data folder in"), "data")
		secrets := []string{filepath.Join(data, "credentials.json"), filepath.Join(data, "s3", "bucket", "input", "x")}
		for _, path := range secrets {
			must(t, os.MkdirAll(filepath.Dir(path), 0o755))
			must(t, os.WriteFile(path, []byte(path), 0o600))
		}
		inside := append(secrets, data, filepath.Join(data, "s3"), filepath.Join(data, "s3", "bucket"))
		for i := range rapid.IntRange(0, 4).Draw(t, "ways in") {
			at := filepath.Join(rapid.SampledFrom(dirs).Draw(t, "way in at"), fmt.Sprint("way", i))
			to := rapid.SampledFrom(inside).Draw(t, "way in to")
			if to == secrets[0] && rapid.Bool().Draw(t, "hard") {
				must(t, os.Link(to, at))
			} else {
				must(t, os.Symlink(to, at))
			}
			all = append(all, at)
		}
		o := Search{Store: hasCredentials, Avoid: []Avoid{{Path: secrets[0], Why: StoreFolder}, {Path: data, Why: StoreFolder}}}
		arg := rapid.OneOf(
			rapid.SampledFrom([]string{root, root + "/*", root + "/**", root + "/**/*", root + "/*/*", root + "/**/[a-z]*"}),
			rapid.SampledFrom(append(all, inside...)),
		).Draw(t, "argument")
		p, err := Find([]string{arg}, o)
		if err != nil {
			expected(t, arg, err)
			return
		}
		for _, f := range p.Files {
			spared(t, f, data, secrets[0])
		}
	})
}

func must(t *rapid.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// grow makes a tree, and returns its folders and all else.
func grow(t *rapid.T, root string) (dirs, others []string) {
	dirs = []string{root}
	for i := range rapid.IntRange(0, 12).Draw(t, "entries") {
		prefix := rapid.SampledFrom([]string{"a", "b", "_", ".", "é", "[", "a b"}).Draw(t, "begins with")
		path := filepath.Join(rapid.SampledFrom(dirs).Draw(t, "in"), fmt.Sprint(prefix, i))
		switch rapid.SampledFrom([]string{"file", "file", "folder", "folder", "link", "self", "broken", "pipe"}).Draw(t, "kind") {
		case "file":
			must(t, os.WriteFile(path, []byte(path), 0o644))
		case "folder":
			must(t, os.Mkdir(path, 0o755))
			dirs = append(dirs, path)
			continue
		case "link":
			must(t, os.Symlink(rapid.SampledFrom(append(others, dirs...)).Draw(t, "to"), path))
		case "self":
			must(t, os.Symlink(filepath.Base(path), path))
		case "broken":
			must(t, os.Symlink("nowhere", path))
		case "pipe":
			must(t, syscall.Mkfifo(path, 0o600))
		}
		others = append(others, path)
	}
	return dirs, others
}

// expected fails for an error that is none of the argument's own.
func expected(t *rapid.T, arg string, err error) {
	for _, own := range []string{
		"is not uploaded: it belongs to the ", "no files to upload", "would both be input/", "nothing matches", "below it",
	} {
		if strings.Contains(err.Error(), own) {
			return
		}
	}
	if info, lerr := os.Lstat(arg); lerr == nil && info.Mode()&fs.ModeSymlink != 0 {
		return // it was named itself, and leads nowhere
	}
	t.Fatalf("%s: %v", arg, err)
}

func spared(t *rapid.T, f File, data, credentials string) {
	real, err := filepath.EvalSymlinks(f.Path)
	must(t, err)
	info, err := os.Stat(real)
	must(t, err)
	if f.Pipe != (info.Mode().Type() == fs.ModeNamedPipe) || !f.Pipe && !info.Mode().IsRegular() {
		t.Fatalf("%s is in the plan, and is %v", f.Path, info.Mode())
	}
	keys, err := os.Stat(credentials)
	must(t, err)
	if strings.HasPrefix(real+"/", data+"/") || os.SameFile(info, keys) {
		t.Fatalf("%s is in the plan", f.Path)
	}
}
