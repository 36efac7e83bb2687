package cmd

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/failpoint"
	"github.com/mraws/mraws/internal/shipped"
	"github.com/mraws/mraws/internal/worker"
	"github.com/mraws/mraws/mr"
)

func (f *frame) workerCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "worker",
		Short: "Run tasks for a coordinator until the job is done",
		Long: "Join a job and run its tasks until it is done. Any number of workers may join and leave at\n" +
			"any time, on any machine that can read the bucket; no other right is needed.\n\n" +
			"A worker that was started with --coord, and whose job is one of a chain, goes on to the next job\n" +
			"of the chain and ends with the last.\n\n" +
			"A worker without --app runs the app of the job. If the coordinator does not know the app\n" +
			"either, it waits for another worker to name it. With --app the worker refuses any other\n" +
			"job, with exit code 7; so does a worker whose program does not have the app.\n\n" +
			"SIGTERM drains a worker: it takes no new task, runs its tasks for at most\n" +
			"--drain-timeout and releases the others. SIGINT, or a second SIGTERM, releases all at once.",
		Example: "  " + f.name + " worker --coord host:1234\n" +
			"  " + f.name + " worker                     # finds the coordinator in the bucket\n" +
			"  " + f.name + " worker --app wc            # only for a job of this app\n" +
			"  " + f.name + " worker counts              # only for the job of this name",
	}
	f.takesJob(c, 0)
	o := newJobFlags(c, f.apps, "app that the job must have; if empty, whatever it has")
	config.AddFlags(c.Flags(), config.Names(config.Net, config.Work)...)
	config.AddFlags(c.Flags(), "task-timeout")
	c.RunE = f.run(func(ctx context.Context, s *session, _ []string) error {
		return work(ctx, s, o)
	})
	return c
}

// work is the worker command.
func work(ctx context.Context, s *session, o *jobFlags) (err error) {
	var app *mr.App
	switch {
	case o.app != "" || len(s.apps) == 1:
		a, err := s.apps.sole(o.app)
		if err != nil {
			return err
		}
		app = &a
	case len(o.args) > 0:
		return usagef("name the app with --app, or leave out --app-arg: workers use the job's parameters", "--app-arg without --app")
	}
	params, err := o.params(app)
	if err != nil {
		return err
	}
	if err := s.openPage(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.page.Close()) }()
	if err := s.setMemory(s.conf.Memory); err != nil {
		return err
	}
	if s.slots = s.conf.Slots; s.slots == 0 {
		s.slots = s.cores()
	}
	return s.withStore(ctx, func(st *store) (err error) {
		s.page.store(st.Store)
		s.page.workers()
		wo, err := workerOptions(s, st, app, params)
		if err != nil {
			return err
		}
		host, err := newExecHost(s, st)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, host.Close()) }()
		wo.Exec = host
		wo.Shipped = shipped.NewCache(s.shipOptions(st))
		defer func() { err = errors.Join(err, wo.Shipped.Close()) }()
		wo.Traffic = st.Traffic
		wo.Sample = newSampler(st, host, wo.Scratch)
		if s.conf.IsSet("task-timeout") {
			wo.TaskTimeout = &s.conf.TaskTimeout
		}
		debug.SetMemoryLimit(memoryLimit(wo.Memory))
		return s.roleError(runWorker(ctx, s, wo))
	})
}

// workerOptions wires a worker with all of the configured slots and memory.
func workerOptions(s *session, st *store, app *mr.App, params map[string]string) (worker.Options, error) {
	token, err := s.token()
	if err != nil {
		return worker.Options{}, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	objects := failpoint.Store("worker", st.Store)
	o := worker.Options{
		Store: objects, Bucket: st.Bucket(), Buckets: st.source, Outputs: st.writable, Libraries: s.libraries(), Parquet: s.parquet.read, Layout: s.layout, Log: s.log, Version: readVersion().Version,
		App: s.process.telling(app), Params: params, Lookup: func(name string) *mr.App { return s.process.telling(s.apps.lookup(name)) },
		Insecure: s.conf.Insecure, Files: tlsFiles(s.conf), Token: token, CoordTimeout: s.conf.CoordTimeout,
		Name: workerName(host), Host: host, Slots: s.slots, Memory: s.memory, Scratch: cmp.Or(s.conf.Scratch, os.TempDir()), Stats: s.page.workerStats(), Events: s.page.events(), Begin: s.page.begin(),
		Dirs: func(ctx context.Context, prefix string) (dirs []string, err error) {
			for d, err := range objects.ListDirs(ctx, prefix) {
				if err != nil {
					return nil, err
				}
				dirs = append(dirs, d)
			}
			return dirs, nil
		},
	}
	if s.conf.Coord != "" {
		o.Addresses = strings.Split(s.conf.Coord, ",")
	}
	return o, nil
}

// workerName is unique, and says to people where the worker is.
func workerName(host string) string {
	host, _, _ = strings.Cut(host, ".")
	safe := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, host)
	return fmt.Sprintf("%s-%d-%s", safe, os.Getpid(), strings.ToLower(rand.Text()[:8]))
}
