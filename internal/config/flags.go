package config

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// AddFlags defines the flags of the named keys. Their values are texts that
// [Load] checks, so that a bad flag and a bad file get the same message.
func AddFlags(fs *pflag.FlagSet, names ...string) {
	for _, k := range Keys() {
		switch {
		case !slices.Contains(names, k.Name) || fs.Lookup(k.Name) != nil:
		case k.Type == "switch":
			fs.Bool(k.Name, false, k.Help)
		default:
			kind := k.Type
			if k.Choices != nil {
				kind = strings.Join(k.Choices, "|")
			}
			fs.Var(&flagText{k.Default, kind}, k.Name, k.Help)
		}
	}
}

// Names returns the keys of groups.
func Names(groups ...Group) []string {
	var names []string
	for _, k := range Keys() {
		if slices.Contains(groups, k.Group) {
			names = append(names, k.Name)
		}
	}
	return names
}

// flagText is a flag as it was given. Its type names are not those of pflag,
// from which viper would turn "x" of an int into 0.
type flagText struct{ value, kind string }

func (f *flagText) String() string     { return f.value }
func (f *flagText) Set(s string) error { f.value = s; return nil }
func (f *flagText) Type() string       { return f.kind }
