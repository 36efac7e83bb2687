package cmd

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/s3local"
)

// session is the state of a command whose flags and configuration have been read
// and checked.
type session struct {
	*frame
	*target
	page  *page // of metrics; nil for none
	slots int   // tasks at a time; 0 of commands that run none

	memory int64 // bytes for the buffers of them all

	tokenWarning sync.Once

	pulse     object.Pulse           // of its requests to the store
	storeWait atomic.Pointer[string] // says that it waits for the store; nil until that is open
	storeSaid bool                   // which store it is

	// What the limit of file descriptors allows, known once the store is open.
	requests    int // S3 requests in flight, at most s3-concurrency
	connections int // that a coordinator may take
}

// run makes the RunE of a command that needs the configuration.
func (f *frame) run(fn func(ctx context.Context, s *session, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		f.started = true
		conf, err := f.load(c)
		if err != nil {
			return err
		}
		s := &session{frame: f, target: &target{conf: conf, verb: c.Name(), layout: layout.New(conf.Prefix)}}
		f.log, f.progress = f.newLogger(conf), conf.Progress
		if !f.process.overseen() { // else the parent has warned
			f.warnStray()
		}
		f.at = s.target
		ctx, over := s.watchStore(c.Context())
		defer over()
		return fn(ctx, s, args)
	}
}

// bare makes the RunE of a command that must work while the configuration
// is broken.
func (f *frame) bare(fn func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		f.started = true
		return fn(c.Context(), args)
	}
}

// load reads the configuration for a command.
func (f *frame) load(c *cobra.Command) (*config.Loaded, error) {
	o := config.Options{Flags: c.Flags(), File: f.configFile, Defaults: map[string]string{}}
	if dir, err := s3local.DefaultDataDir(); err == nil {
		o.Defaults["data-dir"] = dir
	}
	set := func(flag, key, value string) {
		if !c.Flags().Changed(key) {
			o.Set = append(o.Set, config.Entry{Key: key, Value: value, Origin: config.Origin{Level: config.Flag, Name: flag}})
		}
	}
	if f.verbose {
		set("-v", "log-level", "debug")
	}
	if f.quiet {
		set("-q", "log-level", "error")
		set("-q", "progress", "none")
	}
	conf, err := config.Load(o)
	if err != nil {
		return nil, &Error{Code: ExitUsage, What: "the configuration is not valid", Cause: err,
			Hint: "`mraws config init` explains every key"}
	}
	return conf, nil
}
