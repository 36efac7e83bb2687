package s3fs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

const (
	maxParts = 10_000 // of one upload, S3's limit
	// partWindow bounds the parts of one object in flight.
	partWindow = 4
	// abortTimeout bounds the time of an abort.
	abortTimeout = 15 * time.Second
	// abortTries bounds how often AbortUpload aborts an upload that stays.
	abortTries = 5
)

// upload is a multipart upload in progress.
type upload struct {
	s   *Store
	key string
	o   PutOptions
	id  string

	mu    sync.Mutex
	parts []types.CompletedPart
	size  int64
}

// beginUpload creates a multipart upload.
func (s *Store) beginUpload(ctx context.Context, key string, o PutOptions) (*upload, error) {
	ctx, b := s.begin(ctx)
	out, err := s.api().CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: s.bucket(), Key: &key, Metadata: o.Meta, ContentType: nonEmpty(o.ContentType),
		// Without an algorithm the store keeps no checksums of the parts.
		ChecksumAlgorithm: s.checksum(),
	})
	if err != nil {
		return nil, s.fail(opBegin, key, b, ErrPrecondition, err)
	}
	return &upload{s: s, key: key, o: o, id: aws.ToString(out.UploadId)}, nil
}

// part sends part n, counted from 1. Parts may be sent concurrently.
func (u *upload) part(ctx context.Context, n int32, body io.ReadSeeker, size int64) error {
	ctx, b := u.s.begin(ctx)
	out, err := u.s.api().UploadPart(ctx, &s3.UploadPartInput{
		Bucket: u.s.bucket(), Key: &u.key, UploadId: &u.id, PartNumber: &n,
		Body: body, ContentLength: &size, ChecksumAlgorithm: u.s.checksum(),
	})
	if err != nil {
		return u.s.fail(opPart, u.key, b, ErrPrecondition, err)
	}
	u.add(types.CompletedPart{
		PartNumber: &n, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32, ChecksumCRC32C: out.ChecksumCRC32C,
	}, size)
	return nil
}

func (u *upload) add(p types.CompletedPart, size int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.parts = append(u.parts, p)
	u.size += size
}

// complete creates the object of the parts, atomically. On an error it aborts
// the upload.
func (u *upload) complete(ctx context.Context) (Object, error) {
	slices.SortFunc(u.parts, func(a, b types.CompletedPart) int { return int(*a.PartNumber - *b.PartNumber) })
	in := &s3.CompleteMultipartUploadInput{
		Bucket: u.s.bucket(), Key: &u.key, UploadId: &u.id, IfMatch: nonEmpty(u.o.IfMatch),
		MultipartUpload: &types.CompletedMultipartUpload{Parts: u.parts},
	}
	if u.o.IfAbsent {
		in.IfNoneMatch = aws.String("*")
	}
	call, b := u.s.begin(ctx)
	b.copies = u.size
	out, err := u.s.api().CompleteMultipartUpload(call, in)
	if err == nil {
		return Object{Key: u.key, Size: u.size, ETag: aws.ToString(out.ETag), Meta: u.o.Meta}, nil
	}
	if codeOf(err) == "NoSuchUpload" && b.soFar() > 1 {
		if obj, lost := u.lostReply(ctx, b, err); lost == nil || isKnown(lost) {
			return obj, lost
		}
	}
	err = u.s.fail(opComplete, u.key, b, conflict(u.o), err)
	return Object{}, errors.Join(err, u.abort(ctx))
}

// lostReply resolves a retried completion that found no upload: an earlier try
// has created the object, or another process aborted the upload. It returns
// cause unless the object proves the former.
func (u *upload) lostReply(ctx context.Context, b *tryBudget, cause error) (Object, error) {
	obj, err := u.s.Stat(ctx, u.key)
	switch {
	case err != nil:
		return Object{}, cause
	case u.o.IfAbsent: // as after a PutObject, the caller finds out whose object it is
		return Object{}, &Error{Op: opComplete.verb, Bucket: u.s.o.Bucket, Key: u.key, Kind: fs.ErrExist,
			Err: cause, Detail: "the reply to an earlier try was lost", Tries: b.soFar()}
	case obj.Size != u.size:
		return Object{}, cause
	}
	for k, v := range u.o.Meta {
		if obj.Meta[k] != v {
			return Object{}, cause
		}
	}
	return obj, nil
}

// abort removes the upload and its parts. It uses a context of its own, since the
// end of the caller's context may be the reason for the abort.
func (u *upload) abort(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	return u.s.AbortUpload(ctx, Upload{Key: u.key, ID: u.id})
}

// A file has at most fileParts parts until its parts reach maxFilePart times
// PartSize. S3 charges and throttles each part as a PUT. Parts are read from the
// file, so their size takes no memory.
const (
	fileParts   = 64
	maxFilePart = 8
)

// partOfFile returns the part size in bytes for a file of size bytes.
func (s *Store) partOfFile(size int64) int64 {
	return max(s.o.PartSize, min(size/fileParts, maxFilePart*s.o.PartSize), (size+maxParts-1)/maxParts)
}

// putParts is PutFile above MultipartAbove.
func (s *Store) putParts(ctx context.Context, key string, r io.ReaderAt, size int64, o PutOptions) (Object, error) {
	u, err := s.beginUpload(ctx, key, o)
	if err != nil {
		return Object{}, err
	}
	part := s.partOfFile(size)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(partWindow)
	for n, off := int32(1), int64(0); off < size && gctx.Err() == nil; n, off = n+1, off+part {
		k := min(part, size-off)
		g.Go(func() error { return u.part(gctx, n, io.NewSectionReader(r, off, k), k) })
	}
	err = g.Wait()
	if err == nil {
		err = ctx.Err() // the loop may have ended early
	}
	if err != nil {
		return Object{}, errors.Join(s.fail(opPart, key, nil, ErrPrecondition, err), u.abort(ctx))
	}
	return u.complete(ctx)
}

// Uploads returns the unfinished multipart uploads below prefix, or an
// error, as the last element. (MinIO lists uploads only if prefix is the
// whole key.)
func (s *Store) Uploads(ctx context.Context, prefix string) iter.Seq2[Upload, error] {
	return func(yield func(Upload, error) bool) {
		var keyMarker, idMarker *string
		for {
			ctx, b := s.begin(ctx)
			out, err := s.api().ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{
				Bucket: s.bucket(), Prefix: &prefix, KeyMarker: keyMarker, UploadIdMarker: idMarker,
				EncodingType: types.EncodingTypeUrl,
			})
			next := (*string)(nil)
			if err == nil {
				next, err = nextMarker(out, keyMarker, idMarker)
			}
			if err != nil {
				yield(Upload{}, s.fail(opUploads, prefix, b, ErrPrecondition, err))
				return
			}
			for _, u := range out.Uploads {
				key, err := s.plainKey(prefix, out.EncodingType, u.Key)
				if err != nil {
					yield(Upload{}, err)
					return
				}
				if !yield(Upload{Key: key, ID: aws.ToString(u.UploadId), Initiated: aws.ToTime(u.Initiated)}, nil) {
					return
				}
			}
			if next == nil {
				return
			}
			keyMarker, idMarker = next, out.NextUploadIdMarker
		}
	}
}

// nextMarker returns the key after which the next page starts, nil at the end.
func nextMarker(out *s3.ListMultipartUploadsOutput, key, id *string) (*string, error) {
	next := out.NextKeyMarker
	if next != nil && out.EncodingType == types.EncodingTypeUrl {
		k, err := unescape(*next)
		if err != nil {
			return nil, err
		}
		next = &k
	}
	if aws.ToString(next) == aws.ToString(key) && aws.ToString(out.NextUploadIdMarker) != aws.ToString(id) {
		key = nil // more uploads of the same key
	}
	return nextToken(out.IsTruncated, next, key)
}

// AbortUpload removes an unfinished upload. One that is gone is no error. A part
// in flight may survive an abort, so AbortUpload lists the parts and aborts again
// if the upload is still there, up to abortTries times. Without the permission
// s3:ListMultipartUploadParts it trusts the first reply.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
func (s *Store) AbortUpload(ctx context.Context, u Upload) error {
	for try := 1; ; try++ {
		call, b := s.begin(ctx)
		_, err := s.api().AbortMultipartUpload(call, &s3.AbortMultipartUploadInput{
			Bucket: s.bucket(), Key: &u.Key, UploadId: &u.ID,
		})
		if err != nil && codeOf(err) != "NoSuchUpload" {
			return s.fail(opAbort, u.Key, b, ErrPrecondition, err)
		}
		call, b = s.begin(ctx)
		_, err = s.api().ListParts(call, &s3.ListPartsInput{
			Bucket: s.bucket(), Key: &u.Key, UploadId: &u.ID, MaxParts: aws.Int32(1),
		})
		if err != nil {
			err = s.fail(opParts, u.Key, b, ErrPrecondition, err)
		}
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
			return nil
		case err != nil:
			return err
		case try == abortTries:
			return s.errorf(opAbort.verb, u.Key, nil, "the upload is there after %d aborts", try)
		}
		if err := s.pause(ctx, opAbort, b, nil); err != nil {
			return s.fail(opAbort, u.Key, b, ErrPrecondition, err)
		}
	}
}
