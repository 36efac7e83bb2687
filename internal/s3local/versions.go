package s3local

import (
	"context"
	"crypto/rand"
	"os"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/versity/versitygw/backend/meta"
	"github.com/versity/versitygw/s3response"
)

// The backend derives an ETag from the checksum of the request, a CRC of 32 or 64
// bits. Two versions of an object with the same CRC would have the same ETag, and a
// conditional read could not tell them apart. Or it computes an MD5, which costs as
// much as the rest of a PUT. So the guard gives each write an ETag of 128 random
// bits (decision 0048).

// etagAttribute is the attribute in which the backend stores an ETag.
const etagAttribute = "etag"

// versions stores the ETags of the guard in place of the backend's. The ETags
// of parts and of folders, which are part of no condition, stay as they are.
type versions struct {
	meta.XattrMeta

	mu    sync.Mutex
	files map[*os.File]string // that are about to become objects
}

// newETag returns an ETag that does not look like an MD5.
func newETag() string { return `"v-` + rand.Text() + `"` }

// StoreAttribute implements meta.MetadataStorer.
func (v *versions) StoreAttribute(f *os.File, bucket, object, attribute string, value []byte) error {
	if attribute == etagAttribute && f != nil {
		v.mu.Lock()
		etag := v.files[f]
		v.mu.Unlock()
		if etag != "" {
			value = []byte(etag)
		}
	}
	return v.XattrMeta.StoreAttribute(f, bucket, object, attribute, value)
}

// file gives a file the ETag that it has as an object, until it is closed.
func (v *versions) file(f *os.File, etag string) (done func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.files == nil {
		v.files = map[*os.File]string{}
	}
	v.files[f] = etag
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		delete(v.files, f)
	}
}

// putVersion is the backend's PutObject with another ETag. It takes none of the
// backend's actions: bodies bounds those that come with a body.
func (g *guard) putVersion(ctx context.Context, in s3response.PutObjectInput, etag string) (s3response.PutObjectOutput, error) {
	done := func() {}
	out, err := g.s.PutObjectWithPostFunc(ctx, in, func(f *os.File) error {
		if g.on.versions {
			done = g.s.versions.file(f, etag)
		}
		return nil
	})
	done()
	if err == nil && g.on.versions && !isFolder(*in.Key) {
		out.ETag = etag
	}
	return out, err
}

// completeVersion is the backend's CompleteMultipartUpload with an ETag of its
// own. It calls each after each part.
func (g *guard) completeVersion(ctx context.Context, in *s3.CompleteMultipartUploadInput, each func()) (s3response.CompleteMultipartUploadResult, string, error) {
	etag, done := newETag(), func() {}
	defer func() { done() }()
	given := false
	out, version, err := g.s.CompleteMultipartUploadWithCopy(ctx, in, func(from, to *os.File) (bool, error) {
		if g.on.versions && !given {
			done, given = g.s.versions.file(to, etag), true
		}
		err := appendFile(to, from)
		each()
		return true, err
	})
	if err == nil && given {
		out.ETag = &etag
	}
	return out, version, err
}
