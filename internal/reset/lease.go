package reset

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// Reader reads small objects.
type Reader interface {
	// Get returns an object whole, or fs.ErrNotExist or fs.ErrPermission.
	Get(ctx context.Context, key string) ([]byte, object.Info, error)
}

// slack is by how much the age of an announcement may be wrong: times of S3
// are whole seconds.
const slack = 2 * time.Second

// Holder returns the coordinator whose lease on the job has not ended, nil if
// there is none. Ended tells whether a process is known to be gone. Errors of
// the store wrap fs.ErrPermission where that applies.
func Holder(ctx context.Context, store Reader, l layout.Layout, ended func(manifest.Process) bool) (*manifest.Coordinator, error) {
	data, info, err := store.Get(ctx, l.Coordinator())
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, object.ErrDamaged):
		return nil, nil
	case err != nil:
		return nil, err
	}
	a, err := manifest.DecodeCoordinator(data)
	if err != nil {
		return nil, nil // no coordinator of this version, which would say so again
	}
	now := info.Served // by the clock by which the object has its time
	if now.IsZero() {
		now = time.Now()
	}
	lease := time.Duration(a.LeaseMS) * time.Millisecond
	if a.Released || now.Sub(info.Modified) > lease+slack || ended(a.Process) {
		return nil, nil
	}
	return a, nil
}
