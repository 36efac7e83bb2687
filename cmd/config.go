package cmd

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/failpoint"
)

func (f *frame) configCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "Show, check and write configurations",
	}
	c.AddCommand(f.configShowCommand(), f.configValidateCommand(), f.configInitCommand())
	return c
}

// allGroups gives a command the flags of every key.
func allGroups(c *cobra.Command) *cobra.Command {
	config.AddFlags(c.Flags(), config.Names(config.Net, config.Serve, config.Job, config.Work)...)
	return c
}

func (f *frame) configShowCommand() *cobra.Command {
	var origin bool
	c := &cobra.Command{
		Use:     "show",
		Short:   "Print the effective configuration as a configuration file",
		Example: "  " + f.name + " config show --origin\n  MRAWS_NREDUCE=3 " + f.name + " config show -o json",
		Args:    cobra.NoArgs,
		RunE: f.run(func(_ context.Context, s *session, _ []string) error {
			switch {
			case f.output == "json":
				return s.printJSON(configJSON(s.conf))
			case !origin:
				return s.say("%s", s.conf.YAML()[:len(s.conf.YAML())-1])
			}
			var rows [][]string
			for _, e := range s.conf.Entries() {
				rows = append(rows, []string{e.Key, e.Value, e.Origin.String()})
			}
			return s.printTable([]string{"key", "value", "origin"}, rows)
		}),
	}
	c.Flags().BoolVar(&origin, "origin", false, "show the source of each value")
	return allGroups(c)
}

type keyJSON struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Origin string `json:"origin"`
}

func configJSON(conf *config.Loaded) any {
	keys := []keyJSON{}
	for _, e := range conf.Entries() {
		keys = append(keys, keyJSON{e.Key, e.Value, e.Origin.String()})
	}
	return struct {
		Schema string    `json:"schema"`
		File   string    `json:"file,omitempty"`
		Keys   []keyJSON `json:"keys"`
	}{"mraws/config/v1", conf.File, keys}
}

func (f *frame) configValidateCommand() *cobra.Command {
	return allGroups(&cobra.Command{
		Use:   "validate",
		Short: "Check the configuration; list all errors and exit with code 2",
		Args:  cobra.NoArgs,
		RunE: f.run(func(_ context.Context, s *session, _ []string) error {
			var stray []string
			for _, v := range config.StrayEnv(os.Environ(), failpoint.Variable) {
				stray = append(stray, v.String())
				if v.Near == "" { // the others have been named already
					s.note("warning: %s", v)
				}
			}
			if f.output == "json" {
				return s.printJSON(struct {
					Schema   string   `json:"schema"`
					Valid    bool     `json:"valid"`
					File     string   `json:"file,omitempty"`
					Warnings []string `json:"warnings,omitempty"`
				}{"mraws/config-check/v1", true, s.conf.File, stray})
			}
			if s.conf.File == "" {
				return s.say("valid; no configuration file in use")
			}
			return s.say("valid: %s", s.conf.File)
		}),
	})
}

func (f *frame) configInitCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "init",
		Short:   "Print a commented configuration file with all keys",
		Example: "  " + f.name + " config init > mraws.yaml",
		Args:    cobra.NoArgs,
		RunE: f.bare(func(context.Context, []string) error {
			_, err := f.io.Out.Write([]byte(config.Example()))
			return err
		}),
	}
}
