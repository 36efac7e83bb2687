package cmd

import (
	"context"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/failpoint"
	"github.com/mraws/mraws/internal/trace"
)

func (f *frame) configCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "config",
		Short:   "Show, check and write configurations, print the schema of chains",
		Example: f.examples("config show --origin", "config init > mraws.yaml"),
	}
	c.AddCommand(configShowCommand(f), configValidateCommand(f), configInitCommand(f), configSchemaCommand(f))
	return c
}

// allGroups gives a command the flags of every key.
func allGroups(c *cobra.Command) *cobra.Command {
	config.AddFlags(c.Flags(), config.Names(config.Net, config.Serve, config.Job, config.Work)...)
	return c
}

func configShowCommand(f *frame) *cobra.Command {
	var origin bool
	c := &cobra.Command{
		Use:   "show",
		Short: "Print all settings with their sources, and the store that they mean",
		Long: "Print all settings with their sources, the store that they mean, and what the AWS\n" +
			"environment contributes to it, as a configuration file with comments. It sends no\n" +
			"request to AWS and shows no secret.",
		Example: "  " + f.name + " config show --origin\n  MRAWS_NREDUCE=3 " + f.name + " config show -o json",
		Args:    cobra.NoArgs,
		RunE: f.run(func(ctx context.Context, s *session, _ []string) error {
			view := viewStore(ctx, s.target)
			if f.forMachines() {
				keys := keysOf(s.conf)
				return printList(s.printer, struct {
					Schema string    `json:"schema"`
					File   string    `json:"file,omitempty"`
					Keys   []keyJSON `json:"keys"`
					Store  storeView `json:"store"`
				}{"mraws/config/v1", s.conf.File, keys, view}, keys)
			}
			facts := tableText(nil, view.rows())
			if !origin {
				return s.say("# %s\n\n%s", strings.ReplaceAll(facts, "\n", "\n# "), strings.TrimSuffix(s.conf.YAML(), "\n"))
			}
			var rows [][]string
			for _, e := range s.conf.Entries() {
				rows = append(rows, []string{e.Key, e.Value, e.Origin.String()})
			}
			return s.say("%s\n\n%s", tableText([]string{"key", "value", "origin"}, rows), facts)
		}),
	}
	c.Flags().BoolVar(&origin, "origin", false, "print a table instead of a configuration file")
	return paging(allGroups(c))
}

type keyJSON struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Origin string `json:"origin"`
}

func keysOf(conf *config.Loaded) (keys []keyJSON) {
	for _, e := range conf.Entries() {
		keys = append(keys, keyJSON{e.Key, e.Value, e.Origin.String()})
	}
	return keys
}

func configValidateCommand(f *frame) *cobra.Command {
	return allGroups(&cobra.Command{
		Use:     "validate",
		Short:   "Check the configuration; list all errors and exit with code 2",
		Example: f.examples("config validate", "config validate --config configs/aws.yaml"),
		Args:    cobra.NoArgs,
		RunE: f.run(func(_ context.Context, s *session, _ []string) error {
			var stray []string
			for _, v := range config.StrayEnv(os.Environ(), failpoint.Variable, trace.Variable) {
				stray = append(stray, v.String())
				if v.Near == "" { // the others have been named already
					s.note("warning: %s", v)
				}
			}
			if f.forMachines() {
				return s.printDoc(struct {
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

func configInitCommand(f *frame) *cobra.Command {
	return paging(&cobra.Command{
		Use:     "init",
		Short:   "Print a commented configuration file with all keys",
		Example: "  " + f.name + " config init > mraws.yaml",
		Args:    cobra.NoArgs,
		RunE: f.bare(func() error {
			_, err := f.io.Out.Write([]byte(config.Example()))
			return err
		}),
	})
}
