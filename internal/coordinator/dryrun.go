package coordinator

import (
	"context"
	"errors"
	"io/fs"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/wire"
)

// ErrNoApp means that a job cannot be planned since nobody has said which app it runs.
var ErrNoApp = errors.New("the app of the job is not known")

// ErrExpectedLines means that input which is not uploaded yet is to be cut behind a number
// of lines.
var ErrExpectedLines = errors.New("where tasks of a number of lines end is known once the input is uploaded")

// Plan returns the job that Run would make, or the one that is there and that it would go on
// with, and writes nothing. It is called in place of Run.
func (c *Coordinator) Plan(ctx context.Context) (job *manifest.Job, found bool, err error) {
	if err := c.o.check(); err != nil {
		return nil, false, err
	}
	stored, err := c.readJob(ctx)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, false, err
	}
	var app manifest.Spec
	switch {
	case c.o.Exec != nil:
		if err := c.o.Exec.Validate(); err != nil {
			return nil, false, err
		}
		c.loop.know(spec{*c.o.Exec, "the coordinator"})
	case c.o.App != nil:
		if err := c.loop.learn(wire.DescribeApp(*c.o.App, nil), "the coordinator"); err != nil {
			return nil, false, err
		}
	case stored != nil:
		return stored, true, nil
	default:
		return nil, false, ErrNoApp
	}
	app = c.loop.app.Spec
	if stored != nil && c.o.Expected != nil { // whose input cannot be compared before it is uploaded
		return stored, true, c.conflict(stored, c.outline(app, stored.Objects))
	}
	if c.o.Expected != nil && app.LinesPerTask() > 0 {
		return nil, false, ErrExpectedLines
	}
	if stored == nil {
		if err := c.vacant(ctx); err != nil {
			return nil, false, err
		}
	}
	job, found, err = c.plan(ctx, app)
	if err != nil || found || stored == nil {
		return job, found, err
	}
	return stored, true, c.conflict(stored, job)
}
