package s3fs

import (
	"context"
	"errors"
	"iter"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// List returns the objects below prefix, in the byte order of their keys, or
// an error: a sequence that ends without one was complete. The error is the
// last element.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		for page, err := range s.pages(ctx, prefix, nil) {
			if err != nil {
				yield(Object{}, err)
				return
			}
			for _, c := range page.Contents {
				key, err := s.plainKey(prefix, page.EncodingType, c.Key)
				if err != nil {
					yield(Object{}, err)
					return
				}
				o := Object{Key: key, Size: aws.ToInt64(c.Size), ETag: aws.ToString(c.ETag), Modified: aws.ToTime(c.LastModified), Archived: archive(string(c.StorageClass))}
				if !yield(o, nil) {
					return
				}
			}
		}
	}
}

// ListDirs returns the distinct keys below prefix up to and including the
// next "/", as folders are listed; objects directly below prefix are left
// out. An error is the last element.
func (s *Store) ListDirs(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for page, err := range s.pages(ctx, prefix, aws.String("/")) {
			if err != nil {
				yield("", err)
				return
			}
			for _, c := range page.CommonPrefixes {
				dir, err := s.plainKey(prefix, page.EncodingType, c.Prefix)
				if err != nil {
					yield("", err)
					return
				}
				if !yield(dir, nil) {
					return
				}
			}
		}
	}
}

// Dirs is ListDirs over at most so many pages, of 1,000 objects and folders each. more
// says that there are others.
func (s *Store) Dirs(ctx context.Context, prefix string, pages int) (dirs []string, more bool, err error) {
	for page, err := range s.pages(ctx, prefix, aws.String("/")) {
		if err != nil {
			return nil, false, err
		}
		for _, c := range page.CommonPrefixes {
			dir, err := s.plainKey(prefix, page.EncodingType, c.Prefix)
			if err != nil {
				return nil, false, err
			}
			dirs = append(dirs, dir)
		}
		if pages--; pages == 0 {
			return dirs, aws.ToBool(page.IsTruncated), nil
		}
	}
	return dirs, false, nil
}

// pages returns the pages of a listing. A page that says neither that it is
// the last nor how to go on is an error, since a silent end would make
// objects vanish.
func (s *Store) pages(ctx context.Context, prefix string, delimiter *string) iter.Seq2[*s3.ListObjectsV2Output, error] {
	return func(yield func(*s3.ListObjectsV2Output, error) bool) {
		var token *string
		for {
			ctx, b := s.begin(ctx)
			out, err := follow(s, func(api *s3.Client) (*s3.ListObjectsV2Output, error) {
				return api.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
					Bucket: s.bucket(), Prefix: &prefix, Delimiter: delimiter, ContinuationToken: token,
					// XML has no way to write most control characters.
					EncodingType: types.EncodingTypeUrl,
				})
			})
			next := (*string)(nil)
			if err == nil {
				next, err = nextToken(out.IsTruncated, out.NextContinuationToken, token)
			}
			if err != nil {
				yield(nil, s.fail(opList, prefix, b, ErrPrecondition, err))
				return
			}
			if !yield(out, nil) || next == nil {
				return
			}
			token = next
		}
	}
}

// nextToken returns how to go on after a page, nil at the end.
func nextToken(truncated *bool, next, last *string) (*string, error) {
	switch {
	case truncated == nil:
		return nil, errors.New("page does not say whether it is the last")
	case !*truncated:
		return nil, nil
	case aws.ToString(next) == "" || last != nil && *next == *last:
		return nil, errors.New("page does not say how to go on")
	}
	return next, nil
}

// plainKey undoes the URL encoding of a listed key, if the server did it.
func (s *Store) plainKey(prefix string, enc types.EncodingType, key *string) (string, error) {
	if enc != types.EncodingTypeUrl {
		return aws.ToString(key), nil
	}
	k, err := unescape(aws.ToString(key))
	if err != nil {
		return "", s.errorf(opList.verb, prefix, nil, "decode key %q: %w", aws.ToString(key), err)
	}
	return k, nil
}

// unescape undoes the encoding that S3 calls "url", which is that of forms.
func unescape(key string) (string, error) { return url.QueryUnescape(key) }
