package pick

import (
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestKeys: which keys a pattern matches, and below what they are listed.
func TestKeys(t *testing.T) {
	keys := []string{
		"a.gz", "logs/2025/x.gz", "logs/2026/01/b.gz", "logs/2026/01/b.txt", "logs/2026/a.gz", "logs/2026/_tmp.gz",
		"logs/2026/.hid/c.gz", "logs/[x]/d.gz", "logs//e.gz", "raw/é.gz",
	}
	for _, tt := range []struct {
		pattern, fixed string
		want           []string
	}{
		{"*.gz", "", []string{"a.gz"}},
		{"**/*.gz", "", []string{"a.gz", "logs/2025/x.gz", "logs/2026/01/b.gz", "logs/2026/a.gz", "logs/[x]/d.gz", "logs//e.gz", "raw/é.gz"}},
		{"logs/2026/**/*.gz", "logs/2026/", []string{"logs/2026/01/b.gz", "logs/2026/a.gz"}},
		{"logs/202[56]", "logs/202", []string{"logs/2025/x.gz", "logs/2026/01/b.gz", "logs/2026/01/b.txt", "logs/2026/a.gz"}},
		{"logs/202[56]/", "logs/202", []string{"logs/2025/x.gz", "logs/2026/01/b.gz", "logs/2026/01/b.txt", "logs/2026/a.gz"}},
		{"logs/2026/*/", "logs/2026/", []string{"logs/2026/01/b.gz", "logs/2026/01/b.txt"}},
		{"logs/2026/_*", "logs/2026/_", []string{"logs/2026/_tmp.gz"}},
		{"logs/2026/.h*/*", "logs/2026/.h", []string{"logs/2026/.hid/c.gz"}},
		{"logs/{2025,2026/01}/*", "logs/2025/ logs/2026/01/", []string{"logs/2025/x.gz", "logs/2026/01/b.gz", "logs/2026/01/b.txt"}},
		{`logs/\[x\]/*`, "logs/[x]/", []string{"logs/[x]/d.gz"}},
		{"raw/?.gz", "raw/", []string{"raw/é.gz"}},
		{"logs/20*6/?.txt", "logs/20", nil},
		{"nothing*", "nothing", nil},
		{"{a,lo}*.gz", "a lo", []string{"a.gz"}},
		{"{a,ab,b}{1,2*}", "a b", nil},
		{"{a,ab,b}{1,2}*", "a1 a2 ab1 ab2 b1 b2", nil},
		{"{a,ab,b}*", "a b", []string{"a.gz"}},
		{"x{a,{b,c}}/*", "x", nil},
		{`x{a\,b}/*`, "x", nil},
		{"x{,y}/*", "x/ xy/", nil},
		{strings.Repeat("{a,b}", 7), "", nil},
	} {
		k, err := Parse(tt.pattern)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(k.Prefixes(), " "); got != tt.fixed {
			t.Errorf("%s: keys begin with %q, want %q", tt.pattern, got, tt.fixed)
		}
		got := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return !k.Match(key) })
		if d := cmp.Diff(tt.want, got, cmp.Comparer(func(a, b []string) bool { return slices.Equal(a, b) })); d != "" {
			t.Errorf("%s: %s", tt.pattern, d)
		}
	}
	if _, err := Parse("a[b"); err == nil || err.Error() != `pattern "a[b" is malformed` {
		t.Errorf("%v", err)
	}
}

// TestKeysAsFiles: a pattern matches the keys that it matches as paths of files, of
// which the glob of files returns those and the folders that they lie in.
func TestKeysAsFiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		element := rapid.StringMatching(`[ab]{1,2}`)
		files := fstest.MapFS{}
		for _, elements := range rapid.SliceOfN(rapid.SliceOfN(element, 1, 3), 1, 6).Draw(t, "keys") {
			key := path.Join(elements...)
			free := true // no file is a folder of another
			for other := range files {
				free = free && !strings.HasPrefix(key+"/", other+"/") && !strings.HasPrefix(other+"/", key+"/")
			}
			if free {
				files[key] = &fstest.MapFile{}
			}
		}
		part := rapid.StringMatching(`[ab]{1,2}|a?\*b?|\*\*|\?|a\?|\[ab\]|\{a,b\*\}`)
		pattern := path.Join(rapid.SliceOfN(part, 1, 3).Draw(t, "pattern")...)
		found, err := doublestar.Glob(files, pattern)
		if err != nil {
			t.Fatal(err)
		}
		k, err := Parse(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for key := range files {
			want := slices.ContainsFunc(found, func(f string) bool { return f == key || f == "." || len(key) > len(f) && key[:len(f)+1] == f+"/" })
			below := slices.ContainsFunc(k.Prefixes(), func(p string) bool { return strings.HasPrefix(key, p) })
			if want && !below {
				t.Errorf("%s matches %s, which begins with none of %q", pattern, key, k.Prefixes())
			}
			if k.Match(key) != want {
				t.Errorf("%s matches %s: %v, among files %v (%v)", pattern, key, !want, want, found)
			}
		}
	})
}

// TestFilter: what is taken.
func TestFilter(t *testing.T) {
	for _, tt := range []struct {
		filter      Filter
		name, place string
		want        bool
	}{
		{Filter{}, "a/b.gz", "", true},
		{Filter{Include: []string{"*.gz"}}, "a/b.gz", "", true},
		{Filter{Include: []string{"*.gz"}}, "a/b.txt", "", false},
		{Filter{Include: []string{"*.txt", "a/*.gz"}}, "a/b.gz", "", true},
		{Filter{Include: []string{"b/*.gz"}}, "a/b.gz", "", false},
		{Filter{Exclude: []string{"*.gz"}}, "a/b.gz", "", false},
		{Filter{Exclude: []string{"a/**"}}, "a/x/b.gz", "", false},
		{Filter{Include: []string{"*.gz"}, Exclude: []string{"a/**"}}, "b/b.gz", "", true},
		{Filter{Exclude: []string{"s3://logs/a/**"}}, "a/b.gz", "s3://logs/a/b.gz", false},
		{Filter{Exclude: []string{"s3://logs/a/**"}}, "a/b.gz", "s3://other/a/b.gz", true},
		{Filter{Exclude: []string{"s3://logs/a/**"}}, "a/b.gz", "", true},
	} {
		if got := tt.filter.Takes(tt.name, tt.place); got != tt.want {
			t.Errorf("%+v takes %s (%s): %v", tt.filter, tt.name, tt.place, got)
		}
	}
	for want, f := range map[string]Filter{
		`include pattern "[" is malformed`: {Include: []string{"a", "["}}, `exclude pattern "{" is malformed`: {Exclude: []string{"{"}},
	} {
		if err := f.Check(); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if (Filter{Include: []string{"*"}}).IsZero() || !(Filter{}).IsZero() || (Filter{Include: []string{"*"}}).Check() != nil {
		t.Error("what a filter is")
	}
}
