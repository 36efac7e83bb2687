package s3local

import (
	"context"
	"errors"
	"strings"
	"syscall"

	"github.com/versity/versitygw/s3err"
	"github.com/versity/versitygw/s3response"
)

// A key that ends with a slash is an object of 0 bytes, which clients and graphical
// tools create to show an empty folder. The backend stores it as an attribute of the
// folder of the keys below it.

func isFolder(key string) bool { return strings.HasSuffix(key, "/") }

// keepParents blocks the removal of folders by deletes until done is called.
func (g *guard) keepParents() (done func()) {
	if !g.on.parents {
		return func() {}
	}
	g.parents.RLock()
	return g.parents.RUnlock
}

// putFolder creates an object of 0 bytes, whose key may end with a slash.
func (g *guard) putFolder(ctx context.Context, in s3response.PutObjectInput) (s3response.PutObjectOutput, error) {
	defer g.keepParents()()
	out, err := g.putVersion(ctx, in, "")
	if errors.Is(err, syscall.ENOTDIR) {
		err = s3err.GetAPIError(s3err.ErrObjectParentIsFile)
	}
	return out, err
}
