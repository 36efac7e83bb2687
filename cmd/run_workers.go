package cmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/worker"
)

// inProcess runs one worker in this process, on the coordinator's store. It tells samples
// of the process if sample is not nil.
func (r *jobRun) inProcess(ctx context.Context, address string, shared *worker.Shared, sample func() *object.Sample) error {
	wo, err := workerOptions(r.session, r.st, r.appOf(), nil)
	if err != nil {
		return err
	}
	wo.Exec, wo.Shipped = r.host, r.files
	wo.Addresses, wo.Slots, wo.Memory = []string{address}, 1, r.memory/int64(r.flags.workers)
	wo.Shared, wo.Sample = shared, sample
	tally := new(object.Tally)
	wo.Traffic = tally.Traffic
	ctx = object.WithTally(object.WithTally(ctx, &r.flags.apart), tally)
	return r.roleError(worker.Run(ctx, wo))
}

// A worker process that dies soon after its start may have been killed by the
// application. After maxQuick such deaths in a row it is not started again.
const (
	soon     = 2 * time.Second
	maxQuick = 30
)

// child runs one worker in a process of its own. It starts another one if the
// process dies before the job is over.
func (r *jobRun) child(ctx context.Context, over <-chan struct{}, address string, index int) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	args := r.childArgs(address)
	return keepUp(ctx, r.log, over, index, func() (*outcome, error) {
		c := exec.CommandContext(ctx, self, args...)
		c.Stdout, c.Stderr, c.Dir = r.io.Err, r.io.Err, r.dir
		c.Cancel = func() error { return c.Process.Signal(os.Interrupt) } // SIGTERM would drain it
		c.WaitDelay = 5 * time.Second
		return oversee(c, nil, nil)
	})
}

// keepUp restarts a worker process until the job is over. It returns an error if a
// worker reports that it cannot work here, or keeps dying soon after its start.
func keepUp(ctx context.Context, log zerolog.Logger, over <-chan struct{}, index int, run func() (*outcome, error)) error {
	for quick := 0; ; {
		began := time.Now()
		o, err := run()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("start worker process %d: %w", index, err)
		case o.verdict != nil && *o.verdict == ExitOK:
			return nil
		case o.verdict != nil && slices.Contains([]int{ExitUsage, ExitJobFailed, ExitUnreachable, ExitDenied, ExitConflict}, *o.verdict):
			return &Error{Code: *o.verdict, What: fmt.Sprintf("worker process %d has ended with exit code %d", index, *o.verdict)}
		}
		died := errors.New(o.why())
		if quick++; time.Since(began) > soon {
			quick = 0
		}
		if quick == maxQuick {
			return &Error{Code: ExitJobFailed, Cause: died,
				What: fmt.Sprintf("worker process %d died %d times within %v of its start", index, quick, soon)}
		}
		log.Warn().Err(died).Int("worker", index).Msg("worker process died")
		select {
		case <-over:
			return nil
		case <-ctx.Done():
			return nil
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// childArgs is the command line of a worker process. It has all settings that are
// set here, since the child may find other files and variables.
func (r *jobRun) childArgs(address string) []string {
	args := []string{"worker", "--coord", address, "--slots", "1", "--spot", "off",
		"--memory", strconv.FormatInt(r.memory/int64(r.flags.workers)>>10, 10) + "KiB"}
	if r.code == nil {
		args = append(args, "--app", r.app.Name)
	}
	if r.term.err && !r.conf.IsSet("log-format") {
		args = append(args, "--log-format=text") // its stderr is a pipe to this terminal
	}
	args = append(args, "--metrics=") // one page, that of this process, has that address
	own := []string{"coord", "slots", "memory", "prefix", "metrics", "pprof", "spot"}
	if !r.st.Embedded { // as flags they would contradict the store that was chosen
		own = append(own, "data-dir", "local")
	}
	takes := config.Names(config.Common, config.Net, config.Work)
	for _, e := range r.conf.Entries() {
		if e.Origin.Level > config.Default && slices.Contains(takes, e.Key) && !slices.Contains(own, e.Key) {
			args = append(args, "--"+e.Key+"="+e.Value)
		}
	}
	if r.st.Embedded && !r.conf.IsSet("local") {
		args = append(args, "--local")
	}
	if prefix := r.layout.Prefix(); prefix != "" {
		args = append(args, "--prefix="+prefix)
	}
	return args
}
