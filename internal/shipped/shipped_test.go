package shipped

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
)

var lay = layout.New("p")

// bucket is a Source.
type bucket struct {
	mu      sync.Mutex
	objects map[string]string
	asked   int
}

func (b *bucket) OpenChunks(_ context.Context, key, _ string, _, _, _ int64, _ int) (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	data, ok := b.objects[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(strings.NewReader(data)), nil
}

// add adds a file, and returns what a job says of it.
func (b *bucket) add(name, archive, data string) manifest.CodeFile {
	sum := sha256.Sum256([]byte(data))
	f := manifest.CodeFile{Name: name, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(data)), Archive: archive}
	b.objects[lay.Code(f.SHA256)] = data
	return f
}

func newBucket() *bucket { return &bucket{objects: map[string]string{}} }

// cache is a cache over the bucket. Nothing has a name in its scratch folder, and
// nothing is open when the test has ended.
func (b *bucket) cache(t *testing.T) *Cache {
	t.Helper()
	dir := t.TempDir()
	c := NewCache(Options{Store: b, Scratch: dir, Most: 1 << 20})
	t.Cleanup(func() {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left in scratch: %v, %v", left, err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// tarred is an archive of these headers; a name that ends in a slash is a folder.
func tarred(t *testing.T, all ...tar.Header) string {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range all {
		text := "text of " + h.Name
		switch {
		case h.Typeflag != 0:
			text = ""
		case strings.HasSuffix(h.Name, "/"):
			h.Typeflag, text = tar.TypeDir, ""
		}
		h.Mode, h.Size = 0o644, int64(len(text))
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func gzipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zipped(t *testing.T, names ...string) string {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range names {
		f, err := w.Create(name)
		if err == nil && !strings.HasSuffix(name, "/") {
			_, err = io.WriteString(f, "text of "+name)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestFiles: plain files and those of archives are one file system, which keeps the
// rules of io/fs, and are fetched once for all who ask side by side.
func TestFiles(t *testing.T) {
	b := newBucket()
	files := []manifest.CodeFile{
		b.add("data.tar", manifest.Tar, tarred(t, tar.Header{Name: "./"}, tar.Header{Name: "./a.txt"}, tar.Header{Name: "sub/deep/b.txt"})),
		b.add("data.tgz", manifest.TarGz, gzipped(t, tarred(t, tar.Header{Name: "sub/"}, tar.Header{Name: "sub/c.txt"}))),
		b.add("data.zip", manifest.Zip, zipped(t, "d.txt", "sub/", "sub/e.txt")),
		b.add("empty.zip", manifest.Zip, zipped(t)),
		b.add("words.txt", "", "a\nb\n"),
	}
	c := b.cache(t)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			got, err := c.Files(t.Context(), lay, files, func() {})
			if err != nil {
				t.Error(err)
				return
			}
			want := map[string]string{
				"data.tar/a.txt": "text of ./a.txt", "data.tar/sub/deep/b.txt": "text of sub/deep/b.txt", "data.tgz/sub/c.txt": "text of sub/c.txt",
				"data.zip/d.txt": "text of d.txt", "data.zip/sub/e.txt": "text of sub/e.txt", "words.txt": "a\nb\n",
			}
			all := map[string]string{}
			if err := fs.WalkDir(got, ".", func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				text, err := fs.ReadFile(got, path)
				all[path] = string(text)
				return err
			}); err != nil {
				t.Error(err)
			}
			if diff := cmp.Diff(want, all); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if info, err := fs.Stat(got, "empty.zip"); err != nil || !info.IsDir() {
				t.Errorf("an archive without files: %v, %v", info, err)
			}
			if _, err := got.Open("other"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a file that is not shipped: %v", err)
			}
			if err := fstest.TestFS(got, "words.txt", "data.tar/sub/deep/b.txt"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if b.asked != len(files) {
		t.Errorf("%d requests for %d files", b.asked, len(files))
	}
}

// TestDamaged: a file that is gone or has other bytes is a *DamagedError with its key,
// and is asked for again.
func TestDamaged(t *testing.T) {
	b := newBucket()
	f := b.add("words.txt", "", "a\nb\n")
	key := lay.Code(f.SHA256)
	c := b.cache(t)
	for _, tt := range []struct{ now, want string }{
		{"", "shipped file words.txt: fetch " + key + ": file does not exist"},
		{"a\nc\n", "shipped file words.txt: fetch " + key + ": it has other bytes than the file that the job ships"},
		{"a\n", "it has other bytes"}, {"a\nb\nc\n", "it has other bytes"},
	} {
		if b.objects[key] = tt.now; tt.now == "" {
			delete(b.objects, key)
		}
		_, err := c.Files(t.Context(), lay, []manifest.CodeFile{f}, func() {})
		var damaged *DamagedError
		if !errors.As(err, &damaged) || damaged.Key != key || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v, want %s", tt.now, err, tt.want)
		}
	}
	b.objects[key] = "a\nb\n"
	if got, err := c.Files(t.Context(), lay, []manifest.CodeFile{f}, func() {}); err != nil {
		t.Error(err)
	} else if text, err := fs.ReadFile(got, "words.txt"); err != nil || string(text) != "a\nb\n" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestBadArchives: an archive that is none, that has links, or whose names lead out of
// it, is an *ArchiveError.
func TestBadArchives(t *testing.T) {
	for name, tt := range map[string]struct{ kind, data, want string }{
		"no zip":         {manifest.Zip, "text", "zip: not a valid zip file"},
		"no tar":         {manifest.Tar, strings.Repeat("text", 512), "tar: invalid tar header"},
		"no gzip":        {manifest.TarGz, strings.Repeat("text", 512), "gzip: invalid header"},
		"half a tar.gz":  {manifest.TarGz, gzipped(t, tarred(t, tar.Header{Name: "a"}))[:40], "unexpected EOF"},
		"symbolic link":  {manifest.Tar, tarred(t, tar.Header{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}), `"a" is a link`},
		"hard link":      {manifest.Tar, tarred(t, tar.Header{Name: "a"}, tar.Header{Name: "b", Typeflag: tar.TypeLink, Linkname: "a"}), `"b" is a link`},
		"pipe":           {manifest.Tar, tarred(t, tar.Header{Name: "a", Typeflag: tar.TypeFifo}), "neither file, folder nor link"},
		"leads out":      {manifest.Tar, tarred(t, tar.Header{Name: "a/../../b"}), `"../b" is no name`},
		"absolute":       {manifest.Zip, zipped(t, "/etc/passwd"), `"/etc/passwd" is no name`},
		"backslash":      {manifest.Zip, zipped(t, `a\b`), `is no name of a file`},
		"one name twice": {manifest.Tar, tarred(t, tar.Header{Name: "a"}, tar.Header{Name: "./a"}), `two files with the name "data/a"`},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBucket()
			_, err := b.cache(t).Files(t.Context(), lay, []manifest.CodeFile{b.add("data", tt.kind, tt.data)}, func() {})
			var archive *ArchiveError
			if !errors.As(err, &archive) || archive.Name != "data" || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

// TestBound: what a job ships is bounded with its archives unpacked. Another machine may
// allow more, so it is no *ArchiveError.
func TestBound(t *testing.T) {
	b := newBucket()
	bomb := b.add("bomb", manifest.TarGz, gzipped(t, tarred(t, tar.Header{Name: "a"})+strings.Repeat("\x00", 1<<10)))
	c := b.cache(t)
	c.o.Most = 3
	var archive *ArchiveError
	for _, f := range []manifest.CodeFile{bomb, b.add("words.txt", "", "a\nb\n")} {
		if _, err := c.Files(t.Context(), lay, []manifest.CodeFile{f}, func() {}); err == nil || !strings.Contains(err.Error(), "more than 3 bytes (exec-disk)") || errors.As(err, &archive) {
			t.Errorf("%s: %v", f.Name, err)
		}
	}
}

// TestEnded: an attempt that has ended gets nothing, and others get all.
func TestEnded(t *testing.T) {
	b := newBucket()
	files := []manifest.CodeFile{b.add("words.txt", "", "a\nb\n")}
	c := b.cache(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	over := errors.New("over")
	cancel(over)
	if _, err := c.Files(ctx, lay, files, func() {}); !errors.Is(err, over) {
		t.Errorf("%v", err)
	}
	if _, err := c.Files(t.Context(), lay, files, func() {}); err != nil {
		t.Error(err)
	}
}
