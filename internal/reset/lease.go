package reset

import (
	"context"
	"errors"
	"io/fs"

	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
)

// Holder returns the coordinator whose lease on the job has not ended, nil if
// there is none. Ended tells whether a process is known to be gone. Errors of
// the store wrap fs.ErrPermission where that applies.
func Holder(ctx context.Context, store jobstate.Store, l layout.Layout, ended func(manifest.Process) bool) (*manifest.Coordinator, error) {
	a, info, err := jobstate.ReadAnnouncement(ctx, store, l)
	switch {
	case errors.Is(err, fs.ErrNotExist), jobstate.Invalid(err): // no coordinator of this version, which would say so again
		return nil, nil
	case err != nil:
		return nil, err
	case a.Released || jobstate.Silent(a, info, 1) || ended(a.Process):
		return nil, nil
	}
	return a, nil
}
