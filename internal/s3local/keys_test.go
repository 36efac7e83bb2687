package s3local

import (
	"encoding/xml"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// listed is an answer to any of the listings.
type listed struct {
	EncodingType          string
	IsTruncated           bool
	NextContinuationToken string
	NextMarker            string
	NextKeyMarker         string
	NextUploadIdMarker    string
	Contents, Upload      []struct{ Key string }
	CommonPrefixes        []struct{ Prefix string }
}

// encoded lists all keys in pages, encoded, and returns them decoded.
func (c *client) encoded(query url.Values, size int) (keys, prefixes []string, err error) {
	query.Set("encoding-type", "url")
	for {
		for _, name := range []string{"max-keys", "max-uploads"} {
			query.Set(name, fmt.Sprint(size))
		}
		r, err := c.try("GET", "/bucket?"+query.Encode(), "")
		if err != nil || r.status != 200 {
			return nil, nil, fmt.Errorf("list: %d %s (%w)", r.status, r.body, err)
		}
		var p listed
		if err := xml.Unmarshal([]byte(r.body), &p); err != nil || p.EncodingType != "url" {
			return nil, nil, fmt.Errorf("list: %s (%w)", r.body, err)
		}
		plain := func(s string) string {
			k, perr := url.PathUnescape(s)
			q, qerr := url.QueryUnescape(s)
			if perr != nil || qerr != nil || k != q {
				err = fmt.Errorf("%q is read in two ways: %q (%w) and %q (%w)", s, k, perr, q, qerr)
			}
			return k
		}
		for _, o := range slices.Concat(p.Contents, p.Upload) {
			keys = append(keys, plain(o.Key))
		}
		for _, d := range p.CommonPrefixes {
			prefixes = append(prefixes, plain(d.Prefix))
		}
		if err != nil || !p.IsTruncated {
			return keys, prefixes, err
		}
		query.Set("continuation-token", p.NextContinuationToken)
		query.Set("marker", plain(p.NextMarker))
		query.Set("key-marker", plain(p.NextKeyMarker))
		query.Set("upload-id-marker", p.NextUploadIdMarker)
	}
}

// TestEveryKeyIsListed: whatever key the server takes, every listing has it.
func TestEveryKeyIsListed(t *testing.T) {
	c := newClient(t, run(t, t.TempDir(), allGuards).Endpoint())
	c.want(200, "PUT", "/bucket", "")
	char := rapid.OneOf(rapid.RuneFrom([]rune("ab +%&<>\"'#\\\x01\x02\t\n\r\x1f\x7f\u0085\ufffd\ufffe\uffff😀")), rapid.Rune())
	rapid.Check(t, func(t *rapid.T) {
		var want []string
		for _, elements := range rapid.SliceOfN(rapid.SliceOfN(rapid.StringOfN(char, 1, 4, 200), 1, 2), 1, 6).Draw(t, "keys") {
			key := strings.Join(elements, "/")
			if !validKey(key) || strings.Contains(key, "?") || slices.ContainsFunc(want, func(k string) bool {
				return k == key || strings.HasPrefix(k, strings.TrimSuffix(key, "/")+"/") || strings.HasPrefix(key, strings.TrimSuffix(k, "/")+"/")
			}) || strings.TrimSuffix(key, "/") != key {
				continue
			}
			c.want(200, "PUT", "/bucket/"+key, "")
			for range 2 {
				c.createUpload("/bucket/" + key)
			}
			want = append(want, key)
		}
		slices.Sort(want)
		defer func() {
			for _, k := range want {
				c.want(204, "DELETE", "/bucket/"+k, "")
			}
			c.abortAll()
		}()
		for _, query := range []string{"list-type=2", "", "uploads="} {
			for _, size := range []int{1, 2, 1000} {
				q, _ := url.ParseQuery(query)
				got, _, err := c.encoded(q, size)
				if err != nil {
					t.Fatal(query, err)
				}
				if query == "uploads=" && len(got) != 2*len(want) {
					t.Fatalf("%d uploads of %d keys in pages of %d", len(got), len(want), size)
				}
				if diff := cmp.Diff(want, slices.Compact(got)); diff != "" {
					t.Fatalf("%s, pages of %d (-want +got):\n%s", query, size, diff)
				}
			}
			r := c.do("GET", "/bucket?"+query, "")
			if unwritable := slices.ContainsFunc(want, func(k string) bool { return strings.ContainsFunc(k, unwritable) }); unwritable != (r.status == 400) || r.status == 400 && !strings.Contains(r.body, "encoding-type=url") {
				t.Fatalf("%s without encoding: %d %s", query, r.status, r.body)
			}
		}
	})
}

// TestPagesOfUploads: uploads are listed below a prefix and by folders, in
// pages of any size, while those that were listed are aborted.
func TestPagesOfUploads(t *testing.T) {
	c := newClient(t, run(t, t.TempDir(), allGuards).Endpoint())
	c.want(200, "PUT", "/bucket", "")
	for _, size := range []int{1, 2, 3, 1000} {
		for _, key := range []string{"a", "a", "a/1", "a/2", "b/1", "b/1", "c"} {
			c.createUpload("/bucket/" + key)
		}
		keys, dirs, err := c.encoded(url.Values{"uploads": {""}, "delimiter": {"/"}}, size)
		if diff := cmp.Diff([][]string{{"a", "a", "c"}, {"a/", "b/"}}, [][]string{keys, dirs}); diff != "" || err != nil {
			t.Errorf("pages of %d: %v (-want +got):\n%s", size, err, diff)
		}
		keys, _, err = c.encoded(url.Values{"uploads": {""}, "prefix": {"a/"}}, size)
		if diff := cmp.Diff([]string{"a/1", "a/2"}, keys); diff != "" || err != nil {
			t.Errorf("below a/, pages of %d: %v (-want +got):\n%s", size, err, diff)
		}
		c.abortAll()
	}
}

// abortAll ends all uploads of the bucket, page by page.
func (c *client) abortAll() {
	c.t.Helper()
	query := url.Values{"uploads": {""}, "encoding-type": {"url"}, "max-uploads": {"2"}}
	for more := true; more; {
		var p struct {
			IsTruncated                       bool
			NextKeyMarker, NextUploadIdMarker string
			Upload                            []struct{ Key, UploadId string }
		}
		if err := xml.Unmarshal([]byte(c.want(200, "GET", "/bucket?"+query.Encode(), "").body), &p); err != nil {
			c.t.Fatal(err)
		}
		plain := func(s string) string {
			key, err := url.PathUnescape(s)
			if err != nil {
				c.t.Fatal(err)
			}
			return key
		}
		for _, u := range p.Upload {
			c.want(204, "DELETE", "/bucket/"+plain(u.Key)+"?uploadId="+u.UploadId, "")
		}
		query.Set("key-marker", plain(p.NextKeyMarker))
		query.Set("upload-id-marker", p.NextUploadIdMarker)
		more = p.IsTruncated
	}
	if r := c.want(200, "GET", "/bucket?uploads=", ""); strings.Contains(r.body, "<Upload>") {
		c.t.Fatalf("uploads are left: %s", r.body)
	}
}

// TestListingParameters: what is no encoding and no token is refused.
func TestListingParameters(t *testing.T) {
	c := newClient(t, run(t, t.TempDir(), allGuards).Endpoint())
	c.want(200, "PUT", "/bucket", "")
	for _, query := range []string{"encoding-type=xml", "list-type=2&encoding-type=URL", "list-type=2&continuation-token=..%2F..%2Fvictim", "uploads=&encoding-type=x"} {
		if r := c.want(400, "GET", "/bucket?"+query, ""); r.code() != "InvalidArgument" {
			t.Errorf("%s: %s", query, r.body)
		}
	}
}

// TestFolderMarkers: an object of no bytes whose key ends with a slash is an
// object as others are.
func TestFolderMarkers(t *testing.T) {
	c := newClient(t, run(t, t.TempDir(), allGuards).Endpoint())
	c.want(200, "PUT", "/bucket", "")
	keys := func(want ...string) {
		t.Helper()
		got, _, err := c.list("", "", 2)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("keys (-want +got):\n%s", diff)
		}
	}
	put := c.want(200, "PUT", "/bucket/a/b/", "", "X-Amz-Meta-Color", "red", "If-None-Match", "*")
	c.want(412, "PUT", "/bucket/a/b/", "", "If-None-Match", "*")
	c.want(200, "PUT", "/bucket/a/b/1", "x")
	keys("a/b/", "a/b/1")
	for _, method := range []string{"GET", "HEAD"} {
		r := c.want(200, method, "/bucket/a/b/", "")
		if r.body != "" || r.header.Get("Content-Length") != "0" || r.header.Get("ETag") != put.header.Get("ETag") || r.header.Get("X-Amz-Meta-Color") != "red" {
			t.Errorf("%s: %q, %v", method, r.body, r.header)
		}
	}
	if _, dirs, err := c.list("a/", "/", 10); err != nil || len(dirs) != 1 || dirs[0] != "a/b/" {
		t.Errorf("folders below a/: %q, %v", dirs, err)
	}

	c.want(204, "DELETE", "/bucket/a/b/1", "")
	keys("a/b/") // it stays without keys below it
	c.want(200, "PUT", "/bucket/a/b/1", "x")
	c.want(204, "DELETE", "/bucket/a/b/", "")
	keys("a/b/1") // and goes without them
	c.want(404, "GET", "/bucket/a/b/", "")
	c.want(204, "DELETE", "/bucket/a/b/", "")
	c.want(200, "PUT", "/bucket/a/b/", "", "If-None-Match", "*")
	if r := c.want(200, "POST", "/bucket?delete=", "<Delete><Object><Key>a/b/</Key></Object><Object><Key>a/</Key></Object></Delete>"); strings.Count(r.body, "<Deleted>") != 2 {
		t.Errorf("batch delete: %s", r.body)
	}
	keys("a/b/1")

	c.want(200, "PUT", "/bucket/from/", "", "X-Amz-Meta-Color", "blue")
	if r := c.want(200, "PUT", "/bucket/to/", "", "X-Amz-Copy-Source", "/bucket/from/"); !strings.Contains(r.body, "<ETag>") {
		t.Errorf("copy: %s", r.body)
	}
	c.want(200, "PUT", "/bucket/plain", "", "X-Amz-Copy-Source", "/bucket/from/")
	c.want(412, "PUT", "/bucket/to/", "", "X-Amz-Copy-Source", "/bucket/from/", "X-Amz-Copy-Source-If-Match", "other")
	c.want(404, "PUT", "/bucket/to/", "", "X-Amz-Copy-Source", "/bucket/a/")
	for _, key := range []string{"to/", "plain"} {
		if r := c.want(200, "GET", "/bucket/"+key, ""); r.body != "" || r.header.Get("X-Amz-Meta-Color") != "blue" {
			t.Errorf("copied to %s: %q, %v", key, r.body, r.header)
		}
	}
	keys("a/b/1", "from/", "plain", "to/")

	for path, want := range map[string]string{"/bucket/a/b/1/": "ObjectParentIsFile", "/bucket/to": "ExistingObjectIsDirectory", "/bucket/plain/": "ObjectParentIsFile"} {
		if r := c.want(409, "PUT", path, ""); r.code() != want {
			t.Errorf("put %s: %s", path, r.body)
		}
	}
	if r := c.want(400, "PUT", "/bucket/bytes/", strings.Repeat("x", 1<<20)); r.code() != "DirectoryObjectContainsData" {
		t.Errorf("put of bytes: %s", r.body)
	}
	keys("a/b/1", "from/", "plain", "to/")
}
