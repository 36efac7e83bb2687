package s3fs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/s3fs"
)

// TestConflictThenDone: 409 is tried again with the same condition.
func TestConflictThenDone(t *testing.T) {
	s, _ := fake(t, quick(), apiError(409, "ConditionalRequestConflict"), func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Header.Get("If-None-Match") != "*" || string(body) != "data" {
			t.Errorf("retried with condition %q and body %q", r.Header.Get("If-None-Match"), body)
		}
		ok("")(w, r)
	})
	if _, err := s.Put(t.Context(), key, []byte("data"), s3fs.PutOptions{IfAbsent: true}); err != nil {
		t.Error(err)
	}
}

// TestLostReplyOfPut: the write was applied, its reply lost; the next try
// meets its own object, and the caller hears that there is one.
func TestLostReplyOfPut(t *testing.T) {
	s, _ := fake(t, quick(), closeBody, apiError(412, "PreconditionFailed"))
	_, err := s.Put(t.Context(), key, []byte("data"), s3fs.PutOptions{IfAbsent: true})
	if !errors.Is(err, fs.ErrExist) || errors.Is(err, s3fs.ErrPrecondition) {
		t.Error(err)
	}
	if n := s.Requests()["PutObject"]; n != 2 {
		t.Errorf("%d tries", n)
	}
}

// TestStalledRequestBody: a server that stops reading is left.
func TestStalledRequestBody(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := quick()
		o.MultipartAbove = 64 << 20
		done := make(chan struct{})
		defer close(done)
		s, _ := fakeInBubble(t, o, neverReads(done), ok(""))
		if _, err := s.Put(t.Context(), key, make([]byte, 16<<20), s3fs.PutOptions{}); err != nil {
			t.Error(err)
		}
		if n := s.Requests()["PutObject"]; n != 2 {
			t.Errorf("%d tries", n)
		}
	})
}

// uploadServer answers the requests of one multipart upload, but for those
// that a test takes over.
func uploadServer(t *testing.T, over map[string]http.HandlerFunc) *s3fs.Store {
	s, _ := fake(t, quick(), func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		name := map[bool]string{true: "part", false: r.Method}[q.Has("partNumber")]
		switch {
		case over[name] != nil:
			over[name](w, r)
		case q.Has("uploads"):
			ok(`<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>`)(w, r)
		case name == "part":
			ok("")(w, r)
		case r.Method == http.MethodPost:
			ok(`<CompleteMultipartUploadResult><ETag>"v1"</ETag></CompleteMultipartUploadResult>`)(w, r)
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		default:
			apiError(404, "NoSuchKey")(w, r)
		}
	})
	return s
}

// completions answers completions only, one after the other.
func completions(steps ...http.HandlerFunc) http.HandlerFunc {
	sc := &script{steps: steps}
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("uploads") {
			ok(`<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>`)(w, r)
			return
		}
		sc.ServeHTTP(w, r)
	}
}

// TestLostReplyOfCompletion: the object is there, the upload no more.
func TestLostReplyOfCompletion(t *testing.T) {
	const size = 5000
	gone := apiError(404, "NoSuchUpload")
	there := func(n int, attempt string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(n))
			w.Header().Set("ETag", etag)
			w.Header().Set("x-amz-meta-attempt", attempt)
		}
	}
	for _, tt := range []struct {
		name     string
		complete []http.HandlerFunc
		stat     http.HandlerFunc
		ifAbsent bool
		want     error // nil: done; errAny: any other
	}{
		{"ours or another's", []http.HandlerFunc{closeBody, gone}, there(size, "1"), true, fs.ErrExist},
		{"ours", []http.HandlerFunc{closeBody, gone}, there(size, "1"), false, nil},
		{"of another size", []http.HandlerFunc{closeBody, gone}, there(size-1, "1"), false, fs.ErrNotExist},
		{"of another attempt", []http.HandlerFunc{closeBody, gone}, there(size, "2"), false, fs.ErrNotExist},
		{"nothing", []http.HandlerFunc{closeBody, gone}, nil, true, fs.ErrNotExist},
		{"never begun", []http.HandlerFunc{gone}, there(size, "1"), true, fs.ErrNotExist},
		{"conflict", []http.HandlerFunc{apiError(412, "PreconditionFailed")}, nil, true, fs.ErrExist},
		{"busy", []http.HandlerFunc{apiError(409, "ConditionalRequestConflict"),
			ok(`<CompleteMultipartUploadResult><ETag>"v1"</ETag></CompleteMultipartUploadResult>`)}, nil, true, nil},
		{"error inside 200", []http.HandlerFunc{ok(`<Error><Code>InternalError</Code><Message>m</Message></Error>`),
			ok(`<CompleteMultipartUploadResult><ETag>"v1"</ETag></CompleteMultipartUploadResult>`)}, nil, true, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			over := map[string]http.HandlerFunc{"POST": completions(tt.complete...)}
			if tt.stat != nil {
				over["HEAD"] = tt.stat
			}
			s := uploadServer(t, over)
			o := s3fs.PutOptions{IfAbsent: tt.ifAbsent, Meta: map[string]string{"attempt": "1"}}
			obj, err := s.Put(t.Context(), key, bytesOf(size), o)
			if !errors.Is(err, tt.want) || tt.want == nil && (obj.ETag != etag || obj.Size != size) {
				t.Errorf("%+v, %v", obj, err)
			}
		})
	}
}

// TestFailedPartAborts: an upload that cannot be finished is removed, also
// when the caller's context has ended, and the error is that of the part.
func TestFailedPartAborts(t *testing.T) {
	writers := map[string]func(context.Context, *s3fs.Store) error{
		"PutFile": func(ctx context.Context, s *s3fs.Store) error {
			_, err := s.PutFile(ctx, key, bytes.NewReader(bytesOf(9000)), 9000, s3fs.PutOptions{})
			return err
		},
		"Create": func(ctx context.Context, s *s3fs.Store) error {
			w, err := s.Create(ctx, key, s3fs.PutOptions{})
			if err != nil {
				return err
			}
			if _, err := w.Write(bytesOf(9000)); err != nil {
				return errors.Join(err, w.Abort())
			}
			_, err = w.Commit(ctx)
			return err
		},
	}
	for name, write := range writers {
		s := uploadServer(t, map[string]http.HandlerFunc{"part": apiError(403, "AccessDenied")})
		if err := write(t.Context(), s); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: %v", name, err)
		}
		if n := s.Requests(); n["AbortMultipartUpload"] != 1 || n["CompleteMultipartUpload"] != 0 {
			t.Errorf("%s: requests %v", name, n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		s = uploadServer(t, map[string]http.HandlerFunc{"part": func(w http.ResponseWriter, r *http.Request) {
			cancel()
			silent(w, r)
		}})
		if err := write(ctx, s); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
		if n := s.Requests(); n["AbortMultipartUpload"] != 1 || n["CompleteMultipartUpload"] != 0 {
			t.Errorf("%s cancelled: requests %v", name, n)
		}
	}
}

// TestAbortAgain: an abort is over when the upload is gone.
func TestAbortAgain(t *testing.T) {
	there := ok(`<ListPartsResult><IsTruncated>false</IsTruncated></ListPartsResult>`)
	gone := apiError(404, "NoSuchUpload")
	for _, tt := range []struct {
		name   string
		looks  []http.HandlerFunc
		aborts int64
		want   string // of the error
	}{
		{"gone", []http.HandlerFunc{gone}, 1, ""},
		{"a part came behind it", []http.HandlerFunc{there, gone}, 2, ""},
		{"stays", []http.HandlerFunc{there}, 5, "abort upload of s3://b/dir/k: the upload is there after 5 aborts"},
		{"may not look", []http.HandlerFunc{apiError(403, "AccessDenied")}, 1, ""},
		{"no answer", []http.HandlerFunc{closeBody}, 1, "list parts of s3://b/dir/k: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			looks := &script{steps: tt.looks}
			s := uploadServer(t, map[string]http.HandlerFunc{"GET": looks.ServeHTTP})
			err := s.AbortUpload(t.Context(), s3fs.Upload{Key: key, ID: "id"})
			if err == nil && tt.want != "" || err != nil && (tt.want == "" || !strings.HasPrefix(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if n := s.Requests()["AbortMultipartUpload"]; n != tt.aborts {
				t.Errorf("%d aborts, want %d", n, tt.aborts)
			}
		})
	}
}

// TestLargeCopy: an object of more than 5 GiB is copied in parts of the
// version that was looked at.
func TestLargeCopy(t *testing.T) {
	const size = 5<<30 + 1
	ranges := make(chan string, 100)
	s := uploadServer(t, map[string]http.HandlerFunc{
		"HEAD": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(size))
			w.Header().Set("ETag", etag)
		},
		"part": func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("x-amz-copy-source-if-match") != etag || r.Header.Get("x-amz-copy-source") != "b/a%20b/%2B" {
				t.Errorf("part copied from %v", r.Header)
			}
			ranges <- r.Header.Get("x-amz-copy-source-range")
			ok(`<CopyPartResult><ETag>"p"</ETag></CopyPartResult>`)(w, r)
		},
	})
	obj, err := s.Copy(t.Context(), "a b/+", etag, key, s3fs.PutOptions{})
	if err != nil || obj.Size != size {
		t.Errorf("%+v, %v", obj, err)
	}
	close(ranges)
	n := 0
	for r := range ranges {
		n++
		if r == "bytes=0-536870911" || r == "bytes=5368709120-5368709120" {
			n += 100
		}
	}
	if n != 211 {
		t.Errorf("parts: %d", n)
	}
}

// TestSourceChangesDuringCopy: the copy itself is of the version that was
// looked at.
func TestSourceChangesDuringCopy(t *testing.T) {
	s, _ := fake(t, quick(), whole([]byte("x")), func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("x-amz-copy-source-if-match"); got != etag {
			t.Errorf("copied under the condition %q", got)
		}
		apiError(412, "PreconditionFailed")(w, r)
	})
	if _, err := s.Copy(t.Context(), "src", "", key, s3fs.PutOptions{}); !errors.Is(err, s3fs.ErrPrecondition) {
		t.Error(err)
	}
}

// TestDeleteErrors: keys that could not be deleted are tried again if that
// may help, and named.
func TestDeleteErrors(t *testing.T) {
	failed := func(keys ...string) http.HandlerFunc {
		var b strings.Builder
		for _, k := range keys {
			key, code, _ := strings.Cut(k, " ")
			fmt.Fprintf(&b, "<Error><Key>%s</Key><Code>%s</Code><Message>m</Message></Error>", key, code)
		}
		return ok("<DeleteResult>" + b.String() + "</DeleteResult>")
	}
	s, _ := fake(t, quick(), failed("a InternalError", "b AccessDenied"), func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if got := strings.Count(string(body), "<Key>"); got != 1 || !strings.Contains(string(body), "<Key>a</Key>") {
			t.Errorf("retried %s", body)
		}
		failed()(w, r)
	})
	err := s.Delete(t.Context(), "a", "b", "c")
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "s3://b/b") || strings.Contains(err.Error(), "s3://b/a") {
		t.Error(err)
	}
	s, _ = fake(t, quick(), failed("a SlowDown"))
	if err := s.Delete(t.Context(), "a"); !errors.Is(err, s3fs.ErrThrottled) || s.Requests()["DeleteObjects"] != 4 {
		t.Errorf("%v after %v", err, s.Requests())
	}
}

// page is a reply to a listing.
func page(next string, keys ...string) http.HandlerFunc {
	var b strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&b, "<Contents><Key>%s</Key><Size>1</Size></Contents>", k)
	}
	return ok(fmt.Sprintf(`<ListBucketResult><IsTruncated>%t</IsTruncated>%s<NextContinuationToken>%s</NextContinuationToken></ListBucketResult>`,
		next != "", b.String(), next))
}

// TestListing: all pages or an error, whatever happens to one of them.
func TestListing(t *testing.T) {
	first, last := page("t1", "a", "b"), page("", "c")
	all := []string{"a", "b", "c"}
	cut := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>c</Key>")
	}
	for _, tt := range []struct {
		name  string
		steps []http.HandlerFunc
		keys  []string
		fails bool
	}{
		{"two pages", []http.HandlerFunc{first, last}, all, false},
		{"throttled page", []http.HandlerFunc{first, apiError(503, "SlowDown"), last}, all, false},
		{"page cut short", []http.HandlerFunc{first, cut, last}, all, false},
		{"page not XML", []http.HandlerFunc{first, ok("<html>"), last}, all, false},
		{"lost page", []http.HandlerFunc{first, closeBody}, all[:2], true},
		{"failing page", []http.HandlerFunc{first, apiError(500, "InternalError")}, all[:2], true},
		{"denied page", []http.HandlerFunc{first, apiError(403, "AccessDenied")}, all[:2], true},
		{"empty reply", []http.HandlerFunc{first, ok("")}, all[:2], true},
		{"no word of the end", []http.HandlerFunc{ok("<ListBucketResult></ListBucketResult>")}, nil, true},
		{"no way on", []http.HandlerFunc{ok("<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>")}, nil, true},
		{"in circles", []http.HandlerFunc{first, page("t1")}, all[:2], true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, _ := fake(t, quick(), tt.steps...)
			var keys []string
			var last error
			for obj, err := range s.List(t.Context(), "") {
				if last != nil {
					t.Errorf("went on after %v", last)
				}
				if last = err; err == nil {
					keys = append(keys, obj.Key)
				}
			}
			if d := cmp.Diff(tt.keys, keys); d != "" || (last != nil) != tt.fails {
				t.Errorf("ended with %v; keys (-want +got):\n%s", last, d)
			}
		})
	}
}
