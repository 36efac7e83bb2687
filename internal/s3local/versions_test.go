package s3local

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

// twins are two texts of one length and one CRC-32C: the second differs by the
// polynomial.
func twins(t *testing.T) (a, b, sum string) {
	t.Helper()
	first := []byte(strings.Repeat("some words of an input file\n", 10))
	second := []byte(string(first))
	var pattern [8]byte
	binary.LittleEndian.PutUint64(pattern[:], 1|uint64(crc32.Castagnoli)<<1)
	for i := range 5 {
		second[100+i] ^= pattern[i]
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	c := crc32.Checksum(first, table)
	if c != crc32.Checksum(second, table) || string(first) == string(second) {
		t.Fatal("the texts are no twins")
	}
	return string(first), string(second), base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, c))
}

// TestVersions: no two writes have the same ETag, though their bytes have the
// same checksum, and every answer on an object tells the same one.
func TestVersions(t *testing.T) {
	for _, on := range []bool{false, true} {
		t.Run(fmt.Sprintf("guarded=%v", on), func(t *testing.T) {
			guards := allGuards
			guards.versions = on
			c := newClient(t, run(t, t.TempDir(), guards).Endpoint())
			c.want(200, "PUT", "/bucket", "")
			first, second, sum := twins(t)
			was := c.want(200, "PUT", "/bucket/a", first, "X-Amz-Checksum-Crc32c", sum).header.Get("ETag")
			now := c.want(200, "PUT", "/bucket/a", second, "X-Amz-Checksum-Crc32c", sum).header.Get("ETag")
			if (was != now) != on {
				t.Errorf("ETag %s, then %s", was, now)
			}
			if !on {
				return
			}
			c.want(412, "GET", "/bucket/a", "", "If-Match", was)
			c.want(412, "PUT", "/bucket/a", "x", "If-Match", was)

			seen := map[string]bool{was: true}
			check := func(path, etag string) {
				t.Helper()
				if seen[etag] || len(etag) < 22 || !strings.HasPrefix(etag, `"v-`) {
					t.Errorf("%s has the ETag %s", path, etag)
				}
				seen[etag] = true
				for _, method := range []string{"GET", "HEAD"} {
					if r := c.want(200, method, path, "", "If-Match", etag); r.header.Get("ETag") != etag {
						t.Errorf("%s %s: ETag %s, want %s", method, path, r.header.Get("ETag"), etag)
					}
				}
				key := strings.TrimPrefix(path, "/bucket/")
				if r := c.want(200, "GET", "/bucket?list-type=2&prefix="+key, ""); xmlETag(r.body) != etag {
					t.Errorf("list of %s: %s", key, r.body)
				}
			}
			check("/bucket/a", now)
			check("/bucket/b", xmlETag(c.want(200, "PUT", "/bucket/b", "", "X-Amz-Copy-Source", "/bucket/a").body))
			check("/bucket/b", xmlETag(c.want(200, "PUT", "/bucket/b", "", "X-Amz-Copy-Source", "/bucket/a", "X-Amz-Copy-Source-If-Match", now).body))
			for range 2 {
				_, _, complete := beginUpload(c, "/bucket/multi", first)
				c.want(200, "PUT", "/bucket/none", "") // others write meanwhile
				if seen[xmlETag(c.do("GET", "/bucket?list-type=2&prefix=multi", "").body)] {
					c.want(204, "DELETE", "/bucket/multi", "")
				}
				check("/bucket/multi", xmlETag(complete().body))
			}
			// What is said about an object changes, not its bytes.
			same := c.want(200, "PUT", "/bucket/a", "", "X-Amz-Copy-Source", "/bucket/a", "X-Amz-Metadata-Directive", "REPLACE", "X-Amz-Meta-Color", "red")
			if xmlETag(same.body) != now {
				t.Errorf("ETag %s, it was %s", xmlETag(same.body), now)
			}
			if r := c.want(200, "GET", "/bucket/a", ""); r.header.Get("X-Amz-Meta-Color") != "red" || r.body != second {
				t.Errorf("color %q, %d bytes", r.header.Get("X-Amz-Meta-Color"), len(r.body))
			}
			c.want(400, "PUT", "/bucket/a", "", "X-Amz-Copy-Source", "/bucket/a") // which would change nothing
		})
	}
}

// xmlETag is the first ETag of an answer.
func xmlETag(body string) string {
	_, after, _ := strings.Cut(body, "<ETag>")
	etag, _, _ := strings.Cut(after, "</ETag>")
	return strings.ReplaceAll(etag, "&#34;", `"`)
}

// TestVersionsAtOnce: of many writes of one key at the same time each is told
// its own version, and that of the object is one of them.
func TestVersionsAtOnce(t *testing.T) {
	s := run(t, t.TempDir(), allGuards)
	c := newClient(t, s.Endpoint())
	c.want(200, "PUT", "/bucket", "")
	c.want(200, "PUT", "/bucket/source", "x")
	const writers = 16
	for range 10 {
		etags := make([]string, writers)
		var g errgroup.Group
		for i := range etags {
			g.Go(func() error {
				if i%2 == 0 {
					r, err := c.try("PUT", "/bucket/a", "x")
					etags[i] = r.header.Get("ETag")
					return err
				}
				r, err := c.try("PUT", "/bucket/a", "", "X-Amz-Copy-Source", "/bucket/source")
				etags[i] = xmlETag(r.body)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			t.Fatal(err)
		}
		last, seen := c.want(200, "HEAD", "/bucket/a", "").header.Get("ETag"), map[string]bool{}
		for _, etag := range etags {
			seen[etag] = true
		}
		if len(seen) != writers || !seen[last] {
			t.Fatalf("%d writes were told %d versions, that of the object is among them: %v", writers, len(seen), seen[last])
		}
	}
	if v := s.store.versions; len(v.files) != 0 {
		t.Errorf("%d files are kept", len(v.files))
	}
}
