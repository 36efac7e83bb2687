// Package s3conform is a suite of tests that tells whether an S3 server,
// seen through package s3fs, gives what the engine's exactly-once protocol
// and its data path need. It runs against the embedded server in every test
// run and against MinIO, an independent server, behind the build tag
// interop.
package s3conform

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/mraws/mraws/internal/s3fs"
)

// Target is a server under test.
type Target struct {
	// Options reach the server: endpoint, region and credentials. The
	// suite makes buckets of its own.
	Options s3fs.Options
	// Restart stops the server and starts it again with the same data at
	// the same address. nil leaves the test of it out.
	Restart func(t *testing.T)
}

// Run runs the suite.
func Run(t *testing.T, target Target) {
	for _, tt := range []struct {
		name string
		test func(suite, *testing.T)
	}{
		{"Objects", suite.objects},
		{"Metadata", suite.metadata},
		{"OddKeys", suite.oddKeys},
		{"Bucket", suite.buckets},
		{"PutRace", suite.putRace},
		{"CompleteRace", suite.completeRace},
		{"MixedRace", suite.mixedRace},
		{"IfMatch", suite.ifMatch},
		{"IfMatchRace", suite.ifMatchRace},
		{"LargeConflict", suite.largeConflict},
		{"Ranges", suite.ranges},
		{"PinnedReads", suite.pinnedReads},
		{"Listing", suite.listing},
		{"Delete", suite.deletes},
		{"Multipart", suite.multipart},
		{"Abort", suite.abort},
		{"Copy", suite.copies},
		{"TornUpload", suite.tornUpload},
		{"Near", suite.near},
		{"WrongKey", suite.wrongKey},
		{"Restart", suite.restart},
	} {
		if tt.name == "Restart" && target.Restart == nil {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			bucket := "conform-" + strings.ToLower(tt.name)
			tt.test(suite{target: target, bucket: bucket, Store: target.open(t, bucket, nil)}, t)
		})
	}
}

// suite is the surroundings of one test: a bucket of its own.
type suite struct {
	target Target
	bucket string
	*s3fs.Store
}

// The sizes that the suite uses unless a test says otherwise, in bytes.
const (
	partSize       = 5 << 20
	multipartAbove = 12 << 20
)

// open returns a store of the bucket, which it creates.
func (target Target) open(t *testing.T, bucket string, change func(*s3fs.Options)) *s3fs.Store {
	t.Helper()
	o := target.Options
	o.Bucket, o.PartSize, o.MultipartAbove = bucket, partSize, multipartAbove
	if change != nil {
		change(&o)
	}
	s, err := s3fs.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.EnsureBucket(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// reopen returns another store of the same bucket.
func (s suite) reopen(t *testing.T, change func(*s3fs.Options)) *s3fs.Store {
	t.Helper()
	return s.target.open(t, s.bucket, change)
}

// put writes an object or ends the test.
func (s suite) put(t *testing.T, key string, data []byte, o s3fs.PutOptions) s3fs.Object {
	t.Helper()
	obj, err := s.Put(t.Context(), key, data, o)
	if err != nil {
		t.Fatal(err)
	}
	return obj
}

// want compares an object with data.
func (s suite) want(t *testing.T, key string, data []byte) s3fs.Object {
	t.Helper()
	got, obj, err := s.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, data) {
		t.Fatalf("%q holds %d bytes %.40q, want %d bytes %.40q", key, len(got), got, len(data), data)
	}
	return obj
}

// readRange reads a range to its end.
func (s suite) readRange(ctx context.Context, key, etag string, off, n int64) ([]byte, error) {
	r, err := s.OpenRange(ctx, key, etag, off, n)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// noise returns n bytes without a pattern, others for another seed.
func noise(n int, seed uint64) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b) // never fails
	return b
}

// chunked returns the store of the same bucket with small chunks, so that
// small objects are read by several requests.
func (s suite) chunked(t *testing.T) suite {
	t.Helper()
	s.Store = s.reopen(t, func(o *s3fs.Options) { o.PartSize = chunk })
	return s
}

// chunk is the size of the chunks of [suite.chunked], in bytes.
const chunk = 64 << 10

// race runs f in n goroutines that begin together and returns their errors.
func race(n int, f func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			errs[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	return errs
}

// winner returns who won a race that exactly one must win, the others with
// lost.
func winner(errs []error, lost func(error) bool) (int, error) {
	won := -1
	for i, err := range errs {
		switch {
		case err == nil && won >= 0:
			return 0, fmt.Errorf("both %d and %d won", won, i)
		case err == nil:
			won = i
		case !lost(err):
			return 0, fmt.Errorf("%d lost by %w", i, err)
		}
	}
	if won < 0 {
		return 0, fmt.Errorf("no writer won: %w", errs[0])
	}
	return won, nil
}
