package task

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/keyorder"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/mr"
)

// Replayed tells what a task made that was run once more.
type Replayed struct {
	Records int64 `json:"records"` // input records, or pairs of a reduce task
	Bytes   int64 `json:"bytes"`
	Emitted int64 `json:"emitted"` // pairs before combining, or output lines
	Skipped int64 `json:"skipped"` // bad records
	// Committed is the attempt that committed the task; "" if none has.
	Committed string `json:"committed,omitempty"`
	// Different lists what is not as it was committed.
	Different []string `json:"different,omitempty"`
}

// Replay runs a task once more, from the same bytes as any attempt at it: the
// input as it was pinned, or the committed partitions. It writes nothing to
// the bucket; side files that the application writes are seen by this replay
// only. What the task makes goes to files that out creates: for a map task
// "mr-<m>-<r>" with a line "key<TAB>value\n" for each pair of partition r
// after combining, both quoted as Go does, and "bad-map-<m>" with the list of
// what was skipped, if anything; for a reduce task, and a map task of a map-only job,
// the output itself, with the name that it has in the bucket, and named outputs below
// "<name>/". The application is called
// from the calling goroutine only. Errors
// are those of [Env.Run]; a *AppError has the number of the line.
func (e *Env) Replay(ctx context.Context, phase mr.Phase, index int, out func(name string) (io.WriteCloser, error)) (Replayed, error) {
	env, name := *e, phase
	if e.Job.MapOnly() {
		phase = mr.ReducePhase // which is what writes outputs
	}
	env.Store = &replayStore{Store: e.Store, files: map[string]replayFile{}}
	var r Replayed
	err := env.runAttempt(ctx, Attempt{Phase: phase, Index: index, ID: "replay"}, func(ctx context.Context, t *attempt) (err error) {
		if phase == mr.ReducePhase {
			err = t.replayOutput(ctx, &r, out)
		} else {
			err = t.replayMap(ctx, &r, out)
		}
		var te *AppError
		if errors.As(err, &te) && te.Object != "" {
			if t.bucket.format.Lines() {
				te.Line = t.bucket.lineOf(ctx, te.Object, te.Offset)
			}
		}
		r.Records, r.Bytes = t.live.Records.Load(), t.live.Bytes.Load()
		r.Emitted = t.res.Emitted
		return err
	})
	if err != nil {
		err = fmt.Errorf("replay %s task %d: %w", name, index, err)
	}
	return r, err
}

func (t *attempt) replayMap(ctx context.Context, r *Replayed, out func(string) (io.WriteCloser, error)) (err error) {
	segs := t.newSegments()
	defer func() { err = errors.Join(err, segs.Close()) }()
	if err := t.mapTo(ctx, segs); err != nil {
		return err
	}
	t.res.Emitted = segs.emitted
	for p := range segs.parts {
		name := fmt.Sprintf("mr-%d-%d", t.Index, p)
		if err := writeTo(out, name, func(w io.Writer) error {
			if segs.parts[p].Bytes == 0 {
				return nil
			}
			return writePairs(w, segs.reader(p), t.order)
		}); err != nil {
			return err
		}
	}
	if q := segs.bad; q != nil && q.n > 0 {
		if err := t.replayBad(r, q, out); err != nil {
			return err
		}
	}
	rec, err := t.bucket.mapRecord(ctx, t.Index)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		r.Committed, r.Different = rec.Attempt, segs.differFrom(rec)
	}
	return err
}

// differFrom lists what a commit record has otherwise.
func (s *segments) differFrom(rec *manifest.Map) (lines []string) {
	for p, was := range rec.Parts {
		seg := &s.parts[p]
		if hash := hex.EncodeToString(seg.Hash[:]); hash != was.Hash {
			lines = append(lines, fmt.Sprintf("partition %d: %d records with SHA-256 %s, committed were %d with %s",
				p, seg.Sum.Records, hash, was.Sum.Records, was.Hash))
		}
	}
	lines = append(lines, extentsDiffer(s.extents, rec.Extents)...)
	var now *manifest.Quarantine
	if s.bad != nil && s.bad.n > 0 {
		now = s.bad.summary()
	}
	return append(lines, badDiffers(now, rec.Bad)...)
}

// extentsDiffer says what was found otherwise of guessed pieces.
func extentsDiffer(now, was []manifest.Extent) []string {
	if slices.Equal(now, was) {
		return nil
	}
	return []string{fmt.Sprintf("records of pieces begin and go on to %v, committed were %v", now, was)}
}

// badDiffers says what lists of bad records, or nil, have otherwise.
func badDiffers(now, was *manifest.Quarantine) []string {
	if now == nil {
		now = new(manifest.Quarantine)
	}
	if was == nil {
		was = new(manifest.Quarantine)
	}
	if now.Hash == was.Hash {
		return nil
	}
	return []string{fmt.Sprintf("skipped: %d records, list with SHA-256 %q, committed were %d with %q", now.Records, now.Hash, was.Records, was.Hash)}
}

// replayBad writes the list of what was skipped.
func (t *attempt) replayBad(r *Replayed, q *quarantine, out func(string) (io.WriteCloser, error)) error {
	r.Skipped = q.n
	return writeTo(out, fmt.Sprintf("bad-map-%d", t.Index), func(w io.Writer) error {
		_, err := io.Copy(w, io.NewSectionReader(&q.list, 0, q.list.size))
		return err
	})
}

func (t *attempt) replayOutput(ctx context.Context, r *Replayed, out func(string) (io.WriteCloser, error)) (err error) {
	create := func(int64) (object.Writer, error) {
		f, err := out(path.Base(t.Layout.Output(t.Index)))
		return replayWriter{f}, err
	}
	o := target{create: create}
	o.bad = func(_ context.Context, q *quarantine) (*manifest.Quarantine, error) {
		return q.summary(), t.replayBad(r, q, out)
	}
	o.besides = func(_ context.Context, all []kept) error {
		for _, k := range all {
			name := path.Join(k.Name, path.Base(t.Job.NamedKey(t.Env.Layout, k.Name, t.Index)))
			if err := writeTo(out, name, func(w io.Writer) error {
				_, err := io.Copy(w, k.body)
				return err
			}); err != nil {
				return err
			}
		}
		return nil
	}
	var w object.Writer
	var rec *manifest.Reduce
	if t.Job.MapOnly() {
		w, rec, err = t.directTo(ctx, o)
	} else {
		w, rec, err = t.reduceTo(ctx, nil, o)
	}
	if err != nil {
		return err
	}
	if _, err := w.Commit(ctx); err != nil {
		return err
	}
	info, err := t.bucket.lookAfter(ctx, t.Layout.Output(t.Index), nil)
	if err != nil || info.Key == "" {
		return err
	}
	id := info.Meta[manifest.MetaAttempt]
	if !layout.ValidName(id) {
		return fmt.Errorf("read the metadata of %s: it is of attempt %q", info.Key, id)
	}
	was, _, err := jobstate.ReadReduceCommit(ctx, t.Store, t.Layout, t.Job, t.Index, id)
	if err != nil {
		return fmt.Errorf("the record of the attempt that wrote %s: %w", info.Key, err)
	}
	r.Committed = was.Attempt
	if was.Output.Hash != rec.Output.Hash {
		r.Different = []string{fmt.Sprintf("output: %d lines with SHA-256 %s, committed were %d with %s",
			rec.Output.Lines, rec.Output.Hash, was.Output.Lines, was.Output.Hash)}
	}
	r.Different = slices.Concat(r.Different, namedDiffers("named output", rec.Named, was.Named), namedDiffers("partition", rec.Partitions, was.Partitions), extentsDiffer(rec.Extents, was.Extents), badDiffers(rec.Bad, was.Bad))
	return nil
}

// replayWriter is the output of a replayed reduce task.
type replayWriter struct{ io.WriteCloser }

func (w replayWriter) Commit(context.Context) (object.Info, error) { return object.Info{}, w.Close() }
func (w replayWriter) Abort() error                                { return w.Close() }

// writeTo writes one file.
func writeTo(out func(string) (io.WriteCloser, error), name string, write func(io.Writer) error) error {
	f, err := out(name)
	if err != nil {
		return err
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// writePairs writes the records of a segment as lines, with the keys of the mapper.
func writePairs(w io.Writer, segment io.Reader, order *keyorder.Order) error {
	r := recordio.NewReader(segment)
	var block []byte
	for r.Next() {
		block = strconv.AppendQuote(block, string(order.Plain(r.Key())))
		block = append(block, '\t')
		block = strconv.AppendQuote(block, string(r.Value()))
		block = append(block, '\n')
		if len(block) >= 64<<10 {
			if _, err := w.Write(block); err != nil {
				return err
			}
			block = block[:0]
		}
	}
	_, err := w.Write(block)
	return errors.Join(r.Err(), err)
}

// farthestLine bounds how much of an object is read to count its lines.
const farthestLine = 1 << 30

// lineOf counts the lines of an object up to the one at offset, from 1; 0 if
// that cannot be told.
func (b *bucket) lineOf(ctx context.Context, name string, offset int64) int64 {
	if offset > farthestLine {
		return 0
	}
	if offset == 0 {
		return 1
	}
	i := slices.IndexFunc(b.job.Objects, func(o manifest.Object) bool { return o.Name == name })
	if i < 0 {
		return 0
	}
	o := b.job.Objects[i]
	var n lineCount
	if b.cut(i) && o.Compression != "" {
		return 0 // its offsets are those of blocks
	}
	if b.kinds[name] != "" {
		err := b.readAgain(ctx, o, func(r io.Reader) error { _, err := io.CopyN(&n, r, offset); return err })
		if err != nil {
			return 0 // the error that led here matters more
		}
		return int64(n) + 1
	}
	body, err := b.openInput(ctx, o, 0, offset)
	if err != nil {
		return 0
	}
	_, err = io.Copy(&n, body)
	if errors.Join(err, body.Close()) != nil {
		return 0
	}
	return int64(n) + 1
}

// lineCount counts line feeds.
type lineCount int64

// Write implements io.Writer.
func (n *lineCount) Write(p []byte) (int, error) {
	*n += lineCount(bytes.Count(p, []byte{'\n'}))
	return len(p), nil
}

// replayStore reads from the bucket, and keeps to itself what is written.
type replayStore struct {
	Store
	mu    sync.Mutex
	files map[string]replayFile // by key
}

type replayFile struct {
	data []byte
	info object.Info
}

func (s *replayStore) own(key string) (replayFile, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.files[key]
	return f, ok
}

// Stat implements Store.
func (s *replayStore) Stat(ctx context.Context, key string) (object.Info, error) {
	if f, ok := s.own(key); ok {
		return f.info, nil
	}
	return s.Store.Stat(ctx, key)
}

// Get implements Store.
func (s *replayStore) Get(ctx context.Context, key string) ([]byte, object.Info, error) {
	if f, ok := s.own(key); ok {
		return bytes.Clone(f.data), f.info, nil
	}
	return s.Store.Get(ctx, key)
}

// Put implements Store for side files.
func (s *replayStore) Put(ctx context.Context, key string, data []byte, o object.PutOptions) (object.Info, error) {
	if o.IfAbsent {
		_, err := s.Stat(ctx, key)
		if err == nil {
			err = fs.ErrExist
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return object.Info{}, fmt.Errorf("put %s: %w", key, err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	info := object.Info{Key: key, Size: int64(len(data)), Meta: maps.Clone(o.Meta)}
	s.files[key] = replayFile{bytes.Clone(data), info}
	return info, nil
}

// List implements Store.
func (s *replayStore) List(ctx context.Context, prefix string) iter.Seq2[object.Info, error] {
	return func(yield func(object.Info, error) bool) {
		s.mu.Lock()
		own := maps.Clone(s.files)
		s.mu.Unlock()
		for info, err := range s.Store.List(ctx, prefix) {
			if err == nil {
				delete(own, info.Key)
			}
			if !yield(info, err) || err != nil {
				return
			}
		}
		for key, f := range own {
			if strings.HasPrefix(key, prefix) && !yield(f.info, nil) {
				return
			}
		}
	}
}

// errReplay is for what no replay does.
var errReplay = errors.New("a replay writes nothing to the bucket")

// PutFile implements Store.
func (s *replayStore) PutFile(_ context.Context, key string, _ io.ReaderAt, _ int64, _ object.PutOptions) (object.Info, error) {
	return object.Info{}, fmt.Errorf("put %s: %w", key, errReplay)
}

// Create implements Store.
func (s *replayStore) Create(_ context.Context, key string, _ object.PutOptions) (object.Writer, error) {
	return nil, fmt.Errorf("put %s: %w", key, errReplay)
}
