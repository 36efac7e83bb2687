package cmd

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/failpoint"
	"github.com/mraws/mraws/internal/s3fs"
	"github.com/mraws/mraws/internal/worker"
	"github.com/mraws/mraws/mr"
)

func (f *frame) workerCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "worker",
		Short: "Run tasks for a coordinator until the job is done",
		Long: "Join a job and run its tasks until it is done. Any number of workers may join and leave at\n" +
			"any time, on any machine that can read the bucket: that right is all that lets them in.\n\n" +
			"SIGTERM drains a worker: it takes nothing new, finishes what it runs for at most\n" +
			"--drain-timeout and hands back the rest. SIGINT, or a second SIGTERM, hands back at once.",
		Example: "  " + f.name + " worker --coord host:1234 --app wc\n" +
			"  " + f.name + " worker --app wc            # finds the coordinator in the bucket",
		Args: cobra.NoArgs,
	}
	o := f.jobFlags(c, "the app to run; must be the job's")
	config.AddFlags(c.Flags(), config.Names(config.Net, config.Work)...)
	c.RunE = f.run(func(ctx context.Context, s *session, _ []string) error {
		return s.work(ctx, o)
	})
	return c
}

// work is the worker command.
func (s *session) work(ctx context.Context, o *jobFlags) (err error) {
	app, err := s.soleApp(o.app)
	if err != nil {
		return err
	}
	params, err := o.params(&app)
	if err != nil {
		return err
	}
	if err := s.openPage(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.page.Close()) }()
	if s.slots = s.conf.Slots; s.slots == 0 {
		s.slots = runtime.GOMAXPROCS(0)
	}
	st, err := s.openStore(ctx, found)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	s.page.store(st.Store)
	s.page.workers()
	wo, err := s.workerOptions(st.Store, app, params)
	if err != nil {
		return err
	}
	wo.Requests = st.Store.Requests
	debug.SetMemoryLimit(memoryLimit(wo.Memory))
	return s.roleError(s.runWorker(ctx, wo))
}

// memoryLimit is the limit given to Go's collector for a budget of buffers:
// a quarter more, and 32 MiB for what is no buffer.
func memoryLimit(budget int64) int64 { return budget + budget/4 + 32<<20 }

// workerOptions wires a worker with all of the configured slots and memory.
func (s *session) workerOptions(store *s3fs.Store, app mr.App, params map[string]string) (worker.Options, error) {
	token, err := s.ownToken()
	if err != nil {
		return worker.Options{}, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	memory := int64(s.conf.Memory)
	if memory == 0 {
		memory = worker.DefaultMemory()
	}
	scratch := s.conf.Scratch
	if scratch == "" {
		scratch = os.TempDir()
	}
	objects := failpoint.Store("worker", store)
	o := worker.Options{
		Store: objects, Bucket: store.Bucket(), Layout: s.layout, Log: s.log, Version: readVersion().Version,
		App: app, Params: params,
		Insecure: s.conf.Insecure, Files: s.tlsFiles(), Token: token, CoordTimeout: s.conf.CoordTimeout,
		Name: workerName(host), Host: host, Slots: s.slots, Memory: memory, Scratch: scratch, Stats: s.page.workerStats(),
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
