package task

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/runner"
	"github.com/mraws/mraws/mr"
)

// Bad records. Where the job may skip some, a quarantine stands between the
// application and the collector: what is emitted for one record is held back
// until the application has returned well, so that of a record that fails
// nothing is in the output. Where the job may skip none there is no quarantine,
// and it costs nothing. Of an application that is used side by side
// ([runner.Properties]) nobody knows what it emits for which record: only records
// that never reach it are skipped.

// maxBadError bounds the error in a list, in bytes.
const maxBadError = 1 << 10

// quarantine is the runner.Emitter of an attempt that may skip records. It lists
// those that are, a line of JSON each.
type quarantine struct {
	in   *records
	out  runner.Emitter
	held heldBack
	job  *manifest.Job
	id   string // of the attempt
	log  zerolog.Logger
	etag string // of the object at hand
	most int64  // records that the whole job may skip

	list  spool
	sha   hash.Hash
	line  []byte
	n     int64 // lines of list
	first []manifest.BadRecord
}

// newQuarantine returns nil if the job may skip nothing.
func (t *attempt) newQuarantine(c runner.Emitter) *quarantine {
	if t.Job.MaxBad.IsZero() {
		return nil
	}
	return &quarantine{
		out: c, job: t.Job, id: t.ID, log: t.Log, most: t.Job.MaxBad.Of(t.Job.MostRecords()), sha: sha256.New(),
		held: heldBack{space: t.space, limit: int(t.shares.held)}, list: spool{space: t.space, what: "bad-list", limit: t.shares.held / 4},
	}
}

// Emit holds a pair back, unless it is of no record.
func (q *quarantine) Emit(key, value []byte) error {
	if q.in.state != atRecord {
		return q.out.Emit(key, value)
	}
	if q.in.err == nil {
		q.in.err = q.held.add(key, value)
	}
	return q.in.err
}

// EmitSpans is Emit of many pairs.
func (q *quarantine) EmitSpans(text []byte, spans []uint32, value []byte) error {
	for ; len(spans) >= 2; spans = spans[2:] {
		if err := q.Emit(text[spans[0]:spans[1]], value); err != nil {
			return err
		}
	}
	return nil
}

// release hands on what was emitted for a record.
func (q *quarantine) release() error {
	err := q.held.replay(q.out)
	q.held.reset()
	return err
}

// notOfRecord tells errors of the store, which the application got from its
// side files: another attempt may well map the record.
func notOfRecord(err error) bool {
	return errors.Is(err, object.ErrUnreachable) || errors.Is(err, object.ErrThrottled) || errors.Is(err, object.ErrCredentials)
}

// skip leaves out a record over which the application has failed, and what was
// emitted for it.
func (q *quarantine) skip(rec mr.Record, length int64, cause error) error {
	q.held.reset()
	return q.add(rec, length, cause)
}

// add lists a record. The budget is the job's, of which an attempt knows its
// own part only; it fails where that alone is too much.
func (q *quarantine) add(rec mr.Record, length int64, cause error) error {
	text := strings.ToValidUTF8(cause.Error(), "\uFFFD")
	if len(text) > maxBadError {
		text = strings.ToValidUTF8(text[:maxBadError], "")
	}
	bad := manifest.BadRecord{Object: rec.Object, ETag: q.etag, Offset: rec.Offset, Within: q.in.reader.Within(), Length: length, Line: rec.Line, Error: text}
	if len(q.first) < manifest.FirstBad {
		q.first = append(q.first, bad)
		log := q.log.Warn().Str("attempt", q.id).Str("object", rec.Object).Int64("offset", rec.Offset).
			Int64("bytes", length).Str("record", shortKey(rec.Data)).Str("err", text)
		if p := (*runner.PanicError)(nil); errors.As(cause, &p) {
			log = log.Str("stack", p.Stack)
		}
		log.Msg("bad record skipped")
	}
	q.n++
	if q.n > q.most {
		return &FatalError{Err: fmt.Errorf("%s, max-bad-records is %s: %s", manifest.CountBad(q.n), q.job.MaxBad, manifest.ListBad(q.first))}
	}
	var err error
	if q.line, err = manifest.EncodeLine(q.line[:0], bad); err != nil {
		return err
	}
	q.sha.Write(q.line)
	if _, err := q.list.Write(q.line); err != nil {
		return fmt.Errorf("list bad record: %w", err)
	}
	return nil
}

// mapped frees what is needed no more after the last record.
func (q *quarantine) mapped() error { return q.held.Close() }

// Close frees the list too.
func (q *quarantine) Close() error {
	if q == nil {
		return nil
	}
	return errors.Join(q.list.Close(), q.held.Close())
}

// commit makes the list durable, as put does with a partition.
func (q *quarantine) commit(ctx context.Context, c *mapCommit) (*manifest.Quarantine, error) {
	kept := q.summary()
	key, info, err := c.put(ctx, madeObject{
		plain: c.layout.Bad(c.index), own: c.layout.MapAttemptBad(c.index, c.id),
		hash: kept.Hash, body: &q.list, size: q.list.size, contentType: "application/x-ndjson",
	})
	if err != nil {
		return nil, err
	}
	kept.Key, kept.ETag, kept.Size = key, info.ETag, info.Size
	return kept, nil
}

// summary is what a record says of the list, but for where it lies.
func (q *quarantine) summary() *manifest.Quarantine {
	return &manifest.Quarantine{Hash: hex.EncodeToString(q.sha.Sum(nil)), Records: q.n, First: q.first}
}

// heldBack keeps the pairs of one record, in memory up to a limit, then in a
// scratch file.
type heldBack struct {
	space *space
	limit int
	buf   []byte // pairs, framed by their lengths
	file  *tempFile
	size  int64 // of what is in the file, before buf
}

// add takes a copy of a pair.
func (h *heldBack) add(key, value []byte) error {
	need := 2*binary.MaxVarintLen64 + len(key) + len(value)
	if len(h.buf) > 0 && len(h.buf)+need > h.limit {
		if err := h.flush(h.buf); err != nil {
			return err
		}
		h.buf = h.buf[:0]
	}
	h.buf = binary.AppendUvarint(h.buf, uint64(len(key)))
	h.buf = binary.AppendUvarint(h.buf, uint64(len(value)))
	if need > h.limit { // straight from the memory of the application
		err := h.flush(h.buf, key, value)
		h.buf = h.buf[:0]
		return err
	}
	h.buf = append(append(h.buf, key...), value...)
	return nil
}

// flush writes parts to the file.
func (h *heldBack) flush(parts ...[]byte) (err error) {
	if h.file == nil {
		if h.file, err = h.space.file("record"); err != nil {
			return err
		}
	}
	for _, p := range parts {
		n, err := h.file.WriteAt(p, h.size)
		h.size += int64(n)
		if err != nil {
			return err
		}
	}
	return nil
}

// reset forgets all pairs.
func (h *heldBack) reset() {
	h.size = 0
	h.buf = h.buf[:0]
}

// replay hands the pairs on.
func (h *heldBack) replay(out runner.Emitter) error {
	if h.size > 0 {
		if err := h.replayFile(out); err != nil {
			return err
		}
	}
	for b := h.buf; len(b) > 0; {
		k, n := binary.Uvarint(b)
		v, m := binary.Uvarint(b[n:])
		b = b[n+m:]
		if err := out.Emit(b[:k:k], b[k:k+v:k+v]); err != nil {
			return err
		}
		b = b[k+v:]
	}
	return nil
}

func (h *heldBack) replayFile(out runner.Emitter) error {
	r := bufio.NewReaderSize(io.NewSectionReader(h.file, 0, h.size), 64<<10)
	var pair []byte
	for {
		k, err := binary.ReadUvarint(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		v, verr := binary.ReadUvarint(r)
		if err = errors.Join(err, verr); err == nil {
			pair = slices.Grow(pair[:0], int(k+v))[:k+v]
			_, err = io.ReadFull(r, pair)
		}
		if err != nil {
			return fmt.Errorf("read back the pairs of a record: %w", err)
		}
		if err := out.Emit(pair[:k:k], pair[k:]); err != nil {
			return err
		}
	}
}

// Close frees memory and file.
func (h *heldBack) Close() error {
	h.buf = nil
	if h.file == nil {
		return nil
	}
	err := h.file.Close()
	h.file = nil
	return err
}
