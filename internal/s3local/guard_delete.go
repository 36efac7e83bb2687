package s3local

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/versity/versitygw/backend"
	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"
)

// deleteBatch is the number of objects that are deleted while writes wait.
const deleteBatch = 100

// lockParents blocks writes until unlock is called.
func (g *guard) lockParents() (unlock func()) {
	if !g.on.parents {
		return func() {}
	}
	g.parents.Lock()
	return g.parents.Unlock
}

// DeleteObject deletes an object and the folders that become empty.
func (g *guard) DeleteObject(ctx context.Context, in *s3.DeleteObjectInput) (_ *s3.DeleteObjectOutput, err error) {
	defer g.told(&err)
	if err := g.admitVersion(&in.Bucket, in.Key, in.VersionId); err != nil {
		return nil, err
	}
	defer g.lockParents()()
	out, err := g.s.DeleteObject(ctx, in)
	if isFolder(*in.Key) && errors.Is(err, s3err.GetAPIError(s3err.ErrDirectoryNotEmpty)) {
		return &s3.DeleteObjectOutput{}, nil // there was no such object, only keys below
	}
	return out, err
}

// DeleteObjects deletes many objects. A refused key is an error of that key only.
func (g *guard) DeleteObjects(ctx context.Context, in *s3.DeleteObjectsInput) (all s3response.DeleteResult, err error) {
	defer g.told(&err)
	if err := g.admitBucket(&in.Bucket); err != nil {
		return all, err
	}
	var objects []types.ObjectIdentifier
	for _, o := range in.Delete.Objects {
		if err := g.checkVersion(o.Key, o.VersionId); err != nil {
			all.Error = append(all.Error, s3err.ObjectDeleteError(o.Key, o.VersionId, err))
			continue
		}
		objects = append(objects, o)
	}
	for len(objects) > 0 {
		n := min(len(objects), deleteBatch)
		batch, del := *in, *in.Delete
		batch.Delete, del.Objects = &del, objects[:n]
		objects = objects[n:]
		out, err := g.deleteBatch(ctx, &batch)
		if err != nil {
			return all, err
		}
		all.Deleted = append(all.Deleted, out.Deleted...)
		all.Error = append(all.Error, out.Error...)
	}
	return all, nil
}

func (g *guard) deleteBatch(ctx context.Context, in *s3.DeleteObjectsInput) (s3response.DeleteResult, error) {
	defer g.lockParents()()
	out, err := g.s.DeleteObjects(ctx, in)
	out.Error = slices.DeleteFunc(out.Error, func(e types.Error) bool {
		none := isFolder(backend.GetStringFromPtr(e.Key)) && backend.GetStringFromPtr(e.Code) == s3err.GetAPIError(s3err.ErrDirectoryNotEmpty).Code
		if none {
			out.Deleted = append(out.Deleted, types.DeletedObject{Key: e.Key})
		}
		return none
	})
	return out, err
}

// DeleteBucket deletes an empty bucket.
func (g *guard) DeleteBucket(ctx context.Context, bucket string) (err error) {
	defer g.told(&err)
	if err := g.admitName(&bucket); err != nil {
		return err
	}
	defer g.lockParents()()
	return g.s.DeleteBucket(ctx, bucket)
}
