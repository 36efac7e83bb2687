package s3local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"
	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/datadir"
)

// churner calls a backend as the front end does. Without HTTP in between the
// races of folders come up within moments.
type churner struct {
	backend.Backend
	bucket string
	folder string // of the bucket
}

func newChurner(t *testing.T, on guards) churner {
	t.Helper()
	s := run(t, t.TempDir(), on)
	newClient(t, s.Endpoint()).want(200, "PUT", "/bucket", "")
	c := churner{s.store.guarded(on), "bucket", filepath.Join(s.dir, datadir.Root, "bucket")}
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

func (c churner) part(ctx context.Context, key, id string, number int32, body io.Reader) (etag *string, err error) {
	size := int64(1)
	out, err := c.UploadPart(ctx, &s3.UploadPartInput{Bucket: &c.bucket, Key: &key, UploadId: &id,
		PartNumber: &number, ContentLength: &size, Body: body})
	if err != nil {
		return nil, err
	}
	return out.ETag, nil
}

// complete makes an object of part 1.
func (c churner) complete(ctx context.Context, key, id string, etag *string) error {
	number := int32(1)
	_, _, err := c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &c.bucket, Key: &key, UploadId: &id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: &number, ETag: etag}}}})
	return err
}

// upload makes an object by a multipart upload.
func (c churner) upload(ctx context.Context, key string) error {
	id, err := c.create(ctx, key)
	if err != nil {
		return err
	}
	etag, err := c.part(ctx, key, id, 1, strings.NewReader("x"))
	if err != nil {
		return err
	}
	return c.complete(ctx, key, id, etag)
}

// callOff aborts an upload while a part of it comes in. What is left of the
// upload is an error.
func (c churner) callOff(ctx context.Context, key string) error {
	id, err := c.create(ctx, key)
	if err != nil {
		return err
	}
	var g errgroup.Group
	g.Go(func() error {
		_, err := c.part(ctx, key, id, 1, strings.NewReader("x"))
		if noUpload(err) {
			return nil
		}
		return err
	})
	g.Go(func() error { return c.abort(ctx, key, id) })
	if err := g.Wait(); err != nil {
		return err
	}
	if _, err := os.Stat(uploadFolder(c.folder, key, id)); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the upload is there again: %w", err)
	}
	return nil
}

// noUpload tells whether err is the answer for an upload that is not there.
func noUpload(err error) bool {
	var none s3err.NoSuchUploadError
	return errors.As(err, &none)
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
		{"call off", 200, true, func(ctx context.Context, c churner, key string) error { return c.callOff(ctx, key) }},
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
