package s3fs_test

import (
	"errors"
	"net/http"
	"sync"
	"testing"

	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/s3fs"
)

// conditional creates keys as S3 does, unless it is told to ignore the
// condition on puts or on completions.
func conditional(ignorePut, ignoreComplete bool) http.HandlerFunc {
	var mu sync.Mutex
	there := make(map[string]bool)
	create := func(w http.ResponseWriter, r *http.Request, ignore bool, body string) {
		mu.Lock()
		taken := there[r.URL.Path] && r.Header.Get("If-None-Match") == "*" && !ignore
		there[r.URL.Path] = true
		mu.Unlock()
		if taken {
			apiError(412, "PreconditionFailed")(w, r)
			return
		}
		ok(body)(w, r)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case q.Has("delete"):
			ok("<DeleteResult></DeleteResult>")(w, r)
		case q.Has("uploads"):
			ok(`<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>`)(w, r)
		case q.Has("partNumber"), r.Method == http.MethodDelete:
			ok("")(w, r)
		case r.Method == http.MethodPost:
			create(w, r, ignoreComplete, `<CompleteMultipartUploadResult><ETag>"v1"</ETag></CompleteMultipartUploadResult>`)
		default:
			create(w, r, ignorePut, "")
		}
	}
}

// TestPreflight: a store that ignores a condition is found out.
func TestPreflight(t *testing.T) {
	for _, tt := range []struct{ ignorePut, ignoreComplete bool }{{}, {true, false}, {false, true}, {true, true}} {
		s, _ := fake(t, quick(), conditional(tt.ignorePut, tt.ignoreComplete))
		err := s.Preflight(t.Context(), "intermediate/_preflight/")
		if unsafe := tt.ignorePut || tt.ignoreComplete; errors.Is(err, object.ErrUnsafe) != unsafe || (err != nil) != unsafe {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

// TestPreflightCleansUp: a good store passes, and nothing is left in it.
func TestPreflightCleansUp(t *testing.T) {
	l := startLocal(t)
	s, err := s3fs.Open(t.Context(), l.options())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.EnsureBucket(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if err := s.Preflight(t.Context(), "intermediate/_preflight/"); err != nil {
			t.Fatal(err)
		}
	}
	for obj, err := range s.List(t.Context(), "") {
		t.Errorf("left over: %v, %v", obj.Key, err)
	}
	for u, err := range s.Uploads(t.Context(), "") {
		t.Errorf("left over: %v, %v", u, err)
	}
}
