package s3local

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/datadir"
)

// client is the least S3 client that the tests need: it signs (Signature
// Version 4, unsigned payload) and sends. Only internal/s3fs may use the SDK,
// and some requests here are ones that an SDK does not send.
type client struct {
	t    testing.TB
	e    datadir.Endpoint
	http *http.Client
}

func newClient(t testing.TB, e datadir.Endpoint) *client {
	tr := &http.Transport{MaxIdleConnsPerHost: 64}
	t.Cleanup(tr.CloseIdleConnections)
	return &client{t: t, e: e, http: &http.Client{Transport: tr, Timeout: time.Minute}}
}

// reply is a whole answer.
type reply struct {
	status int
	header http.Header
	body   string
}

// code returns the S3 error code of an answer.
func (r reply) code() string {
	_, after, _ := strings.Cut(r.body, "<Code>")
	code, _, _ := strings.Cut(after, "</Code>")
	return code
}

// do sends a signed request for a path such as /bucket/key?query; header holds
// names and values in turn.
func (c *client) do(method, path, body string, header ...string) reply {
	c.t.Helper()
	r, err := c.try(method, path, body, header...)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

// want is do, and fails the test for another status.
func (c *client) want(status int, method, path, body string, header ...string) reply {
	c.t.Helper()
	r := c.do(method, path, body, header...)
	if r.status != status {
		c.t.Fatalf("%s %s: status %d, want %d: %s", method, path, r.status, status, r.body)
	}
	return r
}

func (c *client) try(method, path, body string, header ...string) (reply, error) {
	req := c.request(method, path, body, header...)
	resp, err := c.http.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(data)}, err
}

func (c *client) request(method, path, body string, header ...string) *http.Request {
	c.t.Helper()
	// The path goes out as it is written here: no cleaning of dots.
	req, err := http.NewRequestWithContext(context.Background(), method, c.e.URL, bytes.NewReader([]byte(body)))
	if err != nil {
		c.t.Fatal(err)
	}
	rawPath, query, _ := strings.Cut(path, "?")
	req.URL.Path, req.URL.RawPath, req.URL.RawQuery = rawPath, escapePath(rawPath), query
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	if query == "delete=" {
		sum := md5.Sum([]byte(body)) // S3 demands a checksum for this request
		req.Header.Set("Content-MD5", base64.StdEncoding.EncodeToString(sum[:]))
	}
	sign(req, c.e, time.Now())
	return req
}

// escapePath writes a path as S3 signs it.
func escapePath(path string) string {
	return strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(path), "+", "%20"), "%2F", "/")
}

// sign adds the Authorization header of AWS Signature Version 4.
func sign(req *http.Request, e datadir.Endpoint, now time.Time) {
	stamp := now.UTC().Format("20060102T150405Z")
	req.Header.Set("X-Amz-Date", stamp)
	req.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")

	headers := map[string]string{"host": req.URL.Host}
	for name := range req.Header {
		headers[strings.ToLower(name)] = req.Header.Get(name)
	}
	var names []string
	for name := range headers {
		names = append(names, name)
	}
	slices.Sort(names)
	var lines strings.Builder
	for _, n := range names {
		fmt.Fprintf(&lines, "%s:%s\n", n, headers[n])
	}
	signed := strings.Join(names, ";")
	query := strings.ReplaceAll(req.URL.Query().Encode(), "+", "%20")
	canonical := strings.Join([]string{req.Method, escapePath(req.URL.Path), query,
		lines.String(), signed, "UNSIGNED-PAYLOAD"}, "\n")

	scope := strings.Join([]string{stamp[:8], e.Region, "s3", "aws4_request"}, "/")
	sum := sha256.Sum256([]byte(canonical))
	toSign := strings.Join([]string{"AWS4-HMAC-SHA256", stamp, scope, hex.EncodeToString(sum[:])}, "\n")
	key := []byte("AWS4" + e.SecretKey)
	for part := range strings.SplitSeq(scope, "/") {
		key = mac(key, part)
	}
	req.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%x",
		e.AccessKey, scope, signed, mac(key, toSign)))
}

func mac(key []byte, s string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(s))
	return m.Sum(nil)
}
