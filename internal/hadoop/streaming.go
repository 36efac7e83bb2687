// Package hadoop understands command lines of Hadoop: those of its Streaming jar,
// and paths of its file system, which it maps to keys of a bucket. It prints as
// Hadoop does, for programs that read it, such as mrjob.
package hadoop

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Streaming is a command line of Hadoop Streaming: what is to run and where.
type Streaming struct {
	// Mapper, Combiner and Reducer are commands. Combiner may be "", so may Reducer:
	// the output is then that of the mapper.
	Mapper, Combiner, Reducer string
	Inputs                    []string // paths, at least one; each may have patterns
	Output                    string   // path
	Files, Archives           []string // paths of files to ship, with #name if they have another name
	Env                       []string // name=value, those of properties first
	Reduces                   int      // number of reduce tasks; -1 is not set
	Separator                 string   // ends the fields of lines of mapper and combiner; "" is a tab
	KeyFields                 int      // fields that make the key, from the first
	KeySeparator              string   // ends the fields of a key; "" is Separator
	PartitionFields           string   // fields of the key that decide the partition, "M,N"; "" is all
	Sort                      string   // options of the order of keys, such as -k2,2nr; "" is by bytes
	LinesPerTask              int64    // lines of a map task; 0 is any number
	Offsets                   bool     // the mapper gets the offset of each line and a tab before it
	Name                      string   // of the job; "" is none
	Ignored                   []string // properties without an effect, besides that commands have them in their environment
}

// OptionError is a command line that is not one of Hadoop Streaming.
type OptionError struct{ What string }

// Error says what is wrong with the command line.
func (e *OptionError) Error() string { return e.What }

func wrong(format string, args ...any) error { return &OptionError{fmt.Sprintf(format, args...)} }

// notThere are options of Hadoop Streaming for which there is nothing here.
var notThere = []string{"-libjars", "-conf", "-fs", "-jt", "-inputreader", "-mapdebug", "-reducedebug", "-background"}

// switches are options without a value and without an effect.
var switches = []string{"-verbose", "-debug", "-lazyOutput"}

// oldNames are the names that properties had before Hadoop 2.
var oldNames = map[string]string{
	"mapred.reduce.tasks":                  "mapreduce.job.reduces",
	"mapred.job.name":                      "mapreduce.job.name",
	"mapred.output.key.comparator.class":   "mapreduce.job.output.key.comparator.class",
	"mapred.text.key.comparator.options":   ComparatorOptions,
	"mapred.text.key.partitioner.options":  "mapreduce.partition.keypartitioner.options",
	"map.output.key.field.separator":       "mapreduce.map.output.key.field.separator",
	"mapred.partitioner.class":             "mapreduce.job.partitioner.class",
	"mapreduce.partitioner.class":          "mapreduce.job.partitioner.class",
	"mapred.input.format.class":            "mapreduce.job.inputformat.class",
	"mapred.output.format.class":           "mapreduce.job.outputformat.class",
	"mapred.textoutputformat.separator":    "mapreduce.output.textoutputformat.separator",
	"mapreduce.textoutputformat.separator": "mapreduce.output.textoutputformat.separator",
	"mapred.output.compress":               "mapreduce.output.fileoutputformat.compress",
	"mapred.line.input.format.linespermap": linesPerMap,
	"num.key.fields.for.partition":         "mapreduce.partition.keypartitioner.fields", // a number
}

// ParseStreaming reads the arguments behind the name of the jar. Options of Hadoop
// (-D, -files, -archives) and of Streaming may come in any order.
func ParseStreaming(args []string) (*Streaming, error) {
	p := parser{Streaming: &Streaming{Reduces: -1, KeyFields: 1}, properties: map[string]string{}}
	if len(args) > 0 && javaClass.MatchString(args[0]) {
		args = args[1:] // the main class
	}
	for len(args) > 0 {
		rest, err := p.option(args)
		if err != nil {
			return nil, err
		}
		args = rest
	}
	return p.Streaming, p.finish()
}

// parser reads a command line.
type parser struct {
	*Streaming
	properties           map[string]string // by their names of today
	names                []string          // of properties, as they were given
	given                map[string]string // values by these names
	cmdenv               []string
	partitioner, reduces string
	inputFormat          string
	outputFormat         string
}

// option reads the option that args begin with and returns what follows.
func (p *parser) option(args []string) ([]string, error) {
	name := args[0]
	if strings.HasPrefix(name, "--") {
		name = name[1:] // Hadoop takes both
	}
	if property, ok := strings.CutPrefix(name, "-D"); ok && property != "" {
		return args[1:], p.property("-D", property)
	}
	switch {
	case slices.Contains(switches, name):
		return args[1:], nil
	case slices.Contains(notThere, name):
		return nil, wrong("the option %s of Hadoop is not supported", name)
	}
	take, ok := map[string]func(string) error{
		"-mapper": into(&p.Mapper), "-combiner": into(&p.Combiner), "-reducer": into(&p.Reducer), "-output": into(&p.Output),
		"-input":          func(v string) error { p.Inputs = append(p.Inputs, splitPaths(v)...); return nil },
		"-file":           appendTo(&p.Files),
		"-files":          func(v string) error { p.Files = append(p.Files, strings.Split(v, ",")...); return nil },
		"-cacheFile":      appendTo(&p.Files),
		"-archives":       func(v string) error { p.Archives = append(p.Archives, strings.Split(v, ",")...); return nil },
		"-cacheArchive":   appendTo(&p.Archives),
		"-cmdenv":         appendTo(&p.cmdenv),
		"-numReduceTasks": into(&p.reduces), "-partitioner": into(&p.partitioner),
		"-inputformat": into(&p.inputFormat), "-outputformat": into(&p.outputFormat),
		"-D":       func(v string) error { return p.property("-D", v) },
		"-jobconf": func(v string) error { return p.property("-jobconf", v) },
		"-io": func(v string) error {
			if v != "text" {
				return wrong("-io %s is not supported: commands read and write text", v)
			}
			return nil
		},
	}[name]
	switch {
	case !ok:
		return nil, wrong("unknown option of Hadoop Streaming: %s", args[0])
	case len(args) < 2:
		return nil, wrong("the option %s needs a value", name)
	}
	return args[2:], take(args[1])
}

func into(field *string) func(string) error {
	return func(v string) error { *field = v; return nil }
}

func appendTo(list *[]string) func(string) error {
	return func(v string) error { *list = append(*list, v); return nil }
}

// property takes "name=value".
func (p *parser) property(option, text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" {
		return wrong("%s %q is not name=value", option, text)
	}
	if p.given == nil {
		p.given = map[string]string{}
	}
	if _, again := p.given[name]; !again {
		p.names = append(p.names, name)
	}
	p.given[name] = value
	if today, old := oldNames[name]; old {
		name = today
	}
	p.properties[name] = value
	return nil
}

// splitPaths cuts a list of paths at its commas, but not within braces.
func splitPaths(s string) []string {
	var paths []string
	depth, from := 0, 0
	for i, c := range s {
		switch {
		case c == '{':
			depth++
		case c == '}':
			depth--
		case c == ',' && depth == 0:
			paths, from = append(paths, s[from:i]), i+1
		}
	}
	return append(paths, s[from:])
}

// javaClass matches the whole name of a class of Java.
var javaClass = regexp.MustCompile(`^([a-z_][A-Za-z0-9_]*\.)+[A-Z][A-Za-z0-9_$]*$`)

// simple is the name of a class without its package.
func simple(class string) string { return class[strings.LastIndexByte(class, '.')+1:] }

// finish makes settings of properties and checks what is there.
func (p *parser) finish() error {
	switch {
	case p.Mapper == "":
		return wrong("the option -mapper is missing")
	case len(p.Inputs) == 0:
		return wrong("the option -input is missing")
	case p.Output == "":
		return wrong("the option -output is missing")
	}
	for _, step := range []func() error{p.tasks, p.commands, p.fields, p.partition, p.order, p.formats} {
		if err := step(); err != nil {
			return err
		}
	}
	p.Name = p.take("mapreduce.job.name")
	p.environment()
	return nil
}

// take returns a property and removes it from those that have no effect.
func (p *parser) take(name string) string {
	v := p.properties[name]
	delete(p.properties, name)
	return v
}

// tasks sets the number of reduce tasks.
func (p *parser) tasks() error {
	n := p.take("mapreduce.job.reduces")
	if p.reduces != "" {
		n = p.reduces
	}
	if n == "" {
		return nil
	}
	var err error
	if p.Reduces, err = strconv.Atoi(n); err != nil || p.Reduces < 0 {
		return wrong("%q is no number of reduce tasks", n)
	}
	return nil
}

// commands takes commands that are names of classes of Java.
func (p *parser) commands() error {
	if p.Combiner == "aggregate" {
		p.Combiner = "" // it saves time, and the reducer does the same
	}
	switch {
	case p.Reducer == "NONE" || p.Reduces == 0:
		p.Reducer, p.Combiner, p.Reduces = "", "", -1
	case p.Reducer == "" || simple(p.Reducer) == "IdentityReducer":
		p.Reducer = "cat"
	}
	for _, c := range []struct{ option, command string }{{"-mapper", p.Mapper}, {"-combiner", p.Combiner}, {"-reducer", p.Reducer}} {
		if javaClass.MatchString(c.command) {
			return wrong("%s %s is a class of Java, and only commands are supported", c.option, c.command)
		}
	}
	return nil
}

// fields says where lines are cut.
func (p *parser) fields() error {
	for _, name := range []string{"stream.map.input", "stream.map.output", "stream.reduce.input", "stream.reduce.output"} {
		if v := p.take(name); v != "" && v != "text" {
			return wrong("%s=%s is not supported: commands read and write text", name, v)
		}
	}
	for _, name := range []string{"stream.reduce.input.field.separator", "stream.reduce.output.field.separator", "mapreduce.output.textoutputformat.separator"} {
		if v := p.take(name); v != "" && v != "\t" {
			return wrong("%s=%s is not supported: it is a tab", name, v)
		}
	}
	if v := p.take("aggregate.max.num.unique.values"); v != "" && p.Reducer == "aggregate" {
		return wrong("aggregate.max.num.unique.values=%s is not supported: all values are counted", v)
	}
	if v := p.take("textinputformat.record.delimiter"); v != "" && v != "\n" {
		return wrong("textinputformat.record.delimiter=%q is not supported: lines end with a line feed", v)
	}
	p.Separator = p.take("stream.map.output.field.separator")
	if n := p.take("stream.num.map.output.key.fields"); n != "" {
		var err error
		if p.KeyFields, err = strconv.Atoi(n); err != nil || p.KeyFields < 1 {
			return wrong("stream.num.map.output.key.fields=%s is no number of fields", n)
		}
	}
	if separator := p.take("mapreduce.map.output.key.field.separator"); orTab(separator) != orTab(p.Separator) {
		p.KeySeparator = orTab(separator)
	}
	return nil
}

// fieldsOption matches options of the partitioner: the fields from one to another, or to
// the last.
var fieldsOption = regexp.MustCompile(`^-k ?([0-9]+)(?:,([0-9]+))?$`)

// partition sets the fields that decide the partition.
func (p *parser) partition() error {
	class := p.take("mapreduce.job.partitioner.class")
	if p.partitioner != "" {
		class = p.partitioner
	}
	options, number := p.take("mapreduce.partition.keypartitioner.options"), p.take("mapreduce.partition.keypartitioner.fields")
	switch simple(class) {
	case "", "HashPartitioner":
		return nil
	case "KeyFieldBasedPartitioner":
	default:
		return wrong("the partitioner %s is not supported; HashPartitioner and KeyFieldBasedPartitioner are", class)
	}
	from, to := "1", number
	if number == "" { // as for Hadoop, which looks at the options only then
		if strings.TrimSpace(options) == "" {
			return nil
		}
		m := fieldsOption.FindStringSubmatch(strings.TrimSpace(options))
		if m == nil {
			return wrong("mapreduce.partition.keypartitioner.options=%s is not supported; -kM,N is: the fields M to N of the key", options)
		}
		from, to = m[1], m[2]
	}
	first, err := strconv.Atoi(from)
	last := first
	if err == nil && to != "" {
		last, err = strconv.Atoi(to)
	}
	if err != nil || first < 1 || last < first {
		return wrong("the partition cannot be decided by the fields %s to %s of the key", from, to)
	}
	most := p.keyFieldsAtMost()
	if to == "" || last > most {
		last = most
	}
	switch {
	case first > most:
		return wrong("the partition cannot be decided by field %d of the key: it has %d (stream.num.map.output.key.fields)", first, most)
	case p.Reducer != "" && (first > 1 || last < most):
		p.PartitionFields = fmt.Sprintf("%d,%d", first, last)
	}
	return nil
}

// keyFieldsAtMost is how many fields a key can have.
func (p *parser) keyFieldsAtMost() int {
	if p.KeySeparator != "" {
		return mostFields
	}
	return p.KeyFields
}

// mostFields is what a key of any number of fields is taken to have at most.
const mostFields = 1000

// orTab is a separator that is a tab if it is not set.
func orTab(separator string) string {
	if separator == "" {
		return "\t"
	}
	return separator
}

// order sets the order of the keys.
func (p *parser) order() error {
	class, options := p.take("mapreduce.job.output.key.comparator.class"), p.take(ComparatorOptions)
	switch simple(class) {
	case "", "Comparator":
	case "KeyFieldBasedComparator":
		if p.Reducer != "" {
			p.Sort = strings.TrimSpace(options)
		}
	default:
		return wrong("the comparator %s is not supported; KeyFieldBasedComparator is", class)
	}
	if p.PartitionFields == "" && p.Sort == "" {
		p.KeySeparator = ""
	}
	return nil
}

// ComparatorOptions is the property that has the options of the order of keys.
const ComparatorOptions = "mapreduce.partition.keycomparator.options"

// linesPerMap is the property with the number of lines of a map task.
const linesPerMap = "mapreduce.input.lineinputformat.linespermap"

// formats sets the formats of input and output.
func (p *parser) formats() error {
	class := p.take("mapreduce.job.outputformat.class")
	if p.outputFormat != "" {
		class = p.outputFormat
	}
	if class != "" && simple(class) != "TextOutputFormat" {
		return wrong("-outputformat %s is not supported; TextOutputFormat is", class)
	}
	if p.take("mapreduce.output.fileoutputformat.compress") == "true" {
		return wrong("mapreduce.output.fileoutputformat.compress=true is not supported: output is plain text")
	}
	return p.inputs()
}

// inputs sets how the input is cut, and what of it the mapper gets. As for Hadoop that
// is key and value of each record, but for TextInputFormat, whose keys, the offsets of
// lines, are left out.
func (p *parser) inputs() error {
	class, lines := p.take("mapreduce.job.inputformat.class"), p.take(linesPerMap)
	if p.inputFormat != "" {
		class = p.inputFormat
	}
	format := simple(class)
	ignore := format == "" || format == "TextInputFormat"
	given := p.take("stream.map.input.ignoreKey")
	if given != "" {
		ignore = given == "true"
	}
	separator := p.take("stream.map.input.field.separator")
	switch {
	case !ignore && orTab(separator) != "\t":
		return wrong("stream.map.input.field.separator=%s is not supported: it is a tab", separator)
	case format == "KeyValueTextInputFormat" && ignore:
		return wrong("stream.map.input.ignoreKey=true is not supported with %s", class)
	}
	switch format {
	case "", "TextInputFormat", "CombineTextInputFormat":
		p.Offsets = !ignore
	case "NLineInputFormat":
		p.Offsets, p.LinesPerTask = !ignore, 1
		if lines != "" {
			var err error
			if p.LinesPerTask, err = strconv.ParseInt(lines, 10, 64); err != nil || p.LinesPerTask < 1 {
				return wrong("%s=%s is no number of lines", linesPerMap, lines)
			}
		}
	case "KeyValueTextInputFormat": // key, tab and value are the line
	default:
		return wrong("-inputformat %s is not supported; TextInputFormat, NLineInputFormat, KeyValueTextInputFormat and CombineTextInputFormat are", class)
	}
	return nil
}

// environment gives commands the properties, with every character that is no letter
// and no digit as an underscore, as Hadoop does, and the variables of -cmdenv.
func (p *parser) environment() {
	for _, name := range p.names {
		p.Env = append(p.Env, variable(name)+"="+p.given[name])
		today, old := oldNames[name]
		if !old {
			today = name
		}
		if _, unused := p.properties[today]; unused {
			p.Ignored = append(p.Ignored, name)
		}
	}
	p.Env = append(p.Env, p.cmdenv...)
}

// variable is the name that a property has in the environment.
func variable(property string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			return r
		}
		return '_'
	}, property)
}
