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

// compressed is the compressed object that is being read.
type compressed struct {
	o      manifest.Object
	format input.Format
	stream *decompress.Stream // nil before the first byte
	taken  int64              // bytes of the object that progress knows of
}

// decompress makes the reader of a compressed object decompress it. It returns
// nil for one that is not compressed.
func (b *bucket) decompress(p *input.Piece, o manifest.Object, d *decompress.Decoder) *compressed {
	if o.Compression == "" {
		return nil
	}
	k := &compressed{o: o, format: b.format}
	p.Decode = func(body io.Reader) io.ReadCloser {
		k.stream = d.Open(o, b.job.Decompress.Most(o.Size), body)
		return k.stream
	}
	return k
}

// weigh returns what was read since the last call, of which bytes have
// become records, by its weight.
func (k *compressed) weigh(bytes int64) int64 {
	if k == nil {
		return bytes
	}
	if k.stream == nil {
		return 0
	}
	before := k.o.Weight(k.format, k.taken)
	k.taken = k.stream.Taken()
	return k.o.Weight(k.format, k.taken) - before
}

// decompressMemory is how much of the budget decompressing takes.
func (t *attempt) decompressMemory() int64 {
	if t.Phase != mr.MapPhase {
		return 0
	}
	var kinds []manifest.Compression
	var sum int64
	for _, p := range t.Job.Tasks[t.Index] {
		if c := t.Job.Objects[p.Object].Compression; c != "" && !slices.Contains(kinds, c) {
			kinds = append(kinds, c)
			sum += decompress.Memory(c)
		}
	}
	return min(sum, t.Memory/2)
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
	if errors.Is(damage, decompress.ErrTooLarge) { // which no accident brings about
		return &FatalError{Err: advise(err, damage)}
	}
	var second *decompress.Error
	again := b.check(ctx, damage.Object)
	switch {
	case errors.As(again, &second) && damage.Same(second):
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
	}
	return fmt.Errorf("%w: upload the object again", err)
}

// check reads the whole of a compressed object. It returns nil if it is
// sound, or not compressed.
func (b *bucket) check(ctx context.Context, name string) error {
	i := slices.IndexFunc(b.job.Objects, func(o manifest.Object) bool { return o.Name == name })
	if i < 0 || b.job.Objects[i].Compression == "" {
		return nil
	}
	return b.readAgain(ctx, b.job.Objects[i], func(r io.Reader) error { _, err := io.Copy(io.Discard, r); return err })
}

// readAgain hands the decompressed bytes of an object to read.
func (b *bucket) readAgain(ctx context.Context, o manifest.Object, read func(io.Reader) error) (err error) {
	body, at := io.NopCloser(strings.NewReader("")), o.At(b.layout)
	if o.Size > 0 {
		if body, err = b.openInput(ctx, o, 0, o.Size); err != nil {
			return inputError(at, err)
		}
	}
	var d decompress.Decoder
	defer d.Close()
	s := d.Open(o, b.job.Decompress.Most(o.Size), body)
	return errors.Join(inputError(at, read(s)), s.Close(), body.Close())
}
