package s3fs_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/mraws/mraws/internal/s3fs"
	"github.com/mraws/mraws/internal/testkit"
)

// elsewhere returns a store of a bucket of its own, and a server of buckets of others.
func elsewhere(t *testing.T, other *testkit.S3) *s3fs.Store {
	t.Helper()
	srv := httptest.NewServer(other)
	t.Cleanup(srv.Close)
	o := quick()
	o.Endpoint = srv.URL
	s, err := s3fs.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// keys lists a bucket.
func keys(ctx context.Context, s *s3fs.Store) (all []string, err error) {
	for o, err := range s.List(ctx, "") {
		if err != nil {
			return nil, err
		}
		all = append(all, o.Key)
	}
	return all, nil
}

// TestOtherRegion: each kind of read follows a bucket to its region, once for all.
func TestOtherRegion(t *testing.T) {
	for name, read := range map[string]func(ctx context.Context, s *s3fs.Store) error{
		"list":  func(ctx context.Context, s *s3fs.Store) error { _, err := keys(ctx, s); return err },
		"stat":  func(ctx context.Context, s *s3fs.Store) error { _, err := s.Stat(ctx, "k"); return err },
		"get":   func(ctx context.Context, s *s3fs.Store) error { _, _, err := s.Get(ctx, "k"); return err },
		"check": func(ctx context.Context, s *s3fs.Store) error { return s.CheckBucket(ctx) },
		"stream": func(ctx context.Context, s *s3fs.Store) error {
			r, err := s.Stream(ctx, "k", "", 0, 4)
			if err != nil {
				return err
			}
			_, err = r.WriteTo(io.Discard)
			return errors.Join(err, r.Close())
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := &testkit.S3{Region: "eu-west-3", Wants: "signed", Buckets: map[string]map[string]string{"other": {"k": "text"}, bucket: {"k": "text"}}}
			home := elsewhere(t, server)
			s := home.In("other")
			if home.In("other") != s || s.In(bucket) != home {
				t.Error("the same bucket is another store")
			}
			var all sync.WaitGroup
			for range 4 {
				all.Go(func() {
					if err := read(t.Context(), s); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			before := len(server.Requests())
			if err := read(t.Context(), s); err != nil || len(server.Requests()) != before+1 {
				t.Errorf("once more: %v, %v", err, server.Requests())
			}
			if s.Region() != "eu-west-3" || home.Region() != "us-east-1" {
				t.Errorf("regions %s and %s", s.Region(), home.Region())
			}
			if err := read(t.Context(), home.Other("other", s3fs.Access{Region: "eu-west-3"})); err != nil || len(server.Requests()) != before+2 {
				t.Errorf("with the region: %v, %v", err, server.Requests())
			}
			// The bucket that the store was opened for is where it was said to be.
			if err := read(t.Context(), home); !errors.Is(err, s3fs.ErrRegion) {
				t.Errorf("its own bucket: %v", err)
			}
		})
	}
}

// TestRegionThatIsNone: what a reply says becomes no part of a host.
func TestRegionThatIsNone(t *testing.T) {
	server := &testkit.S3{Region: "evil.example/", Buckets: map[string]map[string]string{"other": {}}}
	s := elsewhere(t, server).In("other")
	if _, err := keys(t.Context(), s); !errors.Is(err, s3fs.ErrRegion) || s.Region() != "us-east-1" || len(server.Requests()) != 1 {
		t.Errorf("%v, %s, %v", err, s.Region(), server.Requests())
	}
}

// TestAccess: requests are signed or not, and paid for or not, as a bucket is asked.
func TestAccess(t *testing.T) {
	unsigned, payer := s3fs.Access{Unsigned: true}, s3fs.Access{RequesterPays: true}
	for _, tt := range []struct {
		wants  string
		access s3fs.Access
		says   string // of each request
		denied bool
	}{
		{"anybody", s3fs.Access{}, "signed", false},
		{"anybody", unsigned, "unsigned", false},
		{"unsigned", unsigned, "unsigned", false},
		{"unsigned", s3fs.Access{}, "signed", true},
		{"signed", unsigned, "unsigned", true},
		{"payer", s3fs.Access{}, "signed", true},
		{"payer", payer, "signed payer", false},
	} {
		server := &testkit.S3{Wants: tt.wants, Buckets: map[string]map[string]string{"other": {"k": "text"}}}
		s := elsewhere(t, server).Other("other", tt.access)
		_, listed := keys(t.Context(), s)
		_, _, got := s.Get(t.Context(), "k")
		_, stated := s.Stat(t.Context(), "k")
		for _, err := range []error{listed, got, stated} {
			var e *s3fs.Error
			switch {
			case !tt.denied && err != nil, tt.denied && !errors.Is(err, fs.ErrPermission):
				t.Errorf("%+v: %v", tt, err)
			case tt.denied && (!errors.As(err, &e) || e.Access != tt.access || e.Action == ""):
				t.Errorf("%+v: %+v", tt, e)
			}
		}
		for _, line := range server.Requests() {
			if !strings.HasSuffix(line, "/ "+tt.says) && !strings.HasSuffix(line, "/k "+tt.says) && !strings.HasSuffix(line, "other "+tt.says) {
				t.Errorf("%+v: %s", tt, line)
			}
		}
	}
}

// TestUnsignedWithoutCredentials: a public bucket is read where there are none.
func TestUnsignedWithoutCredentials(t *testing.T) {
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", "/nowhere")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
	server := &testkit.S3{Wants: "unsigned", Buckets: map[string]map[string]string{"other": {"k": "text"}}}
	srv := httptest.NewServer(server)
	t.Cleanup(srv.Close)
	home := elsewhere(t, &testkit.S3{})
	s, err := s3fs.Open(t.Context(), s3fs.Options{Bucket: "first", Endpoint: srv.URL, Beside: home})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if _, err := keys(t.Context(), s.In("other")); !errors.Is(err, s3fs.ErrCredentials) {
		t.Errorf("signed: %v", err)
	}
	if got, err := keys(t.Context(), s.Other("other", s3fs.Access{Unsigned: true})); err != nil || !slices.Equal(got, []string{"k"}) {
		t.Errorf("%v, %v", got, err)
	}
	if home.Requests()["ListObjectsV2"] != 1 {
		t.Errorf("the store beside it counts %v", home.Requests())
	}
}

// TestArchivedClass: which objects must be restored before they are read.
func TestArchivedClass(t *testing.T) {
	server := &testkit.S3{
		Classes: map[string]string{"a": "GLACIER", "b": "DEEP_ARCHIVE", "c": "GLACIER_IR", "d": "STANDARD_IA"},
		Buckets: map[string]map[string]string{bucket: {"a": "", "b": "", "c": "", "d": "", "e": ""}},
	}
	s := elsewhere(t, server)
	for o, err := range s.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"a": "GLACIER", "b": "DEEP_ARCHIVE"}[o.Key]
		now, err := s.Stat(t.Context(), o.Key)
		if err != nil || o.Archived != want || now.Archived != want {
			t.Errorf("%s: listed %q, stat %q, want %q; %v", o.Key, o.Archived, now.Archived, want, err)
		}
	}
	server.Restored = true
	if now, err := s.Stat(t.Context(), "a"); err != nil || now.Archived != "" {
		t.Errorf("restored: %q, %v", now.Archived, err)
	}
}
