package s3local

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"
)

// The source of a copy is one string with bucket and key. The backend cannot parse it
// if the bucket is a path. So the guard reads the source and writes the copy.

// source is an object that is copied.
type source struct {
	*s3.GetObjectOutput
	path string
}

// source opens the source of a copy under the conditions of the request.
func (g *guard) source(ctx context.Context, name *string, only backend.PreConditions) (*source, error) {
	bucket, key, version, err := backend.ParseCopySource(backend.GetStringFromPtr(name))
	if err != nil {
		return nil, err
	}
	path := &bucket
	if err := g.admitVersion(&path, &key, &version); err != nil {
		return nil, err
	}
	out, err := g.s.GetObject(ctx, &s3.GetObjectInput{Bucket: path, Key: &key, Range: new(string), ChecksumMode: types.ChecksumModeEnabled})
	if err != nil {
		return nil, err
	}
	if out.Body == nil { // of a key that ends with a slash
		out.Body = http.NoBody
	}
	err = backend.EvaluatePreconditions(*out.ETag, *out.LastModified, only)
	if err == nil && *out.ContentLength > maxCopy {
		err = s3err.GetCopySourceObjectTooLargeErr(maxCopy)
	}
	if err != nil {
		return nil, errors.Join(err, out.Body.Close())
	}
	return &source{out, filepath.Join(*path, key)}, nil
}

// checksum is the algorithm of the checksum that the source has, "" for none.
func (s *source) checksum() types.ChecksumAlgorithm {
	for algorithm, sum := range map[types.ChecksumAlgorithm]*string{
		types.ChecksumAlgorithmCrc32: s.ChecksumCRC32, types.ChecksumAlgorithmCrc32c: s.ChecksumCRC32C, types.ChecksumAlgorithmCrc64nvme: s.ChecksumCRC64NVME,
		types.ChecksumAlgorithmSha1: s.ChecksumSHA1, types.ChecksumAlgorithmSha256: s.ChecksumSHA256,
	} {
		if sum != nil {
			return algorithm
		}
	}
	return ""
}

// CopyObject copies an object. A copy onto itself changes the metadata and keeps the
// version.
func (g *guard) CopyObject(ctx context.Context, in s3response.CopyObjectInput) (out s3response.CopyObjectOutput, err error) {
	defer g.told(&err)
	if err := g.admitKey(&in.Bucket, in.Key); err != nil {
		return out, err
	}
	leave, err := g.enter(ctx)
	if err != nil {
		return out, err
	}
	defer leave()
	from, err := g.source(ctx, in.CopySource, backend.PreConditions{
		IfMatch: in.CopySourceIfMatch, IfNoneMatch: in.CopySourceIfNoneMatch,
		IfModSince: in.CopySourceIfModifiedSince, IfUnmodeSince: in.CopySourceIfUnmodifiedSince,
	})
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, from.Body.Close()) }()
	put := s3response.PutObjectInput{
		Bucket: in.Bucket, Key: in.Key, Body: from.Body, ContentLength: from.ContentLength, ChecksumAlgorithm: in.ChecksumAlgorithm,
		ContentType: in.ContentType, ContentEncoding: in.ContentEncoding, ContentDisposition: in.ContentDisposition,
		ContentLanguage: in.ContentLanguage, CacheControl: in.CacheControl, Expires: in.Expires,
		WebsiteRedirectLocation: in.WebsiteRedirectLocation, Metadata: in.Metadata,
	}
	if put.ChecksumAlgorithm == "" {
		put.ChecksumAlgorithm = from.checksum()
	}
	path, etag := filepath.Join(*in.Bucket, *in.Key), newETag()
	if in.MetadataDirective != types.MetadataDirectiveReplace {
		put.ContentType, put.ContentEncoding, put.ContentDisposition = from.ContentType, from.ContentEncoding, from.ContentDisposition
		put.ContentLanguage, put.CacheControl, put.Expires, put.Metadata = from.ContentLanguage, from.CacheControl, from.ExpiresString, from.Metadata
		if path == from.path {
			return out, s3err.GetAPIError(s3err.ErrInvalidCopyDest)
		}
	} else if path == from.path {
		etag = *from.ETag
	}
	made, err := g.put(ctx, put, etag)
	if err != nil {
		return out, err
	}
	at, err := os.Stat(path)
	if err != nil {
		return out, err
	}
	out.CopyObjectResult = &s3response.CopyObjectResult{
		ETag: &made.ETag, LastModified: backend.GetTimePtr(at.ModTime()), ChecksumType: made.ChecksumType,
		ChecksumCRC32: made.ChecksumCRC32, ChecksumCRC32C: made.ChecksumCRC32C, ChecksumCRC64NVME: made.ChecksumCRC64NVME,
		ChecksumSHA1: made.ChecksumSHA1, ChecksumSHA256: made.ChecksumSHA256,
	}
	return out, nil
}

// UploadPartCopy stores a part that is a range of an object.
func (g *guard) UploadPartCopy(ctx context.Context, in *s3.UploadPartCopyInput) (out s3response.CopyPartResult, err error) {
	defer g.told(&err)
	if err := g.admitPart(&in.Bucket, in.Key, in.UploadId, in.PartNumber); err != nil {
		return out, err
	}
	leave, err := g.enter(ctx)
	if err != nil {
		return out, err
	}
	defer leave()
	from, err := g.source(ctx, in.CopySource, backend.PreConditions{
		IfMatch: in.CopySourceIfMatch, IfNoneMatch: in.CopySourceIfNoneMatch,
		IfModSince: in.CopySourceIfModifiedSince, IfUnmodeSince: in.CopySourceIfUnmodifiedSince,
	})
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, from.Body.Close()) }()
	off, n, err := backend.ParseCopySourceRange(*from.ContentLength, backend.GetStringFromPtr(in.CopySourceRange))
	if err != nil {
		return out, err
	}
	if f, ok := from.Body.(io.Seeker); ok {
		if _, err := f.Seek(off, io.SeekStart); err != nil {
			return out, err
		}
	}
	made, err := g.part(ctx, s3.UploadPartInput{
		Bucket: in.Bucket, Key: in.Key, UploadId: in.UploadId, PartNumber: in.PartNumber,
		ContentLength: &n, Body: io.LimitReader(from.Body, n),
	})
	if err != nil {
		return out, err
	}
	return s3response.CopyPartResult{
		ETag: made.ETag, LastModified: time.Now(), ChecksumCRC32: made.ChecksumCRC32, ChecksumCRC32C: made.ChecksumCRC32C,
		ChecksumCRC64NVME: made.ChecksumCRC64NVME, ChecksumSHA1: made.ChecksumSHA1, ChecksumSHA256: made.ChecksumSHA256,
	}, nil
}
