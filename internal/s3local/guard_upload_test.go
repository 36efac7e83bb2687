package s3local

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/versity/versitygw/backend/posix"

	"github.com/mraws/mraws/internal/datadir"
)

// beginUpload makes an upload of one part, and returns its id, the part's
// ETag and what completes it under the condition that there is no object yet.
func beginUpload(c *client, path, body string) (id, etag string, complete func() reply) {
	c.t.Helper()
	id = c.createUpload(path)
	etag = c.want(200, "PUT", path+"?partNumber=1&uploadId="+id, body).header.Get("ETag")
	done := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + etag + "</ETag></Part></CompleteMultipartUpload>"
	return id, etag, func() reply { return c.do("POST", path+"?uploadId="+id, done, "If-None-Match", "*") }
}

// both runs a test with all guards and without the one of uploads.
func both(t *testing.T, test func(t *testing.T, on guards)) {
	t.Run("unguarded", func(t *testing.T) {
		on := allGuards
		on.uploads = false
		test(t, on)
	})
	t.Run("guarded", func(t *testing.T) { test(t, allGuards) })
}

// TestCompletionOfNoUpload: who completes an upload that was aborted has not
// made the object that is there.
func TestCompletionOfNoUpload(t *testing.T) {
	both(t, func(t *testing.T, on guards) {
		c := newClient(t, run(t, t.TempDir(), on).Endpoint())
		c.want(200, "PUT", "/bucket", "")
		_, _, first := beginUpload(c, "/bucket/once", "first")
		id, _, second := beginUpload(c, "/bucket/once", "second")
		if r := first(); r.status != 200 {
			t.Fatalf("the first completion: %d %s", r.status, r.body)
		}
		if r := second(); r.status != http.StatusPreconditionFailed {
			t.Fatalf("the second completion: %d %s", r.status, r.body)
		}
		c.want(204, "DELETE", "/bucket/once?uploadId="+id, "")
		want := 200 // which is wrong
		if on.uploads {
			want = 404
		}
		if r := second(); r.status != want {
			t.Errorf("completion after the abort: %d, want %d: %s", r.status, want, r.body)
		}
		if r := first(); r.status != want {
			t.Errorf("completion after it went well: %d, want %d: %s", r.status, want, r.body)
		}
	})
}

// TestCompletionsAtOnce: of many completions of one upload, one goes well.
func TestCompletionsAtOnce(t *testing.T) {
	c := newClient(t, run(t, t.TempDir(), allGuards).Endpoint())
	c.want(200, "PUT", "/bucket", "")
	for n := range 20 {
		_, _, complete := beginUpload(c, fmt.Sprintf("/bucket/%d", n), "x")
		var all sync.WaitGroup
		codes := make([]int, 8)
		for i := range codes {
			all.Go(func() { codes[i] = complete().status })
		}
		all.Wait()
		count := map[int]int{}
		for _, code := range codes {
			count[code]++
		}
		if count[200] != 1 || count[404] != len(codes)-1 {
			t.Fatalf("round %d: %v, want 200 once and else 404", n, codes)
		}
	}
}

// TestCompletionAfterCrash: a server that is killed while it completes an
// upload leaves the mark of that. The next one is asked again and has to make
// the object before it says that it is there.
func TestCompletionAfterCrash(t *testing.T) {
	both(t, func(t *testing.T, on guards) {
		dir := t.TempDir()
		s := run(t, dir, on)
		c := newClient(t, s.Endpoint())
		c.want(200, "PUT", "/bucket", "")
		id, etag, _ := beginUpload(c, "/bucket/multi", "content")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		folder := filepath.Join(dir, datadir.Root, uploadFolder("bucket", "multi", id))
		token := fmt.Sprintf("%x-1", sha256.Sum256([]byte("1:"+etag[1:len(etag)-1]+";")))
		if err := os.Rename(folder, folder+"."+token+inProgress); err != nil {
			t.Fatal(err)
		}

		c = newClient(t, run(t, dir, on).Endpoint())
		done := "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + etag + "</ETag></Part></CompleteMultipartUpload>"
		c.want(200, "POST", "/bucket/multi?uploadId="+id, done, "If-None-Match", "*")
		want := 404 // which is wrong: the completion is answered, and there is nothing
		if on.uploads {
			want = 200
		}
		if r := c.do("GET", "/bucket/multi", ""); r.status != want || want == 200 && r.body != "content" {
			t.Errorf("the object: %d %q, want %d", r.status, r.body, want)
		}
	})
}

// meanwhile is a body in front of whose bytes something happens.
type meanwhile struct {
	happens func()
	io.Reader
}

// Read implements io.Reader.
func (m *meanwhile) Read(p []byte) (int, error) {
	if m.happens != nil {
		m.happens()
		m.happens = nil
	}
	return m.Reader.Read(p)
}

// TestPartBehindTheEnd: a part that was on its way when its upload ended does
// not bring it back.
func TestPartBehindTheEnd(t *testing.T) {
	ends := map[string]func(ctx context.Context, c churner, key, id string, etag *string) error{
		"abort": func(ctx context.Context, c churner, key, id string, _ *string) error { return c.abort(ctx, key, id) },
		"complete": func(ctx context.Context, c churner, key, id string, etag *string) error {
			return c.complete(ctx, key, id, etag)
		},
	}
	both(t, func(t *testing.T, on guards) {
		c, ctx := newChurner(t, on), t.Context()
		for key, end := range ends {
			id, err := c.create(ctx, key)
			if err != nil {
				t.Fatal(err)
			}
			etag, err := c.part(ctx, key, id, 1, strings.NewReader("x"))
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.part(ctx, key, id, 2, &meanwhile{func() {
				if err := end(ctx, c, key, id, etag); err != nil {
					t.Errorf("%s: %v", key, err)
				}
			}, strings.NewReader("y")})
			if !on.uploads && err != nil || on.uploads && !noUpload(err) {
				t.Errorf("%s, part behind it: %v", key, err)
			}
			left, err := filepath.Glob(filepath.Join(c.folder, posix.MetaTmpMultipartDir, "*"))
			if (len(left) > 0) == on.uploads {
				t.Errorf("%s left %v, %v", key, left, err)
			}
			if err := os.RemoveAll(filepath.Join(c.folder, posix.MetaTmpMultipartDir)); err != nil {
				t.Fatal(err)
			}
		}
	})
}
