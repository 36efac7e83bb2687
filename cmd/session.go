package cmd

import (
	"context"
	"sync"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/datadir"
	"github.com/mraws/mraws/internal/layout"
)

// session is the state of a command whose flags and configuration have been read
// and checked.
type session struct {
	*frame
	*target
	budget
	waits waits
	token func() (string, error) // of the configured file
	page  *page                  // of metrics; nil for none

	pricesNoted bool // that the table of prices lacks the region
}

// run makes the RunE of a command that needs the configuration.
func (f *frame) run(fn func(ctx context.Context, s *session, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) (err error) {
		f.started = true
		conf, err := f.load(c)
		if err != nil {
			return err
		}
		s := &session{frame: f, target: &target{conf: conf, verb: c.Name(), layout: layout.New(conf.Prefix), serves: f.start != nil}, waits: waits{printer: f.printer}}
		f.logsProgress = c.Name() == "coordinator"
		done, err := f.openLog(conf)
		if err != nil {
			return err
		}
		defer func() {
			if e := done(); err == nil {
				err = e
			}
		}()
		s.token = sync.OnceValues(func() (string, error) { return readToken(conf.TokenFile, f.log) })
		if !f.process.overseen() { // else the parent has warned
			f.warnStray()
		}
		f.at = s.target
		if args, err = s.takeJob(c, args); err != nil {
			return err
		}
		return f.paged(c.Context(), f.pagerOf(c), func(ctx context.Context) error {
			ctx, over := s.waits.watchStore(ctx)
			defer over()
			defer s.breakSilence(c.Name())()
			return fn(ctx, s, args)
		})
	}
}

// bare makes the RunE of a command that must work while the configuration
// is broken.
func (f *frame) bare(fn func() error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, _ []string) error {
		f.started = true
		return f.paged(c.Context(), f.pagerOf(c), func(context.Context) error { return fn() })
	}
}

// load reads the configuration for a command.
func (f *frame) load(c *cobra.Command) (*config.Loaded, error) {
	o := config.Options{Flags: c.Flags(), File: f.configFile, Defaults: map[string]string{}}
	if dir, err := datadir.Default(); err == nil {
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
	if f.unpaged {
		set("--no-pager", "pager", "never")
	}
	if f.quiet {
		set("-q", "log-level", "error")
		set("-q", "progress", "none")
	}
	conf, err := config.Load(o)
	if err != nil {
		return nil, &Error{Code: ExitUsage, What: "the configuration is not valid", Cause: err, Hint: "`mraws config init` explains every key"}
	}
	return conf, nil
}
