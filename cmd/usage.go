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
	var owners []string
	for _, sub := range c.Root().Commands() {
		if flagNames(sub)[name] != nil && sub.Name() != "config" {
			owners = append(owners, sub.Name())
		}
	}
	if len(owners) > 0 {
		return fmt.Errorf("%w: a flag of %s, not of %s", err, strings.Join(owners, ", "), c.Name())
	}
	if near := config.Nearest(name, slices.Sorted(maps.Keys(flagNames(c)))); near != "" {
		return fmt.Errorf("%w, did you mean --%s?", err, near)
	}
	return err
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

// helpOf prints the help of a command with those flags of all commands that
// have an effect on it.
func helpOf(otherwise func(*cobra.Command, []string)) func(*cobra.Command, []string) {
	return func(c *cobra.Command, args []string) {
		c.InheritedFlags().VisitAll(func(f *pflag.Flag) {
			if !applies(c, f.Name) {
				f.Hidden = true
			}
		})
		otherwise(c, args)
	}
}

// applies tells whether a flag of all commands has an effect on c.
func applies(c *cobra.Command, flag string) bool {
	switch name := strings.Join(strings.Fields(c.CommandPath())[1:], " "); name {
	case "apps", "version":
		return flag == "output"
	case "config init", "config", "help", "completion", "completion bash", "completion zsh", "completion fish", "completion powershell":
		return false
	case "s3":
		return !slices.Contains([]string{"prefix", "endpoint", "profile", "local", "s3-concurrency", "progress"}, flag)
	case "worker", "status", "cat", "replay", "hadoop":
		return flag != "progress"
	}
	return true
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
		if near := config.Nearest(name, known); near != "" {
			hints = append(hints, "did you mean "+near+"? ")
		}
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
