package s3fs

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"
)

const (
	deleteBatch  = 1000 // keys of one DeleteObjects, S3's limit
	deleteWindow = 4    // batches in flight
)

// Delete removes objects in batches. Keys that do not exist are no error. The
// joined error names each key that could not be deleted.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	var plain, odd []string
	for _, k := range keys {
		if strings.ContainsFunc(k, func(r rune) bool { return r < ' ' || r == '\uFFFD' || r == '\uFFFE' || r == '\uFFFF' }) {
			odd = append(odd, k) // XML cannot carry it, a URL can
		} else {
			plain = append(plain, k)
		}
	}
	var g errgroup.Group
	g.SetLimit(deleteWindow)
	batches := slices.Collect(slices.Chunk(plain, deleteBatch))
	errs := make([]error, len(batches)+len(odd))
	for i, batch := range batches {
		g.Go(func() error {
			errs[i] = s.deleteBatch(ctx, batch)
			return nil
		})
	}
	for i, key := range odd {
		g.Go(func() error {
			ctx, b := s.begin(ctx)
			_, err := s.api().DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: s.bucket(), Key: &key})
			errs[len(batches)+i] = s.fail(opDelete1, key, b, ErrPrecondition, err)
			return nil
		})
	}
	_ = g.Wait() // errors are in errs
	return errors.Join(errs...)
}

// deleteBatch sends DeleteObjects until no key fails with a retryable error. All
// tries are of one tryBudget.
func (s *Store) deleteBatch(ctx context.Context, keys []string) error {
	ctx, b := s.begin(ctx)
	var errs []error
	for {
		ids := make([]types.ObjectIdentifier, len(keys))
		for i := range keys {
			ids[i].Key = &keys[i]
		}
		out, err := s.api().DeleteObjects(ctx, &s3.DeleteObjectsInput{
			Bucket: s.bucket(), Delete: &types.Delete{Objects: ids, Quiet: aws.Bool(true)},
		})
		if err != nil {
			return errors.Join(append(errs, s.fail(opDelete, keys[0], b, ErrPrecondition, err))...)
		}
		var retry []string
		var last error
		for _, e := range out.Errors {
			key := aws.ToString(e.Key)
			code := aws.ToString(e.Code)
			last = &smithy.GenericAPIError{Code: code, Message: aws.ToString(e.Message)}
			switch {
			case code == "NoSuchKey":
			case retryable(last) && b.more():
				retry = append(retry, key)
			default:
				errs = append(errs, s.fail(opDelete, key, b, ErrPrecondition, last))
			}
		}
		if len(retry) == 0 {
			return errors.Join(errs...)
		}
		keys = retry
		if err := s.pause(ctx, opDelete, b, last); err != nil {
			return errors.Join(append(errs, s.fail(opDelete, keys[0], b, ErrPrecondition, err))...)
		}
	}
}
