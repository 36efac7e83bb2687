package s3fs

import (
	"context"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// CheckBucket proves that the bucket exists and may be listed. It asks for one
// key of a listing: the reply to a HeadBucket has no body, and the cause of
// its failure would be lost.
func (s *Store) CheckBucket(ctx context.Context) error {
	ctx, b := s.begin(ctx)
	out, err := s.listOne(ctx)
	if err == nil {
		if skew, ok := awsmiddleware.GetAttemptSkew(out.ResultMetadata); ok {
			s.skew.Store(int64(skew))
		}
	}
	return s.fail(opCheck, "", b, ErrPrecondition, err)
}

func (s *Store) listOne(ctx context.Context) (*s3.ListObjectsV2Output, error) {
	return s.api.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: s.bucket(), MaxKeys: aws.Int32(1)})
}

// Patience bounds the time that a question such as [Store.CheckBucket] takes
// where nobody answers.
func (s *Store) Patience() time.Duration {
	r := retryer{base: s.o.BackoffBase}
	tries := time.Duration(s.o.MaxAttempts) * s.o.HeaderTimeout
	for n := range s.o.MaxAttempts - 1 {
		tries += r.longest(n+1, false)
	}
	return min(tries, s.o.MaxElapsed+s.o.HeaderTimeout)
}

// Skew is by how much the store's clock was ahead of this machine's at the
// last [Store.CheckBucket]. The SDK signs with the store's time where the two
// are more than four minutes apart.
func (s *Store) Skew() time.Duration { return time.Duration(s.skew.Load()) }

// causeOfHead returns the error of a HEAD whose reply says, for want of a
// body, no more than a status that has many causes. A listing has the same
// credentials, clock and region, and its reply says which of them it was.
func (s *Store) causeOfHead(ctx context.Context, err error) error {
	switch statusOf(err) {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusMovedPermanently:
	default:
		return err
	}
	_, cause := s.listOne(ctx)
	if isExpired(cause) || isRefused(cause) || isSkewed(cause) || s.isRegionError(cause) {
		return cause
	}
	return err
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
