package s3fs

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/mraws/mraws/internal/s3local"
)

// TestContentEncoding: bytes are those of the object, whatever the object
// says of how they are encoded. An HTTP client might decompress them by
// itself, and then neither sizes nor ranges would be right.
func TestContentEncoding(t *testing.T) {
	bare(t)
	srv, err := s3local.Start(t.Context(), s3local.Options{DataDir: t.TempDir(), Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	}()
	ep := srv.Endpoint()
	s, err := Open(t.Context(), Options{Bucket: "test", Endpoint: ep.URL, Region: ep.Region, AccessKey: ep.AccessKey, SecretKey: ep.SecretKey})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.EnsureBucket(t.Context()); err != nil {
		t.Fatal(err)
	}
	// "hello\n" as gzip -n writes it.
	data := []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcb\x48\xcd\xc9\xc9\xe7\x02\x00\x20\x30\x3a\x36\x06\x00\x00\x00")
	if _, err := s.api().PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("test"), Key: aws.String("a.gz"), Body: bytes.NewReader(data), ContentEncoding: aws.String("gzip"),
	}); err != nil {
		t.Fatal(err)
	}
	got, info, err := s.Get(t.Context(), "a.gz")
	if err != nil || !bytes.Equal(got, data) || info.Size != int64(len(data)) {
		t.Fatalf("Get: %q, %+v, %v", got, info, err)
	}
	head, err := s.api().HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("test"), Key: aws.String("a.gz")})
	if err != nil || aws.ToString(head.ContentEncoding) != "gzip" {
		t.Fatalf("the server did not keep the encoding: %v, %v", aws.ToString(head.ContentEncoding), err)
	}
	for _, off := range []int64{0, 5} {
		body, err := s.OpenRange(t.Context(), "a.gz", info.ETag, off, int64(len(data))-off)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		if err = errors.Join(err, body.Close()); err != nil || !bytes.Equal(got, data[off:]) {
			t.Errorf("from %d: %q, %v", off, got, err)
		}
	}
}
