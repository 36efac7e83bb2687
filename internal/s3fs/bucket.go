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

// CheckBucket checks that the bucket exists and may be listed. It lists one key
// instead of sending HeadBucket, whose reply has no body to tell the cause of a
// failure.
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
	return follow(s, func(api *s3.Client) (*s3.ListObjectsV2Output, error) {
		return api.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: s.bucket(), MaxKeys: aws.Int32(1)})
	})
}

// Patience is the maximum time of a request without a body, such as
// [Store.CheckBucket], to a server that does not answer.
func (s *Store) Patience() time.Duration {
	r := retryer{base: s.o.BackoffBase}
	tries := time.Duration(s.o.MaxAttempts) * s.o.HeaderTimeout
	for n := range s.o.MaxAttempts - 1 {
		tries += r.maxDelay(n+1, false)
	}
	return min(tries, s.o.MaxElapsed+s.o.HeaderTimeout)
}

// Skew is the time by which the store's clock was ahead of this machine's at the
// last [Store.CheckBucket]. The SDK signs with the store's time if the two differ
// by more than four minutes.
func (s *Store) Skew() time.Duration { return time.Duration(s.skew.Load()) }

// causeOfHead returns the cause of a failed HEAD. The reply to a HEAD has no body,
// and its status has many causes. A listing fails for the same reason if that is
// the credentials, the clock or the region, and its reply names it.
func (s *Store) causeOfHead(ctx context.Context, err error) error {
	switch statusOf(err) {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusMovedPermanently:
	default:
		return err
	}
	if r := regionOf(err); s.o.Follow && r != "" && r != s.Region() {
		return err // which is followed
	}
	_, cause := s.listOne(ctx)
	if isExpired(cause) || isRefused(cause) || isSkewed(cause) || isRegionError(cause, s.Region()) {
		return cause
	}
	return err
}

// EnsureBucket creates the bucket unless this account has it.
func (s *Store) EnsureBucket(ctx context.Context) error {
	in := &s3.CreateBucketInput{Bucket: s.bucket()}
	if region := s.Region(); region != defaultRegion { // S3 refuses it as a location constraint
		in.CreateBucketConfiguration = &types.CreateBucketConfiguration{
			LocationConstraint: types.BucketLocationConstraint(region),
		}
	}
	ctx, b := s.begin(ctx)
	_, err := s.api().CreateBucket(ctx, in)
	if codeOf(err) == "BucketAlreadyOwnedByYou" {
		return nil
	}
	return s.fail(opCreate, "", b, ErrPrecondition, err)
}

// regionTimeout bounds the time of findRegion.
const regionTimeout = 5 * time.Second

// findRegion asks AWS for the region of the bucket. Any region knows it, and
// tells it even without permission to read the bucket. Without an answer
// findRegion returns the default, and the first request names the region.
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
