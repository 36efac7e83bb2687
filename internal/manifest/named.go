package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/output"
)

// NamedOutput describes what a task has written to a named output, or has in a partition
// of the output, in one object. It has records.
type NamedOutput struct {
	// Name is that of the named output, or of the partition, such as
	// "year=2026/month=01". No named output has a name with "=".
	Name string `json:"name"`
	// Key is where the attempt wrote it, in a [Reduce] record; in a [Success] it is
	// the plain name, onto which it was copied.
	Key string `json:"key"`
	// ETag is that of the object of the attempt; "" in a [Success].
	ETag  string `json:"etag,omitempty"`
	Task  int    `json:"task"`
	Size  int64  `json:"size"`  // bytes
	Lines int64  `json:"lines"` // records
	Hash  string `json:"hash"`  // hex SHA-256 of the object's bytes
	// Attempt is, in a [Success], the one that wrote it.
	Attempt string `json:"attempt,omitempty"`
}

// Writer is the attempt that wrote the object which a [Reduce] record names: another one
// than that of the record if the record was lost and that attempt has put it back.
func (n *NamedOutput) Writer(lay layout.Layout) string {
	_, attempt, _, _ := lay.ParseNamedAttempt(n.Key)
	return attempt
}

// Named are the named outputs that the choice of an output declares, in byte order of
// name.
func (c Choice) Named() []output.Named {
	all, err := output.NamedOf(c.Name, c.Options)
	if err != nil {
		return nil // Validate has said so
	}
	return all
}

// Unnamed is the choice of an output without its named outputs.
func (c Choice) Unnamed() Choice {
	if _, named := c.Options[output.NamedOption]; named {
		c.Options = maps.Clone(c.Options)
		delete(c.Options, output.NamedOption)
	}
	return c
}

// NamedAs is the choice of an output with the named outputs of another one.
func (c Choice) NamedAs(other Choice) Choice {
	text, named := other.Options[output.NamedOption]
	if c = c.Unnamed(); !named {
		return c
	}
	options := map[string]string{output.NamedOption: text}
	maps.Copy(options, c.Options)
	c.Options = options
	return c
}

// WithNamed is the choice of an output with these named outputs, which
// [mr.CheckNamedOutputs] has passed; none are none.
func (c Choice) WithNamed(declared []string) Choice {
	if len(declared) == 0 {
		return c.Unnamed()
	}
	return c.NamedAs(Choice{Options: map[string]string{output.NamedOption: output.FormatNamed(declared)}})
}

// NamedFormat is the format of a named output of the job, or of a partition of its output;
// ok is false for one that the job has not.
func (s *Spec) NamedFormat(name string) (f output.Format, ok bool) {
	if isPartition(name) {
		p, partitioned := s.OutputFormat().(*output.Partitioned)
		if !partitioned || !p.Has(name) {
			return nil, false
		}
		return p.Part(), true
	}
	all := s.Output.Named()
	i := slices.IndexFunc(all, func(n output.Named) bool { return n.Name == name })
	if i < 0 {
		return nil, false
	}
	f, err := output.Resolve(all[i].Format, all[i].Options)
	return f, err == nil
}

// isPartition tells the name of a partition from that of a named output.
func isPartition(name string) bool { return strings.Contains(name, "=") }

// Partitioned tells whether the choice of an output is one that is partitioned.
func (c Choice) Partitioned() bool {
	_, ok := c.Options[output.PartitionOption]
	return ok
}

// Partitioned tells whether the output of the job is partitioned.
func (s *Success) Partitioned() bool { return s.choice().Partitioned() }

// InPartition tells whether key is one of what a task has in a partition of the output
// of the job.
func (j *Job) InPartition(lay layout.Layout, key string) bool {
	partition, r, ok := lay.ParseInPartition(key)
	return ok && isPartition(partition) && j.NamedKey(lay, partition, r) == key && r < j.Outputs()
}

// NamedKey is the plain name of what task r has written to a named output of the job, or
// has in a partition of its output; "" of one that the job has not.
func (j *Job) NamedKey(lay layout.Layout, name string, r int) string {
	f, ok := j.NamedFormat(name)
	if !ok {
		return ""
	}
	return namedKey(j.Layout(lay), f, name, r)
}

func namedKey(lay layout.Layout, f output.Format, name string, r int) string {
	lay = lay.WithEnding(f.Ending())
	if isPartition(name) {
		return lay.InPartition(name, r)
	}
	return lay.Named(name, r)
}

// Besides are the objects that the attempt has stored besides its output.
func (r *Reduce) Besides() []NamedOutput { return slices.Concat(r.Named, r.Partitions) }

// Put takes an object besides the output into the record, behind those with lesser names.
func (r *Reduce) Put(n NamedOutput) {
	if isPartition(n.Name) {
		r.Partitions = append(r.Partitions, n)
	} else {
		r.Named = append(r.Named, n)
	}
}

// Bytes is how many bytes of output the attempt has written, but for named outputs.
func (r *Reduce) Bytes() int64 {
	if len(r.Partitions) == 0 {
		return r.Output.Size
	}
	var n int64
	for _, p := range r.Partitions {
		n += p.Size
	}
	return n
}

// Objects are those that have the lines of the output, by name: the outputs, without one,
// or what lies in partitions.
func (s *Success) Objects() []NamedOutput {
	if s.Partitioned() {
		return s.Partitions
	}
	all := make([]NamedOutput, len(s.Outputs))
	for r, o := range s.Outputs {
		all[r] = NamedOutput{Key: o.Key, Task: r, Size: o.Size, Lines: o.Lines, Hash: o.Hash, Attempt: o.Attempt}
	}
	return all
}

// TaskBytes is how many bytes of output each task has written, but for named outputs.
func (s *Success) TaskBytes() []int64 {
	sizes := make([]int64, len(s.Outputs))
	for _, o := range s.Objects() {
		sizes[o.Task] += o.Size
	}
	return sizes
}

// Wrote counts the lines of the output, and its bytes.
func (s *Success) Wrote() (lines, bytes int64) {
	for r, n := range s.TaskBytes() {
		lines, bytes = lines+s.Outputs[r].Lines, bytes+n
	}
	return lines, bytes
}

// validateBesides judges what an attempt has stored besides its output.
func (r *Reduce) validateBesides(lay layout.Layout, job *Job) error {
	if err := r.validateNamed(lay, job, r.Named, false); err != nil {
		return err
	}
	var lines int64
	for _, p := range r.Partitions {
		lines += p.Lines
	}
	switch {
	case len(r.Partitions) > output.MostPartitions:
		return fmt.Errorf("it has rows in %d partitions", len(r.Partitions))
	case job.Output.Partitioned() && lines != r.Output.Lines:
		return fmt.Errorf("it has %d lines, and %d in partitions", r.Output.Lines, lines)
	}
	return r.validateNamed(lay, job, r.Partitions, true)
}

func (r *Reduce) validateNamed(lay layout.Layout, job *Job, list []NamedOutput, partitions bool) error {
	last := ""
	for _, n := range list {
		f, ok := job.NamedFormat(n.Name)
		switch {
		case !ok, isPartition(n.Name) != partitions:
			return fmt.Errorf("it has the named output %.200q, which the job has not", n.Name)
		case n.Name <= last:
			return errors.New("its named outputs are not in byte order of name")
		case n.Key != lay.NamedAttempt(r.Task, n.Writer(lay), n.Name), !layout.ValidName(n.Writer(lay)):
			return fmt.Errorf("its named output %s has the key %q, which the attempt does not write", n.Name, n.Key)
		case !validETag(n.ETag) || n.Attempt != "":
			return fmt.Errorf("its named output %s has the ETag %q", n.Name, n.ETag)
		}
		if err := n.validate(r.Task); err != nil {
			return err
		}
		if err := f.Check(n.Lines, n.Size); err != nil {
			return fmt.Errorf("named output %s has %w", n.Name, err)
		}
		last = n.Name
	}
	return nil
}

// validate returns an error unless n can describe an object of a task, of any format.
func (n *NamedOutput) validate(task int) error {
	switch {
	case n.Task != task:
		return fmt.Errorf("its named output %s is of task %d", n.Name, n.Task)
	case n.Size < 1 || n.Size > Most || n.Lines < 1 || n.Lines > Most:
		return fmt.Errorf("its named output %s has %d bytes and %d lines", n.Name, n.Size, n.Lines)
	case !validHash(n.Hash):
		return fmt.Errorf("its named output %s has the hash %q", n.Name, n.Hash)
	}
	return nil
}

// validateNamed judges the lists of named outputs and of partitions. lay is that of the
// job's place.
func (s *Success) validateNamed(lay layout.Layout) error {
	spec := Spec{Output: s.choice()}
	for _, list := range []struct {
		all        []NamedOutput
		partitions bool
	}{{s.Named, false}, {s.Partitions, true}} {
		for i, n := range list.all {
			f, ok := spec.NamedFormat(n.Name)
			switch {
			case !ok, isPartition(n.Name) != list.partitions:
				return fmt.Errorf("it lists the named output %.200q, which its format has not", n.Name)
			case n.Task < 0 || n.Task >= len(s.Outputs):
				return fmt.Errorf("it lists the named output %s of task %d", n.Name, n.Task)
			case i > 0 && compareNamed(list.all[i-1], n) >= 0:
				return errors.New("it does not list its named outputs in byte order of name, and by task")
			case n.Key != namedKey(lay, f, n.Name, n.Task):
				return fmt.Errorf("its named output %s of task %d has the key %q", n.Name, n.Task, n.Key)
			case n.ETag != "" || !layout.ValidName(n.Attempt):
				return fmt.Errorf("its named output %s of task %d is of attempt %q", n.Name, n.Task, n.Attempt)
			}
			if err := n.validate(n.Task); err != nil {
				return err
			}
		}
	}
	return nil
}

// compareNamed orders what a summary lists.
func compareNamed(a, b NamedOutput) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Task, b.Task))
}

// List makes the lists of the summary of all objects besides the outputs.
func (s *Success) List(all []NamedOutput) {
	slices.SortFunc(all, compareNamed)
	s.Named, s.Partitions = nil, nil
	for _, n := range all {
		if isPartition(n.Name) {
			s.Partitions = append(s.Partitions, n)
		} else {
			s.Named = append(s.Named, n)
		}
	}
}
