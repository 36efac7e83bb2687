package execrunner

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestUsage: the processor time and the memory of executables that run are known, of a
// child of an executable too. Nothing is left of them when they have ended.
func TestUsage(t *testing.T) {
	const least, most = 50 * time.Millisecond, time.Minute
	b := newBench(t, `sh -c 'echo up; sh -c "while :; do :; done"; :'`, "cat")
	ctx, cancel := context.WithTimeoutCause(t.Context(), most, errors.New("no processor time was seen"))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	b.ctx = ctx
	enough := errors.New("enough")
	in := &endless{lines: lines{objects: []object{{"a", "x\n"}}}, until: ctx}
	err := b.mapEndless(in, func() {
		for ctx.Err() == nil {
			if cpu, memory := b.host.Usage(); cpu >= least && cpu < most && memory > 0 {
				stop(enough)
			}
		}
	})
	if !errors.Is(err, enough) {
		t.Error(err)
	}
	if cpu, memory := b.host.Usage(); cpu != 0 || memory != 0 {
		t.Errorf("%v, %d bytes after the end", cpu, memory)
	}
}
