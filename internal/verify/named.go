package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/mr"
)

// Named outputs: the records of the outputs say what each has; under its plain name
// lies a copy of that, and nothing else lies in the folder.

// namedObject is what a record says of an object of a named output.
type namedObject struct {
	manifest.NamedOutput             // as the summary has it
	at                   object.Info // as it was listed; zero if it was not
}

// namedKinds are the named outputs of the job by name: how their objects are read.
func (a *audit) namedKinds() map[string]manifest.Choice {
	kinds := map[string]manifest.Choice{}
	for _, n := range a.job.Output.Named() {
		kinds[n.Name] = manifest.Choice{Name: n.Format, Options: n.Options}
	}
	return kinds
}

// keepNamed takes over what a record says of named outputs.
func (a *audit) keepNamed(r int, named []manifest.NamedOutput) (all []manifest.NamedOutput) {
	for _, n := range named {
		n.Key, n.ETag, n.Attempt = a.job.NamedKey(a.lay, n.Name, r), "", n.Writer(a.lay)
		all = append(all, n)
	}
	return all
}

// gatherNamed finds what objects the records name, by key.
func (a *audit) gatherNamed() {
	a.named = map[string]*namedObject{}
	for _, rec := range a.reduces {
		if rec == nil {
			continue
		}
		for _, n := range rec.named {
			a.named[n.Key] = &namedObject{NamedOutput: n}
		}
	}
}

// seeNamed says whether obj, which lies below output/, is of a named output.
func (a *audit) seeNamed(obj object.Info, find *finder) bool {
	n := a.named[obj.Key]
	if n == nil {
		return false
	}
	n.at = obj
	if obj.Size != n.Size {
		find.add(Replaced, obj.Key, "it has %d bytes, the record of its task says %d", obj.Size, n.Size)
	}
	return true
}

// missNamed finds the objects of named outputs that the listing had not. They get their
// plain names at the end of the job.
func (a *audit) missNamed(find *finder) {
	for _, key := range slices.Sorted(maps.Keys(a.named)) {
		n := a.named[key]
		if n.at.Key != "" {
			a.rep.Structure.OutputBytes += n.Size
			a.rep.Structure.Named++
		} else if a.summed != notThere {
			find.add(Missing, key, "what task %d has written to %s", n.Task, n.Name)
		}
	}
}

// namedOf are the objects of named outputs of task r, by name.
func (a *audit) namedOf(r int) map[string]*namedObject {
	all := map[string]*namedObject{}
	if rec := a.reduces[r]; rec != nil {
		for _, n := range rec.named {
			if o := a.named[n.Key]; o.at.Key != "" {
				all[n.Name] = o
			}
		}
	}
	return all
}

// proveNamed reads each object of a named output and holds it against the record.
// It returns how many rows are in partitions of the output.
func (a *audit) proveNamed(ctx context.Context) (rows int64, err error) {
	kinds := a.namedKinds()
	keys := slices.Sorted(maps.Keys(a.named))
	inPartitions := make([]int64, len(keys))
	err = a.each(ctx, workers(), len(keys), func(ctx context.Context, i int, find *finder) error {
		n := a.named[keys[i]]
		if n.at.Key == "" {
			return nil
		}
		partition := strings.Contains(n.Name, "=")
		open := a.opt.linesOf(kinds[n.Name])
		if partition {
			open = a.parts.open
		}
		body, err := a.stream(ctx, n.Key, n.at.ETag, 0, -1)
		var lines *outputReader
		if err == nil {
			lines = newOutputReader(open, body)
			defer lines.close()
			for err == nil {
				_, err = lines.next()
			}
			if errors.Is(err, io.EOF) {
				err = nil
			}
			err = errors.Join(err, body.Close())
		}
		if kind := faultOf(err); kind != "" {
			find.add(kind, n.Key, "%v", err)
			n.at = object.Info{} // there is nothing to compare with the reference
			return nil
		}
		if err != nil {
			return err
		}
		if partition {
			inPartitions[i] = lines.n
		}
		switch h := lines.hash(); {
		case lines.malformed != nil:
			find.add(BadOutput, n.Key, "%v", lines.malformed)
		case lines.size != n.Size || open != nil && lines.n != n.Lines:
			find.add(BadOutput, n.Key, "it has %d lines in %d bytes, the record of its task says %d in %d", lines.n, lines.size, n.Lines, n.Size)
		case h != n.Hash:
			find.add(BadOutput, n.Key, "its bytes have the SHA-256 %s, the record of its task says %s", h, n.Hash)
		}
		return nil
	})
	for _, n := range inPartitions {
		rows += n
	}
	return rows, err
}

// besides are the objects that the summary must list besides the outputs.
func (c *committed) besides() (all []manifest.NamedOutput) {
	for _, rec := range c.reduces {
		all = append(all, rec.named...)
	}
	return all
}

// noNamed is the mr.Named of a map task whose job has reduce tasks.
type noNamed struct{}

func (noNamed) Emit(name string, _, _ []byte) { panic("the named output " + name + " in a map task") }

// namedReference is the mr.Named of the reference of a task. It holds each record
// against the object of the job.
type namedReference struct {
	ctx   context.Context //nolint:containedctx // mr.Named has none
	a     *audit
	r     int
	kinds map[string]manifest.Choice
	there map[string]*namedObject // of the task
	open  map[string]*namedComparison
	mute  bool // a record that the job has skipped is mapped
	err   error
}

// namedComparison is a comparison with one object.
type namedComparison struct {
	comparison
	key  string
	body io.Closer
}

// newNamed begins the comparison of what task r writes to named outputs.
func (a *audit) newNamed(ctx context.Context, r int) *namedReference {
	return &namedReference{ctx: ctx, a: a, r: r, kinds: a.namedKinds(), there: a.namedOf(r), open: map[string]*namedComparison{}}
}

// at returns the comparison of a named output.
func (n *namedReference) at(name string) (*namedComparison, error) {
	if c := n.open[name]; c != nil {
		return c, nil
	}
	kind, declared := n.kinds[name]
	if !declared {
		return nil, fmt.Errorf("the job declares no named output %q", name)
	}
	read := n.a.opt.linesOf(kind)
	if read == nil {
		return nil, cannotRead(kind)
	}
	c := &namedComparison{comparison: comparison{mixed: true, code: n.a.opt.Code, table: tableOf(kind)}, key: n.a.job.NamedKey(n.a.lay, name, n.r)}
	plain := kind.Name == manifest.Lines && len(kind.Options) == 0
	o := n.there[name]
	if o == nil { // of which each record is one too many
		c.body = io.NopCloser(nil)
		c.start(n.r, newOutputReader(openLines, bytes.NewReader(nil)), plain)
	} else {
		body, err := n.a.stream(n.ctx, o.Key, o.at.ETag, 0, -1)
		if err != nil {
			return nil, err
		}
		c.body = body
		c.start(n.r, newOutputReader(read, body), plain)
	}
	n.open[name] = c
	return c, c.err
}

// Emit implements mr.Named.
func (n *namedReference) Emit(name string, key, value []byte) {
	if n.err != nil || n.mute {
		return
	}
	c, err := n.at(name)
	if err == nil {
		c.pair(key, value)
		err = c.err
	}
	if err != nil {
		n.err = fmt.Errorf("named output %s: %w", name, err)
	}
}

// judge takes what is left of the objects, and makes a finding of each that differs.
func (n *namedReference) judge(find *finder) error {
	for _, name := range slices.Sorted(maps.Keys(n.kinds)) {
		if n.err != nil {
			return n.err
		}
		if n.open[name] == nil && n.there[name] == nil {
			continue
		}
		c, err := n.at(name)
		if err == nil {
			err = c.finish()
		}
		if err != nil {
			return fmt.Errorf("named output %s: %w", name, err)
		}
		c.judge(c.key, find)
	}
	return n.err
}

// close closes the objects, of which all that matters has been read.
func (n *namedReference) close() {
	for _, c := range n.open {
		c.comparison.close()
		_ = c.body.Close()
	}
	n.open = map[string]*namedComparison{}
}

// pair takes an expected pair: a line "key value", or the key alone.
func (c *comparison) pair(key, value []byte) {
	switch {
	case c.err != nil:
	case c.text && (bytes.IndexByte(key, '\n') >= 0 || bytes.IndexByte(value, '\n') >= 0):
		c.err = errors.New("a line break in the key or the value")
	case len(value) == 0 && c.table != nil:
		c.expectRow(nil, key, false)
	case len(value) == 0:
		c.line = append(append(c.line[:0], key...), '\n')
		c.expect(len(c.line))
	default:
		c.key = key
		c.Write(value)
	}
}

// namedTo is the mr.Named of a mapper.
func (q *sequential) namedTo() mr.Named {
	if q.a.job.MapOnly() {
		return directNamed{q}
	}
	return noNamed{}
}

// mute keeps what the reference writes to named outputs from being compared while f runs.
func (q *sequential) mute(f func() error) error {
	if q.named == nil {
		return f()
	}
	q.named.mute = true
	defer func() { q.named.mute = false }()
	return f()
}

// directNamed is the mr.Named of the mappers of a map-only job: it is that of the task
// at hand.
type directNamed struct{ q *sequential }

func (d directNamed) Emit(name string, key, value []byte) {
	if d.q.named != nil {
		d.q.named.Emit(name, key, value)
	}
}
