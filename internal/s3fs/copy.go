package s3fs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/escape"
)

const (
	// maxCopy is the largest object that one CopyObject takes, in bytes.
	maxCopy = 5 << 30
	// copyPart is the size of a part of a larger copy, in bytes.
	copyPart = 512 << 20
)

// Copy copies src to dst inside the store. If srcETag is not "", src must have
// that version, else the error wraps ErrPrecondition. The metadata is that of src
// unless o.Meta is set. The only condition on dst is IfAbsent. It is checked
// before the copy, not atomically with it, since not every store supports
// conditional copies.
func (s *Store) Copy(ctx context.Context, src, srcETag, dst string, o PutOptions) (Object, error) {
	if err := s.checkPut(opCopy.verb, dst, o); err != nil {
		return Object{}, err
	}
	if o.IfMatch != "" {
		return Object{}, s.errorf(opCopy.verb, dst, nil, "IfMatch is not supported for copies")
	}
	from, err := s.Stat(ctx, src)
	if err != nil {
		return Object{}, err
	}
	if srcETag != "" && from.ETag != srcETag {
		return Object{}, s.errorf(opCopy.verb, dst, ErrPrecondition, "source %s is at version %s, not %s", escape.Line(src), from.ETag, srcETag)
	}
	if o.IfAbsent {
		if err := s.checkAbsent(ctx, dst); err != nil {
			return Object{}, err
		}
	}
	if o.Meta == nil {
		o.Meta = from.Meta
	}
	return s.CopyFrom(ctx, s.o.Bucket, from, dst, o)
}

// CopyFrom copies an object of a bucket of the same server to dst, which may lie in
// another one. from is what Stat has returned of it; if it is at another version by then
// the error wraps ErrPrecondition. The metadata is o.Meta. There is no condition on dst.
func (s *Store) CopyFrom(ctx context.Context, bucket string, from Object, dst string, o PutOptions) (Object, error) {
	source := source(bucket, from.Key)
	if from.Size > maxCopy {
		return s.copyParts(ctx, source, from, dst, o)
	}
	ctx, b := s.begin(ctx)
	b.copies = from.Size
	in := &s3.CopyObjectInput{
		Bucket: s.bucket(), Key: &dst, CopySource: source, CopySourceIfMatch: &from.ETag,
		MetadataDirective: types.MetadataDirectiveReplace, Metadata: o.Meta, ContentType: nonEmpty(o.ContentType),
	}
	out, err := s.api().CopyObject(ctx, in)
	if err != nil {
		return Object{}, s.fail(opCopy, dst, b, ErrPrecondition, err)
	}
	obj := Object{Key: dst, Size: from.Size, Meta: o.Meta}
	if out.CopyObjectResult != nil {
		obj.ETag = aws.ToString(out.CopyObjectResult.ETag)
	}
	return obj, nil
}

// checkAbsent returns nil if there is no object at key.
func (s *Store) checkAbsent(ctx context.Context, key string) error {
	switch _, err := s.Stat(ctx, key); {
	case err == nil:
		return s.errorf(opCopy.verb, key, fs.ErrExist, "HTTP %d of our own", http.StatusPreconditionFailed)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return err
	}
}

// source returns the value of CopySource for key: URL-encoded except slashes.
func source(bucket, key string) *string {
	parts := strings.Split(key, "/")
	for i, p := range parts {
		parts[i] = strings.ReplaceAll(url.QueryEscape(p), "+", "%20")
	}
	return aws.String(bucket + "/" + strings.Join(parts, "/"))
}

// copyParts copies an object that is too large for one CopyObject.
func (s *Store) copyParts(ctx context.Context, source *string, from Object, dst string, o PutOptions) (Object, error) {
	u, err := s.beginUpload(ctx, dst, o)
	if err != nil {
		return Object{}, err
	}
	part := max(copyPart, (from.Size+maxParts-1)/maxParts)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(partWindow)
	for n, off := int32(1), int64(0); off < from.Size && gctx.Err() == nil; n, off = n+1, off+part {
		end := min(off+part, from.Size)
		g.Go(func() error {
			ctx, b := s.begin(gctx)
			b.copies = end - off
			out, err := s.api().UploadPartCopy(ctx, &s3.UploadPartCopyInput{
				Bucket: s.bucket(), Key: &dst, UploadId: &u.id, PartNumber: &n,
				CopySource: source, CopySourceIfMatch: &from.ETag,
				CopySourceRange: aws.String(fmt.Sprintf("bytes=%d-%d", off, end-1)),
			})
			if err != nil {
				return s.fail(opCopy, dst, b, ErrPrecondition, err)
			}
			r := out.CopyPartResult
			u.add(types.CompletedPart{PartNumber: &n, ETag: r.ETag, ChecksumCRC32: r.ChecksumCRC32, ChecksumCRC32C: r.ChecksumCRC32C}, end-off)
			return nil
		})
	}
	err = g.Wait()
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return Object{}, errors.Join(s.fail(opCopy, dst, nil, ErrPrecondition, err), u.abort(ctx))
	}
	return u.complete(ctx)
}
