package s3fault

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// conditions are the headers that make a request conditional.
func conditions() []string {
	return []string{"If-Match", "If-None-Match", "X-Amz-Copy-Source-If-Match", "X-Amz-Copy-Source-If-None-Match"}
}

// stripConditions takes the conditions from a request and signs it anew, so
// that the server behaves as one that does not know them. It reports whether
// there were any.
func (e *exchange) stripConditions() bool {
	a, ok := parseAuthorization(e.r.Header.Get("Authorization"))
	if !ok || a.accessKey != e.p.o.AccessKey || e.p.o.SecretKey == "" {
		return false
	}
	had := false
	for _, name := range conditions() {
		had = had || e.r.Header.Get(name) != ""
		e.r.Header.Del(name)
		a.signed = slices.DeleteFunc(a.signed, func(h string) bool { return strings.EqualFold(h, name) })
	}
	if had {
		e.r.Header.Set("Authorization", a.sign(e.r, e.p.o.SecretKey))
	}
	return had
}

// authorization is a header of AWS Signature Version 4. Source:
// https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
type authorization struct {
	accessKey string
	scope     string   // date/region/service/aws4_request
	signed    []string // names of headers, lower case
}

const algorithm = "AWS4-HMAC-SHA256"

func parseAuthorization(header string) (a authorization, ok bool) {
	fields, ok := strings.CutPrefix(header, algorithm+" ")
	if !ok {
		return a, false
	}
	for field := range strings.SplitSeq(fields, ",") {
		switch name, value, _ := strings.Cut(strings.TrimSpace(field), "="); name {
		case "Credential":
			a.accessKey, a.scope, _ = strings.Cut(value, "/")
		case "SignedHeaders":
			a.signed = strings.Split(value, ";")
		}
	}
	return a, strings.Count(a.scope, "/") == 3 && len(a.signed) > 0
}

// sign returns the header for a request as it is now. The hash of its body
// stays the one that the client gave.
func (a authorization) sign(r *http.Request, secret string) string {
	var headers strings.Builder
	for _, name := range a.signed {
		value := strings.Join(r.Header.Values(name), ",")
		switch name {
		case "host":
			value = r.Host
		case "content-length":
			value = strconv.FormatInt(r.ContentLength, 10)
		}
		headers.WriteString(name + ":" + strings.Join(strings.Fields(value), " ") + "\n")
	}
	names := strings.Join(a.signed, ";")
	canonical := strings.Join([]string{
		r.Method, r.URL.EscapedPath(), strings.ReplaceAll(r.URL.Query().Encode(), "+", "%20"),
		headers.String(), names, r.Header.Get("X-Amz-Content-Sha256"),
	}, "\n")
	sum := sha256.Sum256([]byte(canonical))
	text := strings.Join([]string{algorithm, r.Header.Get("X-Amz-Date"), a.scope, hex.EncodeToString(sum[:])}, "\n")
	key := []byte("AWS4" + secret)
	for part := range strings.SplitSeq(a.scope, "/") {
		key = mac(key, part)
	}
	return algorithm + " Credential=" + a.accessKey + "/" + a.scope + ", SignedHeaders=" + names +
		", Signature=" + hex.EncodeToString(mac(key, text))
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}
