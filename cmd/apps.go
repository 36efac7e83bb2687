package cmd

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/mr"
)

// checkApps refuses a table of applications that cannot work.
func checkApps(apps []mr.App) error {
	seen := map[string]bool{}
	for _, a := range apps {
		if err := a.Validate(); err != nil {
			return &Error{Code: ExitInternal, What: "an application of this program is not valid", Cause: err}
		}
		if seen[a.Name] {
			return &Error{Code: ExitInternal, What: "two applications of this program have the name " + a.Name}
		}
		seen[a.Name] = true
	}
	return nil
}

// lookup returns the application of that name; nil if there is none.
func (f *frame) lookup(name string) *mr.App {
	for i := range f.apps {
		if f.apps[i].Name == name {
			return &f.apps[i]
		}
	}
	return nil
}

// findApp returns the application that --app names.
func (f *frame) findApp(name string) (mr.App, error) {
	if a := f.lookup(name); a != nil {
		return *a, nil
	}
	var names []string
	for _, a := range f.apps {
		names = append(names, a.Name)
	}
	if name == "" {
		return mr.App{}, usagef("one of "+strings.Join(names, ", "), "no app named: --app is required")
	}
	hint := "`mraws apps` lists the apps"
	if near := config.Nearest(name, names); near != "" {
		hint = "did you mean " + near + "? " + hint
	}
	return mr.App{}, usagef(hint, "unknown app %q", name)
}

// completeApps completes --app.
func (f *frame) completeApps(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var out []cobra.Completion
	for _, a := range f.apps {
		out = append(out, cobra.CompletionWithDesc(a.Name, a.Help))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

type appJSON struct {
	Name           string      `json:"name"`
	Help           string      `json:"help"`
	Version        string      `json:"version,omitempty"`
	Params         []paramJSON `json:"params,omitempty"`
	NeedsProcesses bool        `json:"needs_processes,omitempty"`
}

type paramJSON struct {
	Name     string `json:"name"`
	Help     string `json:"help"`
	Default  string `json:"default,omitempty"`
	Required bool   `json:"required,omitempty"`
}

func (f *frame) appsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "apps",
		Short: "List the apps of this program",
		Args:  cobra.NoArgs,
		RunE: f.bare(func(context.Context, []string) error {
			if f.output == "json" {
				return f.printJSON(struct {
					Schema string    `json:"schema"`
					Apps   []appJSON `json:"apps"`
				}{"mraws/apps/v1", appsJSON(f.apps)})
			}
			var rows [][]string
			for _, a := range f.apps {
				rows = append(rows, []string{a.Name, a.Help})
				for _, p := range a.Params {
					rows = append(rows, []string{"", "--app-arg " + p.Name + "=…  " + paramHelp(p)})
				}
			}
			return f.printTable([]string{"app", "help"}, rows)
		}),
	}
}

func paramHelp(p mr.Param) string {
	switch {
	case p.Required:
		return p.Help + " (required)"
	case p.Default != "":
		return p.Help + " (default " + p.Default + ")"
	}
	return p.Help
}

func appsJSON(apps []mr.App) []appJSON {
	out := []appJSON{}
	for _, a := range apps {
		j := appJSON{Name: a.Name, Help: a.Help, Version: a.Version, NeedsProcesses: a.NeedsProcesses}
		for _, p := range a.Params {
			j.Params = append(j.Params, paramJSON{p.Name, p.Help, p.Default, p.Required})
		}
		out = append(out, j)
	}
	return out
}
