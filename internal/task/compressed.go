package task

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/mraws/mraws/internal/decompress"
	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// Compressed input. What is wrong with a compressed object does not change
// from attempt to attempt, so it ends the job; but its bytes may also be
// damaged on their way, which the next attempt would not see. So an attempt
// that meets damage reads the object once more before it says which it is.

// compressed is the object that is being read, if it is compressed or may be.
type compressed struct {
	o      manifest.Object
	format input.Format
	taken  func() int64 // bytes of the object that were read; nil before the first, and of one that is not compressed
	known  int64        // of them, that progress knows of
}

// decompress makes the reader of a piece decompress its object. It returns nil for
// one that is not compressed.
func (b *bucket) decompress(p *input.Piece, of manifest.Piece, d *decompress.Decoder) *compressed {
	o := b.job.Objects[of.Object]
	k := &compressed{o: o, format: b.format}
	most := b.job.Decompress.Most(o.Size)
	open := func(o manifest.Object, body io.Reader) io.ReadCloser {
		stream := d.Open(o, most, body)
		k.taken = stream.Taken
		return stream
	}
	switch {
	case b.job.Unknown(of):
		p.Sniff = func(head []byte) (func(io.Reader) io.ReadCloser, error) {
			kind, err := decompress.Detect(o.Name, head)
			if err != nil {
				return nil, &FatalError{Err: err, Key: o.At(b.layout)}
			}
			if kind == "" {
				return nil, nil
			}
			b.note(o.Name, kind)
			found := o
			found.Compression = kind
			return func(body io.Reader) io.ReadCloser { return open(found, body) }, nil
		}
	case o.Compression == "":
		if b.job.Decompress.Content && of.Offset == 0 {
			p.Sniff = b.plain(o)
		}
		return nil
	case of.Length < o.Size:
		b.note(o.Name, o.Compression)
		p.Blocks = func(from int64, body io.Reader) input.Blocks {
			blocks := d.Blocks(o, from, most, body)
			k.taken = blocks.Taken
			return blocks
		}
	default:
		b.note(o.Name, o.Compression)
		p.Decode = func(body io.Reader) io.ReadCloser { return open(o, body) }
	}
	return k
}

// plain returns a look at the first bytes of an object that was cut as one that is not
// compressed. A coordinator that may not read the input knows no better than its name.
func (b *bucket) plain(o manifest.Object) func(head []byte) (func(io.Reader) io.ReadCloser, error) {
	return func(head []byte) (func(io.Reader) io.ReadCloser, error) {
		kind, err := decompress.Detect(o.Name, head)
		if err == nil && kind != "" {
			err = fmt.Errorf("input %s is compressed with %s, and was cut as if it were not: the coordinator may not read it", o.Name, kind)
		}
		if err != nil {
			return nil, &FatalError{Err: err, Key: o.At(b.layout)}
		}
		return nil, nil
	}
}

// note takes note of an object that is compressed, as its reader has found.
func (b *bucket) note(name string, kind manifest.Compression) {
	if b.kinds == nil {
		b.kinds = map[string]manifest.Compression{}
	}
	b.kinds[name] = kind
}

// weigh returns what was read since the last call, of which bytes have
// become records, by its weight.
func (k *compressed) weigh(bytes int64) int64 {
	if k == nil || k.taken == nil {
		return bytes
	}
	before := k.o.Weight(k.format, k.known)
	k.known = k.taken()
	return k.o.Weight(k.format, k.known) - before
}

// decompressMemory is how much of the budget decompressing takes, and how large a
// dictionary of xz may be. Of an object of which nobody knows yet whether it is
// compressed it is taken that its first bytes will say so: a part that is small
// beside the budget, which the garbage collector has else.
func (t *attempt) decompressMemory() (sum, dict int64) {
	dict = t.Memory / 8
	if t.Phase != mr.MapPhase && !t.Job.MapOnly() {
		return 0, dict
	}
	var kinds []manifest.Compression
	unknown := false
	for _, p := range t.Job.Tasks[t.Index] {
		c := t.Job.Objects[p.Object].Compression
		if unknown = unknown || c == "" && t.Job.Unknown(p); c == "" || slices.Contains(kinds, c) {
			continue
		}
		kinds = append(kinds, c)
		sum += decompress.Memory(c)
		if c == manifest.XZ {
			dict = t.Memory / 4
			sum += dict
		}
	}
	if unknown {
		sum = max(sum, min(decompress.Memory(manifest.Zstd), t.Memory/32))
	}
	return min(sum, t.Memory/2), dict
}

// suspect decides what an error that came from compressed input means.
func (b *bucket) suspect(ctx context.Context, err error) error {
	var damage *decompress.Error
	var task *AppError
	switch {
	case ctx.Err() != nil:
		return err
	case errors.As(err, &damage):
		return b.confirm(ctx, damage, err)
	case errors.As(err, &task):
		// Checksums come last: perhaps the application failed over rubbish.
		again := b.check(ctx, task.Object)
		if errors.As(again, &damage) {
			return &FatalError{Err: fmt.Errorf("%w (the app failed first: %s)", advise(again, damage), err.Error())}
		}
	}
	return err
}

// confirm reads a damaged object again. Damage that comes back is fatal.
func (b *bucket) confirm(ctx context.Context, damage *decompress.Error, err error) error {
	if errors.Is(damage, decompress.ErrTooLarge) || errors.Is(damage, decompress.ErrTar) || errors.Is(damage, decompress.ErrDict) { // which no accident brings about
		return &FatalError{Err: advise(err, damage)}
	}
	var second *decompress.Error
	again := b.check(ctx, damage.Object)
	switch {
	case errors.As(again, &second) && (damage.Cut || damage.Same(second)):
		return &FatalError{Err: advise(err, damage)}
	case again == nil:
		return fmt.Errorf("%w; a second read was intact, so the store or the network damages data", err)
	}
	return fmt.Errorf("%w; second read: %w", err, again)
}

// advise adds to an error what can be done about the object. Which flags read it
// in another way, cmd says.
func advise(err error, damage *decompress.Error) error {
	switch {
	case errors.Is(damage, decompress.ErrTooLarge):
		return err
	case errors.Is(damage, decompress.ErrFormat), errors.Is(damage, decompress.ErrEmpty):
		return fmt.Errorf("%w: rename the object", err)
	case errors.Is(damage, decompress.ErrTar), errors.Is(damage, decompress.ErrDict):
		return err // which says it
	}
	return fmt.Errorf("%w: upload the object again", err)
}

// check reads the whole of a compressed object. It returns nil if it is
// sound, or not compressed.
func (b *bucket) check(ctx context.Context, name string) error {
	i := slices.IndexFunc(b.job.Objects, func(o manifest.Object) bool { return o.Name == name })
	if i < 0 || b.kinds[name] == "" {
		return nil
	}
	return b.readAgain(ctx, b.job.Objects[i], func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err })
}

// readAgain hands the bytes of an object to read, decompressed if its reader has
// found that it is compressed.
func (b *bucket) readAgain(ctx context.Context, o manifest.Object, read func(io.Reader) error) (err error) {
	body, at := io.NopCloser(strings.NewReader("")), o.At(b.layout)
	if o.Size > 0 {
		if body, err = b.openInput(ctx, o, 0, o.Size); err != nil {
			return inputError(at, err)
		}
	}
	if o.Compression = b.kinds[o.Name]; o.Compression == "" {
		return errors.Join(inputError(at, read(body)), body.Close())
	}
	d := decompress.Decoder{Dict: b.dict}
	defer d.Close()
	s := d.Open(o, b.job.Decompress.Most(o.Size), body)
	return errors.Join(inputError(at, read(s)), s.Close(), body.Close())
}
