package s3local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"
)

// guards selects the corrections of the guard. A test leaves one out to show the
// fault that it corrects.
type guards struct {
	bodies   bool // a body that ends early makes no object and no part
	names    bool // a name that is not a clean path is refused, not cleaned, see names.go
	parents  bool // deletes do not pull folders away from under writes
	accounts bool // an unknown access key is 403, see iam.go
	uploads  bool // an upload ends once, see guard_upload.go
	versions bool // each write has an ETag of its own, see versions.go
	sections bool // ranges of objects are not copied in user space, see section.go
}

var allGuards = guards{bodies: true, names: true, parents: true, accounts: true, uploads: true, versions: true, sections: true}

// guard stands between the S3 front end and the posix backend. It supports what
// mraws and common S3 tools need: buckets, objects and multipart uploads. Versions,
// tags, policies, ACLs and locks are NotImplemented.
type guard struct {
	backend.BackendUnsupported
	s  *store
	on guards

	closed atomic.Bool // refuses all requests

	// bodies bounds the number of uploads in progress.
	bodies chan struct{}

	// parents is held for reading while an object is put into its folder, which
	// is created if missing, and for writing while objects are deleted, which
	// removes empty folders. Without it a put fails with 409 or 500 if its
	// folder is removed between the two steps.
	parents sync.RWMutex

	// buckets is held for writing while a bucket is created, which the backend
	// does in steps, and for reading while the existence of one is checked.
	buckets sync.RWMutex

	// uploads has the locks of uploads, by folder.
	uploads turns
}

func (s *store) guarded(g guards) *guard {
	return &guard{s: s, on: g, bodies: make(chan struct{}, s.limits.bodies)}
}

// errMoved is the reply to every request while the data folder has been moved away.
// A reply that a bucket or an object does not exist would be wrong.
var errMoved = s3err.APIError{
	Code:           "InternalError",
	Description:    "The data folder of the server was moved or removed while it ran.",
	HTTPStatusCode: http.StatusInternalServerError,
}

// errClosed is the reply on connections that outlive the server.
var errClosed = s3err.APIError{
	Code:           "ServiceUnavailable",
	Description:    "The server is closed.",
	HTTPStatusCode: http.StatusServiceUnavailable,
}

// told makes an S3 error of any other error, with its text. The front end would print
// the other error to stderr, whatever log-level, and reply without a cause. told
// also replaces the paths of buckets by their names.
func (g *guard) told(err *error) {
	var bucket s3err.BucketError
	var answer s3err.S3Error
	switch {
	case *err == nil:
	case errors.As(*err, &bucket):
		bucket.BucketName = g.s.name(bucket.BucketName)
		*err = bucket
	case errors.As(*err, &answer):
		*err = answer
	default:
		text := strings.ReplaceAll((*err).Error(), g.s.root, "")
		*err = s3err.APIError{Code: "InternalError", Description: text, HTTPStatusCode: http.StatusInternalServerError}
	}
}

// close refuses new requests and waits for writes in progress.
func (g *guard) close(patience time.Duration) error {
	g.closed.Store(true)
	end := time.NewTimer(patience)
	defer end.Stop()
	taken := 0
	defer func() {
		for range taken {
			<-g.bodies
		}
	}()
	for ; taken < cap(g.bodies); taken++ {
		select {
		case g.bodies <- struct{}{}:
		case <-end.C:
			return fmt.Errorf("wait for uploads: %d still in progress", cap(g.bodies)-taken)
		}
	}
	g.parents.Lock() // no delete is in progress
	defer g.parents.Unlock()
	return nil
}

// String names the backend.
func (g *guard) String() string { return g.s.Posix.String() }

// NormalizeObjectKey returns the key that a policy is matched against.
func (g *guard) NormalizeObjectKey(bucket, key string) string {
	return g.s.Posix.NormalizeObjectKey(bucket, key)
}

// enter waits for a slot for an upload.
func (g *guard) enter(ctx context.Context) (leave func(), err error) {
	select {
	case g.bodies <- struct{}{}:
		if g.closed.Load() { // since admit
			<-g.bodies
			return nil, errClosed
		}
		return func() { <-g.bodies }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// PutObject stores an object.
func (g *guard) PutObject(ctx context.Context, in s3response.PutObjectInput) (out s3response.PutObjectOutput, err error) {
	defer g.told(&err)
	if err := g.admitKey(&in.Bucket, in.Key); err != nil {
		return out, err
	}
	leave, err := g.enter(ctx)
	if err != nil {
		return out, err
	}
	defer leave()
	return g.put(ctx, in, newETag())
}

// put stores an object with an ETag. It locks the parents after the whole body has
// arrived, so that a slow client blocks no other request.
func (g *guard) put(ctx context.Context, in s3response.PutObjectInput, etag string) (s3response.PutObjectOutput, error) {
	b := g.body(in.Body, in.ContentLength)
	in.Body = b
	if isFolder(*in.Key) {
		defer b.drain() // the backend does not look at it
		return g.putFolder(ctx, in)
	}
	if g.on.parents {
		b.atEnd = func() error { g.parents.RLock(); return nil }
	}
	out, err := g.putVersion(ctx, in, etag)
	if b.ended && b.atEnd != nil {
		g.parents.RUnlock()
	}
	if err != nil {
		b.drain()
	}
	return out, err
}

// UploadPart stores a part. Parts are in the folder of their upload, which deletes do
// not remove. The upload is locked after the whole body has arrived, so that a slow
// client blocks no other request.
func (g *guard) UploadPart(ctx context.Context, in *s3.UploadPartInput) (_ *s3.UploadPartOutput, err error) {
	defer g.told(&err)
	if err := g.admitPart(&in.Bucket, in.Key, in.UploadId, in.PartNumber); err != nil {
		return nil, err
	}
	leave, err := g.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return g.part(ctx, *in)
}

// part stores a part of an upload.
func (g *guard) part(ctx context.Context, in s3.UploadPartInput) (*s3.UploadPartOutput, error) {
	b := g.body(in.Body, in.ContentLength)
	unlock := func() {}
	defer func() { unlock() }()
	lock := func() error {
		leave, err := g.upload(ctx, in.Bucket, in.Key, in.UploadId, shared)
		if err == nil {
			unlock = leave
		}
		return err
	}
	b.atEnd = lock
	in.Body = b
	out, err := g.s.UploadPartWithPostFunc(ctx, &in, func(*os.File) error { return nil })
	if err != nil && !b.ended {
		b.drain()
		if errors.Is(err, fs.ErrNotExist) { // the upload has ended meanwhile
			if gone := lock(); gone != nil {
				err = gone
			}
		}
	}
	return out, err
}

// CreateMultipartUpload begins an upload. All uploads of a key share a folder, which
// is removed with the last upload. If that happens at the same time the backend
// fails, and a second try succeeds.
func (g *guard) CreateMultipartUpload(ctx context.Context, in s3response.CreateMultipartUploadInput) (out s3response.InitiateMultipartUploadResult, err error) {
	defer g.told(&err)
	if err := g.admitKey(&in.Bucket, in.Key); err != nil {
		return out, err
	}
	for range 100 {
		out, err = g.s.CreateMultipartUpload(ctx, in)
		if !g.on.parents || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	out.Bucket = g.s.name(out.Bucket)
	return out, err
}

// CompleteMultipartUpload joins the parts to an object. It locks the parents after
// the last part has been copied.
func (g *guard) CompleteMultipartUpload(ctx context.Context, in *s3.CompleteMultipartUploadInput) (out s3response.CompleteMultipartUploadResult, version string, err error) {
	defer g.told(&err)
	bucket := in.Bucket
	defer func() { out.Bucket = bucket }()
	if err := g.admitUpload(&in.Bucket, in.Key, in.UploadId); err != nil {
		return out, "", err
	}
	leave, err := g.enter(ctx)
	if err != nil {
		return out, "", err
	}
	defer leave()
	unlock, err := g.upload(ctx, in.Bucket, in.Key, in.UploadId, alone)
	if err != nil {
		return out, "", err
	}
	defer unlock()
	if !g.on.parents || in.MultipartUpload == nil {
		return g.s.CompleteMultipartUpload(ctx, in)
	}
	left := len(in.MultipartUpload.Parts)
	locked := false
	defer func() {
		if locked {
			g.parents.RUnlock()
		}
	}()
	return g.completeVersion(ctx, in, func() {
		if left--; left == 0 {
			g.parents.RLock()
			locked = true
		}
	})
}

// AbortMultipartUpload removes an upload and its parts.
func (g *guard) AbortMultipartUpload(ctx context.Context, in *s3.AbortMultipartUploadInput) (err error) {
	defer g.told(&err)
	if err := g.admitUpload(&in.Bucket, in.Key, in.UploadId); err != nil {
		return err
	}
	unlock, err := g.upload(ctx, in.Bucket, in.Key, in.UploadId, alone)
	if err != nil {
		return err
	}
	defer unlock()
	return g.s.AbortMultipartUpload(ctx, in)
}
