package testkit

import (
	"bytes"
	"crypto/md5" //nolint:gosec // as S3 makes ETags
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// S3 serves buckets to be read, as S3 serves those of other people: in a region of their
// own, to everybody or to some, and for pay.
type S3 struct {
	// Buckets has their objects by key.
	Buckets map[string]map[string]string
	// Region is that of all buckets; "" is any. A request that is signed for another is
	// redirected.
	Region string
	// Wants is who may read: "anybody", "signed", "unsigned", "payer".
	Wants string
	// Classes are storage classes of objects, by key.
	Classes map[string]string
	// Restored says that those of archives were restored.
	Restored bool

	mu  sync.Mutex
	log []string
}

// Requests returns what was asked for: method, path, and who asked.
func (s *S3) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// ServeHTTP implements http.Handler.
func (s *S3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	auth, payer := r.Header.Get("Authorization"), r.Header.Get("X-Amz-Request-Payer") == "requester"
	who := "unsigned"
	if auth != "" {
		who = "signed"
	}
	if payer {
		who += " payer"
	}
	s.mu.Lock()
	s.log = append(s.log, r.Method+" "+r.URL.Path+" "+who)
	s.mu.Unlock()
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	objects, ok := s.Buckets[bucket]
	switch {
	case !ok:
		s3Error(w, r, http.StatusNotFound, "NoSuchBucket")
	case s.Region != "" && auth != "" && !strings.Contains(auth, "/"+s.Region+"/s3/"):
		w.Header().Set("X-Amz-Bucket-Region", s.Region)
		s3Error(w, r, http.StatusMovedPermanently, "PermanentRedirect")
	case s.Wants == "signed" && auth == "", s.Wants == "unsigned" && auth != "", s.Wants == "payer" && !payer, payer && auth == "":
		s3Error(w, r, http.StatusForbidden, "AccessDenied")
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		s3Error(w, r, http.StatusMethodNotAllowed, "MethodNotAllowed")
	case key == "":
		s.list(w, r, objects)
	default:
		s.object(w, r, objects, key)
	}
}

func (s *S3) object(w http.ResponseWriter, r *http.Request, objects map[string]string, key string) {
	data, ok := objects[key]
	if !ok {
		s3Error(w, r, http.StatusNotFound, "NoSuchKey")
		return
	}
	if class := s.Classes[key]; class != "" {
		w.Header().Set("X-Amz-Storage-Class", class)
		if s.Restored {
			w.Header().Set("X-Amz-Restore", `ongoing-request="false", expiry-date="Fri, 21 Dec 2040 00:00:00 GMT"`)
		}
	}
	w.Header().Set("ETag", etagOf(data))
	http.ServeContent(w, r, "", time.Unix(1e9, 0), bytes.NewReader([]byte(data)))
}

func etagOf(data string) string {
	sum := md5.Sum([]byte(data)) //nolint:gosec // see above
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

func (s *S3) list(w http.ResponseWriter, r *http.Request, objects map[string]string) {
	type content struct {
		Key          string
		ETag         string
		Size         int
		LastModified string
		StorageClass string
	}
	page := struct {
		XMLName      xml.Name `xml:"ListBucketResult"`
		EncodingType string
		IsTruncated  bool
		KeyCount     int
		Contents     []content
	}{EncodingType: "url"}
	for _, key := range slices.Sorted(maps.Keys(objects)) {
		if strings.HasPrefix(key, r.URL.Query().Get("prefix")) {
			page.Contents = append(page.Contents, content{url.QueryEscape(key), etagOf(objects[key]), len(objects[key]), "2026-01-01T00:00:00Z", s.Classes[key]})
		}
	}
	page.KeyCount = len(page.Contents)
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(page) // a client that has gone
}

func s3Error(w http.ResponseWriter, r *http.Request, status int, code string) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		fmt.Fprintf(w, `<Error><Code>%s</Code><Message>said the store</Message></Error>`, code)
	}
}
