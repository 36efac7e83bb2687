package s3fs_test

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/s3fs"
)

// TestActivity: every try is counted, by how it ended, and so are the bytes.
func TestActivity(t *testing.T) {
	data := bytesOf(3000)
	stop := make(chan struct{})
	s, _ := fake(t, quick(),
		apiError(http.StatusServiceUnavailable, "SlowDown"),
		apiError(http.StatusInternalServerError, "InternalError"),
		broken(data, 10, reset),
		whole(data),
		apiError(http.StatusNotFound, "NoSuchKey"),
		func(w http.ResponseWriter, r *http.Request) { close(stop); <-r.Context().Done() },
		ok(""),
	)
	got, _, err := s.Get(t.Context(), key)
	if err != nil || len(got) != len(data) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if _, err := s.Stat(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-stop; cancel() }()
	if _, err := s.Stat(ctx, key); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), key, data, s3fs.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	a := s.Activity()
	want := map[string]s3fs.Tries{
		"GetObject":  {Started: 4, Retried: 3, OK: 1, Throttled: 1, Failed: 2},
		"HeadObject": {Started: 2, Refused: 1, Canceled: 1},
		"PutObject":  {Started: 1, OK: 1},
	}
	if diff := cmp.Diff(want, a.Tries); diff != "" {
		t.Error(diff)
	}
	if a.Sent < 3000 || a.Sent > 3200 || a.Received < 3010 || a.Received > 3300 {
		t.Errorf("%d bytes sent, %d received", a.Sent, a.Received)
	}
	replies := int64(0)
	for _, n := range a.Latency {
		replies += n
	}
	if replies != 6 || a.Throttled() != 1 || a.Latency.Quantile(1) > time.Minute {
		t.Errorf("%d replies, %d throttled, %v", replies, a.Throttled(), a.Latency)
	}
	if a.Busy != 0 || a.Cuts != 1 || a.BudgetMax != 64*4 || a.Budget < a.BudgetMax-3 || a.Budget > a.BudgetMax {
		t.Errorf("%+v", a)
	}
	if diff := cmp.Diff(map[string]int64{"GetObject": 4, "HeadObject": 2, "PutObject": 1}, s.Requests()); diff != "" {
		t.Error(diff)
	}
}
