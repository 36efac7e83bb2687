package task

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/dustin/go-humanize"
	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/output"
)

// A partitioned output. An attempt gathers the rows of each partition in memory, and when
// that is full all of them go to one scratch file, each with the place of those before it.
// At the end it encodes one partition after the other. So neither the memory nor the files
// that it has open depend on the number of partitions, but for a few bytes each. The
// objects go the way of named outputs (named.go), and the output is the list of them: its
// commit commits them, and attempts that have made the same have equal lists.

// partitions are those of one attempt. It implements [output.Encoder].
type partitions struct {
	output.Encoder // cuts records into rows

	t     *attempt
	f     *output.Partitioned
	list  io.Writer
	limit int64 // of held
	held  int64 // bytes of rows in memory
	all   map[string]*partition
	raw   spool // rows that are not in memory
	made  spool // objects, one behind the other
	block []byte
	kept  []kept
}

// partition is one of them.
type partition struct {
	rows    []byte // in memory
	last    int64  // place in raw of those written last
	records int64
}

// rowsHeader stands in front of rows in raw: the place of those of the partition before
// them, -1 for none, and how many bytes they have.
const rowsHeader = 16

// newPartitions returns the partitions of the attempt, in which nothing is yet. The list of
// them goes to list.
func (t *attempt) newPartitions(f *output.Partitioned, list io.Writer) (p *partitions, err error) {
	p = &partitions{t: t, f: f, list: list, limit: t.shares.output / 4, all: map[string]*partition{}}
	p.raw = spool{space: t.space, what: "named"}
	p.made = spool{space: t.space, what: "named", limit: t.shares.output / 4}
	if _, err = f.Rows(io.Discard, t.Libraries); err == nil { // or the program lacks the format
		p.Encoder, err = f.Split(p.put)
	}
	return p, err
}

// free frees memory and files.
func (p *partitions) free() error { return errors.Join(p.raw.Close(), p.made.Close()) }

// put takes a row.
func (p *partitions) put(name []byte, fields [][]byte) error {
	part := p.all[string(name)]
	if part == nil {
		if len(p.all) == output.MostPartitions {
			return &FatalError{Err: fmt.Errorf("write the partition %s: the task has rows in %s others, and may have no more; fewer columns have fewer partitions, and so have tasks that get all rows of a partition",
				name, humanize.Comma(output.MostPartitions))}
		}
		part = &partition{last: -1}
		p.all[string(name)] = part
	}
	before := len(part.rows)
	for _, f := range fields {
		part.rows = binary.AppendUvarint(part.rows, uint64(len(f)))
		part.rows = append(part.rows, f...)
	}
	part.records++
	if p.held += int64(len(part.rows) - before); p.held > p.limit {
		return p.spill()
	}
	return nil
}

// spill moves all rows to the scratch file.
func (p *partitions) spill() error {
	for _, part := range p.all {
		if len(part.rows) == 0 {
			continue
		}
		var head [rowsHeader]byte
		binary.LittleEndian.PutUint64(head[:], uint64(part.last))
		binary.LittleEndian.PutUint64(head[8:], uint64(len(part.rows)))
		part.last = p.raw.size
		if _, err := p.raw.Write(head[:]); err != nil {
			return err
		}
		if _, err := p.raw.Write(part.rows); err != nil {
			return err
		}
		part.rows = nil
	}
	p.held = 0
	p.t.live.Beats.Add(1)
	return nil
}

// each calls row with the fields of each row of a partition, in the order of put.
func (p *partitions) each(part *partition, row func(fields [][]byte) error) error {
	type piece struct{ at, size int64 }
	var pieces []piece
	for at := part.last; at >= 0; {
		var head [rowsHeader]byte
		if n, err := p.raw.ReadAt(head[:], at); n < len(head) {
			return err
		}
		pieces = append(pieces, piece{at + rowsHeader, int64(binary.LittleEndian.Uint64(head[8:]))})
		at = int64(binary.LittleEndian.Uint64(head[:]))
	}
	for _, piece := range slices.Backward(pieces) {
		p.block = slices.Grow(p.block[:0], int(piece.size))[:piece.size]
		if n, err := p.raw.ReadAt(p.block, piece.at); n < len(p.block) {
			return err
		}
		if err := p.cut(p.block, row); err != nil {
			return err
		}
	}
	return p.cut(part.rows, row)
}

// cut calls row with the fields of each row of rows.
func (p *partitions) cut(rows []byte, row func(fields [][]byte) error) error {
	fields := make([][]byte, p.columns())
	for n := 0; len(rows) > 0; n++ {
		if n%beatEach == 0 {
			p.t.live.Beats.Add(1)
			if p.t.live.stopped.Load() {
				return errStopped
			}
		}
		for i := range fields {
			size, n := binary.Uvarint(rows)
			if n <= 0 || size > uint64(len(rows)-n) {
				return errors.New("read rows from a scratch file: they are not as they were written")
			}
			fields[i], rows = rows[n:n+int(size)], rows[n+int(size):]
		}
		if err := row(fields); err != nil {
			return err
		}
	}
	return nil
}

// columns is how many fields a row has.
func (p *partitions) columns() int { return len(p.f.Part().(output.Table).Columns()) } //nolint:forcetypeassert // it is a table

// Close implements [output.Encoder]: it makes the objects and writes the list of them.
func (p *partitions) Close() error {
	list := json.NewEncoder(p.list)
	list.SetEscapeHTML(false)
	for _, name := range slices.Sorted(maps.Keys(p.all)) {
		if err := p.make(name, p.all[name]); err != nil {
			return err
		}
		delete(p.all, name)
		n := p.kept[len(p.kept)-1]
		if err := list.Encode(output.PartitionEntry{Partition: name, Size: n.Size, Lines: n.Lines, Hash: n.Hash}); err != nil {
			return err
		}
	}
	return nil
}

// make makes the object of a partition.
func (p *partitions) make(name string, part *partition) error {
	from := p.made.size
	to := &sink{live: p.t.live, to: &p.made, name: "the partition " + name, sha: sha256.New()}
	rows, err := p.f.Rows(to, p.t.Libraries)
	if err != nil {
		return unencoded(err)
	}
	if err = p.each(part, rows.Row); err == nil {
		err = rows.Close()
	}
	var unfit *output.UnfitError
	switch {
	case errors.As(err, &unfit):
		return &FatalError{Err: fmt.Errorf("write the partition %s: %s", name, shown(unfit))}
	case err != nil:
		return err
	}
	p.kept = append(p.kept, kept{
		NamedOutput: p.t.besides(name, to, part.records), contentType: p.f.Part().ContentType(),
		body: io.NewSectionReader(&p.made, from, to.size),
	})
	return nil
}

// kept is an object that an attempt stores besides its output.
type kept struct {
	manifest.NamedOutput // without an ETag until it is stored

	body        *io.SectionReader
	contentType string
}

// besides is what a record says of an object that was written to a sink.
func (t *attempt) besides(name string, to *sink, records int64) manifest.NamedOutput {
	return manifest.NamedOutput{
		Name: name, Key: t.Layout.NamedAttempt(t.Index, t.ID, name), Task: t.Index,
		Size: to.size, Lines: records, Hash: hex.EncodeToString(to.sha.Sum(nil)),
	}
}

// outputs are where the records of an attempt go: the output, and what is besides it.
type outputs struct {
	enc        output.Encoder
	named      *namedOutputs
	partitions *partitions // nil if the output has none
}

// newOutputs begins the output that goes to a sink.
func (t *attempt) newOutputs(to *sink) (o *outputs, err error) {
	o = &outputs{named: t.newNamed()}
	if f, ok := t.Job.OutputFormat().(*output.Partitioned); ok {
		o.partitions, err = t.newPartitions(f, to)
		o.enc = o.partitions
	} else {
		o.enc, err = t.Job.OutputFormat().Encoder(to, t.Libraries)
	}
	return o, unencoded(err)
}

// Close frees memory and files.
func (o *outputs) Close() error {
	err := o.named.Close()
	if o.partitions != nil {
		err = errors.Join(err, o.partitions.free())
	}
	return err
}

// keep stores what is besides the output, and puts it into the record.
func (o *outputs) keep(ctx context.Context, to target, rec *manifest.Reduce) error {
	all, err := o.named.finish()
	if err != nil {
		return err
	}
	if o.partitions != nil {
		all = append(all, o.partitions.kept...)
	}
	return to.keep(ctx, all, rec)
}

// keep stores objects besides the output, and puts them into the record.
func (o target) keep(ctx context.Context, all []kept, rec *manifest.Reduce) error {
	if len(all) == 0 {
		return nil
	}
	if err := o.besides(ctx, all); err != nil {
		return err
	}
	for _, k := range all {
		rec.Put(k.NamedOutput)
	}
	return nil
}

// keepBesides makes objects durable, before the record that names them. The keys are the
// attempt's own, so a second round of it replaces what the first has written.
func (t *attempt) keepBesides(ctx context.Context, all []kept) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(besidesUploads)
	for i := range all {
		g.Go(func() error {
			k := &all[i]
			info, err := t.Store.PutFile(ctx, k.Key, k.body, k.Size, object.PutOptions{Meta: t.commit.meta(k.Hash), ContentType: k.contentType})
			k.ETag = info.ETag
			t.live.Beats.Add(1)
			return err
		})
	}
	return g.Wait()
}

// besidesUploads bounds the objects besides its output that an attempt uploads at the
// same time.
const besidesUploads = 4
