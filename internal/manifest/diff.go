package manifest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Diff says in one line each how b differs from a in what decides the output
// of a job: the code with what it makes of input and output, its parameters,
// the reduce count, which bad records may be skipped, and the input with what
// becomes of compressed objects. Lines read "what: old -> new". ID, Created,
// SplitSize, Named and Tasks do not decide the output and are ignored. No
// difference gives nil.
func Diff(a, b *Job) []string {
	lines := changes(a.Spec.Diff(&b.Spec))
	names := maps.Clone(a.App.Params)
	if names == nil {
		names = map[string]string{}
	}
	maps.Copy(names, b.App.Params)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		lines.note("app parameter "+name, param(a, name), param(b, name))
	}
	lines.note("nreduce", a.NReduce, b.NReduce)
	lines.note("place of the output", a.OutputAt, b.OutputAt)
	lines.note("max-bad-records", a.MaxBad, b.MaxBad)
	lines.note("decompress by content", a.Decompress.Content, b.Decompress.Content)
	if a.Compressed() && b.Compressed() {
		lines.note("decompress-ratio", a.Decompress.Ratio, b.Decompress.Ratio)
		lines.note("decompress-limit", a.Decompress.Limit, b.Decompress.Limit)
	}
	return append(lines, diffObjects(a.Objects, b.Objects, a.Decompress.Content && b.Decompress.Content)...)
}

// changes are lines that say what differs.
type changes []string

func (c *changes) note(what string, old, now any) {
	if old != now {
		*c = append(*c, fmt.Sprintf("%s: %v -> %v", what, old, now))
	}
}

// quote makes an empty or odd value visible.
func quote(s string) string { return fmt.Sprintf("%q", s) }

// param returns what job j says of a parameter.
func param(j *Job, name string) string {
	v, ok := j.App.Params[name]
	if !ok {
		return "not set"
	}
	return quote(v)
}

// InputDiffers tells whether some objects of the input are not in both, or
// not the same version.
func InputDiffers(a, b []Object) bool {
	return len(diffObjects(a, b, true)) > 0
}

// diffObjects compares inputs by name; an object whose size or ETag is
// another has changed. Where the content tells how an object is compressed, what
// the jobs say of it is no difference.
func diffObjects(a, b []Object, content bool) []string {
	old := make(map[string]Object, len(a))
	for _, o := range a {
		old[o.Name] = o
	}
	var added, changed, emptied, packed, removed []string
	for _, o := range b {
		was, ok := old[o.Name]
		switch {
		case !ok:
			added = append(added, o.Name)
		case was.Size > 0 && o.Size == 0 && o.ETag != "":
			emptied = append(emptied, o.Name)
		case was.ETag != o.ETag || was.Size != o.Size:
			changed = append(changed, o.Name)
		case was.Compression != o.Compression && !content:
			packed = append(packed, o.Name)
		}
		delete(old, o.Name)
	}
	removed = slices.Collect(maps.Keys(old))

	var lines []string
	for _, d := range []struct {
		what  string
		names []string
	}{{"input added", added}, {"input removed", removed}, {"input emptied", emptied}, {"input changed", changed}, {"input read otherwise (decompress)", packed}} {
		if len(d.names) > 0 {
			slices.Sort(d.names)
			lines = append(lines, d.what+": "+list(d.names))
		}
	}
	return lines
}

// maxNamed bounds how many objects a line names.
const maxNamed = 5

// list names the first few names and counts the rest.
func list(names []string) string {
	shown := names[:min(len(names), maxNamed)]
	quoted := make([]string, len(shown))
	for i, n := range shown {
		quoted[i] = quote(n)
	}
	s := strings.Join(quoted, ", ")
	if more := len(names) - len(shown); more > 0 {
		s += fmt.Sprintf(" and %d more", more)
	}
	return s
}
