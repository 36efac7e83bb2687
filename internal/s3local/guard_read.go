package s3local

import (
	"context"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/s3response"
)

// The front end asks for the ACL of the bucket before every request on a
// bucket or an object, so that its check covers those too that are not listed
// here.

// GetBucketAcl returns the owner of a bucket.
func (g *guard) GetBucketAcl(ctx context.Context, in *s3.GetBucketAclInput) (_ []byte, err error) {
	defer g.told(&err)
	if err := g.admitBucket(&in.Bucket); err != nil {
		return nil, err
	}
	g.buckets.RLock()
	defer g.buckets.RUnlock()
	return g.s.GetBucketAcl(ctx, in)
}

// CreateBucket makes a bucket.
func (g *guard) CreateBucket(ctx context.Context, in *s3.CreateBucketInput, acl []byte) (err error) {
	defer g.told(&err)
	if err := g.admitBucket(&in.Bucket); err != nil {
		return err
	}
	g.buckets.Lock()
	defer g.buckets.Unlock()
	return g.s.CreateBucket(ctx, in, acl)
}

// HeadBucket tells whether a bucket is there.
func (g *guard) HeadBucket(ctx context.Context, in *s3.HeadBucketInput) (_ *s3.HeadBucketOutput, err error) {
	defer g.told(&err)
	if err := g.admitBucket(&in.Bucket); err != nil {
		return nil, err
	}
	g.buckets.RLock()
	defer g.buckets.RUnlock()
	return g.s.HeadBucket(ctx, in)
}

// ListBuckets lists the buckets, which the backend looks for in the working
// directory. They all have one owner.
func (g *guard) ListBuckets(_ context.Context, in s3response.ListBucketsInput) (out s3response.ListAllMyBucketsResult, err error) {
	defer g.told(&err)
	if err := g.admit(); err != nil {
		return out, err
	}
	out.Owner.ID, out.Prefix = in.Owner, in.Prefix
	entries, err := os.ReadDir(g.s.root)
	for _, e := range entries {
		name, all := e.Name(), &out.Buckets.Bucket
		info, err := e.Info()
		if err != nil || !info.IsDir() || !bucketName.MatchString(name) || !strings.HasPrefix(name, in.Prefix) || name <= in.ContinuationToken {
			continue // or it is gone already
		}
		if len(*all) == int(in.MaxBuckets) {
			out.ContinuationToken = (*all)[len(*all)-1].Name
			break
		}
		*all = append(*all, s3response.ListAllMyBucketsEntry{Name: name, CreationDate: info.ModTime()})
	}
	return out, err
}

// The settings of a bucket can be read, since the front end asks for some of
// them, but not set.

// GetBucketVersioning tells that versioning is off.
func (g *guard) GetBucketVersioning(ctx context.Context, bucket string) (_ s3response.GetBucketVersioningOutput, err error) {
	defer g.told(&err)
	if err := g.admitName(&bucket); err != nil {
		return s3response.GetBucketVersioningOutput{}, err
	}
	return g.s.GetBucketVersioning(ctx, bucket)
}

// GetBucketPolicy tells that there is no policy.
func (g *guard) GetBucketPolicy(ctx context.Context, bucket string) (_ []byte, err error) {
	defer g.told(&err)
	if err := g.admitName(&bucket); err != nil {
		return nil, err
	}
	return g.s.GetBucketPolicy(ctx, bucket)
}

// GetBucketOwnershipControls returns the ownership mode.
func (g *guard) GetBucketOwnershipControls(ctx context.Context, bucket string) (_ types.ObjectOwnership, err error) {
	defer g.told(&err)
	if err := g.admitName(&bucket); err != nil {
		return "", err
	}
	return g.s.GetBucketOwnershipControls(ctx, bucket)
}

// GetBucketCors tells that there are no rules for browsers.
func (g *guard) GetBucketCors(ctx context.Context, bucket string) (_ []byte, err error) {
	defer g.told(&err)
	if err := g.admitName(&bucket); err != nil {
		return nil, err
	}
	return g.s.GetBucketCors(ctx, bucket)
}

// GetObjectLockConfiguration tells that objects cannot be locked.
func (g *guard) GetObjectLockConfiguration(ctx context.Context, bucket string) (_ []byte, err error) {
	defer g.told(&err)
	if err := g.admitName(&bucket); err != nil {
		return nil, err
	}
	return g.s.GetObjectLockConfiguration(ctx, bucket)
}

// GetObject returns an object or a range of it.
func (g *guard) GetObject(ctx context.Context, in *s3.GetObjectInput) (_ *s3.GetObjectOutput, err error) {
	defer g.told(&err)
	if err := g.admitVersion(&in.Bucket, in.Key, in.VersionId); err != nil {
		return nil, err
	}
	if !g.on.sections || in.Range == nil || *in.Range == "" || in.PartNumber != nil {
		return g.s.GetObject(ctx, in)
	}
	return g.section(ctx, in)
}

// HeadObject returns what is known about an object.
func (g *guard) HeadObject(ctx context.Context, in *s3.HeadObjectInput) (_ *s3.HeadObjectOutput, err error) {
	defer g.told(&err)
	if err := g.admitVersion(&in.Bucket, in.Key, in.VersionId); err != nil {
		return nil, err
	}
	return g.s.HeadObject(ctx, in)
}

// GetObjectAttributes returns what is known about an object and its parts.
func (g *guard) GetObjectAttributes(ctx context.Context, in *s3.GetObjectAttributesInput) (out s3response.GetObjectAttributesResponse, err error) {
	defer g.told(&err)
	if err := g.admitVersion(&in.Bucket, in.Key, in.VersionId); err != nil {
		return out, err
	}
	return g.s.GetObjectAttributes(ctx, in)
}

// ListParts lists the parts of an upload.
func (g *guard) ListParts(ctx context.Context, in *s3.ListPartsInput) (out s3response.ListPartsResult, err error) {
	defer g.told(&err)
	if err := g.admitUpload(&in.Bucket, in.Key, in.UploadId); err != nil {
		return out, err
	}
	out, err = g.s.ListParts(ctx, in)
	out.Bucket = g.s.name(out.Bucket)
	return out, err
}
