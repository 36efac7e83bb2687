package s3fs

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// readFunc is a reader.
type readFunc func([]byte) (int, error)

func (f readFunc) Read(b []byte) (int, error) { return f(b) }

// TestAnswered: the transport may look for the end of the request's body when
// the reply has begun. The reply then has its own time, not that of headers.
func TestAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := Options{Bucket: "b", Endpoint: "http://127.0.0.1:1", Region: "r", AccessKey: "a", SecretKey: "b", HeaderTimeout: time.Second}
		s, err := open(t.Context(), o, roundTrip(func(r *http.Request) (*http.Response, error) {
			if _, err := io.CopyN(io.Discard, r.Body, r.ContentLength); err != nil {
				return nil, err
			}
			resp, body := statusReply(http.StatusOK, ""), strings.NewReader("<DeleteResult/>")
			resp.Request, resp.ContentLength = r, body.Size()
			resp.Body = io.NopCloser(readFunc(func(b []byte) (int, error) {
				if n, err := r.Body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
					t.Errorf("behind the request's body: %d, %v", n, err)
				}
				time.Sleep(3 * time.Second / 2)
				if err := r.Context().Err(); err != nil {
					return 0, err
				}
				return body.Read(b)
			}))
			return resp, nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Delete(t.Context(), "k"); err != nil {
			t.Error(err)
		}
		if n := s.Requests(); n["DeleteObjects"] != 1 {
			t.Errorf("requests %v", n)
		}
	})
}
