package s3fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
)

// maxGet is the largest object that Get returns, in bytes.
const maxGet = 1 << 30

// Stat returns size, version and metadata of an object. The error wraps
// fs.ErrNotExist if there is no object. A missing bucket gives the same error.
func (s *Store) Stat(ctx context.Context, key string) (Object, error) {
	ctx, b := s.begin(ctx)
	out, err := follow(s, func(api *s3.Client) (*s3.HeadObjectOutput, error) {
		out, err := api.HeadObject(ctx, &s3.HeadObjectInput{Bucket: s.bucket(), Key: &key})
		if err != nil {
			err = s.causeOfHead(ctx, err)
		}
		return out, err
	})
	if err != nil {
		return Object{}, s.fail(opStat, key, b, ErrPrecondition, err)
	}
	archived := archive(string(out.StorageClass))
	if out.ArchiveStatus != "" { // a tier of INTELLIGENT_TIERING
		archived = string(out.ArchiveStatus)
	}
	if strings.Contains(aws.ToString(out.Restore), `ongoing-request="false"`) {
		archived = ""
	}
	return Object{
		Key: key, Size: aws.ToInt64(out.ContentLength), ETag: aws.ToString(out.ETag), Archived: archived,
		Modified: aws.ToTime(out.LastModified), Meta: out.Metadata, Served: served(out.ResultMetadata),
	}, nil
}

// archive returns a storage class from which objects must be restored before they
// are read, and "" for any other.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/archived-objects.html
func archive(class string) string {
	switch types.ObjectStorageClass(class) {
	case types.ObjectStorageClassGlacier, types.ObjectStorageClassDeepArchive:
		return class
	}
	return ""
}

// served returns the time of a reply by the store's clock.
func served(m middleware.Metadata) time.Time {
	t, _ := awsmiddleware.GetServerTime(m)
	return t
}

// Get returns a whole object of at most 1 GiB. It checks the length, and the
// checksum if the store has one. It fetches a broken body again from the start,
// so that the checksum covers all of it.
func (s *Store) Get(ctx context.Context, key string) ([]byte, Object, error) {
	ctx, b := s.begin(ctx)
	for {
		data, obj, err := s.getOnce(ctx, key)
		if err == nil {
			return data, obj, nil
		}
		if !s.again(ctx, b, err) {
			return nil, Object{}, s.fail(opGet, key, b, ErrPrecondition, err)
		}
	}
}

func (s *Store) getOnce(ctx context.Context, key string) ([]byte, Object, error) {
	out, err := follow(s, func(api *s3.Client) (*s3.GetObjectOutput, error) {
		return api.GetObject(ctx, &s3.GetObjectInput{Bucket: s.bucket(), Key: &key, ChecksumMode: types.ChecksumModeEnabled})
	})
	if err != nil {
		return nil, Object{}, &finalError{err}
	}
	defer out.Body.Close()
	if out.ContentLength == nil {
		return nil, Object{}, &finalError{errors.New("reply without Content-Length")}
	}
	n := *out.ContentLength
	if n > maxGet {
		return nil, Object{}, &finalError{fmt.Errorf("object of %d bytes is too large to be read whole", n)}
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(out.Body, data); err != nil {
		return nil, Object{}, shortBody(err)
	}
	// The checksum is compared at the end of the body.
	if err := wantEOF(out.Body); err != nil {
		return nil, Object{}, fmt.Errorf("check body: %w", err)
	}
	return data, Object{
		Key: key, Size: n, ETag: aws.ToString(out.ETag),
		Modified: aws.ToTime(out.LastModified), Meta: out.Metadata, Served: served(out.ResultMetadata),
	}, nil
}

// wantEOF returns nil if nothing follows in a body.
func wantEOF(body io.Reader) error {
	switch n, err := body.Read(make([]byte, 1)); {
	case n > 0:
		return errors.New("body is longer than its Content-Length")
	case err == io.EOF:
		return nil
	case err != nil:
		return err
	}
	return io.ErrNoProgress
}

// shortBody returns the error of a body that ends before its length.
func shortBody(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// finalError marks an error that the retry layer has handled, or that a retry
// cannot change.
type finalError struct{ err error }

func (e *finalError) Error() string { return e.err.Error() }
func (e *finalError) Unwrap() error { return e.err }
