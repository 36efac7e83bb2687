package cmd

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mraws/mraws/internal/config"
)

// Help of a command: what it does, how it is called, and the flags that have an effect on
// it, by what they are about.

// The groups of commands.
const (
	toRun  = "run"
	toLook = "look"
	toData = "data"
	toSelf = "self"
)

// groups are the groups of commands in the help of the program.
func groups() []*cobra.Group {
	return []*cobra.Group{
		{ID: toRun, Title: "Run jobs:"}, {ID: toLook, Title: "Look at jobs and their output:"},
		{ID: toData, Title: "Bring input, end and remove jobs:"}, {ID: toSelf, Title: "The program:"},
	}
}

// groupOf is the group of a command.
func groupOf(command string) string {
	switch command {
	case "run", "coordinator", "worker", "hadoop":
		return toRun
	case "jobs", "ui", "status", "events", "logs", "explain", "trace", "cat", "verify", "replay":
		return toLook
	case "upload-input", "cancel", "reset":
		return toData
	}
	return toSelf
}

// Titles of the flags of a job.
const (
	inputSection  = "Input"
	codeSection   = "Code and files of the job"
	orderSection  = "Order of keys and values"
	outputSection = "Output of the job"
	chainSection  = "Chains of jobs"
)

// sectionOf is the annotation of a flag with the title of the section that it is shown in.
const sectionOf = "mraws section"

// section puts the flags that are added until end into a section of the help, but for
// those that have one.
func section(f *pflag.FlagSet, title string) (end func()) {
	before := map[string]bool{}
	f.VisitAll(func(flag *pflag.Flag) { before[flag.Name] = true })
	return func() {
		f.VisitAll(func(flag *pflag.Flag) {
			if !before[flag.Name] && flag.Annotations == nil {
				flag.Annotations = map[string][]string{sectionOf: {title}}
			}
		})
	}
}

// flagSection is a part of the flags of a command.
type flagSection struct {
	title string
	flags *pflag.FlagSet
}

// messages is the title of the flags about what a command writes.
const messages = "Results and messages"

// sections are the flags that have an effect on a command: its own first.
func sections(c *cobra.Command) []flagSection {
	titles := map[string]string{"config": "Store", "quiet": messages, "no-pager": messages, "verbose": messages, "output": messages}
	for _, k := range config.Keys() {
		switch {
		case k.Group == config.Common && slices.Contains([]string{"log-level", "log-format", "log-file", "color", "pager", "progress"}, k.Name):
			titles[k.Name] = messages
		case k.Group == config.Common:
			titles[k.Name] = "Store"
		default:
			titles[k.Name] = strings.ToUpper(string(k.Group[:1])) + string(k.Group[1:]) + " settings"
		}
	}
	all := []flagSection{{title: "Flags"}}
	add := func(f *pflag.Flag) {
		title := "Flags"
		switch {
		case f.Hidden:
			return
		case f.Annotations[sectionOf] != nil:
			title = f.Annotations[sectionOf][0]
		case titles[f.Name] != "":
			title = titles[f.Name]
		}
		i := slices.IndexFunc(all, func(s flagSection) bool { return s.title == title })
		if i < 0 {
			i = len(all)
			all = append(all, flagSection{title: title})
		}
		if all[i].flags == nil {
			all[i].flags = pflag.NewFlagSet(title, pflag.ContinueOnError)
			all[i].flags.SortFlags = false
		}
		all[i].flags.AddFlag(f)
	}
	c.LocalNonPersistentFlags().VisitAll(add)
	for _, of := range []*pflag.FlagSet{c.InheritedFlags(), c.PersistentFlags()} {
		of.VisitAll(func(f *pflag.Flag) {
			if applies(c, f.Name) {
				add(f)
			}
		})
	}
	all = slices.DeleteFunc(all, func(s flagSection) bool { return s.flags == nil })
	order := []string{inputSection, codeSection, orderSection, outputSection, chainSection, "Job settings", "Worker settings", "Coordinator settings", "Network settings", "Store", messages}
	slices.SortStableFunc(all, func(a, b flagSection) int { return slices.Index(order, a.title) - slices.Index(order, b.title) })
	return all
}

// help writes the help of a command.
func (f *frame) help(c *cobra.Command) error {
	var b strings.Builder
	b.WriteString(strings.TrimSpace(orShort(c)) + "\n\nUsage:\n")
	for _, line := range usageLines(c) {
		b.WriteString("  " + line + "\n")
	}
	if c.Example != "" {
		b.WriteString("\nExamples:\n" + strings.TrimRight(c.Example, "\n") + "\n")
	}
	writeCommands(&b, c)
	width := 0
	if f.term.out {
		width = f.width()
	}
	for _, s := range sections(c) {
		b.WriteString("\n" + s.title + ":\n" + s.flags.FlagUsagesWrapped(width))
	}
	if c.HasAvailableSubCommands() {
		words := append([]string{c.Root().Name(), "help"}, strings.Fields(c.CommandPath())[1:]...)
		fmt.Fprintf(&b, "\n`%s COMMAND` is the help of a command.\n", strings.Join(words, " "))
	}
	command := ""
	if f.pages() {
		command = f.pagerCommand(c)
	}
	return f.paged(c.Root().Context(), command, func(context.Context) error {
		_, err := io.WriteString(f.io.Out, b.String())
		return err
	})
}

// usageLines say how a command is called.
func usageLines(c *cobra.Command) (lines []string) {
	if c.Runnable() && c.HasParent() {
		lines = append(lines, c.UseLine())
	}
	if c.HasAvailableSubCommands() {
		lines = append(lines, c.CommandPath()+" COMMAND")
	}
	return lines
}

// writeCommands writes the commands of a command.
func writeCommands(b *strings.Builder, c *cobra.Command) {
	list := func(title, group string) {
		shown := false
		for _, sub := range c.Commands() {
			if sub.GroupID != group || !sub.IsAvailableCommand() && sub.Name() != "help" {
				continue
			}
			if !shown {
				b.WriteString("\n" + title + "\n")
				shown = true
			}
			fmt.Fprintf(b, "  %-*s  %s\n", sub.NamePadding(), sub.Name(), sub.Short)
		}
	}
	for _, g := range c.Groups() {
		list(g.Title, g.ID)
	}
	list("Commands:", "")
}

// applies tells whether a flag of all commands has an effect on c.
func applies(c *cobra.Command, flag string) bool {
	name := strings.Join(strings.Fields(c.CommandPath())[1:], " ")
	if flag == "pager" || flag == "no-pager" {
		return c.Annotations[pagesOutput] != "" || name == "config validate"
	}
	switch name {
	case "apps", "version":
		return flag == "output"
	case "", "config init", "config schema", "config", "help", "man", "completion", "completion bash", "completion zsh", "completion fish", "completion powershell":
		return false
	case "s3":
		return !slices.Contains([]string{"prefix", "endpoint", "profile", "local", "s3-concurrency", "progress"}, flag)
	case "ui":
		return flag != "progress" && flag != "output"
	case "doctor", "jobs", "cancel", "worker", "status", "events", "logs", "explain", "trace", "cat", "replay", "hadoop":
		return flag != "progress"
	}
	return true
}

// examples are lines of this program, for the help.
func (f *frame) examples(lines ...string) string {
	return "  " + f.name + " " + strings.Join(lines, "\n  "+f.name+" ")
}

// completionExamples gives cobra's commands for completion examples.
func (f *frame) completionExamples(root *cobra.Command) {
	for words, example := range map[string]string{
		"":           "  source <(" + f.name + " completion bash)",
		"bash":       "  source <(" + f.name + " completion bash)\n  " + f.name + " completion bash >~/.local/share/bash-completion/completions/" + f.name,
		"zsh":        "  source <(" + f.name + " completion zsh); compdef _" + f.name + " " + f.name + "\n  " + f.name + " completion zsh >\"${fpath[1]}/_" + f.name + "\"",
		"fish":       "  " + f.name + " completion fish | source\n  " + f.name + " completion fish >~/.config/fish/completions/" + f.name + ".fish",
		"powershell": "  " + f.name + " completion powershell | Out-String | Invoke-Expression",
	} {
		if c, _, err := root.Find(strings.Fields("completion " + words)); err == nil {
			c.Example = example
		}
	}
}
