package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/recordio"
)

// proof is the second step: what was emitted, shuffled and read are the same
// records, and the output is made of their keys.
func (a *audit) proof(ctx context.Context) error {
	before := a.rep.Found
	if a.app == nil && !a.job.MapOnly() {
		a.rep.note("this binary does not have app %s: whether its keys lie in their partitions was not checked", a.job.App.Name)
	}
	if !a.readsOutput() {
		a.rep.note("%v: of the outputs the bytes were compared with the records, and nothing else", cannotRead(a.job.Output))
	}
	a.countEmitted()
	results := make([]proved, a.job.Outputs())
	if err := a.each(ctx, workers(), a.job.Outputs(), func(ctx context.Context, r int, find *finder) error {
		p := prover{a: a, r: r, find: find, res: &results[r]}
		return p.run(ctx)
	}); err != nil {
		return err
	}
	p := &a.rep.Proof
	lines, err := a.proveNamed(ctx)
	if err != nil {
		return err
	}
	p.Lines += lines
	for _, res := range results {
		p.Segments += res.segments
		p.Records += res.sum.Records
		p.Bytes += res.sum.Bytes
		p.Keys += res.keys
		p.Lines += res.lines
	}
	p.State = a.rep.state(before)
	return nil
}

// readsOutput tells whether there is a reader of the output.
func (a *audit) readsOutput() bool {
	if a.parts != nil {
		return a.parts.open != nil
	}
	return a.outLines != nil
}

// countEmitted holds the pairs that each map emitted against those that it
// wrote: equal, or not fewer with a combiner.
func (a *audit) countEmitted() {
	for m, facts := range a.maps {
		if facts == nil {
			continue
		}
		a.rep.Proof.Emitted += facts.emitted
		if a.job.MapOnly() {
			continue // they are the lines, which are counted as they are read
		}
		var written int64
		for r := range a.job.NReduce {
			written += a.seg(m, r).sum.Records
		}
		if facts.emitted < written || a.app != nil && a.app.Combine == nil && facts.emitted != written {
			a.rep.add(BadSum, a.lay.MapCommit(m), "%d pairs were emitted, %d records written", facts.emitted, written)
		}
	}
}

// proved is what was counted in one partition.
type proved struct {
	segments int
	sum      recordio.Sum
	keys     int64
	lines    int64
}

// prover looks at one partition: a pass over its merged segments with, beside
// it, a pass over its output.
type prover struct {
	a    *audit
	r    int
	find *finder
	res  *proved

	empty    int // segments without records, of which nothing is stored
	merged   *recordio.Merger
	key      []byte // current distinct key, as the mapper has it
	internal []byte // as segments have it
	has      bool   // there is one
	steps    int

	doubts finder // findings that mean nothing if a segment is damaged
	bad    int64  // lines with a finding
	lost   bool   // the search for a key has passed all of them, past those of later lines
	last   []byte // key of the last line that has one
	want   []byte // scratch: a key as rows have it
}

func (p *prover) run(ctx context.Context) error {
	a := p.a
	if a.job.MapOnly() { // there are no segments: the output is what its record says
		if out := a.outputs[p.r]; out.Key != "" {
			return p.readOutput(ctx, out)
		}
		return nil
	}
	sizes := make([]int64, len(a.maps))
	for m := range sizes {
		if a.readable(m, p.r) {
			sizes[m] = a.length(m, p.r)
		}
	}
	sp, err := newSpool(a.opt.Scratch, sizes, a.opt.Memory/4/int64(workers()))
	if err != nil {
		return err
	}
	defer sp.close()
	if err := a.fetch(ctx, p.r, sp, p.find); err != nil {
		return err
	}
	segs, err := p.sources(ctx, sp)
	if err != nil {
		return err
	}
	srcs := make([]recordio.Source, len(segs))
	for i, s := range segs {
		srcs[i] = s
	}
	srcs, drop, err := a.opt.narrow(ctx, srcs)
	defer drop()
	if err != nil {
		return fmt.Errorf("merge partition %d: %w", p.r, err)
	}
	p.merged = recordio.Merge(srcs, nil)
	if err := p.walk(ctx); err != nil {
		return fmt.Errorf("check partition %d: %w", p.r, err)
	}
	p.judge(segs)
	return nil
}

// sources makes a source of each segment that was found.
func (p *prover) sources(ctx context.Context, sp *spool) ([]*segmentSource, error) {
	var part func([]byte) (int, error)
	if p.a.app != nil {
		part = p.a.partitioner(p.a.app)
	}
	var segs []*segmentSource
	for m := range p.a.maps {
		if !p.a.readable(m, p.r) {
			if p.a.empty(m, p.r) {
				p.empty++
			}
			continue
		}
		segs = append(segs, &segmentSource{
			a: p.a, m: m, r: p.r, find: p.find, part: part, open: func() io.Reader { return sp.open(m) },
		})
		if p.a.obj(m, p.r).copied {
			if err := p.checkCopy(ctx, m); err != nil {
				return nil, err
			}
		}
	}
	return segs, nil
}

// checkCopy reads the plain name of a segment that was committed under
// another.
func (p *prover) checkCopy(ctx context.Context, m int) error {
	key, was := p.a.plainKey(m, p.r), p.a.segKey(m, p.r)
	err := p.a.fetchOne(ctx, key, "", m, p.r, func(body io.Reader) error {
		rd := recordio.NewReader(body)
		for rd.Next() {
		}
		sum, err := rd.Summary()
		if corrupt := (*recordio.CorruptError)(nil); err != nil && !errors.As(err, &corrupt) {
			return err
		}
		if err != nil || sum.Hash != p.a.seg(m, p.r).hash {
			p.find.add(Replaced, key, "%sit is not a copy of the committed %s", p.a.which(m, p.r), was)
		}
		return nil
	})
	if kind := faultOf(err); kind != "" {
		p.find.add(kind, key, "%s%v", p.a.which(m, p.r), err)
		err = nil
	}
	return err
}

// advance moves to the next distinct key.
func (p *prover) advance(ctx context.Context) error {
	for p.merged.Next() {
		if p.steps++; p.steps%4096 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if key := p.merged.Key(); !p.has || !p.a.order.same(key, p.internal) {
			p.internal, p.has = append(p.internal[:0], key...), true
			var ok bool
			if p.key, ok = p.a.order.key(p.internal); !ok { // which is a finding already
				p.key = p.internal
			}
			p.res.keys++
			return nil
		}
	}
	p.has = false
	return p.merged.Err()
}

// walk reads the output beside the keys, and then what is left of these.
func (p *prover) walk(ctx context.Context) error {
	if err := p.advance(ctx); err != nil {
		return err
	}
	if out := p.a.outputs[p.r]; out.Key != "" {
		if err := p.readOutput(ctx, out); err != nil {
			return err
		}
	}
	for p.has {
		if err := p.advance(ctx); err != nil {
			return err
		}
	}
	return nil
}

// readOutput digests the output and looks for the key of each line. Of another
// format than lines the bytes are all that is compared.
func (p *prover) readOutput(ctx context.Context, out object.Info) error {
	body, err := p.a.stream(ctx, out.Key, out.ETag, 0, -1)
	var lines *outputReader
	if err == nil {
		lines = newOutputReader(p.a.outLines, body)
		defer lines.close()
		err = p.placeAll(ctx, lines)
		err = errors.Join(err, body.Close())
	}
	if kind := faultOf(err); kind != "" {
		p.find.add(kind, out.Key, "%v", err)
		p.a.outputs[p.r].Key = "" // there is nothing to compare with the reference
		return nil
	}
	if err != nil {
		return err
	}
	p.res.lines = lines.n
	if lines.malformed != nil {
		p.find.add(BadOutput, out.Key, "%v", lines.malformed)
	}
	rec := p.a.reduces[p.r]
	if rec == nil {
		return nil
	}
	if lines.size != rec.output.Size || p.a.outLines != nil && lines.n != rec.output.Lines {
		p.find.add(BadOutput, out.Key, "it has %d lines in %d bytes, its record says %d in %d",
			lines.n, lines.size, rec.output.Lines, rec.output.Size)
	} else if h := lines.hash(); h != rec.output.Hash {
		p.find.add(BadOutput, out.Key, "its bytes have the SHA-256 %s, its record says %s", h, rec.output.Hash)
	}
	return nil
}

func (p *prover) placeAll(ctx context.Context, lines *outputReader) error {
	for {
		line, err := lines.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if p.a.apart() || p.a.job.MapOnly() || p.lost {
			continue
		}
		if err := p.place(ctx, line, lines.n); err != nil {
			return err
		}
	}
}

// place finds the key of a line. A key may hold spaces, so that a line can
// begin with several keys, but taking the smallest that is not before the
// key of the line before loses nothing: the keys of any other way of reading
// the output in order are, line by line, at least as large.
func (p *prover) place(ctx context.Context, line []byte, n int64) error {
	lines := p.a.app == nil || p.a.app.Ordered // mr.Output.WriteLine may have been used
	if p.a.outTable != nil {
		return p.placeRow(ctx, line, n, lines)
	}
	for p.has && (p.a.order != nil || bytes.Compare(p.key, line) <= 0) {
		if bytes.HasPrefix(line, p.key) && (lines || len(line) > len(p.key) && line[len(p.key)] == ' ') {
			p.last = append(p.last[:0], p.key...)
			return nil
		}
		if err := p.advance(ctx); err != nil {
			return err
		}
	}
	// Every key from here on is above the line, or there is none, so none is its
	// beginning.
	p.misplaced(line, n)
	return nil
}

// placeRow finds the key of a row as place finds that of a line: the row that the key
// makes begins as the row does.
func (p *prover) placeRow(ctx context.Context, row []byte, n int64, lines bool) error {
	table := p.a.outTable
	if lines && !table.text(true) { // a key may end within a field that has another form
		return nil
	}
	for p.has {
		key, err := table.key(p.want[:0], p.key)
		ok := err == nil
		if p.want = key; ok && bytes.HasPrefix(row, key) && (lines || len(row) == len(key) || row[len(key)] == '\t') {
			p.last = append(p.last[:0], row...)
			return nil
		}
		// Where "\r\n" is read as "\n" neither are rows with a line break.
		if ok && p.inOrder() && !(table.breaks && table.broken(row)) && bytes.Compare(key, row) > 0 {
			break
		}
		if err := p.advance(ctx); err != nil {
			return err
		}
	}
	p.misplaced(row, n)
	return nil
}

// inOrder tells whether lines or rows are in the order of their bytes: a key that is
// above one ends the search for its key. Rows whose first column is not text are not,
// since their fields have another form than the keys.
func (p *prover) inOrder() bool {
	return p.a.order == nil && (p.a.outTable == nil || p.a.outTable.text(false))
}

// misplaced makes a finding of a line or row that begins with no key. Where keys are in
// another order than lines it is the last one: the search has used up all keys.
func (p *prover) misplaced(line []byte, n int64) {
	if p.bad++; p.bad > 10 {
		return
	}
	key := p.a.lay.Output(p.r)
	if p.lost = !p.inOrder(); p.lost {
		p.doubts.add(ForeignLine, key, "line %d, %s, begins with no key of this partition from that of the line before it on; the lines behind it were not looked at", n, quote(line))
	} else if bytes.Compare(line, p.last) < 0 {
		p.doubts.add(Unsorted, key, "line %d, %s, comes after one with key %s", n, quote(line), quote(p.last))
	} else {
		p.doubts.add(ForeignLine, key, "line %d, %s, begins with no key of this partition", n, quote(line))
	}
}

// judge compares the counts of the partition with the reduce record.
func (p *prover) judge(segs []*segmentSource) {
	trusted := len(segs)+p.empty == len(p.a.maps)
	for _, s := range segs {
		p.res.segments++
		p.res.sum.Add(s.sum)
		trusted = trusted && !s.bad
	}
	if !trusted {
		return // which is a finding already
	}
	if p.bad > 10 {
		p.doubts.add(ForeignLine, p.a.lay.Output(p.r), "and so do %d more lines", p.bad-10)
	}
	p.find.merge(&p.doubts)
	rec := p.a.reduces[p.r]
	if rec == nil {
		return
	}
	key := p.a.lay.ReduceAttempt(p.r, rec.attempt)
	if rec.read != p.res.sum {
		p.find.add(BadSum, key, "it says that %s were read, there are %s", showSum(rec.read), showSum(p.res.sum))
	}
	if rec.keys != p.res.keys {
		p.find.add(BadSum, key, "it says %d keys, there are %d", rec.keys, p.res.keys)
	}
}
