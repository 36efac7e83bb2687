package s3fs_test

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/s3fs"
)

// TestAssembly: a store that assembles an object sends white space, however
// long it takes; one that never comes to an end is given up, and so is one
// that says nothing at all. What it did is then found by another try.
func TestAssembly(t *testing.T) {
	const done = `<CompleteMultipartUploadResult><ETag>"v1"</ETag></CompleteMultipartUploadResult>`
	refillTime := func(w http.ResponseWriter, r *http.Request, n int) bool {
		for range n {
			_, err := io.WriteString(w, " ")
			if err == nil {
				err = http.NewResponseController(w).Flush()
			}
			if err != nil || r.Context().Err() != nil {
				return false
			}
			time.Sleep(20 * time.Millisecond) // the pace of this store
		}
		return true
	}
	for name, tt := range map[string]struct {
		first http.HandlerFunc
		tries int64
	}{
		"long":  {func(w http.ResponseWriter, r *http.Request) { refillTime(w, r, 25); ok(done)(w, r) }, 1},
		"ever":  {func(w http.ResponseWriter, r *http.Request) { refillTime(w, r, 1e6) }, 2},
		"still": {silent, 2},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				o := quick()
				o.HeaderTimeout = 200 * time.Millisecond
				tries := 0
				s, _ := fakeInBubble(t, o, func(w http.ResponseWriter, r *http.Request) {
					switch q := r.URL.Query(); {
					case q.Has("uploads"):
						ok(`<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>`)(w, r)
					case r.Method != http.MethodPost:
						ok("")(w, r)
					default:
						if tries++; tries == 1 {
							_, _ = io.Copy(io.Discard, r.Body)
							tt.first(w, r)
							return
						}
						ok(done)(w, r)
					}
				})
				info, err := s.PutFile(t.Context(), key, bytes.NewReader(make([]byte, 5000)), 5000, s3fs.PutOptions{})
				if err != nil || info.ETag != `"v1"` || s.Requests()["CompleteMultipartUpload"] != tt.tries {
					t.Errorf("%+v, %v, after %v", info, err, s.Requests())
				}
			})
		})
	}
}
