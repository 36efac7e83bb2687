// Package doctor tries whether a process may do to a bucket what the commands do, without
// leaving anything there. Each try is a request that the store must refuse for another
// reason than a missing permission: a condition that cannot hold, or a key or an upload
// that does not exist. S3 checks permissions first
// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/how-s3-evaluates-access-control.html).
package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"iter"
	"strings"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/object"
)

// Store is what is tried. Errors of a denied request wrap fs.ErrPermission.
type Store interface {
	Uploads(ctx context.Context, prefix string) iter.Seq2[object.Upload, error]
	// Get returns an error that wraps fs.ErrNotExist for a key that does not exist.
	Get(ctx context.Context, key string) ([]byte, object.Info, error)
	// Put returns an error that wraps object.ErrPrecondition or fs.ErrNotExist where
	// the version of IfMatch is not there.
	Put(ctx context.Context, key string, data []byte, o object.PutOptions) (object.Info, error)
	// Delete takes a key that does not exist for deleted.
	Delete(ctx context.Context, keys ...string) error
	// AbortUpload takes an upload that does not exist for aborted.
	AbortUpload(ctx context.Context, u object.Upload) error
}

// Permission is an action of S3 on a part of the bucket, and whether it is allowed.
type Permission struct {
	Action string // such as "s3:PutObject"
	// Dir is the key prefix, with its slash, below which it is needed; "" for an action
	// on the bucket, such as listing it.
	Dir string
	// For names the commands that need it.
	For []string
	// Err is nil if it is allowed. It wraps fs.ErrPermission if it is denied.
	Err error
}

// Denied reports that the store refused it for want of the permission.
func (p Permission) Denied() bool { return errors.Is(p.Err, fs.ErrPermission) }

// The commands that need permissions.
const (
	Coordinator = "coordinator"
	Worker      = "worker"
	Verify      = "verify"
	Reset       = "reset"
	Upload      = "upload-input"
)

// Try tries what the commands need, but listing the bucket, without which nobody opens
// it. Names of commands select those that one of them needs; none is all.
func Try(ctx context.Context, store Store, l layout.Layout, commands ...string) []Permission {
	t := &tries{ctx: ctx, store: store, commands: commands}
	in, mid, out := l.InputDir(), l.IntermediateDir(), l.OutputDir()
	t.try("s3:GetObject", in, t.get, Worker, Verify, Upload)
	t.try("s3:GetObject", mid, t.get, Coordinator, Worker, Verify, Reset)
	t.try("s3:GetObject", out, t.get, Coordinator, Verify)
	t.try("s3:PutObject", in, t.put, Upload)
	t.try("s3:PutObject", mid, t.put, Coordinator, Worker)
	t.try("s3:PutObject", out, t.put, Coordinator, Worker)
	t.try("s3:AbortMultipartUpload", in, t.abort, Upload)
	t.try("s3:AbortMultipartUpload", mid, t.abort, Coordinator, Worker, Reset)
	t.try("s3:AbortMultipartUpload", out, t.abort, Coordinator, Worker, Reset)
	t.try("s3:ListBucketMultipartUploads", "", func(string) error { return first(store.Uploads(ctx, mid)) }, Reset)
	t.try("s3:DeleteObject", l.PreflightDir(), t.drop, Coordinator)
	t.try("s3:DeleteObject", mid, t.drop, Reset)
	t.try("s3:DeleteObject", out, t.drop, Reset)
	return t.all
}

// tries collects permissions.
type tries struct {
	ctx      context.Context
	store    Store
	commands []string
	all      []Permission
}

func (t *tries) try(action, dir string, do func(key string) error, needed ...string) {
	if !t.wanted(needed) {
		return
	}
	p := Permission{Action: action, Dir: dir, For: needed}
	if p.Err = t.ctx.Err(); p.Err == nil {
		p.Err = do(dir + "_doctor-" + strings.ToLower(rand.Text()[:12]))
	}
	t.all = append(t.all, p)
}

func (t *tries) wanted(needed []string) bool {
	for _, n := range needed {
		for _, c := range t.commands {
			if n == c {
				return true
			}
		}
	}
	return len(t.commands) == 0
}

func (t *tries) get(key string) error {
	_, _, err := t.store.Get(t.ctx, key)
	return but(err, fs.ErrNotExist)
}

// noVersion is an ETag that no object has: it is not of S3's form.
const noVersion = `"no version of mraws doctor"`

// put replaces a version that is not there.
func (t *tries) put(key string) error {
	_, err := t.store.Put(t.ctx, key, nil, object.PutOptions{IfMatch: noVersion})
	if err == nil {
		err = errors.New("the store ignores If-Match, and wrote the object")
		return errors.Join(err, t.store.Delete(t.ctx, key))
	}
	return but(err, fs.ErrNotExist, object.ErrPrecondition)
}

func (t *tries) drop(key string) error { return t.store.Delete(t.ctx, key) }

// abort aborts an upload that is not there. Its id has the form of those of S3.
func (t *tries) abort(key string) error {
	return t.store.AbortUpload(t.ctx, object.Upload{Key: key, ID: strings.Repeat("doctor0", 12)})
}

// but is nil for one of the errors that are expected.
func but(err error, expected ...error) error {
	for _, e := range expected {
		if errors.Is(err, e) {
			return nil
		}
	}
	return err
}

// first reads one element of a listing.
func first[T any](seq iter.Seq2[T, error]) error {
	for _, err := range seq {
		return err
	}
	return nil
}
