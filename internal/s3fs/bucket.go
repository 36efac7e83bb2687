package s3fs

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// CheckBucket proves that the bucket exists and may be listed.
func (s *Store) CheckBucket(ctx context.Context) error {
	ctx, b := s.begin(ctx)
	_, err := s.api.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: s.bucket()})
	return s.fail(opCheck, "", b, ErrPrecondition, err)
}

// EnsureBucket creates the bucket unless it is there and ours.
func (s *Store) EnsureBucket(ctx context.Context) error {
	in := &s3.CreateBucketInput{Bucket: s.bucket()}
	if s.region != defaultRegion { // which S3 refuses to hear of
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{
			LocationConstraint: types.BucketLocationConstraint(s.region),
		}
	}
	ctx, b := s.begin(ctx)
	_, err := s.api.CreateBucket(ctx, in)
	if codeOf(err) == "BucketAlreadyOwnedByYou" {
		return nil
	}
	return s.fail(opCreate, "", b, ErrPrecondition, err)
}

// regionTimeout bounds the question for a bucket's region.
const regionTimeout = 5 * time.Second

// findRegion asks AWS for the region of the bucket, which any region knows
// and says even to those who may not read the bucket. If it does not, the
// default stands and the first request will tell.
func (s *Store) findRegion(ctx context.Context, cfg aws.Config) string {
	ctx, cancel := context.WithTimeout(ctx, regionTimeout)
	defer cancel()
	cfg.Region = defaultRegion
	api := s3.NewFromConfig(cfg, s.configure, func(o *s3.Options) {
		o.Credentials = aws.AnonymousCredentials{}
		o.Retryer = aws.NopRetryer{}
	})
	out, err := api.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: s.bucket()})
	switch r := regionOf(err); {
	case err == nil && aws.ToString(out.BucketRegion) != "":
		return *out.BucketRegion
	case r != "":
		return r
	}
	return defaultRegion
}
