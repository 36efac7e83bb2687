package s3local

import (
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"
)

// TestSectionOfFile: a range comes as a part of a file, not through buffers.
func TestSectionOfFile(t *testing.T) {
	s := run(t, t.TempDir(), allGuards)
	c := newClient(t, s.Endpoint())
	c.want(200, "PUT", "/ranges", "")
	c.want(200, "PUT", "/ranges/k", "0123456789")
	bucket, key, bytes := "ranges", "k", "bytes=2-5"
	out, err := s.guard.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key, Range: &bytes})
	if err != nil {
		t.Fatal(err)
	}
	defer out.Body.Close()
	if _, ok := out.Body.(*section); !ok {
		t.Errorf("the body is a %T", out.Body)
	}
	if got, err := io.ReadAll(out.Body); err != nil || string(got) != "2345" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestSections: a range is answered as by the backend alone, whatever it asks
// for.
func TestSections(t *testing.T) {
	const size = 100_000
	data := strings.Repeat("0123456789", size/10)
	alone := allGuards
	alone.sections = false
	dir := t.TempDir()
	ask := func(on guards) (all []reply) {
		s := run(t, dir, on)
		c := newClient(t, s.Endpoint())
		if c.do("HEAD", "/ranges", "").status != 200 { // both servers have the same objects
			c.want(200, "PUT", "/ranges", "")
			c.want(200, "PUT", "/ranges/k", data)
			c.want(200, "PUT", "/ranges/empty", "")
		}
		for _, r := range []string{
			"bytes=0-99999", "bytes=0-0", "bytes=5-", "bytes=99999-", "bytes=10-40000", "bytes=7-1000000", "bytes=-1", "bytes=-50001",
			"bytes=-1000000", "bytes=-0", "bytes=100000-", "bytes=5-4", "bytes=1-2,4-5", "bytes=x", "lines=1-2", "",
		} {
			for _, key := range []string{"k", "empty", "none"} {
				all = append(all, c.do("GET", "/ranges/"+key, "", "Range", r, "x-amz-checksum-mode", "ENABLED"))
			}
			all = append(all,
				c.do("GET", "/ranges/k?partNumber=1", "", "Range", r),
				c.do("GET", "/ranges/k", "", "Range", r, "If-Match", `"other"`),
				c.do("HEAD", "/ranges/k", "", "Range", r))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for i := range all {
			for _, name := range []string{"Date", "Last-Modified", "X-Amz-Request-Id", "X-Amz-Id-2"} {
				all[i].header.Del(name)
			}
			if before, _, ok := strings.Cut(all[i].body, "<RequestId>"); ok {
				all[i].body = before
				all[i].header.Del("Content-Length")
			}
		}
		return all
	}
	want, got := ask(alone), ask(allGuards)
	ranges := 0
	for i := range want {
		if want[i].status == 206 {
			ranges++
		}
		if d := cmp.Diff(want[i], got[i], cmp.AllowUnexported(reply{})); d != "" {
			t.Errorf("answer %d (-backend +section):\n%s", i, d)
		}
	}
	if ranges < 10 {
		t.Errorf("%d answers were of a range", ranges)
	}
}
