package s3local

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Each test here runs with and without the guard: without it the fault must be
// there, or the guard is no longer needed.

// hang sends a request and half of its body, and leaves it there.
func (c *client) hang(method, path string, size int) *net.TCPConn {
	c.t.Helper()
	req := c.request(method, path, strings.Repeat("x", size))
	conn, err := net.Dial("tcp", req.URL.Host)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		c.t.Fatal(err)
	}
	var head strings.Builder
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", method, path, req.URL.Host, size)
	if err := req.Header.Write(&head); err != nil {
		c.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, head.String()+"\r\n"+strings.Repeat("x", size/2)); err != nil {
		c.t.Fatal(err)
	}
	return conn.(*net.TCPConn)
}

// half is a client that ends in the midst of a body, and returns what the
// server makes of it.
func (c *client) half(method, path string, size int) reply {
	c.t.Helper()
	conn := c.hang(method, path, size)
	defer conn.Close()
	// To the server this is the same as the end of the client's process.
	if err := conn.CloseWrite(); err != nil {
		c.t.Fatal(err)
	}
	data, err := io.ReadAll(conn)
	if err != nil {
		c.t.Fatal(err)
	}
	var status int
	if _, err := fmt.Sscanf(string(data), "HTTP/1.1 %d", &status); err != nil {
		c.t.Fatalf("answer %q: %v", data, err)
	}
	return reply{status: status, body: string(data)}
}

func (c *client) createUpload(path string) (id string) {
	c.t.Helper()
	r := c.want(200, "POST", path+"?uploads=", "")
	_, after, _ := strings.Cut(r.body, "<UploadId>")
	id, _, _ = strings.Cut(after, "</UploadId>")
	return id
}

func TestTornBody(t *testing.T) {
	for _, test := range []struct {
		name string
		on   guards
		want int
	}{
		{"unguarded", guards{}, http.StatusOK},
		{"guarded", guards{bodies: true}, http.StatusBadRequest},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClient(t, run(t, t.TempDir(), test.on).Endpoint())
			c.want(200, "PUT", "/bucket", "")
			torn := test.want == http.StatusOK

			for _, size := range []int{2, 4 << 10, 64 << 10, 3 << 20} {
				path := fmt.Sprintf("/bucket/object-%d", size)
				r := c.half("PUT", path, size)
				if size < 8<<10 {
					// So small a body is read with the headers, and its end
					// is noticed there.
					c.want(404, "GET", path, "")
					continue
				}
				if r.status != test.want || !torn && r.code() != "IncompleteBody" {
					t.Errorf("half of %d bytes: status %d, want %d: %s", size, r.status, test.want, r.body)
				}
				if r := c.do("GET", path, ""); (r.status == http.StatusOK) != torn {
					t.Errorf("half of %d bytes: object has status %d, %d bytes", size, r.status, len(r.body))
				}
			}

			id := c.createUpload("/bucket/multi")
			r := c.half("PUT", "/bucket/multi?partNumber=1&uploadId="+id, 1<<20)
			if r.status != test.want || !torn && r.code() != "IncompleteBody" {
				t.Errorf("half a part: status %d, want %d: %s", r.status, test.want, r.body)
			}
			parts := c.want(200, "GET", "/bucket/multi?uploadId="+id, "")
			if strings.Contains(parts.body, "<PartNumber>1<") != torn {
				t.Errorf("half a part: parts are %s", parts.body)
			}
		})
	}
}

func TestAliasedKeys(t *testing.T) {
	aliases := []string{"a//b", "a/./b", "a/c/../b", "./a/b", "/a/b"}
	t.Run("unguarded", func(t *testing.T) {
		c := newClient(t, run(t, t.TempDir(), guards{}).Endpoint())
		c.want(200, "PUT", "/bucket", "")
		for _, alias := range aliases {
			c.want(200, "PUT", "/bucket/a/b", "mine")
			c.want(200, "PUT", "/bucket/"+alias, "other")
			if r := c.want(200, "GET", "/bucket/a/b", ""); r.body != "other" {
				t.Errorf("%q is not an alias: a/b holds %q", alias, r.body)
			}
		}
	})
	t.Run("guarded", func(t *testing.T) {
		c := newClient(t, run(t, t.TempDir(), allGuards).Endpoint())
		c.want(200, "PUT", "/bucket", "")
		c.want(200, "PUT", "/bucket/a/b", "mine")
		for _, alias := range append(aliases, "a/b//", "/", "..", ".", "a/.sgwtmp/b", ".sgwtmp/multipart/x", ".b.sgwtmp.12") {
			path := "/bucket/" + alias
			for _, method := range []string{"PUT", "GET", "HEAD", "DELETE"} {
				if r := c.do(method, path, ""); r.status != http.StatusBadRequest {
					t.Errorf("%s %q: status %d, want 400: %s", method, alias, r.status, r.body)
				}
			}
			if r := c.do("POST", path+"?uploads=", ""); r.status != http.StatusBadRequest {
				t.Errorf("create upload %q: status %d, want 400: %s", alias, r.status, r.body)
			}
			if r := c.do("PUT", "/bucket/copy", "", "X-Amz-Copy-Source", path); r.status != http.StatusBadRequest {
				t.Errorf("copy %q: status %d, want 400: %s", alias, r.status, r.body)
			}
		}
		var list strings.Builder
		for _, alias := range aliases {
			fmt.Fprintf(&list, "<Object><Key>%s</Key></Object>", alias)
		}
		r := c.want(200, "POST", "/bucket?delete=", "<Delete>"+list.String()+"<Object><Key>none</Key></Object></Delete>")
		if n := strings.Count(r.body, "<Code>InvalidArgument</Code>"); n != len(aliases) || strings.Count(r.body, "<Deleted>") != 1 {
			t.Errorf("batch delete: %d keys refused, want %d: %s", n, len(aliases), r.body)
		}
		if r := c.want(200, "GET", "/bucket/a/b", ""); r.body != "mine" {
			t.Errorf("a/b holds %q", r.body)
		}
		if r := c.want(200, "GET", "/bucket?list-type=2", ""); strings.Count(r.body, "<Key>") != 1 {
			t.Errorf("more than a/b is there: %s", r.body)
		}
	})
}

func TestUnknownAccessKey(t *testing.T) {
	for _, test := range []struct {
		name string
		on   guards
		want int
	}{
		{"unguarded", guards{}, http.StatusNotFound},
		{"guarded", guards{accounts: true}, http.StatusForbidden},
	} {
		t.Run(test.name, func(t *testing.T) {
			e := run(t, t.TempDir(), test.on).Endpoint()
			e.AccessKey = "AKIAIOSFODNN7EXAMPLE"
			r := newClient(t, e).want(test.want, "GET", "/", "")
			if test.want == http.StatusForbidden && r.code() != "InvalidAccessKeyId" {
				t.Errorf("code %q: %s", r.code(), r.body)
			}
		})
	}
}

func TestMultipartJoinsParts(t *testing.T) {
	c := newClient(t, run(t, t.TempDir(), allGuards).Endpoint())
	c.want(200, "PUT", "/bucket", "")
	id := c.createUpload("/bucket/multi")
	var done, want strings.Builder
	for i, size := range []int{5 << 20, 5<<20 + 1, 3} {
		part := strings.Repeat(string(rune('a'+i)), size)
		want.WriteString(part)
		r := c.want(200, "PUT", fmt.Sprintf("/bucket/multi?partNumber=%d&uploadId=%s", i+1, id), part)
		fmt.Fprintf(&done, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>", i+1, r.header.Get("ETag"))
	}
	c.want(200, "POST", "/bucket/multi?uploadId="+id, "<CompleteMultipartUpload>"+done.String()+"</CompleteMultipartUpload>", "If-None-Match", "*")
	if r := c.want(200, "GET", "/bucket/multi", ""); r.body != want.String() {
		t.Errorf("object has %d bytes, want %d, or others", len(r.body), want.Len())
	}
	if r := c.want(200, "GET", "/bucket?uploads=", ""); strings.Contains(r.body, "<UploadId>") {
		t.Errorf("uploads are left: %s", r.body)
	}
}

func TestRefusedUploadIsAnswered(t *testing.T) {
	c := newClient(t, run(t, t.TempDir(), allGuards).Endpoint())
	c.want(200, "PUT", "/bucket", "")
	c.want(200, "PUT", "/bucket/once", "first")
	// The body is larger than what the front end and the sockets swallow.
	large := strings.Repeat("x", 16<<20)
	for range 10 {
		r := c.want(412, "PUT", "/bucket/once", large, "If-None-Match", "*")
		if diff := cmp.Diff("PreconditionFailed", r.code()); diff != "" {
			t.Error(diff)
		}
	}
}
