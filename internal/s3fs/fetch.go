package s3fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// span is a range of one version of an object.
type span struct {
	key  string
	etag string // "" until the first reply
	// pinned says that the caller knows that the version has these bytes.
	pinned bool
	off    int64
	// n is the length. If open, it is an upper bound until the first reply,
	// which tells where the object ends.
	n    int64
	open bool
	// total is the size of the object; -1 until the first reply.
	total int64
}

// fetch reads a span with one tryBudget into a buffer of the pool. It resumes a
// broken body where it broke, pinned to the version of the first reply. A try
// that reads PartSize bytes is refunded, and the time starts anew, so that a
// long span survives as many breaks as several short ones.
func (s *Store) fetch(ctx context.Context, sp *span) (buf []byte, err error) {
	ctx, b := s.begin(ctx)
	for got := int64(0); ; {
		k, err := s.fetchOnce(ctx, sp, got, &buf)
		got += k
		if err == nil {
			return buf, nil
		}
		if k >= s.o.PartSize {
			b.refund(s.o.MaxElapsed)
		}
		if !s.again(ctx, b, err) {
			s.pool.put(buf)
			return nil, s.fail(opGet, sp.key, b, ErrPrecondition, err)
		}
	}
}

// fetchOnce sends one ranged GET for the rest of the span after the got bytes
// that are in the buffer.
func (s *Store) fetchOnce(ctx context.Context, sp *span, got int64, buf *[]byte) (int64, error) {
	body, err := s.request(ctx, sp, got)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	if *buf == nil {
		*buf = s.pool.get(sp.n)
	}
	n, err := io.ReadFull(body, (*buf)[got:sp.n])
	k := int64(n)
	if got+k < sp.n {
		return k, shortBody(err)
	}
	// A checksum of the reply is compared at the end of the body. If it is
	// wrong, all bytes of this request are discarded.
	if err == nil {
		err = wantEOF(body)
	}
	if err != nil {
		return 0, fmt.Errorf("check body: %w", err)
	}
	return k, nil
}

// request sends a GET for the rest of the span after got bytes, and checks the
// headers of the reply. Its errors are finalErrors.
func (s *Store) request(ctx context.Context, sp *span, got int64) (io.ReadCloser, error) {
	out, err := follow(s, func(api *s3.Client) (*s3.GetObjectOutput, error) {
		return api.GetObject(ctx, &s3.GetObjectInput{
			Bucket: s.bucket(), Key: &sp.key, IfMatch: nonEmpty(sp.etag),
			Range: aws.String(fmt.Sprintf("bytes=%d-%d", sp.off+got, sp.off+sp.n-1)),
		})
	})
	if statusOf(err) == http.StatusRequestedRangeNotSatisfiable {
		return http.NoBody, s.pastEnd(ctx, sp)
	}
	if err != nil {
		return nil, &finalError{err}
	}
	if err := sp.learn(out, got); err != nil {
		return nil, &finalError{errors.Join(err, out.Body.Close())}
	}
	return out.Body, nil
}

// learn takes version, size and end from a reply. It returns an error if they
// are not those that were requested.
func (sp *span) learn(out *s3.GetObjectOutput, got int64) error {
	first, last, total, ok := parseContentRange(aws.ToString(out.ContentRange))
	if n := aws.ToInt64(out.ContentLength); !ok && out.ContentLength != nil && n < sp.off+sp.n && !sp.open {
		return sp.errPastEnd(n) // so short that the range means nothing
	}
	if !ok {
		return fmt.Errorf("reply to a ranged read has Content-Range %q", aws.ToString(out.ContentRange))
	}
	if sp.open && sp.total < 0 {
		sp.n = min(sp.n, total-sp.off)
	}
	switch {
	case sp.total >= 0 && sp.total != total:
		return fmt.Errorf("object changed its size from %d to %d bytes: %w", sp.total, total, ErrPrecondition)
	case sp.off+sp.n > total:
		return sp.errPastEnd(total)
	case first != sp.off+got || last != sp.off+sp.n-1:
		return fmt.Errorf("asked for bytes %d-%d, got %d-%d", sp.off+got, sp.off+sp.n-1, first, last)
	}
	sp.total = total
	if sp.etag == "" {
		sp.etag = aws.ToString(out.ETag)
	}
	return nil
}

// errPastEnd is the error of a span past the end of the object. A pinned version
// once had the span, so it has been truncated.
func (sp *span) errPastEnd(total int64) error {
	if sp.pinned {
		return fmt.Errorf("it has %d bytes, and had %d or more when it was written: %w: %w", total, sp.off+sp.n, ErrDamaged, io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("bytes from %d on, %d of them, reach past the object's %d: %w", sp.off, sp.n, total, io.ErrUnexpectedEOF)
}

// pastEnd resolves a 416: an open span may be empty.
func (s *Store) pastEnd(ctx context.Context, sp *span) error {
	obj, err := s.Stat(ctx, sp.key)
	switch {
	case err != nil:
		return &finalError{err}
	case sp.etag != "" && sp.etag != obj.ETag:
		return &finalError{ErrPrecondition}
	case sp.open && sp.off == obj.Size:
		sp.n, sp.total, sp.etag = 0, obj.Size, obj.ETag
		return nil
	}
	return &finalError{sp.errPastEnd(obj.Size)}
}

// parseContentRange parses "bytes first-last/total" (RFC 9110, 14.4).
func parseContentRange(v string) (first, last, total int64, ok bool) {
	v, ok = strings.CutPrefix(v, "bytes ")
	if !ok {
		return 0, 0, 0, false
	}
	r, t, ok1 := strings.Cut(v, "/")
	f, l, ok2 := strings.Cut(r, "-")
	first, err1 := strconv.ParseInt(f, 10, 64)
	last, err2 := strconv.ParseInt(l, 10, 64)
	total, err3 := strconv.ParseInt(t, 10, 64)
	return first, last, total, ok1 && ok2 && errors.Join(err1, err2, err3) == nil
}
