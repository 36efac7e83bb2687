// Package apps has the applications of the mraws binary: those of the MIT 6.824 lab
// (https://pdos.csail.mit.edu/6.824/labs/lab-mr.html), adapted to streams and to
// several machines, and grep. [Table] is the only list of them.
package apps

import (
	"context"
	"slices"
	"time"

	"github.com/mraws/mraws/mr"
)

// Table returns all applications in the order in which they are shown.
func Table() []mr.App {
	return []mr.App{
		wc(),
		indexer(),
		grep(),
		sortLines(),
		pagerank(),
		distinct(),
		group(),
		topk(),
		histogram(),
		join(),
		sessionize(),
		jobcount(),
		mtiming(),
		rtiming(),
		earlyExit(),
		crash(),
		nocrash(),
	}
}

// Has reports whether app is one of the table, by its fields.
func Has(app mr.App) bool {
	return slices.ContainsFunc(Table(), func(a mr.App) bool {
		return a.Name == app.Name && a.Version == app.Version && a.Help == app.Help
	})
}

// wait returns nil after d, or the cause of ctx if that ends before.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
