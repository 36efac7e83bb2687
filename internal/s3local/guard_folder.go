package s3local

import (
	"context"
	"errors"
	"strings"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"
)

// A key that ends with a slash is an object of no bytes, which clients and
// graphical tools make to show an empty folder. The backend keeps it as a mark
// on the folder of the keys below it.

func isFolder(key string) bool { return strings.HasSuffix(key, "/") }

// keepParents keeps deletes from taking folders away until done is called.
func (g *guard) keepParents() (done func()) {
	if !g.on.parents {
		return func() {}
	}
	g.parents.RLock()
	return g.parents.RUnlock
}

// putFolder makes an object of no bytes, whose key may end with a slash.
func (g *guard) putFolder(ctx context.Context, in s3response.PutObjectInput) (s3response.PutObjectOutput, error) {
	defer g.keepParents()()
	out, err := g.putVersion(ctx, in)
	if errors.Is(err, syscall.ENOTDIR) {
		err = s3err.GetAPIError(s3err.ErrObjectParentIsFile)
	}
	return out, err
}

// copyFolder copies an object whose key ends with a slash. The backend alone
// takes the size of the folder for bytes to copy.
func (g *guard) copyFolder(ctx context.Context, in s3response.CopyObjectInput) (out s3response.CopyObjectOutput, err error) {
	bucket, key, _, err := backend.ParseCopySource(*in.CopySource)
	if err != nil {
		return out, err
	}
	none := ""
	from, err := g.s.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key, Range: &none})
	if err != nil {
		return out, err
	}
	if from.LastModified == nil {
		return out, errors.New("the folder has no time")
	}
	if err := backend.EvaluatePreconditions(backend.GetStringFromPtr(from.ETag), *from.LastModified, backend.PreConditions{
		IfMatch: in.CopySourceIfMatch, IfNoneMatch: in.CopySourceIfNoneMatch,
		IfModSince: in.CopySourceIfModifiedSince, IfUnmodeSince: in.CopySourceIfUnmodifiedSince,
	}); err != nil {
		return out, err
	}
	size := int64(0)
	put := s3response.PutObjectInput{
		Bucket: in.Bucket, Key: in.Key, ContentLength: &size, Body: strings.NewReader(""),
		ContentType: in.ContentType, Metadata: in.Metadata,
	}
	if in.MetadataDirective != types.MetadataDirectiveReplace {
		put.ContentType, put.Metadata = from.ContentType, from.Metadata
	}
	made, err := g.putFolder(ctx, put)
	if err != nil {
		return out, err
	}
	at, err := g.s.HeadObject(ctx, &s3.HeadObjectInput{Bucket: in.Bucket, Key: in.Key, Range: &none})
	if err != nil {
		return out, err
	}
	out.CopyObjectResult = &s3response.CopyObjectResult{ETag: &made.ETag, LastModified: at.LastModified}
	return out, nil
}
