package cmd

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/wire"
)

// version is what `version -o json` says.
type version struct {
	Schema   string `json:"schema"`
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"` // built from uncommitted files
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Protocol int    `json:"protocol"` // between coordinator and workers
}

// readVersion takes the version from what the linker recorded: of mraws even
// where it is built into a binary of somebody else's.
func readVersion() version {
	v := version{Schema: "mraws/version/v1", Version: "(devel)", Go: runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH, Protocol: wire.Protocol}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	const path = "github.com/mraws/mraws"
	if info.Main.Path == path {
		if info.Main.Version != "" {
			v.Version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Commit = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
	}
	for _, dep := range info.Deps {
		if dep.Path == path && dep.Version != "" {
			v.Version = dep.Version
		}
	}
	return v
}

func (f *frame) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print version, commit, Go and protocol",
		Example: f.examples("version", "version -o json"),
		Args:    cobra.NoArgs,
		RunE: f.bare(func() error {
			v := readVersion()
			if f.forMachines() {
				return f.printDoc(v)
			}
			commit := v.Commit
			switch {
			case commit == "":
				commit = "unknown"
			case v.Modified:
				commit += " (modified)"
			}
			return f.say("%s %s\ncommit   %s\ngo       %s %s\nprotocol %d", f.name, v.Version, commit, v.Go, v.Platform, v.Protocol)
		}),
	}
}
