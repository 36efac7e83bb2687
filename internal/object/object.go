// Package object is the vocabulary that the store and those who use it
// share, so that a role can declare the methods it needs without importing
// the store: what an object is, how a write may be conditioned, and what may
// go wrong beyond fs.ErrNotExist, fs.ErrExist and fs.ErrPermission.
package object

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"time"
)

// Info is what a listing or a head request tells of an object.
type Info struct {
	Key      string // the whole key in its bucket
	Size     int64  // bytes
	ETag     string // as S3 sends it, with its quotes; never taken for an MD5
	Modified time.Time
	// Archived names the storage class of an object that cannot be read before it
	// is restored; "" for any other. A listing does not know which are restored.
	Archived string
	Meta     map[string]string // user metadata, keys in lower case; nil in listings
	// Served is when the store answered, by its own clock, as Modified is;
	// zero in listings, after writes, and where the store does not say.
	Served time.Time
}

// PutOptions condition and describe a write.
type PutOptions struct {
	// IfAbsent creates and never replaces (If-None-Match: *).
	IfAbsent bool
	// IfMatch replaces only that version.
	IfMatch string
	// Meta is the user metadata to store.
	Meta map[string]string
	// ContentType is application/octet-stream when empty.
	ContentType string
	// Expect is about how many bytes a writer will be given, 0 if nobody
	// knows, and Memory how many it may hold at a time beside what it holds by
	// itself. The store decides by both whether it sends parts, and how large:
	// each is paid for as a PUT of its own.
	Expect, Memory int64
}

// Stream is a range of one version of an object, which shows its bytes where
// they lie. A wrapper that returned a plain reader would hide that, and so
// read by another way than the store does.
type Stream interface {
	// Peek returns what is at hand of the bytes that come next, at least one,
	// or an error: io.EOF behind the last. They are valid until Discard or
	// Close.
	Peek() ([]byte, error)
	// Discard moves past the first n bytes that Peek has returned.
	Discard(n int) error
	// WriteTo writes all bytes that are left.
	WriteTo(w io.Writer) (int64, error)
	// Close ends the stream.
	Close() error
}

// Upload is an unfinished multipart upload.
type Upload struct {
	Key, ID   string
	Initiated time.Time
}

// Errors that a store's answers wrap, besides those of io/fs.
var (
	// ErrPrecondition: the object is not at the version that was asked for.
	ErrPrecondition = errors.New("object changed")
	// ErrDamaged: the bytes that the store sent did not match the checksum
	// that it keeps of them, each time it was asked.
	ErrDamaged = errors.New("object damaged")
	// ErrThrottled: the store kept asking for fewer requests.
	ErrThrottled = errors.New("store is throttling")
	// ErrUnreachable: no connection to the store could be made.
	ErrUnreachable = errors.New("store unreachable")
	// ErrUnsafe: the store lets several conditional creations of one key
	// succeed, so nothing that is committed there is safe.
	ErrUnsafe = errors.New("store does not honour conditional writes")
	// ErrCredentials: there are no usable credentials, or they have expired.
	ErrCredentials = errors.New("no usable credentials")
)

// ConditionFailed reports whether a conditional write failed since another
// version than the one to be replaced is there: another's, or the one of this
// very write, whose reply was lost.
func ConditionFailed(err error) bool {
	return errors.Is(err, fs.ErrExist) || errors.Is(err, ErrPrecondition) || errors.Is(err, fs.ErrNotExist)
}

// Writer is an object being written as a stream. Exactly one of Commit and
// Abort ends it.
type Writer interface {
	// Write takes the next bytes; a part may be sent in the background, so
	// an error may belong to earlier bytes.
	Write(p []byte) (int, error)
	// Commit creates the object, atomically and under the conditions that
	// it was opened with. After an error the object may or may not exist,
	// unless the error wraps fs.ErrExist or ErrPrecondition.
	Commit(ctx context.Context) (Info, error)
	// Abort drops what was written.
	Abort() error
}
