package task

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/output"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/internal/runner"
	"github.com/mraws/mraws/mr"
)

// Named outputs. What an attempt writes to them goes to scratch, and when its output is
// complete to objects below _attempts/ that are its own. Its record names them, so they
// are the task's if the attempt commits it. The coordinator copies those of committed
// attempts onto their plain names (coordinator/named.go).

// namedOutputs are those of one attempt.
type namedOutputs struct {
	t      *attempt
	lines  bool // the application writes lines, of which some begin with a name
	limit  int64
	opened map[string]*namedOutput
}

// namedOutput is one of them that has a record.
type namedOutput struct {
	spool       spool
	to          *sink
	enc         output.Encoder
	records     int64
	contentType string
}

// newNamed returns the named outputs of the attempt, in which nothing is yet.
func (t *attempt) newNamed() *namedOutputs {
	declared := int64(len(t.Job.Output.Named()))
	return &namedOutputs{
		t: t, lines: t.Job.App.Apart() && declared > 0, limit: t.shares.output / 4 / max(declared, 1),
		opened: map[string]*namedOutput{},
	}
}

// Close frees memory and files.
func (n *namedOutputs) Close() (err error) {
	for _, o := range n.opened {
		err = errors.Join(err, o.spool.Close())
	}
	return err
}

// open returns the named output, which it begins if it is not there.
func (n *namedOutputs) open(name string) (*namedOutput, error) {
	if o := n.opened[name]; o != nil {
		return o, nil
	}
	t := n.t
	f, ok := t.Job.NamedFormat(name)
	if !ok {
		return nil, &FatalError{Err: fmt.Errorf("write to the named output %.200q, which the job does not declare: %s", name, declaredNames(t.Job))}
	}
	o := &namedOutput{spool: spool{space: t.space, what: "named", limit: n.limit}, contentType: f.ContentType()}
	o.to = &sink{live: t.live, to: &o.spool, name: "the named output " + name, sha: sha256.New()}
	enc, err := f.Encoder(o.to, t.Libraries)
	if err != nil {
		return nil, unencoded(err)
	}
	o.enc, n.opened[name] = enc, o
	return o, nil
}

// declaredNames says which named outputs the job has.
func declaredNames(job *manifest.Job) string {
	text := "it has none"
	for i, d := range job.Output.Named() {
		if text += ", " + d.Name; i == 0 {
			text = "it has " + d.Name
		}
	}
	return text
}

// emit writes a record, as [mr.Named] says.
func (n *namedOutputs) emit(name string, key, value []byte) error {
	if n.t.live.stopped.Load() {
		return errStopped
	}
	o, err := n.open(name)
	if err != nil {
		return err
	}
	switch size := int64(len(key) + len(value)); {
	case size > recordio.MaxRecord:
		return recordError(key, &recordio.TooLargeError{Size: size, Max: recordio.MaxRecord})
	case len(value) == 0:
		err = o.enc.Line(key)
	default:
		if err = o.enc.Key(key); err == nil {
			err = o.enc.Value(value)
		}
	}
	var unfit *output.UnfitError
	switch {
	case err == nil:
		o.records++
		return nil
	case errors.As(err, &unfit):
		return &FatalError{Err: fmt.Errorf("write key %s to the named output %s: %s", shortKey(key), name, shown(unfit))}
	}
	return err
}

// NamedPrefix is what a line of an executable or a module begins with that goes to a
// named output. The name follows, a tab, and the line as it is written there.
const NamedPrefix = "output:"

// take writes line to a named output if it begins with one. A line that begins with a
// name that no job can have belongs to the output.
func (n *namedOutputs) take(line []byte) (taken bool, err error) {
	if !n.lines {
		return false, nil
	}
	rest, ok := bytes.CutPrefix(line, []byte(NamedPrefix))
	if !ok {
		return false, nil
	}
	name, rest, ok := bytes.Cut(rest, []byte{'\t'})
	if !ok {
		return false, nil
	}
	if _, own, err := mr.ParseNamedOutput(string(name)); err != nil || own != "" {
		return false, nil //nolint:nilerr // it is no name
	}
	return true, n.emit(string(name), rest, nil)
}

// finish ends the objects, in byte order of name.
func (n *namedOutputs) finish() (all []kept, err error) {
	for _, name := range slices.Sorted(maps.Keys(n.opened)) {
		o := n.opened[name]
		if err := o.enc.Close(); err != nil {
			return nil, err
		}
		all = append(all, kept{n.t.besides(name, o.to, o.records), io.NewSectionReader(&o.spool, 0, o.spool.size), o.contentType})
	}
	return all, nil
}

// EmitNamed implements [runner.Named].
func (d *direct) EmitNamed(name string, key, value []byte) error {
	if d.failed == nil {
		d.failed = d.named.emit(name, key, value)
	}
	return d.failed
}

// EmitNamed implements [runner.Named].
func (o *written) EmitNamed(name string, key, value []byte) error {
	if o.failed == nil {
		o.failed = o.named.emit(name, key, value)
	}
	return o.failed
}

// namedSkips is a quarantine in front of what takes records for named outputs: it holds
// them back with the pairs. Each that is held begins with a byte: 0 for a pair, else the
// number of the named output.
type namedSkips struct {
	*quarantine
	to    mapOutput
	names []string
	held  []byte // scratch
}

// within returns q in front of out, with the named outputs of the job if out takes them.
func (q *quarantine) within(out mapOutput) runner.Emitter {
	if _, ok := out.(runner.Named); !ok {
		return q
	}
	n := &namedSkips{quarantine: q, to: out}
	for _, d := range q.job.Output.Named() {
		n.names = append(n.names, d.Name)
	}
	if len(n.names) == 0 {
		return n
	}
	q.out = n.release()
	return n
}

// Emit implements [runner.Emitter].
func (n *namedSkips) Emit(key, value []byte) error {
	if len(n.names) == 0 {
		return n.quarantine.Emit(key, value)
	}
	n.held = append(append(n.held[:0], 0), key...)
	return n.quarantine.Emit(n.held, value)
}

// EmitSpans implements [runner.Emitter].
func (n *namedSkips) EmitSpans(text []byte, spans []uint32, value []byte) error {
	for ; len(spans) >= 2; spans = spans[2:] {
		if err := n.Emit(text[spans[0]:spans[1]], value); err != nil {
			return err
		}
	}
	return nil
}

// EmitNamed implements [runner.Named].
func (n *namedSkips) EmitNamed(name string, key, value []byte) error {
	i, ok := slices.BinarySearch(n.names, name)
	if !ok { // which is the error of what takes it
		return n.to.(runner.Named).EmitNamed(name, key, value) //nolint:forcetypeassert // within has looked
	}
	n.held = append(append(n.held[:0], byte(i+1)), key...)
	return n.quarantine.Emit(n.held, value)
}

// release returns what takes the pairs that are held no more.
func (n *namedSkips) release() runner.Emitter { return releasedPairs{n} }

type releasedPairs struct{ n *namedSkips }

func (r releasedPairs) Emit(held, value []byte) error {
	if i := held[0]; i > 0 {
		return r.n.to.(runner.Named).EmitNamed(r.n.names[i-1], held[1:], value) //nolint:forcetypeassert // within has looked
	}
	return r.n.to.Emit(held[1:], value)
}

func (r releasedPairs) EmitSpans([]byte, []uint32, []byte) error {
	return errors.New("spans are never held back")
}

// namedDiffers says which of named outputs or partitions were committed otherwise.
func namedDiffers(what string, now, was []manifest.NamedOutput) (lines []string) {
	type pair struct{ now, was manifest.NamedOutput }
	all := map[string]pair{}
	for _, n := range now {
		all[n.Name] = pair{now: n}
	}
	for _, n := range was {
		p := all[n.Name]
		p.was = n
		all[n.Name] = p
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if p := all[name]; p.now.Hash != p.was.Hash {
			lines = append(lines, fmt.Sprintf("%s %s: %d lines with SHA-256 %q, committed were %d with %q",
				what, name, p.now.Lines, p.now.Hash, p.was.Lines, p.was.Hash))
		}
	}
	return lines
}
