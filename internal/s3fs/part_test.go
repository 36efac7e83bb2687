package s3fs_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/s3fs"
)

// TestPartSizes: parts of a large file are larger than the store's own, those
// of a writer only if it is asked to; all but the last are alike.
func TestPartSizes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		write func(*s3fs.Store) error
		want  []int
	}{
		{"file", func(s *s3fs.Store) error {
			_, err := s.PutFile(t.Context(), key, bytes.NewReader(bytesOf(4500)), 4500, s3fs.PutOptions{})
			return err
		}, []int{1000, 1000, 1000, 1000, 500}},
		{"large file", func(s *s3fs.Store) error {
			_, err := s.PutFile(t.Context(), key, bytes.NewReader(bytesOf(64*3000)), 64*3000, s3fs.PutOptions{})
			return err
		}, slices.Repeat([]int{3000}, 64)},
		{"very large file", func(s *s3fs.Store) error {
			_, err := s.PutFile(t.Context(), key, bytes.NewReader(bytesOf(100*8000)), 100*8000, s3fs.PutOptions{})
			return err
		}, slices.Repeat([]int{8000}, 100)},
		{"writer", func(s *s3fs.Store) error { return written(t, s, 2500, s3fs.PutOptions{}) }, []int{1000, 1000, 500}},
		{"writer of large parts", func(s *s3fs.Store) error {
			return written(t, s, 5000, s3fs.PutOptions{Expect: 64 * 2000, Memory: 8 * 2000})
		}, []int{2000, 2000, 1000}},
		{"writer of small parts", func(s *s3fs.Store) error { return written(t, s, 2500, s3fs.PutOptions{Expect: 64 * 10, Memory: 80}) }, []int{1000, 1000, 500}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var mu sync.Mutex
			var got []int
			s := uploadServer(t, map[string]http.HandlerFunc{"part": func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				mu.Lock()
				got = append(got, len(body))
				mu.Unlock()
				ok("")(w, r)
			}})
			if err := tt.write(s); err != nil {
				t.Fatal(err)
			}
			slices.SortFunc(got, func(a, b int) int { return b - a })
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("sizes of parts (-want +got):\n%s", diff)
			}
		})
	}
}

// TestWhole: what is expected to fit into one request, and does, is one; else
// it is sent in parts of the usual size.
func TestWhole(t *testing.T) {
	for _, tt := range []struct {
		name  string
		n     int
		o     s3fs.PutOptions
		parts []int // none: one request
	}{
		{"it fits", 3500, s3fs.PutOptions{Expect: 3600, Memory: 4000}, nil},
		{"to the byte", 4000, s3fs.PutOptions{Expect: 4000, Memory: 4000}, nil},
		{"of full parts", 3000, s3fs.PutOptions{Expect: 10, Memory: 4000}, nil},
		{"more than was thought", 4001, s3fs.PutOptions{Expect: 3600, Memory: 4000}, []int{1000, 1000, 1000, 1000, 1}},
		{"within the last part", 3700, s3fs.PutOptions{Expect: 3600, Memory: 3600}, []int{1000, 1000, 1000, 700}},
		{"far more than was thought", 6000, s3fs.PutOptions{Memory: 4000}, slices.Repeat([]int{1000}, 6)},
		{"no room for it", 3500, s3fs.PutOptions{Expect: 3500, Memory: 3400}, []int{1000, 1000, 1000, 500}},
		{"large parts", 100_000, s3fs.PutOptions{Expect: 128_000, Memory: 128_000}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var mu sync.Mutex
			var parts []int
			var whole []byte
			o := quick()
			o.Server = s3fs.SameMachine
			s, _ := fake(t, o, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				switch q := r.URL.Query(); {
				case q.Has("uploads"):
					ok(`<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>`)(w, r)
				case q.Has("partNumber"):
					mu.Lock()
					parts = append(parts, len(body))
					mu.Unlock()
					ok("")(w, r)
				case r.Method == http.MethodPost:
					ok(`<CompleteMultipartUploadResult><ETag>"v1"</ETag></CompleteMultipartUploadResult>`)(w, r)
				default:
					whole = body
					ok("")(w, r)
				}
			})
			if err := written(t, s, tt.n, tt.o); err != nil {
				t.Fatal(err)
			}
			slices.SortFunc(parts, func(a, b int) int { return b - a })
			if diff := cmp.Diff(tt.parts, parts); diff != "" {
				t.Errorf("sizes of parts (-want +got):\n%s", diff)
			}
			if want := bytesOf(tt.n); tt.parts == nil && !bytes.Equal(whole, want) {
				t.Errorf("one request of %d bytes that are not the %d written", len(whole), len(want))
			}
		})
	}
}

// written writes n bytes by a writer, in pieces.
// TestWholeChecksum: what was gathered goes with the checksum that was made of
// it meanwhile, and under the condition, each time that it is sent.
func TestWholeChecksum(t *testing.T) {
	for _, n := range []int{0, 1, 999, 1000, 3500, 4000} {
		o := quick()
		o.Server = s3fs.SameMachine
		sum := crc32.Checksum(bytesOf(n), crc32.MakeTable(crc32.Castagnoli))
		want := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
		sent := 0
		check := func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil || !bytes.Equal(body, bytesOf(n)) {
				t.Errorf("%d bytes: %d came, %v", n, len(body), err)
			}
			if got := r.Header.Get("x-amz-checksum-crc32c"); got != want {
				t.Errorf("%d bytes: checksum %q, want %q", n, got, want)
			}
			if got := r.Header.Get("If-None-Match"); got != "*" {
				t.Errorf("%d bytes: condition %q", n, got)
			}
			if sent++; sent == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			ok("")(w, r)
		}
		s, _ := fake(t, o, check)
		if err := written(t, s, n, s3fs.PutOptions{Expect: int64(n), Memory: 4000, IfAbsent: true}); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
		if sent != 2 {
			t.Errorf("%d bytes were sent %d times", n, sent)
		}
	}
}

// TestGap: a writer whose part could not be begun does not commit the rest.
func TestGap(t *testing.T) {
	o := quick()
	o.Server = s3fs.SameMachine
	s, _ := fake(t, o, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil || r.Method == http.MethodPut {
			t.Errorf("%s %s, %v", r.Method, r.URL, err)
		}
		apiError(http.StatusForbidden, "AccessDenied")(w, r)
	})
	w, err := s.Create(t.Context(), key, s3fs.PutOptions{Memory: 3000})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(bytesOf(3500)); err == nil {
		t.Error("the part was begun")
	}
	if _, err := w.Commit(t.Context()); err == nil {
		t.Error("committed with a gap")
	}
}

func written(t *testing.T, s *s3fs.Store, n int, o s3fs.PutOptions) error {
	w, err := s.Create(t.Context(), key, o)
	if err != nil {
		return err
	}
	for piece := range slices.Chunk(bytesOf(n), 700) {
		if _, err := w.Write(piece); err != nil {
			return err
		}
	}
	_, err = w.Commit(t.Context())
	return err
}
