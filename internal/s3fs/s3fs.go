// Package s3fs reads and writes the objects of one bucket. It is the only
// importer of the AWS SDK; everything above it sees keys, bytes and typed
// errors.
//
// What it promises:
//
//   - One retry layer. All HTTP tries of an operation, including the resumption
//     of a broken body, share a bounded number of tries and a bounded time (see
//     retry.go). All operations share a budget of retries (see
//     retry_budget.go). Nothing above this package need retry a request.
//   - No request hangs: the wait for headers, the progress of a request body
//     and the progress of a reply body each have a time-out (see client.go).
//     An [object.Pulse] in the context of a caller shows how long a request
//     has made no progress, over all its tries.
//   - Reads are whole or an error: lengths are compared with what was asked,
//     and a read that names an ETag, or that takes more than one request, is
//     pinned to one version of the object.
//   - Writes are atomic: an object appears at the end of [Store.Put],
//     [Store.PutFile] or [Writer.Commit], or not at all. With
//     PutOptions.IfAbsent at most one of any number of writers is told that
//     it created the object. A write is retried if its reply was lost, so
//     fs.ErrExist may mean the caller's own object. Callers find out by
//     metadata that names their attempt.
//   - Errors name operation, bucket, key and cause, and answer errors.Is for
//     fs.ErrNotExist, fs.ErrExist, fs.ErrPermission, [ErrPrecondition],
//     [ErrThrottled], [ErrUnreachable] and [ErrCredentials] (see translate.go).
package s3fs

import (
	"cmp"
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/mraws/mraws/internal/object"
)

// Options say which bucket a [Store] is bound to and how it is reached. Only
// Bucket is required.
type Options struct {
	// Bucket is the name of the bucket.
	Bucket string
	// Region is the bucket's region; "" asks the SDK's own chain
	// (environment, profile) and then, on AWS, the bucket itself.
	Region string
	// Endpoint is the base URL of an S3 server other than AWS. The bucket then
	// stands in the path of the URL.
	Endpoint string
	// Profile names a profile of the shared AWS configuration.
	Profile string
	// AccessKey and SecretKey are for the embedded server. "" leaves the
	// credentials to the SDK's own chain.
	AccessKey, SecretKey string
	// Server says where the server runs (see server.go). Other than Elsewhere
	// it is refused unless Endpoint is on loopback.
	Server Server
	// Dial, if not nil, makes the connections to the server, whatever its address.
	Dial func(ctx context.Context) (net.Conn, error)
	// Access says how the bucket is asked, but for its region.
	Access Access
	// Follow sends requests to another region than Region once a reply to a read
	// names it as that of the bucket: see [Store.Other].
	Follow bool
	// Beside is a store of another server in the same process. Both share
	// Concurrency, the budget of retries and the counts of requests; nil shares
	// with none.
	Beside *Store

	// Concurrency bounds the requests in flight; default 64. While the
	// store throttles, the bound shrinks by itself.
	Concurrency int
	// PartSize is the size in bytes of a part of a multipart upload and of
	// a chunk of a ranged read; default 8 MiB. S3 takes no part but the
	// last below 5 MiB.
	PartSize int64
	// MultipartAbove is the size in bytes above which an object is sent in
	// parts; default 64 MiB.
	MultipartAbove int64
	// HeaderTimeout bounds the time without progress until the headers of
	// a reply arrive; default 20 s. The first two tries of a GET or HEAD
	// get a quarter and half of it, a request that makes the server copy an
	// object a second more for each 16 MiB, up to fifteen times as long. So
	// long may a whole reply take, but for that of a GET.
	HeaderTimeout time.Duration
	// IdleTimeout bounds the time without progress in a reply's body;
	// default 20 s.
	IdleTimeout time.Duration
	// MaxAttempts bounds the tries of one request, resumptions of its body
	// included; default 8. A try that the store throttled counts a third.
	MaxAttempts int
	// MaxElapsed bounds the time after which no further try of a request
	// is begun; default 5 min.
	MaxElapsed time.Duration
	// BackoffBase is the mean of the first delay between two tries; it
	// doubles from try to try, up to 10 s. Default 50 ms.
	BackoffBase time.Duration
}

func (o Options) withDefaults() Options {
	o.Concurrency = cmp.Or(o.Concurrency, 64)
	o.MaxAttempts = cmp.Or(o.MaxAttempts, 8)
	o.PartSize = cmp.Or(o.PartSize, 8<<20)
	o.MultipartAbove = cmp.Or(o.MultipartAbove, 64<<20)
	o.HeaderTimeout = cmp.Or(o.HeaderTimeout, 20*time.Second)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, 20*time.Second)
	o.MaxElapsed = cmp.Or(o.MaxElapsed, 5*time.Minute)
	o.BackoffBase = cmp.Or(o.BackoffBase, 50*time.Millisecond)
	return o
}

// Store is a bucket. Keys are whole keys. It is safe for concurrent use.
type Store struct {
	o      Options
	link   atomic.Pointer[link]
	http   *client
	family *family
	pool   bufferPool
	views  sync.Pool // of *[]byte, see direct.go
	skew   atomic.Int64
}

type (
	// Object is what a store tells of an object. After a write, Modified is
	// zero.
	Object = object.Info
	// PutOptions condition and describe a write.
	PutOptions = object.PutOptions
	// Upload is an unfinished multipart upload.
	Upload = object.Upload
	// Writer is an object being written as a stream.
	Writer = object.Writer
)

// Bucket returns the name of the bucket.
func (s *Store) Bucket() string { return s.o.Bucket }

// Region returns the region that requests are signed for.
func (s *Store) Region() string { return s.link.Load().region }

// Close closes the idle connections. Requests in flight are not disturbed.
func (s *Store) Close() { s.http.hc.CloseIdleConnections() }

func (s *Store) bucket() *string { return aws.String(s.o.Bucket) }

// op names one operation for errors: a verb for people and the SDK's name.
type op struct{ verb, name string }

// begin gives an operation its budget of attempts and time.
func (s *Store) begin(ctx context.Context) (context.Context, *tryBudget) {
	b := &tryBudget{left: s.o.MaxAttempts, until: time.Now().Add(s.o.MaxElapsed), wait: object.PulseOf(ctx).Wait()}
	return context.WithValue(ctx, tryBudgetKey{}, b), b
}
