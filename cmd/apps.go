package cmd

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/mr"
)

// appTable is the applications of the program.
type appTable []mr.App

// check refuses a table of applications that cannot work.
func (t appTable) check() error {
	seen := map[string]bool{}
	for _, a := range t {
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
func (t appTable) lookup(name string) *mr.App {
	for i := range t {
		if t[i].Name == name {
			return &t[i]
		}
	}
	return nil
}

// find returns the application that --app names.
func (t appTable) find(name string) (mr.App, error) {
	if isModule(name) {
		return mr.App{}, usagef("leave out --app: workers and verify take the module of the job from the bucket", "--app %s is a module, which run and coordinator take", name)
	}
	if a := t.lookup(name); a != nil {
		return *a, nil
	}
	if name == "" {
		return mr.App{}, usagef("one of "+strings.Join(t.names(), ", "), "no app named: --app is required")
	}
	return mr.App{}, usagef(nearHint(name, t.names())+"`mraws apps` lists the apps", "unknown app %q", name)
}

func (t appTable) names() (names []string) {
	for _, a := range t {
		names = append(names, a.Name)
	}
	return names
}

// sole returns the app that --app names, or the only one of the program.
func (t appTable) sole(name string) (mr.App, error) {
	if name == "" && len(t) == 1 {
		return t[0], nil
	}
	return t.find(name)
}

// complete completes --app.
func (t appTable) complete(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var out []cobra.Completion
	for _, a := range t {
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
	return paging(&cobra.Command{
		Use:     "apps",
		Short:   "List the apps of this program",
		Example: f.examples("apps", "apps -o json"),
		Args:    cobra.NoArgs,
		RunE: f.bare(func() error {
			if f.forMachines() {
				list := f.apps.json()
				return printList(f.printer, struct {
					Schema string    `json:"schema"`
					Apps   []appJSON `json:"apps"`
				}{"mraws/apps/v1", list}, list)
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
	})
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

func (t appTable) json() []appJSON {
	out := []appJSON{}
	for _, a := range t {
		j := appJSON{Name: a.Name, Help: a.Help, Version: a.Version, NeedsProcesses: a.NeedsProcesses}
		for _, p := range a.Params {
			j.Params = append(j.Params, paramJSON{p.Name, p.Help, p.Default, p.Required})
		}
		out = append(out, j)
	}
	return out
}
