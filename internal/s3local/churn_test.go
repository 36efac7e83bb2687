package s3local

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3response"
	"golang.org/x/sync/errgroup"
)

// churner calls a backend as the front end does. Without HTTP in between the
// races of folders come up within moments.
type churner struct {
	backend.Backend
	bucket string
}

func newChurner(t *testing.T, on guards) churner {
	t.Helper()
	s := run(t, t.TempDir(), on)
	newClient(t, s.Endpoint()).want(200, "PUT", "/bucket", "")
	c := churner{s.store.guarded(on), "bucket"}
	if err := c.put(t.Context(), "source"); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c churner) put(ctx context.Context, key string) error {
	size := int64(1)
	_, err := c.PutObject(ctx, s3response.PutObjectInput{
		Bucket: &c.bucket, Key: &key, ContentLength: &size, Body: strings.NewReader("x")})
	return err
}

func (c churner) copy(ctx context.Context, from, key string) error {
	source, owner := c.bucket+"/"+from, ""
	_, err := c.CopyObject(ctx, s3response.CopyObjectInput{
		Bucket: &c.bucket, Key: &key, CopySource: &source, ExpectedBucketOwner: &owner})
	return err
}

// get makes sure that an object is there as a whole.
func (c churner) get(ctx context.Context, key string) error {
	out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &c.bucket, Key: &key})
	if err != nil {
		return err
	}
	data, err := io.ReadAll(out.Body)
	if err == nil && string(data) != "x" {
		err = fmt.Errorf("%s holds %q", key, data)
	}
	if cerr := out.Body.Close(); err == nil {
		err = cerr
	}
	return err
}

func (c churner) remove(ctx context.Context, key string) error {
	_, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &c.bucket, Key: &key})
	return err
}

func (c churner) removeMany(ctx context.Context, key string) error {
	out, err := c.DeleteObjects(ctx, &s3.DeleteObjectsInput{Bucket: &c.bucket,
		Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: &key}}}})
	if err == nil && len(out.Error) > 0 {
		err = fmt.Errorf("delete %s: %s", key, *out.Error[0].Message)
	}
	return err
}

func (c churner) create(ctx context.Context, key string) (id string, err error) {
	out, err := c.CreateMultipartUpload(ctx, s3response.CreateMultipartUploadInput{Bucket: &c.bucket, Key: &key})
	return out.UploadId, err
}

func (c churner) abort(ctx context.Context, key, id string) error {
	return c.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &c.bucket, Key: &key, UploadId: &id})
}

// upload makes an object by a multipart upload.
func (c churner) upload(ctx context.Context, key string) error {
	id, err := c.create(ctx, key)
	if err != nil {
		return err
	}
	number, size := int32(1), int64(1)
	part, err := c.UploadPart(ctx, &s3.UploadPartInput{Bucket: &c.bucket, Key: &key, UploadId: &id,
		PartNumber: &number, ContentLength: &size, Body: strings.NewReader("x")})
	if err != nil {
		return err
	}
	_, _, err = c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &c.bucket, Key: &key, UploadId: &id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: &number, ETag: part.ETag}}}})
	return err
}

// churn runs rounds in eight workers, until one fails.
func (c churner) churn(ctx context.Context, rounds int, round func(ctx context.Context, c churner, key string) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for w := range 8 {
		g.Go(func() error {
			key := fmt.Sprintf("a/b/c/%d", w)
			for n := 0; n < rounds && ctx.Err() == nil; n++ {
				if err := round(ctx, c, key); err != nil {
					return fmt.Errorf("worker %d, round %d: %w", w, n, err)
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// steps runs one step after the other.
func steps(all ...func() error) error {
	for _, step := range all {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// TestWritesAndDeletesOfOneFolder writes and deletes objects with different
// keys but the same parents, so that the folders come and go.
func TestWritesAndDeletesOfOneFolder(t *testing.T) {
	tests := []struct {
		name   string
		rounds int
		shown  bool // whether the fault shows soon without the guard
		round  func(ctx context.Context, c churner, key string) error
	}{
		{"put", 200, true, func(ctx context.Context, c churner, key string) error {
			return steps(
				func() error { return c.put(ctx, key) },
				func() error { return c.get(ctx, key) },
				func() error { return c.remove(ctx, key) })
		}},
		{"copy", 200, true, func(ctx context.Context, c churner, key string) error {
			return steps(
				func() error { return c.copy(ctx, "source", key) },
				func() error { return c.get(ctx, key) },
				func() error { return c.removeMany(ctx, key) })
		}},
		{"complete", 30, false, func(ctx context.Context, c churner, key string) error {
			return steps(
				func() error { return c.upload(ctx, key) },
				func() error { return c.get(ctx, key) },
				func() error { return c.remove(ctx, key) })
		}},
		{"abort", 200, true, func(ctx context.Context, c churner, _ string) error {
			id, err := c.create(ctx, "same")
			if err != nil {
				return err
			}
			return c.abort(ctx, "same", id)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.shown {
				t.Run("unguarded", func(t *testing.T) {
					err := newChurner(t, guards{}).churn(t.Context(), 100_000, test.round)
					if err == nil {
						t.Error("the fault did not show")
					}
					t.Log(err)
				})
			}
			t.Run("guarded", func(t *testing.T) {
				if err := newChurner(t, allGuards).churn(t.Context(), test.rounds, test.round); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
