package s3fs

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/mraws/mraws/internal/escape"
	"github.com/mraws/mraws/internal/object"
)

// Errors that those of a store wrap, besides fs.ErrNotExist, fs.ErrExist and
// fs.ErrPermission.
var (
	ErrPrecondition = object.ErrPrecondition
	ErrDamaged      = object.ErrDamaged
	ErrThrottled    = object.ErrThrottled
	ErrUnreachable  = object.ErrUnreachable
	ErrCredentials  = object.ErrCredentials
	// ErrNoBucket says that the bucket, not the key, is missing; it wraps
	// fs.ErrNotExist.
	ErrNoBucket = fmt.Errorf("no such bucket: %w", fs.ErrNotExist)
	// ErrRegion says that the bucket lies in another region.
	ErrRegion = errors.New("bucket is in another region")
	// ErrBundle says that AWS_CA_BUNDLE names no file of certificates.
	ErrBundle = errors.New("unusable AWS configuration")
	// ErrSharedConfig says that the shared AWS configuration files or the
	// profile cannot be read; it wraps ErrCredentials.
	ErrSharedConfig = &credentialsKind{ErrCredentials.Error()}
	// ErrRefused says that the store does not accept the credentials that
	// there are; it wraps ErrCredentials.
	ErrRefused = &credentialsKind{"credentials refused"}
	// ErrExpired says that they were accepted once; it wraps ErrCredentials.
	ErrExpired = &credentialsKind{"credentials expired"}
	// ErrClock says that a request was signed with a time too far off; it
	// wraps ErrCredentials.
	ErrClock = &credentialsKind{"request time refused"}
)

// credentialsKind is a kind of [ErrCredentials] with words of its own.
type credentialsKind struct{ what string }

// Error returns the words.
func (k *credentialsKind) Error() string { return k.what }

// Unwrap returns [ErrCredentials].
func (k *credentialsKind) Unwrap() error { return ErrCredentials }

// Error is what every method of a [Store] returns if a request went wrong.
type Error struct {
	// Op is the verb: "get", "put", "list" …
	Op string
	// Bucket and Key name the object; Key is "" for the bucket as such.
	Bucket, Key string
	// Kind is one of the errors above or of package fs; nil if none fits.
	Kind error
	// Detail is what the store said, in one line; "" prints Err instead.
	Detail string
	// Tries is the number of HTTP tries.
	Tries int
	// Code is what the store calls the error ("SignatureDoesNotMatch"), or "".
	Code string
	// Action is the permission that the operation needs, if it was denied.
	Action string
	// Region is the region of the bucket, if it is not the configured one and
	// the reply names it.
	Region string
	// Access is how the bucket was asked.
	Access Access
	// Target is the endpoint or region that requests go to, if it cannot be
	// reached.
	Target string
	// Err is the cause.
	Err error
}

// Error returns `verb s3://bucket/key: kind: what the store said`. Unusual
// bytes of the key are escaped.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op + " s3://" + e.Bucket)
	if e.Key != "" {
		b.WriteString("/" + escape.Line(e.Key))
	}
	if e.Kind != nil {
		b.WriteString(": " + e.Kind.Error())
	}
	switch {
	case e.Detail != "":
		b.WriteString(": " + escape.Line(e.Detail))
	case e.Err != nil && e.Err != e.Kind: //nolint:errorlint // the very same, whose text is there already
		b.WriteString(": " + e.Err.Error())
	}
	if e.Tries > 1 {
		fmt.Fprintf(&b, " (after %d tries)", e.Tries)
	}
	return b.String()
}

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.Kind, e.Err} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// errorf is an Error that no request caused.
func (s *Store) errorf(verb, key string, kind error, format string, args ...any) error {
	return &Error{Op: verb, Bucket: s.o.Bucket, Key: key, Kind: kind, Err: fmt.Errorf(format, args...)}
}

var _ error = (*Error)(nil)

// isKnown reports whether err has been translated already.
func isKnown(err error) bool {
	_, ok := err.(*Error) //nolint:errorlint // one inside another error is to be translated with it
	return ok
}
