package cmd

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/failpoint"
	"github.com/mraws/mraws/internal/trace"
	"github.com/mraws/mraws/mr"
)

// flagError says of a flag that a command does not have which one may have
// been meant. A word that is no command comes first: with it every flag
// behind it is unknown.
func flagError(c *cobra.Command, args []string, err error) error {
	if c.HasSubCommands() {
		if word := wordBehind(c, args); word != "" {
			return unknownCommand(c, word)
		}
	}
	if e := (*pflag.InvalidValueError)(nil); errors.As(err, &e) {
		return invalidValue(e)
	}
	var missing *pflag.NotExistError
	if !errors.As(err, &missing) || missing.GetSpecifiedShortnames() != "" {
		return err
	}
	name := missing.GetSpecifiedName()
	if owners := ownersOf(c.Root(), name); len(owners) > 0 {
		return fmt.Errorf("%w: a flag of %s, not of %s", err, strings.Join(owners, ", "), c.Name())
	}
	if near := config.Nearest(name, slices.Sorted(maps.Keys(flagNames(c)))); near != "" {
		return fmt.Errorf("%w, did you mean --%s?", err, near)
	}
	return err
}

// ownersOf are the commands that have a flag of their own with a name, but for those of
// config, which have that of each key.
func ownersOf(root *cobra.Command, name string) (owners []string) {
	for _, c := range root.Commands() {
		switch {
		case c.Name() == "config":
		case c.LocalFlags().Lookup(name) != nil:
			owners = append(owners, c.Name())
		default:
			for _, sub := range c.Commands() {
				if sub.LocalFlags().Lookup(name) != nil {
					owners = append(owners, c.Name()+" "+sub.Name())
				}
			}
		}
	}
	return owners
}

// invalidValue says what a flag takes whose value cannot be read.
func invalidValue(e *pflag.InvalidValueError) error {
	var n *strconv.NumError
	if !errors.As(e, &n) {
		return e
	}
	what := "it is no whole number"
	switch {
	case errors.Is(n, strconv.ErrRange):
		what = "the number is too large"
	case n.Func == "ParseBool":
		what = "it is neither true nor false"
	case n.Func == "ParseFloat":
		what = "it is no number"
	}
	return fmt.Errorf("invalid argument %q for --%s: %s", e.GetValue(), e.GetFlag().Name, what)
}

// flagNames are the flags that a command takes.
func flagNames(c *cobra.Command) map[string]*pflag.Flag {
	all := map[string]*pflag.Flag{}
	c.LocalFlags().VisitAll(func(f *pflag.Flag) { all[f.Name] = f })
	c.InheritedFlags().VisitAll(func(f *pflag.Flag) { all[f.Name] = f })
	return all
}

// wordBehind returns the first word behind a group of commands that is none of
// its flags nor the value of one, whichever command the flag belongs to.
func wordBehind(c *cobra.Command, args []string) string {
	takesValue := map[string]bool{"-o": true}
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for name, flag := range flagNames(c) {
			takesValue["--"+name] = flag.NoOptDefVal == ""
		}
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(c.Root())
	path := strings.Fields(c.CommandPath())[1:]
	for i := 0; i < len(args); i++ {
		word := args[i]
		switch {
		case word == "--":
			return ""
		case strings.HasPrefix(word, "-"):
			if _, known := takesValue[word]; !known && strings.HasPrefix(word, "--") {
				word = config.Nearest(word, slices.Sorted(maps.Keys(takesValue))) // that was meant
			}
			if takesValue[word] {
				i++
			}
		case len(path) > 0 && word == path[0]:
			path = path[1:]
		default:
			return word
		}
	}
	return ""
}

func unknownCommand(c *cobra.Command, word string) error {
	return fmt.Errorf("unknown command %q for %q%s", word, c.CommandPath(), suggestion(c, word))
}

// nearHint begins a hint with the word that may have been meant, if there is one.
func nearHint(word string, words []string) string {
	if near := config.Nearest(word, words); near != "" {
		return "did you mean " + near + "? "
	}
	return ""
}

// nearParams is a hint on parameters that app does not have.
func nearParams(app *mr.App, params map[string]string) string {
	var known []string
	for _, p := range app.Params {
		known = append(known, p.Name)
	}
	var hints []string
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if slices.Contains(known, name) {
			continue
		}
		hints = append(hints, nearHint(name, known))
	}
	return strings.Join(hints, "")
}

// warnStray names the variables that were meant for us and are misspelt.
func (p *printer) warnStray() {
	for _, stray := range config.StrayEnv(os.Environ(), failpoint.Variable, trace.Variable) {
		if stray.Near != "" {
			p.note("warning: %s", stray)
		}
	}
}
