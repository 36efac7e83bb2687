package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func (f *frame) manCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages into a folder",
		Long: "Write a manual page of the program and one of each command into a folder, which is made if it\n" +
			"is not there: " + f.name + ".1, " + f.name + "-run.1 and so on.",
		Example: f.examples("man ~/.local/share/man/man1") + "\n  man " + f.name + "-run    # " + f.name + " help run as a page",
		Args:    cobra.ExactArgs(1),
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		f.started = true
		if err := os.MkdirAll(args[0], 0o777); err != nil {
			return fmt.Errorf("make the folder: %w", err)
		}
		return writePages(c.Root(), args[0])
	}
	c.ValidArgsFunction = func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	return c
}

// writePages writes the pages of a command and of those below it.
func writePages(c *cobra.Command, dir string) error {
	if !c.IsAvailableCommand() && c.Name() != "help" {
		return nil
	}
	file := filepath.Join(dir, pageName(c)+".1")
	if err := os.WriteFile(file, []byte(manPage(c)), 0o666); err != nil {
		return fmt.Errorf("write a manual page: %w", err)
	}
	for _, sub := range c.Commands() {
		if err := writePages(sub, dir); err != nil {
			return err
		}
	}
	return nil
}

// pageName is the name of the page of a command, such as mraws-config-show.
func pageName(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") }

// roff escapes text for troff.
var roff = strings.NewReplacer(`\`, `\e`, "-", `\-`, "\n.", "\n\\&.", "\n'", "\n\\&'")

// roffText is text of which no line is taken for a request.
func roffText(s string) string {
	s = roff.Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

// manPage is the manual page of a command, in the macros of man(7).
func manPage(c *cobra.Command) string {
	c.InitDefaultHelpFlag()
	var b strings.Builder
	head := func(title string) { fmt.Fprintf(&b, ".SH %s\n", strings.ToUpper(title)) }
	item := func(tag, text string) { fmt.Fprintf(&b, ".TP\n%s\n%s\n", tag, roffText(text)) }
	bold := func(text string) string { return `\fB` + roffText(text) + `\fR` }
	root := c.Root()

	fmt.Fprintf(&b, ".TH %q 1 \"\" %q \"User Commands\"\n", strings.ToUpper(pageName(c)), root.Name()+" "+root.Version)
	head("name")
	fmt.Fprintf(&b, "%s \\- %s\n", roffText(pageName(c)), roffText(c.Short))
	head("synopsis")
	for i, line := range usageLines(c) {
		if i > 0 {
			b.WriteString(".br\n")
		}
		b.WriteString(bold(line) + "\n")
	}
	head("description")
	manText(&b, strings.TrimSpace(orShort(c)))
	head("examples")
	fmt.Fprintf(&b, ".nf\n%s\n.fi\n", roffText(strings.TrimRight(c.Example, "\n")))
	if c.HasAvailableSubCommands() {
		head("commands")
		for _, sub := range c.Commands() {
			if sub.IsAvailableCommand() || sub.Name() == "help" {
				item(bold(pageName(sub))+"(1)", sub.Short)
			}
		}
	}
	head("options")
	for _, s := range sections(c) {
		fmt.Fprintf(&b, ".SS %s\n", s.title)
		s.flags.VisitAll(func(flag *pflag.Flag) { item(flagTag(flag), flagText(flag)) })
	}
	head("exit status")
	for _, e := range exitCodes() {
		item(bold(fmt.Sprint(e.code)), e.text)
	}
	head("environment")
	for _, v := range variables() {
		item(bold(v[0]), v[1])
	}
	head("files")
	for _, v := range files() {
		item(bold(v[0]), v[1])
	}
	head("see also")
	var also []string
	if c.HasParent() {
		also = append(also, bold(pageName(c.Parent()))+"(1)")
	}
	also = append(also, bold(root.Name()+" help "+strings.Join(strings.Fields(c.CommandPath())[1:], " ")))
	b.WriteString(strings.Join(also, ", ") + "\n")
	return b.String()
}

// orShort is what a command does.
func orShort(c *cobra.Command) string {
	if c.Long != "" {
		return c.Long
	}
	return c.Short + "."
}

// manText writes paragraphs. One with lines that are indented stays as it is.
func manText(b *strings.Builder, text string) {
	for i, part := range strings.Split(text, "\n\n") {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		if lines := "\n" + part; strings.Contains(lines, "\n  ") || strings.Contains(lines, "\n\t") {
			fmt.Fprintf(b, ".nf\n%s\n.fi\n", roffText(part))
		} else {
			b.WriteString(roffText(part) + "\n")
		}
	}
}

// flagTag is a flag with the name of its value.
func flagTag(flag *pflag.Flag) string {
	tag := `\fB` + roffText("--"+flag.Name) + `\fR`
	if flag.Shorthand != "" {
		tag = `\fB` + roffText("-"+flag.Shorthand) + `\fR, ` + tag
	}
	if value, _ := pflag.UnquoteUsage(flag); value != "" {
		tag += ` \fI` + roffText(value) + `\fR`
	}
	return tag
}

// flagText is what a flag does, with its default.
func flagText(flag *pflag.Flag) string {
	_, text := pflag.UnquoteUsage(flag)
	switch flag.DefValue {
	case "", "false", "0", "[]":
		return text
	}
	return text + " (default " + flag.DefValue + ")"
}

// variables are those of the environment that have an effect, with what that is.
func variables() [][2]string {
	return [][2]string{
		{"MRAWS_KEY", "the value of the key of the configuration, in capitals and with _ in place of -, such as MRAWS_BUCKET and MRAWS_NREDUCE; a flag wins over it, and it wins over the file"},
		{"MRAWS_CONFIG", "the configuration file"},
		{"AWS_PROFILE, AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_ENDPOINT_URL_S3, AWS_CA_BUNDLE", "and the others of the AWS SDK: credentials, region and endpoint"},
		{"PAGER, LESS", "the pager for long output on a terminal, and its options; MRAWS_PAGER wins"},
		{"NO_COLOR, CLICOLOR_FORCE, TERM", "whether there are colours where --color does not say"},
		{"XDG_CONFIG_HOME, XDG_DATA_HOME", "where the configuration file and the data folder are"},
	}
}

// files are those that have an effect, with what that is.
func files() [][2]string {
	return [][2]string{
		{"./mraws.yaml, ~/.config/mraws/mraws.yaml, /etc/mraws/mraws.yaml", "the configuration; the first that exists counts"},
		{"~/.local/share/mraws", "the data folder of the embedded S3 server"},
		{"~/.aws/config, ~/.aws/credentials", "profiles of AWS"},
	}
}
