package mr

import (
	"fmt"
	"slices"
	"strings"
)

// Named takes records for the named outputs of a task: those that [App.NamedOutputs]
// declares. What an attempt writes there counts if the attempt commits its task, and
// is lost otherwise, as with its output.
type Named interface {
	// Emit writes a record to the named output: key and value as a job without
	// reduce tasks writes a pair ([Task.MapOnly]), so the line "key value", or "key"
	// if the value is empty, or a row of a table. It copies both before it returns.
	// A name that is not declared, a record that the format cannot represent, and a
	// call in a map task of a job with reduce tasks fail the attempt from within Emit.
	Emit(name string, key, value []byte)
}

// MostNamedOutputs is how many named outputs a job may have. Each that an attempt
// writes to takes a file and the buffers of its format until the attempt ends.
const MostNamedOutputs = 32

// mostNamed bounds the name of a named output, in bytes.
const mostNamed = 64

// ParseNamedOutput reads a declaration of a named output: its name, or name=format. The
// format is one of lines, csv, tsv, json and parquet; "" is that of the job's output. A
// name has 1 to 64 letters, digits, '-', '_' and '.', and begins with a letter or a digit.
func ParseNamedOutput(s string) (name, format string, err error) {
	name, format, given := strings.Cut(s, "=")
	for i, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', i > 0 && (c == '-' || c == '_' || c == '.'):
		default:
			return "", "", fmt.Errorf("the name %.200q is not made of letters, digits, '-', '_' and '.', the first of them a letter or a digit", name)
		}
	}
	switch {
	case name == "" || len(name) > mostNamed:
		return "", "", fmt.Errorf("the name %.200q has not 1 to %d bytes", name, mostNamed)
	case name == "input" || name == "intermediate" || name == "output":
		return "", "", fmt.Errorf("the name %q is that of a folder of a job", name)
	case given && !slices.Contains([]string{"lines", "csv", "tsv", "json", "parquet"}, format):
		return "", "", fmt.Errorf("named output %s has the unknown format %.200q", name, format)
	}
	return name, format, nil
}

// CheckNamedOutputs returns an error unless a job may have these named outputs.
func CheckNamedOutputs(declared []string) error {
	if len(declared) > MostNamedOutputs {
		return fmt.Errorf("%d named outputs, more than %d", len(declared), MostNamedOutputs)
	}
	seen := map[string]bool{}
	for _, d := range declared {
		name, _, err := ParseNamedOutput(d)
		switch {
		case err != nil:
			return err
		case seen[name]:
			return fmt.Errorf("the named output %s is declared twice", name)
		}
		seen[name] = true
	}
	return nil
}
