package s3conform

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/s3fs"
)

// putAll writes small objects concurrently, each holding its own key.
func (s suite) putAll(t *testing.T, keys []string) {
	t.Helper()
	g, ctx := errgroup.WithContext(t.Context())
	g.SetLimit(racers)
	for _, key := range keys {
		g.Go(func() error {
			_, err := s.Put(ctx, key, []byte(key), s3fs.PutOptions{IfAbsent: true})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// keys lists the keys below prefix.
func (s suite) keys(ctx context.Context, t *testing.T, prefix string) []string {
	t.Helper()
	var keys []string
	for obj, err := range s.List(ctx, prefix) {
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, obj.Key)
	}
	return keys
}

// listing: a listing is complete and in byte order, over pages and folders.
func (s suite) listing(t *testing.T) {
	ctx := t.Context()
	var keys []string
	for m := range 241 {
		for r := range 5 {
			keys = append(keys, fmt.Sprintf("intermediate/mr-%d-%d", m, r))
		}
	}
	more := []string{"a.b/1", "a/b/1", "a/b/2", "a/c", "a-b", "a0", "b"}
	s.putAll(t, append(slices.Clone(keys), more...))
	slices.Sort(keys)
	if d := cmp.Diff(keys, s.keys(ctx, t, "intermediate/")); d != "" {
		t.Errorf("listing of %d keys (-want +got):\n%s", len(keys), d)
	}
	all := append(slices.Clone(keys), more...)
	slices.Sort(all)
	if d := cmp.Diff(all, s.keys(ctx, t, "")); d != "" {
		t.Errorf("listing of the bucket (-want +got):\n%s", d)
	}
	for prefix, want := range map[string][]string{
		"a/":   {"a/b/1", "a/b/2", "a/c"},
		"a":    {"a-b", "a.b/1", "a/b/1", "a/b/2", "a/c", "a0"},
		"a/b":  {"a/b/1", "a/b/2"},
		"none": nil,
		"z/":   nil,
	} {
		if d := cmp.Diff(want, s.keys(ctx, t, prefix)); d != "" {
			t.Errorf("listing below %q (-want +got):\n%s", prefix, d)
		}
	}
	for obj, err := range s.List(ctx, "a/c") {
		if err != nil || obj.Size != 3 || obj.ETag == "" || obj.Modified.IsZero() {
			t.Errorf("listed as %+v, %v", obj, err)
		}
	}
	for prefix, want := range map[string][]string{"": {"a.b/", "a/", "intermediate/"}, "a/": {"a/b/"}, "a/b/": nil} {
		var got []string
		for dir, err := range s.ListDirs(ctx, prefix) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, dir)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("folders below %q (-want +got):\n%s", prefix, d)
		}
	}
	n := 0
	for _, err := range s.List(ctx, "") { // stopped early
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 3 {
			break
		}
	}
}

// deletes: more keys than one request takes are deleted, and only those.
func (s suite) deletes(t *testing.T) {
	ctx := t.Context()
	var keys []string
	for i := range 1100 {
		keys = append(keys, fmt.Sprintf("d/%d", i))
	}
	s.putAll(t, append(slices.Clone(keys), "keep", "d2"))
	if err := s.Delete(ctx, append(keys, "none")...); err != nil {
		t.Fatal(err)
	}
	if n := s.Requests()["DeleteObjects"]; n != 2 {
		t.Errorf("%d requests for %d keys, of which one takes 1,000", n, len(keys)+1)
	}
	if d := cmp.Diff([]string{"d2", "keep"}, s.keys(ctx, t, "")); d != "" {
		t.Errorf("left over (-want +got):\n%s", d)
	}
	if err := s.Delete(ctx, keys[0]); err != nil {
		t.Errorf("delete a second time: %v", err)
	}
	if err := s.Delete(ctx); err != nil {
		t.Errorf("delete nothing: %v", err)
	}
	if _, err := s.Stat(ctx, keys[0]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat of a deleted object: %v", err)
	}
	if _, err := s.Put(ctx, keys[0], nil, s3fs.PutOptions{IfAbsent: true}); err != nil {
		t.Errorf("create again: %v", err)
	}
}

// oddKeys are keys that a careless client or server confuses.
var oddKeys = []string{
	"input/a b", "input/a+b", "input/a%20b", "input/a%2Fb", "input/100%", "input/ü/日本語.txt", "input/😀",
	"input/u\u0308", "input/'single'", `input/"double"`, "input/a&b", "input/a=b?c=d", "input/a#b", "input/dot.",
	"input/.hidden", "input/..dots", "input/...", "input/a;b:c,d", "input/[a]{b}(c)", "input/$HOME", "input/~", "input/!*@",
	"input/a|b^c`d", `input/a\b`, "input/<a>", "input/ leading", "input/trailing ", "input/tab\tbed", "input/UPPER", "input/upper",
	"input/deep/er/and/deep/er/still", "-dash", "_under", "input/&amp;",
}

// oddKeys: every key is an object of its own, and is listed and deleted by
// its own name.
func (s suite) oddKeys(t *testing.T) {
	ctx := t.Context()
	s.putAll(t, oddKeys)
	for _, key := range oddKeys {
		s.want(t, key, []byte(key))
		if got, err := s.readRange(ctx, key, "", 1, -1); err != nil || string(got) != key[1:] {
			t.Errorf("range of %q: %q, %v", key, got, err)
		}
	}
	want := slices.Sorted(slices.Values(oddKeys))
	if d := cmp.Diff(want, s.keys(ctx, t, "")); d != "" {
		t.Errorf("listing (-want +got):\n%s", d)
	}
	for _, key := range oddKeys {
		if got := s.keys(ctx, t, key); !slices.Contains(got, key) {
			t.Errorf("listing below %q: %q", key, got)
		}
		dst := "copy/" + key
		if _, err := s.Copy(ctx, key, "", dst, s3fs.PutOptions{}); err != nil {
			t.Error(err)
			continue
		}
		s.want(t, dst, []byte(key))
	}
	if err := s.Delete(ctx, s.keys(ctx, t, "")...); err != nil {
		t.Error(err)
	}
	if left := s.keys(ctx, t, ""); left != nil {
		t.Errorf("left over: %q", left)
	}
}
