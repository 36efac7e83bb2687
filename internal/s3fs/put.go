package s3fs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Put writes an object atomically. The data must not change until it
// returns.
func (s *Store) Put(ctx context.Context, key string, data []byte, o PutOptions) (Object, error) {
	return s.PutFile(ctx, key, bytes.NewReader(data), int64(len(data)), o)
}

// PutFile writes an object of size bytes of r atomically: in one request up
// to MultipartAbove bytes, in parallel parts above. It keeps nothing of r in
// memory.
func (s *Store) PutFile(ctx context.Context, key string, r io.ReaderAt, size int64, o PutOptions) (Object, error) {
	if err := s.checkPut(opPut.verb, key, o); err != nil {
		return Object{}, err
	}
	if size > s.o.MultipartAbove {
		return s.putParts(ctx, key, r, size, o)
	}
	return s.putOne(ctx, key, io.NewSectionReader(r, 0, size), size, nil, o)
}

// putOne sends one PutObject. crc32c is the base64 CRC32C of the body, or nil if
// the SDK is to compute it.
func (s *Store) putOne(ctx context.Context, key string, body io.ReadSeeker, size int64, crc32c *string, o PutOptions) (Object, error) {
	in := &s3.PutObjectInput{
		Bucket: s.bucket(), Key: &key, Body: body, ContentLength: &size,
		Metadata: o.Meta, IfMatch: nonEmpty(o.IfMatch), ContentType: nonEmpty(o.ContentType),
		ChecksumAlgorithm: s.checksum(), ChecksumCRC32C: crc32c,
	}
	if o.IfAbsent {
		in.IfNoneMatch = aws.String("*")
	}
	ctx, b := s.begin(ctx)
	out, err := s.api().PutObject(ctx, in)
	if err != nil {
		return Object{}, s.fail(opPut, key, b, conflict(o), err)
	}
	return Object{Key: key, Size: size, ETag: aws.ToString(out.ETag), Meta: o.Meta}, nil
}

// checksum returns the checksum algorithm of writes.
func (s *Store) checksum() types.ChecksumAlgorithm {
	if s.onThisMachine() {
		return types.ChecksumAlgorithmCrc32c
	}
	return types.ChecksumAlgorithmCrc32 // the SDK's own default
}

// conflict is the kind of a 412 for a write with options o.
func conflict(o PutOptions) error {
	if o.IfAbsent {
		return fs.ErrExist
	}
	return ErrPrecondition
}

// nonEmpty returns nil for "": the header is left out.
func nonEmpty(v string) *string {
	if v == "" {
		return nil
	}
	return &v
}

// checkPut refuses what servers would silently change.
func (s *Store) checkPut(verb, key string, o PutOptions) error {
	if key == "" {
		return s.errorf(verb, key, nil, "empty key")
	}
	if o.IfAbsent && o.IfMatch != "" {
		return s.errorf(verb, key, nil, "IfAbsent and IfMatch exclude each other")
	}
	for k, v := range o.Meta {
		if err := checkMeta(k, v); err != nil {
			return s.errorf(verb, key, nil, "metadata %q: %w", k, err)
		}
	}
	return nil
}

// checkMeta accepts what every server returns byte for byte.
func checkMeta(key, value string) error {
	if key == "" {
		return fmt.Errorf("empty name")
	}
	for _, c := range []byte(key) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return fmt.Errorf("name has a byte other than a-z, 0-9 and -")
		}
	}
	for i, c := range []byte(value) {
		edge := i == 0 || i == len(value)-1
		if c < ' ' || c > '~' || edge && c == ' ' {
			return fmt.Errorf("value is not printable ASCII, or begins or ends with a space")
		}
	}
	return nil
}
