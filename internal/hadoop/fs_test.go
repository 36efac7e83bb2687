package hadoop

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/mraws/mraws/internal/object"
)

// bucket is a store in memory.
type bucket map[string]string

var modified = time.Date(2026, 11, 30, 10, 5, 0, 0, time.Local)

func (b bucket) info(key string) object.Info {
	return object.Info{Key: key, Size: int64(len(b[key])), Modified: modified}
}

func (b bucket) Stat(_ context.Context, key string) (object.Info, error) {
	if _, ok := b[key]; !ok {
		return object.Info{}, fs.ErrNotExist
	}
	return b.info(key), nil
}

func (b bucket) List(_ context.Context, prefix string) iter.Seq2[object.Info, error] {
	return func(yield func(object.Info, error) bool) {
		for _, key := range slices.Sorted(maps.Keys(b)) {
			if strings.HasPrefix(key, prefix) && !yield(b.info(key), nil) {
				return
			}
		}
	}
}

func (b bucket) OpenRange(_ context.Context, key, _ string, off, n int64) (io.ReadCloser, error) {
	text := b[key][off:]
	if n >= 0 {
		text = text[:n]
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

func (b bucket) Copy(ctx context.Context, src, _, dst string, o object.PutOptions) (object.Info, error) {
	return b.Put(ctx, dst, []byte(b[src]), o)
}

func (b bucket) Put(_ context.Context, key string, data []byte, o object.PutOptions) (object.Info, error) {
	if _, ok := b[key]; ok && o.IfAbsent {
		return object.Info{}, fs.ErrExist
	}
	b[key] = string(data)
	return b.info(key), nil
}

func (b bucket) PutFile(ctx context.Context, key string, r io.ReaderAt, size int64, o object.PutOptions) (object.Info, error) {
	data, err := io.ReadAll(io.NewSectionReader(r, 0, size))
	if err != nil {
		return object.Info{}, err
	}
	return b.Put(ctx, key, data, o)
}

var root = Root{Bucket: "data", Dir: "p/fs/", Home: "/user/ann"}

// TestPaths: which key a path is, and how what is found is shown.
func TestPaths(t *testing.T) {
	for _, tt := range []struct{ path, bucket, key, shown string }{
		{"hdfs:///user/ann/a.txt", "data", "p/fs/user/ann/a.txt", "hdfs:///user/ann/a.txt"},
		{"hdfs://namenode:8020/a/b/", "data", "p/fs/a/b", "hdfs://namenode:8020/a/b"},
		{"hdfs:/a", "data", "p/fs/a", "hdfs:/a"},
		{"/a/../b//c", "data", "p/fs/b/c", "/b/c"},
		{"a/b", "data", "p/fs/user/ann/a/b", "a/b"},
		{"../bob/a", "data", "p/fs/user/bob/a", "user/bob/a"},
		{"/x/output/input~/outputs", "data", "p/fs/x/output~/input~~/outputs", "/x/output/input~/outputs"},
		{"s3://other/x/output/a", "other", "x/output/a", "s3://other/x/output/a"},
		{"s3a://other/mr-out-1", "other", "mr-out-1", "s3a://other/mr-out-1"},
	} {
		p, err := root.Parse(tt.path)
		if err != nil {
			t.Errorf("%s: %v", tt.path, err)
			continue
		}
		if p.Bucket != tt.bucket || p.Key() != tt.key || p.Show(p.name(p.Key())) != tt.shown {
			t.Errorf("%s is %s in %s, shown as %s", tt.path, p.Key(), p.Bucket, p.Show(p.name(p.Key())))
		}
	}
	for _, bad := range []string{"", "file:///etc/passwd", "gs://bucket/key"} {
		if p, err := root.Parse(bad); err == nil {
			t.Errorf("%q is %v", bad, p)
		}
	}
}

// packedText is a compressed text.
func packedText(t *testing.T, kind string) string {
	t.Helper()
	var b bytes.Buffer
	switch kind {
	case "gz":
		w := gzip.NewWriter(&b)
		if _, err := w.Write([]byte("gz\n")); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
	case "zst":
		w, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte("zstd\n")); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
	case "bz2": // the standard library writes none
		return "\x42\x5a\x68\x39\x31\x41\x59\x26\x53\x59\xef\xdf\x4f\x52\x00\x00\x01\x49\x80\x00\x10\x10\x00\x10\x20\x40\x10\x20\x00\x22\x18\x68\x30\x05\x58\x18\x5d\xc9\x14\xe1\x42\x43\xbf\x7d\x3d\x48"
	}
	return b.String()
}

// TestFS: what commands write, how they end, and what is there then.
func TestFS(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"one.txt": "one\n", "two.txt": "two\n", "sub/deep.txt": "deep\n"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	stores := map[string]bucket{
		"data": {
			"p/fs/out/mr-out-0": "a\n", "p/fs/out/mr-out-10": "k\n", "p/fs/out/mr-out-2": "c\n", "p/fs/out/_SUCCESS": "{}", "p/fs/out/_owner.json": "{}",
			"p/fs/out/deep/x y": "12345", "p/fs/outer": "o\n", "p/input/a": "no", "p/fs/user/_SUCCESS": "mine", "p/fs/empty/_owner.json": "{}",
			"p/fs/text/gz": packedText(t, "gz"), "p/fs/text/zst": packedText(t, "zst"), "p/fs/text/bz2": packedText(t, "bz2"), "p/fs/text/plain": "plain\n",
			"p/fs/text/long": "a" + strings.Repeat(".", 2000) + "z\n",
		},
		"other": {"k/output/mr-out-0": "z\n"},
	}
	var removed []string
	run := func(line string) (code int, out, errs string) {
		var o, e bytes.Buffer
		f := FS{Root: root, User: "ann", Out: &o, Err: &e, Store: func(name string) Store { return stores[name] }, Remove: func(_ context.Context, name string, keys []string) error {
			removed = append(removed, keys...)
			for _, key := range keys {
				delete(stores[name], key)
			}
			return nil
		}}
		code, err := f.Run(t.Context(), words(line))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return code, o.String(), e.String()
	}
	root := func(command, path string) string {
		return command + ": `" + path + "': Operation not permitted: it is the root of the file system\n"
	}
	const d, f, at = "drwxr-xr-x   - ann supergroup ", "-rw-r--r--   1 ann supergroup ", " 2026-11-30 10:05 "
	epoch := " " + time.Unix(0, 0).Local().Format("2006-01-02 15:04") + " "
	for _, tt := range []struct {
		line      string
		code      int
		out, errs string
	}{
		{"-ls hdfs:///out", 0, "Found 5 items\n" + f + "         0" + at + "hdfs:///out/_SUCCESS\n" + d + "         0" + epoch + "hdfs:///out/deep\n" + f + "         2" + at + "hdfs:///out/part-00000\n" + f + "         2" + at + "hdfs:///out/part-00002\n" +
			f + "         2" + at + "hdfs:///out/part-00010\n", ""},
		{"-ls -R /out/d*", 0, f + "         5" + at + "/out/deep/x y\n", ""},
		{"-lsr hdfs:///none", 1, "", "lsr: `hdfs:///none': No such file or directory\n"},
		{"-ls -R hdfs:///none", 1, "", "ls: `hdfs:///none': No such file or directory\n"},
		{"-ls /outer", 0, f + "         2" + at + "/outer\n", ""},
		{"-ls -C /", 0, "/empty\n/out\n/outer\n/text\n/user\n", ""},
		{"-ls s3://other/k", 0, "Found 1 items\n" + d + "         0" + epoch + "s3://other/k/output\n", ""},
		{"-cat /out/part-*", 0, "a\nc\nk\n", ""},
		{"-cat /out/part-00002 /outer", 0, "c\no\n", ""},
		{"-cat hdfs:///out/mr-out-10", 0, "k\n", ""},
		{"-cat s3://other/k/{input,output}/mr-out-?", 0, "z\n", ""},
		{"-cat /out /outer", 1, "o\n", "cat: `/out': Is a directory\n"},
		{"-cat /no* /outer", 1, "o\n", "cat: `/no*': No such file or directory\n"},
		{"-cat /out/*", 1, "a\nc\nk\n", "cat: `/out/deep': Is a directory\n"},
		{"-cat /out/_SUCCESS /out/_SUCC*", 0, "", ""},
		{"-cat /out/_owner.json", 1, "", "cat: `/out/_owner.json': No such file or directory\n"},
		{"-cat s3://data/p/fs/out/_*", 0, "{}{}", ""},
		{"-cat /user/_SUCCESS", 0, "mine", ""},
		{"-test -z /out/_SUCCESS", 0, "", ""},
		{"-du -s /out", 0, "11  11  /out\n", ""},
		{"-count /out /outer", 0, "           2            5                 11 /out\n           0            1                  2 /outer\n", ""},
		{"-text /text/gz /text/zst /text/bz2 /text/plain /out/_SUCCESS", 0, "gz\nzstd\nbzip2\nplain\n", ""},
		{"-head /text/long", 0, "a" + strings.Repeat(".", 1023), ""},
		{"-tail /text/long /outer", 0, strings.Repeat(".", 1022) + "z\no\n", ""},
		{"-tail -f /outer", 255, "", "-tail: Illegal option -f\n"},
		{"-chmod -R 777 /out", 0, "", ""},
		{"-chown ann /none", 1, "", "chown: `/none': No such file or directory\n"},
		{"-cp /out /copy", 0, "", ""},
		{"-ls -R -C /copy", 0, "/copy/_SUCCESS\n/copy/deep\n/copy/deep/x y\n/copy/part-00000\n/copy/part-00002\n/copy/part-00010\n", ""},
		{"-cat /copy/_SUCCESS /copy/part*", 0, "a\nc\nk\n", ""},
		{"-cp /outer /copy/part-00000", 1, "", "cp: `/copy/part-00000': File exists\n"},
		{"-cp -f /outer /copy/part-00000", 0, "", ""},
		{"-cp /outer /copy/part-00002 /copy/deep", 0, "", ""},
		{"-cp /outer /copy/part-00002 /outer", 1, "", "cp: `/outer': No such file or directory\n"},
		{"-cp /copy/part-* /new", 1, "", "cp: `/new': Is not a directory\ncp: `/new': Is not a directory\n"},
		{"-cp /outer s3://other/k/outer", 0, "", ""},
		{"-cat s3://other/k/outer /copy/part-00000", 0, "o\no\n", ""},
		{"-cp /copy /copy/deep", 1, "", "cp: `/copy' to `/copy/deep/copy': is a subdirectory of itself\n"},
		{"-cp /outer /outer", 1, "", "cp: `/outer' and `/outer': are the same file\n"},
		{"-mv /copy/deep/outer /new", 1, "", "mv: `/new': File exists\n"},
		{"-mv /copy/deep/outer /copy/moved", 0, "", ""},
		{"-mv /copy /moved/", 0, "", ""},
		{"-ls -R -C /moved", 0, "/moved/copy\n/moved/copy/_SUCCESS\n/moved/copy/deep\n/moved/copy/deep/part-00002\n/moved/copy/deep/x y\n/moved/copy/moved\n/moved/copy/part-00000\n/moved/copy/part-00002\n/moved/copy/part-00010\n", ""},
		{"-test -e /copy", 1, "", ""},
		{"-rmdir /moved/copy", 1, "", "rmdir: `/moved/copy': Directory is not empty\n"},
		{"-rmdir --ignore-fail-on-non-empty /moved/copy", 0, "", ""},
		{"-rmdir /outer", 1, "", "rmdir: `/outer': Is not a directory\n"},
		{"-rmdir /empty", 0, "", ""},
		{"-rm -R /moved /new /text /user/_SUCCESS", 0, "Deleted /moved\nDeleted /new\nDeleted /text\nDeleted /user/_SUCCESS\n", ""},
		{"-test -e /out", 0, "", ""},
		{"-test -d /outer", 1, "", ""},
		{"-test -e /none", 1, "", ""},
		{"-mkdir -p hdfs:///user/ann/tmp/output", 0, "", ""},
		{"-mkdir tmp/output", 1, "", "mkdir: `tmp/output': File exists\n"},
		{"-mkdir -p tmp/output", 0, "", ""},
		{"-mkdir -p /outer", 1, "", "mkdir: `/outer': File exists\n"},
		{"-ls -R /user/ann", 0, d + "         0" + epoch + "/user/ann/tmp\n" + d + "         0" + epoch + "/user/ann/tmp/output\n", ""},
		{"-put one.txt two.txt tmp/output", 0, "", ""},
		{"-put one.txt tmp/output/", 1, "", "put: `tmp/output/one.txt': File exists\n"},
		{"-put -f one.txt tmp/output/two.txt", 0, "", ""},
		{"-cat tmp/output/*", 0, "one\none\n", ""},
		{"-put none.txt tmp/x", 1, "", "put: `none.txt': No such file or directory\n"},
		{"-put one.txt two.txt tmp/x", 1, "", "put: `tmp/x': No such file or directory\n"},
		{"-put . /all", 0, "", ""},
		{"-du -s /all", 0, "13  13  /all\n", ""},
		{"-get /all got", 0, "", ""},
		{"-getmerge /out merged", 0, "", ""},
		{"-getmerge -nl -skip-empty-file /out /outer lines", 0, "", ""},
		{"-get /out/part-00000 got", 0, "", ""},
		{"-get /outer one.txt", 1, "", "get: `one.txt': File exists\n"},
		{"-getmerge /none two.txt", 1, "", "getmerge: `/none': No such file or directory\n"},
		{"-getmerge /outer /none unmade", 1, "", "getmerge: `/none': No such file or directory\n"},
		{"-getmerge /outer none/unmade", 1, "", "getmerge: `none/unmade': No such file or directory\n"},
		{"-get -f /none two.txt", 1, "", "get: `/none': No such file or directory\n"},
		{"-get -f /outer sub/deep.txt", 0, "", ""},
		{"-touchz /all/empty", 0, "", ""},
		{"-test -z /all/empty", 0, "", ""},
		{"-rm /all", 1, "", "rm: `/all': Is a directory\n"},
		{"-rm -R -f -skipTrash hdfs:///none", 0, "", ""},
		{"-rm -R -skipTrash hdfs:///none", 1, "", "rm: `hdfs:///none': No such file or directory\n"},
		{"-rmr /all", 0, "Deleted /all\n", ""},
		{"-rm /out/part-00000", 0, "Deleted /out/part-00000\n", ""},
		{"-rm -r /", 1, "", root("rm", "/")},
		{"-rmr hdfs:///", 1, "", root("rmr", "hdfs:///")},
		{"-rm -r -f -skipTrash /. // ../..", 1, "", root("rm", "/.") + root("rm", "//") + root("rm", "../..")},
		{"-rm -R s3://other", 1, "", root("rm", "s3://other")},
		{"-rmdir --ignore-fail-on-non-empty /", 1, "", root("rmdir", "/")},
		{"-mv / s3://other/x", 1, "", root("mv", "/")},
		{"-dance a b", 255, "", "-dance: Unknown command\n"},
		{"-ls -Z", 255, "", "-ls: Illegal option -Z\n"},
		{"-cat", 255, "", "-cat: Not enough arguments: expected 1 but got 0\n"},
		{"-cat gs://a/b", 255, "", "cat: gs://a/b: there is no file system gs, only hdfs and s3\n"},
	} {
		code, out, errs := run(tt.line)
		if code != tt.code || out != tt.out || errs != tt.errs {
			t.Errorf("%s: code %d\n%s", tt.line, code, cmp.Diff(tt.out+"---\n"+tt.errs, out+"---\n"+errs))
		}
	}
	for _, key := range []string{"p/fs/copy/deep/outer", "p/fs/copy/", "p/fs/empty/_owner.json", "p/fs/moved/copy/part-00000", "p/fs/new"} {
		if !slices.Contains(removed, key) {
			t.Errorf("%s is not removed", key)
		}
	}
	removed = slices.DeleteFunc(removed, func(key string) bool {
		return !strings.HasPrefix(key, "p/fs/all/") && !strings.HasPrefix(key, "p/fs/out/")
	})
	want := []string{"p/fs/all/", "p/fs/all/empty", "p/fs/all/one.txt", "p/fs/all/sub/deep.txt", "p/fs/all/two.txt", "p/fs/out/mr-out-0"}
	if diff := cmp.Diff(want, removed); diff != "" {
		t.Errorf("removed (-want +got):\n%s", diff)
	}
	for name, want := range map[string]string{"got/sub/deep.txt": "deep\n", "got/part-00000": "a\n", "one.txt": "one\n", "merged": "a\nc\nk\n", "lines": "a\n\nc\n\nk\n\no\n\n", "two.txt": "two\n", "sub/deep.txt": "o\n"} {
		if got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name))); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if names, err := filepath.Glob("unmade*"); err != nil || len(names) > 0 {
		t.Errorf("left: %v, %v", names, err)
	}
}

// cutBucket is a bucket whose objects cannot be read to their end.
type cutBucket struct{ bucket }

func (b cutBucket) OpenRange(context.Context, string, string, int64, int64) (io.ReadCloser, error) {
	return io.NopCloser(io.MultiReader(strings.NewReader("begin"), iotest.ErrReader(io.ErrUnexpectedEOF))), nil
}

// TestFetchFails: a file that cannot be fetched to its end leaves the one that is there,
// and no part of itself.
func TestFetchFails(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("old", []byte("old\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	f := FS{Root: root, Out: io.Discard, Err: io.Discard, Store: func(string) Store { return cutBucket{bucket{"p/fs/a": "begin and end"}} }}
	for _, line := range []string{"-get -f /a old", "-get /a new"} {
		if _, err := f.Run(t.Context(), words(line)); err == nil {
			t.Errorf("%s: no error", line)
		}
	}
	if text, err := os.ReadFile("old"); err != nil || string(text) != "old\n" {
		t.Errorf("old: %q, %v", text, err)
	}
	if names, err := filepath.Glob("*"); err != nil || len(names) != 1 {
		t.Errorf("left: %v, %v", names, err)
	}
}

// TestTextDamaged: what cannot be decompressed is named.
func TestTextDamaged(t *testing.T) {
	whole := packedText(t, "gz")
	files := bucket{"p/fs/cut": whole[:len(whole)-4], "p/fs/head": whole[:5]}
	f := FS{Root: root, Out: io.Discard, Err: io.Discard, Store: func(string) Store { return files }}
	for _, path := range []string{"/cut", "/head"} {
		if _, err := f.Run(t.Context(), []string{"-text", path}); err == nil || !strings.HasPrefix(err.Error(), "read "+path+": ") {
			t.Errorf("%s: %v", path, err)
		}
	}
}
