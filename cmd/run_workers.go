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

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/coordinator"
	"github.com/mraws/mraws/internal/worker"
	"github.com/mraws/mraws/mr"
)

// inProcess runs one worker in this process, on the coordinator's store.
func (s *session) inProcess(ctx context.Context, st *store, o *runFlags, app mr.App, address string, shared *worker.Shared) error {
	wo, err := s.workerOptions(st, &app, nil)
	if err != nil {
		return err
	}
	wo.Addresses, wo.Slots, wo.Memory = []string{address}, 1, s.memory/int64(o.workers)
	wo.Shared = shared
	return s.roleError(worker.Run(ctx, wo))
}

// A worker process that dies soon after its start may have been killed by the
// application. After maxQuick such deaths in a row it is not started again.
const (
	soon     = 2 * time.Second
	maxQuick = 30
)

// child runs one worker in a process of its own. It starts another one if the
// process dies before the job is over.
func (s *session) child(ctx context.Context, over <-chan struct{}, st *store, o *runFlags, app mr.App, address string, index int) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	args := s.childArgs(st, o, app, address)
	return s.keepUp(ctx, over, index, func() (*outcome, error) {
		c := exec.CommandContext(ctx, self, args...)
		c.Stdout, c.Stderr = s.io.Err, s.io.Err
		c.Cancel = func() error { return c.Process.Signal(os.Interrupt) } // SIGTERM would drain it
		c.WaitDelay = 5 * time.Second
		return oversee(c, nil, nil)
	})
}

// keepUp restarts a worker process until the job is over. It returns an error if a
// worker reports that it cannot work here, or keeps dying soon after its start.
func (s *session) keepUp(ctx context.Context, over <-chan struct{}, index int, run func() (*outcome, error)) error {
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
		s.log.Warn().Err(died).Int("worker", index).Msg("worker process died")
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
func (s *session) childArgs(st *store, o *runFlags, app mr.App, address string) []string {
	args := []string{"worker", "--app", app.Name, "--coord", address, "--slots", "1", "--spot", "off",
		"--memory", strconv.FormatInt(s.memory/int64(o.workers)>>10, 10) + "KiB"}
	args = append(args, "--metrics=") // one page, that of this process, has that address
	own := []string{"coord", "slots", "memory", "prefix", "metrics", "spot"}
	takes := config.Names(config.Common, config.Net, config.Work)
	for _, e := range s.conf.Entries() {
		if e.Origin.Level > config.Default && slices.Contains(takes, e.Key) && !slices.Contains(own, e.Key) {
			args = append(args, "--"+e.Key+"="+e.Value)
		}
	}
	if st.Embedded && !s.conf.IsSet("local") {
		args = append(args, "--local")
	}
	if prefix := s.layout.Prefix(); prefix != "" {
		args = append(args, "--prefix="+prefix)
	}
	return args
}

// watchEvery is the interval of progress updates.
const watchEvery = 200 * time.Millisecond

// watch shows the progress of the job until over is closed. Then it closes the
// channel that it returns.
func (s *session) watch(c *coordinator.Coordinator, over <-chan struct{}) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		var p *progress
		phase := ""
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		go func() { <-over; cancel() }()
		for {
			select {
			case <-over:
				if p != nil {
					p.end()
				}
				return
			case <-tick.C:
			}
			st := c.Status(ctx)
			if st.GetMap().GetTasks()+st.GetReduce().GetTasks() == 0 { // not planned, or stopped
				continue
			}
			now, at := "map", st.Map
			if at.Done == at.Tasks {
				now, at = "reduce", st.Reduce
			}
			if now != phase {
				if p != nil {
					p.set(p.total)
					p.end()
				}
				p, phase = s.newProgress(now, int64(at.Tasks), false), now
			}
			p.set(int64(at.Done))
		}
	}()
	return done
}
