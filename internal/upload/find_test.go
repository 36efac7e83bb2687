package upload

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/pick"
)

// tree makes files (content = name) in a new working directory; a value
// starting with "->" makes a link.
func tree(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	t.Chdir(dir)
	for _, f := range files {
		name, target, isLink := strings.Cut(f, "->")
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if isLink {
			err = os.Symlink(target, name)
		} else {
			err = os.WriteFile(name, []byte(name), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFind(t *testing.T) {
	tree(t, "a.txt", "books/b.txt", "books/deep/er/c.md", "books/deep/d.txt", "books/.hidden", "books/.git/config",
		"other/books/b.txt", "odd/x[1].txt", "odd/{a,b}.txt", ".h/e.txt",
		"hadoop/_SUCCESS", "hadoop/part-0", "hadoop/_x/part-1", "hadoop/.part-0.crc",
		"link->books", "books/loop->..", "books/broken->nowhere", "books/file-link->../a.txt", "-")
	for _, c := range []struct {
		name          string
		args, include []string
		want          []string
	}{
		{name: "file", args: []string{"books/b.txt"}, want: []string{"b.txt"}},
		{name: "file that is called like the standard input", args: []string{"./-"}, want: []string{"-"}},
		{name: "folder", args: []string{"books"}, want: []string{"books/b.txt", "books/deep/d.txt", "books/deep/er/c.md", "books/file-link"}},
		{name: "with a slash", args: []string{"books/deep/"}, want: []string{"deep/d.txt", "deep/er/c.md"}},
		{name: "link to a folder", args: []string{"link/deep"}, want: []string{"deep/d.txt", "deep/er/c.md"}},
		{name: "linked root", args: []string{"link"}, want: []string{"link/b.txt", "link/deep/d.txt", "link/deep/er/c.md", "link/file-link"}},
		{name: "hidden but named", args: []string{".h", "books/.hidden"}, want: []string{".h/e.txt", ".hidden"}},
		{name: "another system's output", args: []string{"hadoop"}, want: []string{"hadoop/_x/part-1", "hadoop/part-0"}},
		{name: "and what a glob finds in it", args: []string{"hadoop/*"}, want: []string{"_x/part-1", "part-0"}},
		{name: "underscore, but named", args: []string{"hadoop/_SUCCESS"}, want: []string{"_SUCCESS"}},
		{name: "underscore, named by a glob", args: []string{"hadoop/_S*"}, want: []string{"_SUCCESS"}},
		{name: "folder with an underscore, named", args: []string{"hadoop/_x"}, want: []string{"_x/part-1"}},
		{name: "glob", args: []string{"books/*.txt"}, want: []string{"b.txt"}},
		{name: "any depth", args: []string{"books/**/*.{txt,md}"}, want: []string{"b.txt", "deep/d.txt", "deep/er/c.md"}},
		{name: "glob that matches folders", args: []string{"books/d*"}, want: []string{"deep/d.txt", "deep/er/c.md"}},
		{name: "all", args: []string{"books/deep/**"}, want: []string{"d.txt", "er/c.md"}},
		{name: "glob with a free start", args: []string{"*/books/*"}, want: []string{"other/books/b.txt"}},
		{name: "the name of a file looks like a glob", args: []string{"odd/x[1].txt", "odd/{a,b}.txt"}, want: []string{"x[1].txt", "{a,b}.txt"}},
		{name: "twice", args: []string{"a.txt", "./a.txt", "books/../a.txt"}, want: []string{"a.txt"}},
		{name: "include by base name", args: []string{"books"}, include: []string{"*.md"}, want: []string{"books/deep/er/c.md"}},
		{name: "include by name", args: []string{"books"}, include: []string{"books/*/*.txt", "**/b.*"}, want: []string{"books/b.txt", "books/deep/d.txt"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := Find(c.args, Search{Filter: pick.Filter{Include: c.include}})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			var size int64
			for _, f := range p.Files {
				got = append(got, f.Name)
				size += f.Size
				if info, err := os.Stat(f.Path); err != nil || !filepath.IsAbs(f.Path) || info.Size() != f.Size {
					t.Errorf("%+v: %v", f, err)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if size != p.Bytes {
				t.Errorf("%d bytes, want %d", p.Bytes, size)
			}
		})
	}
}

func TestFindDot(t *testing.T) {
	dir := tree(t, "a.txt")
	p, err := Find([]string{"."}, Search{})
	if err != nil || p.Files[0].Name != filepath.Base(dir)+"/a.txt" {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestFindTellsWhatItPassesOver(t *testing.T) {
	dir := tree(t, "d/a", "d/_b", "d/broken->x", "d/loop->..", "d/self->self", "d/ping->pong", "d/pong->ping")
	if err := syscall.Mkfifo("d/pipe", 0o600); err != nil {
		t.Fatal(err)
	}
	want := []Skipped{
		{dir + "/d/_b", underscore},
		{dir + "/d/broken", "broken link"}, {dir + "/d/loop", "link to a folder"}, {dir + "/d/ping", linkLoop},
		{dir + "/d/pipe", "not a regular file"}, {dir + "/d/pong", linkLoop}, {dir + "/d/self", linkLoop},
	}
	for _, arg := range []string{"d", "d/*"} {
		p, err := Find([]string{arg}, Search{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, p.Skipped); diff != "" {
			t.Errorf("%s: %s", arg, diff)
		}
		if len(p.Files) != 1 || p.Files[0].Path != dir+"/d/a" {
			t.Errorf("%s: files are %+v", arg, p.Files)
		}
	}
}

func TestFindErrors(t *testing.T) {
	tree(t, "a/x.txt", "b/x.txt", "c/y/z", "d/y", "odd/new\nline", "bad/\xff", "empty/.keep", "empty/_SUCCESS", "many/.1", "many/.2", "many/.3", "many/.4", "self->self", "long/"+strings.Repeat("e", 241)+"/"+strings.Repeat("f", 241))
	if err := os.Mkdir("void", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name          string
		args, include []string
		want          []string
		is            error
	}{
		{name: "absent", args: []string{"nope"}, want: []string{"nope: no such file"}, is: fs.ErrNotExist},
		{name: "glob without a match", args: []string{"*.nope"}, want: []string{`nothing matches "*.nope"`}},
		{name: "bad glob", args: []string{"[a"}, want: []string{`"[a"`}},
		{name: "collision", args: []string{"a/x.txt", "b/x.txt"}, want: []string{"a/x.txt", "b/x.txt", "input/x.txt"}},
		{name: "file and folder", args: []string{"c/y", "d/y"}, want: []string{"d/y would be input/y", "c/y/z below it"}},
		{name: "device", args: []string{"/dev/null"}, want: []string{"/dev/null is neither"}},
		{name: "symbolic link to itself", args: []string{"self"}, want: []string{"self: too many levels of symbolic links"}},
		{name: "control characters", args: []string{"odd"}, want: []string{"control characters"}},
		{name: "not UTF-8", args: []string{"bad"}, want: []string{"UTF-8"}},
		{name: "long", args: []string{"long"}, want: []string{"480 bytes"}},
		{name: "all hidden", args: []string{"empty"}, want: []string{
			`no files to upload, all are skipped: 1: its name begins with "." (`, `empty/.keep); 1: its name begins with "_"`, `empty/_SUCCESS)`,
		}},
		{name: "many hidden", args: []string{"many"}, want: []string{`all are skipped: 4: its name begins with "."`, "many/.3, ...)"}},
		{name: "an empty folder", args: []string{"void"}, want: []string{"no files to upload: the folder has none"}},
		{name: "nothing included", args: []string{"a"}, include: []string{"*.md"}, want: []string{"all are skipped: 1: no include pattern matches (", "a/x.txt)"}},
		{name: "bad include", args: []string{"a"}, include: []string{"[a"}, want: []string{`include pattern "[a"`}},
		{name: "S3", args: []string{"s3://b/k"}, want: []string{"s3://b/k is not a local path"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Find(c.args, Search{Filter: pick.Filter{Include: c.include}})
			if err == nil {
				t.Fatal("no error")
			}
			if c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%v is not %v", err, c.is)
			}
			for _, part := range c.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is missing in: %v", part, err)
				}
			}
		})
	}
}
