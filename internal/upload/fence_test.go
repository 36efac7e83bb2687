package upload

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// hasCredentials is what makes a folder a data folder in these tests.
func hasCredentials(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "credentials.json"))
	return err == nil
}

// TestFindSparesTheDataFolder: neither store nor credentials are input,
// however they are reached.
func TestFindSparesTheDataFolder(t *testing.T) {
	dir := tree(t, "in/a.txt", "in/data/credentials.json", "in/data/s3/b/input/x", "in/out/mr-out-0",
		"in/z/secret->../data/credentials.json", "in/z/object->../data/s3/b/input/x", "in/z/store->../data/s3", "in/z/link->../a.txt",
		"in/old/credentials.json", "in/old/s3/b/y", "elsewhere/data->../in/data", "elsewhere/b.txt")
	if err := os.Link("in/data/credentials.json", "in/z/hard"); err != nil {
		t.Fatal(err)
	}
	o := Search{Store: hasCredentials, Avoid: []Avoid{{dir + "/in/data/credentials.json", "keys"}, {dir + "/in/out", "output folder"}, {dir + "/absent", "nothing"}}}
	for _, c := range []struct {
		arg           string
		want, skipped []string
	}{
		{"in", []string{"in/a.txt", "in/z/link"}, []string{"in/data", "in/old", "in/out", "in/z/hard", "in/z/object", "in/z/secret", "in/z/store"}},
		{"elsewhere", []string{"elsewhere/b.txt"}, []string{"elsewhere/data"}},
		{"in/*", []string{"a.txt", "z/link"}, []string{"in/data", "in/old", "in/out", "in/z/hard", "in/z/object", "in/z/secret", "in/z/store"}},
		{"in/**/*.txt", []string{"a.txt"}, nil},
		{"**/*", []string{"elsewhere/b.txt", "in/a.txt", "in/z/link"}, []string{
			"elsewhere/data", "in/data", "in/data/credentials.json", "in/data/s3", "in/data/s3/b", "in/data/s3/b/input", "in/data/s3/b/input/x",
			"in/old", "in/old/credentials.json", "in/old/s3", "in/old/s3/b", "in/old/s3/b/y", "in/out", "in/out/mr-out-0",
			"in/z/hard", "in/z/object", "in/z/secret", "in/z/store",
		}},
	} {
		p, err := Find([]string{c.arg}, o)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]bool{}
		var names, skipped []string
		for _, f := range p.Files {
			names = append(names, f.Name)
		}
		for _, s := range p.Skipped {
			if rel := strings.TrimPrefix(s.Path, dir+"/"); !got[rel] { // a pattern may find one twice
				skipped, got[rel] = append(skipped, rel), true
			}
		}
		if d := cmp.Diff(c.want, names); d != "" {
			t.Errorf("%s: files: %s", c.arg, d)
		}
		less := func(list []string) map[string]bool {
			m := map[string]bool{}
			for _, s := range list {
				m[s] = true
			}
			return m
		}
		if d := cmp.Diff(less(c.skipped), less(skipped)); d != "" {
			t.Errorf("%s: passed over: %s", c.arg, d)
		}
	}
	for _, arg := range []string{"in/data", "in/data/s3/b/input", "in/data/credentials.json", "elsewhere/data", "elsewhere/data/s3", "in/z/secret", "in/z/hard", "in/out", "in/out/mr-out-0", "in/old/s3/b/y"} {
		if p, err := Find([]string{arg}, o); err == nil || !strings.Contains(err.Error(), arg+" is not uploaded: it belongs to the ") {
			t.Errorf("%s: %+v, %v", arg, p, err)
		}
	}
}
