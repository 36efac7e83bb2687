package s3fs_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/s3fs"
)

// reads are the ways to read a whole object.
var reads = map[string]func(context.Context, *s3fs.Store, int) ([]byte, error){
	"Get": func(ctx context.Context, s *s3fs.Store, _ int) ([]byte, error) {
		data, _, err := s.Get(ctx, key)
		return data, err
	},
	"OpenRange": func(ctx context.Context, s *s3fs.Store, _ int) ([]byte, error) {
		r, err := s.OpenRange(ctx, key, "", 0, -1)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return io.ReadAll(r)
	},
	"OpenRange pinned": func(ctx context.Context, s *s3fs.Store, n int) ([]byte, error) {
		r, err := s.OpenRange(ctx, key, etag, 0, int64(n))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		return io.ReadAll(r)
	},
	"Stream": func(ctx context.Context, s *s3fs.Store, n int) ([]byte, error) {
		r, err := s.Stream(ctx, key, etag, 0, int64(n))
		if err != nil {
			return nil, err
		}
		defer r.Close()
		var b bytes.Buffer
		_, err = r.WriteTo(&b)
		return b.Bytes(), err
	},
}

// TestBrokenBodies: a body that stalls, ends early or is reset is made whole
// by another request of the same budget.
func TestBrokenBodies(t *testing.T) {
	data := bytesOf(2500)
	for name, how := range map[string]breakage{"stall": stall, "finish": finish, "reset": reset} {
		for way, read := range reads {
			t.Run(name+"/"+way, func(t *testing.T) {
				breaks(t, name, func(t *testing.T, fake fakeFunc) {
					s, _ := fake(t, quick(), broken(data, 700, how), broken(data, 0, how), whole(data))
					got, err := read(t.Context(), s, len(data))
					if err != nil || !bytes.Equal(got, data) {
						t.Errorf("read %d bytes, %v", len(got), err)
					}
				})
			})
		}
	}
}

// TestResumeAsksForTheRest: a resumption begins where the body broke.
func TestResumeAsksForTheRest(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		data := bytesOf(900)
		s, sc := fakeInBubble(t, quick(), broken(data, 300, stall), whole(data))
		r, err := s.OpenRange(t.Context(), key, "", 0, 900)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
		want := []string{"GET /b/dir/k?x-id=GetObject bytes=0-899", "GET /b/dir/k?x-id=GetObject bytes=300-899"}
		if d := cmp.Diff(want, sc.requests()); d != "" {
			t.Errorf("requests (-want +got):\n%s", d)
		}
	})
}

// TestLongSpan: a request for many bytes whose body breaks again and again
// goes on as long as each of them brings as much as a small one would.
func TestLongSpan(t *testing.T) {
	data := bytesOf(10_500)
	s, sc := fake(t, quick(), broken(data, 1000, finish))
	r, err := s.OpenChunks(t.Context(), key, etag, 0, int64(len(data)), int64(len(data)), 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) || len(sc.requests()) != 11 {
		t.Errorf("read %d bytes in %d requests, %v", len(got), len(sc.requests()), err)
	}
	s, sc = fake(t, quick(), broken(data, 999, finish))
	if _, err := s.OpenChunks(t.Context(), key, etag, 0, int64(len(data)), int64(len(data)), 1); err == nil || len(sc.requests()) != 4 {
		t.Errorf("%v after %d requests", err, len(sc.requests()))
	}
}

// TestReadGivesUp: a body that never comes is an error after MaxAttempts
// requests in all.
func TestReadGivesUp(t *testing.T) {
	data := bytesOf(900)
	for way, read := range reads {
		s, sc := fake(t, quick(), broken(data, 10, finish))
		_, err := read(t.Context(), s, len(data))
		if err == nil || len(sc.requests()) != 4 || !strings.Contains(err.Error(), "4 tries") {
			t.Errorf("%s: %v after %d requests", way, err, len(sc.requests()))
		}
	}
}

// TestChangedWhileBroken: a resumption does not mix two versions.
func TestChangedWhileBroken(t *testing.T) {
	data := bytesOf(900)
	other := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v2"`)
		http.ServeContent(w, r, "", time.Unix(2e9, 0), bytes.NewReader(data))
	}
	s, _ := fake(t, quick(), broken(data, 300, finish), other)
	_, err := s.OpenRange(t.Context(), key, "", 0, -1)
	if !errors.Is(err, s3fs.ErrPrecondition) {
		t.Errorf("resumed over a change: %v", err)
	}
}

// TestCancelledRead: the caller's context ends a stalled read at once, and
// is named as the reason.
func TestCancelledRead(t *testing.T) {
	for way, read := range reads {
		ctx, cancel := context.WithCancel(t.Context())
		s, _ := fake(t, quick(), func(w http.ResponseWriter, r *http.Request) {
			cancel()
			silent(w, r)
		})
		if _, err := read(ctx, s, 900); !errors.Is(err, context.Canceled) || errors.Is(err, s3fs.ErrUnreachable) {
			t.Errorf("%s: %v", way, err)
		}
	}
}

// TestNoHeaders: a server that says nothing is tried again.
func TestNoHeaders(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s, sc := fakeInBubble(t, quick(), silent, whole([]byte("x")))
		if got, _, err := s.Get(t.Context(), key); err != nil || string(got) != "x" {
			t.Errorf("get: %q, %v", got, err)
		}
		if n := s.Requests()["GetObject"]; n != 2 || len(sc.requests()) != 2 {
			t.Errorf("%d tries counted, %d seen", n, len(sc.requests()))
		}
	})
}

// TestLyingReplies: replies that do not hold what was asked for are errors.
func TestLyingReplies(t *testing.T) {
	data := bytesOf(900)
	for name, lie := range map[string]http.HandlerFunc{
		"range ignored": func(w http.ResponseWriter, r *http.Request) {
			r.Header.Del("Range")
			whole(data)(w, r)
		},
		"other range": func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Range", "bytes=1-899")
			whole(data)(w, r)
		},
		"no range": func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write(data)
		},
	} {
		s, sc := fake(t, quick(), lie)
		if _, err := s.OpenRange(t.Context(), key, "", 0, 900); err == nil || len(sc.requests()) != 1 {
			t.Errorf("%s: %v after %d requests", name, err, len(sc.requests()))
		}
	}
}

// TestCorruptBody: a body that differs from its checksum is fetched again.
func TestCorruptBody(t *testing.T) {
	data := bytesOf(900)
	sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(data))
	with := func(data []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("x-amz-checksum-crc32", base64.StdEncoding.EncodeToString(sum))
			whole(data)(w, r)
		}
	}
	bad := bytes.Clone(data)
	bad[450] ^= 1
	for way, read := range reads {
		s, _ := fake(t, quick(), with(bad), with(data))
		if got, err := read(t.Context(), s, len(data)); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes, %v", way, len(got), err)
		}
		s, _ = fake(t, quick(), with(bad))
		if _, err := read(t.Context(), s, len(data)); err == nil {
			t.Errorf("%s: accepted a body with a wrong checksum", way)
		}
	}
}

// TestReadWindow: never more chunks are in memory than the window has.
func TestReadWindow(t *testing.T) {
	const chunks, window = 40, 3
	data := bytesOf(chunks * 100)
	var begun, most, read atomic.Int64
	s, _ := fake(t, quick(), func(w http.ResponseWriter, r *http.Request) {
		held := begun.Add(1) - read.Load()
		for m := most.Load(); held > m && !most.CompareAndSwap(m, held); m = most.Load() {
		}
		whole(data)(w, r)
	})
	r, err := s.OpenChunks(t.Context(), key, "", 0, -1, 100, window)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	for i := range chunks {
		if _, err := io.ReadFull(r, buf); err != nil || !bytes.Equal(buf, data[i*100:][:100]) {
			t.Fatalf("chunk %d: %v", i, err)
		}
		read.Add(1)
	}
	if n, err := r.Read(buf); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	// The chunk whose last byte has been read is let go by the next Read.
	if m := most.Load(); m > window || begun.Load() != chunks {
		t.Errorf("held %d chunks, asked for %d", m, begun.Load())
	}
	early, err := s.OpenChunks(t.Context(), key, etag, 0, int64(len(data)), 100, window)
	if err != nil {
		t.Fatal(err)
	}
	if err := early.Close(); err != nil {
		t.Error(err)
	}
	if _, err := early.Read(buf); err == nil || err == io.EOF {
		t.Errorf("read after Close: %v", err)
	}
}

// TestRetriedStatus: what passes is tried again, what does not is not.
func TestRetriedStatus(t *testing.T) {
	for _, tt := range []struct {
		status int
		code   string
		retry  bool
	}{
		{500, "InternalError", true}, {502, "", true}, {503, "SlowDown", true}, {503, "", true}, {504, "", true},
		{429, "TooManyRequests", true}, {409, "ConditionalRequestConflict", true}, {400, "RequestTimeout", true},
		{409, "BucketAlreadyExists", false}, {400, "InvalidArgument", false}, {403, "AccessDenied", false},
		{404, "NoSuchKey", false}, {501, "NotImplemented", false}, {301, "PermanentRedirect", false},
	} {
		t.Run(fmt.Sprint(tt.status, tt.code), func(t *testing.T) {
			s, _ := fake(t, quick(), apiError(tt.status, tt.code), ok(""))
			_, err := s.Put(t.Context(), key, []byte("data"), s3fs.PutOptions{})
			if want := int64(1); err == nil != tt.retry || s.Requests()["PutObject"] == want == tt.retry {
				t.Errorf("%v after %d tries", err, s.Requests()["PutObject"])
			}
		})
	}
}
