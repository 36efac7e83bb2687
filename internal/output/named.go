package output

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/mraws/mraws/mr"
)

// Named is a named output of a job.
type Named struct {
	Name string
	// Format and Options are those of its objects, for [Resolve].
	Format  string
	Options map[string]string
}

// FormatNamed writes declarations of named outputs, as [mr.ParseNamedOutput] reads
// them, in the one form that [NamedOption] has: in byte order of name, with commas.
func FormatNamed(declared []string) string {
	list := slices.Clone(declared)
	slices.SortFunc(list, func(a, b string) int {
		n, _, _ := strings.Cut(a, "=")
		m, _, _ := strings.Cut(b, "=")
		return cmp.Or(cmp.Compare(n, m), cmp.Compare(a, b))
	})
	return strings.Join(list, ",")
}

// NamedOf returns the named outputs of a job whose output has this format with these
// options, in byte order of name; none if the options declare none. One in the format of
// the output has all of its options but that it is partitioned, one with a format of its
// own its compression.
func NamedOf(format string, options map[string]string) ([]Named, error) {
	text, given := options[NamedOption]
	if !given {
		return nil, nil
	}
	declared := strings.Split(text, ",")
	if err := mr.CheckNamedOutputs(declared); err != nil {
		return nil, err
	}
	if FormatNamed(declared) != text {
		return nil, errors.New("the named outputs are not in byte order of name")
	}
	all := make([]Named, len(declared))
	for i, d := range declared {
		name, own, _ := mr.ParseNamedOutput(d) // which was checked
		n := Named{Name: name, Format: cmp.Or(own, format), Options: maps.Clone(options)}
		delete(n.Options, NamedOption)
		delete(n.Options, PartitionOption)
		if own != "" || format == "lines" {
			delete(n.Options, ColumnsOption)
			if n.Options[CompressionOption] == None && own != "parquet" {
				delete(n.Options, CompressionOption)
			}
		}
		all[i] = n
	}
	return all, nil
}
