package cmd

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// formatFlags say of what format the input of a job is.
type formatFlags struct {
	format    string // "" is that of the app
	columns   string
	as        string
	delimiter string
	header    string
	quote     string
	encoding  string
	perTask   int64 // lines of a map task; 0 is any number
}

func (o *formatFlags) add(c *cobra.Command) {
	f := c.Flags()
	defer section(f, inputSection)()
	f.StringVar(&o.format, "format", "", "what a record of the input is: `lines`, csv, tsv, json (a JSON object a line), parquet, fixed:N (N bytes), delimiter:S (up to the text S), whole (an object); empty is what the app reads")
	f.StringVar(&o.columns, "columns", "", "read these `columns` of csv, tsv, json or parquet, such as a,b.c; b.c is the member c of b; empty is all, or what the app reads")
	completes(c, "format", completeFormats)
	few(f, &o.as, "as", "hand a row of csv, tsv, json or parquet over as a line of json or tsv; empty is json, and of --format json without --columns the line as it is", "", "json", "tsv")
	f.StringVar(&o.delimiter, "csv-delimiter", "", "`character` between the fields of csv, such as ';' or \\t; empty is a comma, or a tab of tsv")
	few(f, &o.header, "csv-header", "whether the first row of each object names the columns, yes or no; no calls them column0, column1 and so on", "yes", "no")
	f.StringVar(&o.quote, "csv-quote", "", "`character` around fields of csv and tsv, or none; empty is \"")
	few(f, &o.encoding, "encoding", "encoding of the text of the input: utf-16, utf-16le, utf-16be or latin-1; empty is UTF-8", append([]string{""}, input.Encodings()...)...)
	f.Int64Var(&o.perTask, "lines-per-task", 0, "cut the input behind each `N` lines of an object, for a map task of its own each; 0 cuts it by --split-size")
}

// completeFormats completes --format.
func completeFormats(_ *cobra.Command, _ []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var all []cobra.Completion
	for _, name := range inputFormats() {
		name, _, open := strings.Cut(name, ":")
		if open {
			name += ":"
		}
		if strings.HasPrefix(name, begun) {
			all = append(all, name)
		}
	}
	if len(all) == 1 && strings.HasSuffix(all[0], ":") { // a number or a text follows
		return all, noFiles | cobra.ShellCompDirectiveNoSpace
	}
	return all, inOrder
}

// ofRows are the flags that are given and that are for rows.
func (o *formatFlags) ofRows() []string {
	all := named(flagGiven{"--columns", o.columns != ""}, flagGiven{"--as", o.as != ""})
	return append(all, o.ofCSV()...)
}

// ofCSV are the flags that are given and that are for CSV.
func (o *formatFlags) ofCSV() []string {
	return named(flagGiven{"--csv-delimiter", o.delimiter != ""}, flagGiven{"--csv-header", o.header != "yes" && o.header != ""}, flagGiven{"--csv-quote", o.quote != ""})
}

// inputFormats are the values of --format.
func inputFormats() []string {
	return []string{"lines", "csv", "tsv", "json", "parquet", "fixed:N", "delimiter:S", "whole"}
}

// formatsHint names formats of rows.
const formatsHint = "such as --format csv, tsv, json or parquet"

// choice is the format that the flags name; nil if they name none.
func (o *formatFlags) choice() (*manifest.Choice, error) {
	name, arg, with := strings.Cut(o.format, ":")
	c := &manifest.Choice{Name: cmp.Or(name, manifest.Lines), Options: map[string]string{}}
	switch c.Name {
	case "fixed":
		c.Options["size"] = arg
	case "delimiter":
		c.Options["by"] = arg
	case "whole":
		c.Name = manifest.Objects
	default:
		if _, ok := input.Formats[c.Name]; !ok || c.Name == manifest.Objects {
			return nil, usagef(nearHint(o.format, inputFormats())+"one of "+strings.Join(inputFormats(), ", "), "unknown --format %s", o.format)
		}
	}
	if with && c.Name != "fixed" && c.Name != "delimiter" {
		return nil, usagef("such as --format fixed:100", "--format %s: only fixed and delimiter have something behind the colon", o.format)
	}
	if given := o.ofRows(); len(given) > 0 && !input.IsTable(c.Name) {
		return nil, usagef(formatsHint, "%s: only formats of rows have columns", strings.Join(given, ", "))
	}
	if given := o.ofCSV(); len(given) > 0 && c.Name != "csv" && c.Name != "tsv" {
		return nil, usagef("such as --format csv", "%s with --format %s", strings.Join(given, ", "), c.Name)
	}
	for option, value := range map[string]string{"columns": o.columns, "as": o.as, "delimiter": o.delimiter, "quote": o.quote, "encoding": o.encoding} {
		if value != "" {
			c.Options[option] = value
		}
	}
	if o.header == "no" {
		c.Options["header"] = "no"
	}
	if o.perTask > 0 {
		c.Options[manifest.PerTask] = strconv.FormatInt(o.perTask, 10)
	}
	if len(c.Options) == 0 {
		if c.Options = nil; o.format == "" {
			return nil, nil
		}
	}
	return c, nil
}

// choose returns the format that the job names itself, nil for that of its app. code is
// in place of the app, if it is not nil.
func (o *formatFlags) choose(app *mr.App, code *execCode) (*manifest.Choice, error) {
	switch {
	case o.perTask < 0:
		return nil, usagef("a number from 1 on", "--lines-per-task %d", o.perTask)
	case o.perTask > 0 && app == nil && code == nil:
		return nil, usagef("it is known then how the input is read", "--lines-per-task needs --app or --mapper")
	case o.perTask > 0 && (app != nil && app.Input != mr.Lines || code != nil && code.spec.Input.Name != manifest.Lines || o.format != "" && o.format != manifest.Lines || o.encoding != ""):
		return nil, usagef("leave out --lines-per-task", "--lines-per-task is not for jobs that read whole objects or other formats than lines of UTF-8, or number the lines of each")
	}
	c, err := o.choice()
	if err != nil {
		return nil, err
	}
	if app != nil {
		if err := o.fits(app, c); err != nil {
			return nil, err
		}
		if c != nil && app.Input == mr.NumberedLines {
			c.Options = map[string]string{manifest.Numbered: "true"}
			if o.encoding != "" {
				c.Options["encoding"] = o.encoding
			}
		}
	}
	if c == nil {
		return nil, nil
	}
	if _, err := input.Resolve(c.Name, c.Options); err != nil {
		return nil, usagef("`mraws help run` lists the formats and their flags", "--format %s: %w", cmp.Or(o.format, manifest.Lines), err)
	}
	if code != nil && code.spec.Input.Name == manifest.Objects {
		if c.Name != manifest.Objects {
			return nil, usagef("leave out --whole-objects or --format", "--whole-objects with --format %s", cmp.Or(o.format, manifest.Lines))
		}
		return nil, nil // as the code has it
	}
	return c, nil
}

// fits returns an error unless an app can read a format, nil for what it declares.
func (o *formatFlags) fits(app *mr.App, c *manifest.Choice) error {
	reads, ok := "", true
	switch app.Input {
	case mr.Rows:
		reads, ok = "rows of a table", c != nil && input.IsTable(c.Name)
	case mr.WholeObjects:
		reads, ok = "whole objects", c == nil || c.Name == manifest.Objects
	case mr.NumberedLines:
		reads, ok = "numbered lines", c == nil || c.Name == manifest.Lines
	}
	switch {
	case !ok && app.Input == mr.Rows:
		return usagef(formatsHint, "app %s reads %s: --format names one", app.Name, reads)
	case !ok:
		return usagef("leave out --format", "app %s reads %s", app.Name, reads)
	case app.Columns != nil && (o.columns != "" || o.as != ""):
		return usagef("leave out --columns and --as", "app %s says itself which columns it reads", app.Name)
	}
	return nil
}
