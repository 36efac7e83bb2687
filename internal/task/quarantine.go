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
	"runtime/debug"
	"slices"
	"strings"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/mr"
)

// Bad records. Where the job may skip some, a quarantine stands between the
// records and the application: what one call of Map emits is held back until
// the call has returned well, so that of a record that fails nothing is in
// the output. Where the job may skip none there is no quarantine, and it
// costs nothing.

// maxBadError bounds the error in a list, in bytes.
const maxBadError = 1 << 10

// quarantine is the [mr.Mapper] that skips the records over which another
// one fails. It lists them, a line of JSON each.
type quarantine struct {
	t      *attempt
	mapper mr.Mapper
	out    *collector
	held   heldBack
	etag   string // of the object at hand
	most   int64  // records that the whole job may skip
	stack  string // of a panic over the record at hand

	list  spool
	sha   hash.Hash
	line  []byte
	n     int64 // lines of list
	first []manifest.BadRecord
}

// newQuarantine returns nil if the job may skip nothing.
func (t *attempt) newQuarantine(c *collector) *quarantine {
	if t.Job.MaxBad.IsZero() {
		return nil
	}
	return &quarantine{
		t: t, out: c, most: t.Job.MaxBad.Of(t.Job.MostRecords()), sha: sha256.New(),
		held: heldBack{t: t, limit: int(t.shares.held)}, list: spool{space: t.space, what: "bad-list", limit: t.shares.held / 4},
	}
}

// Map hands on what the mapper emits for a record, or lists the record. It
// returns errors that are not the record's.
func (q *quarantine) Map(rec mr.Record, _ mr.Emitter) error {
	q.held.reset()
	err := q.try(rec)
	switch t := q.t; {
	case t.failed != nil:
	case err == nil:
		t.failed = q.held.replay(q.out)
	case t.live.stopped.Load() || notOfRecord(err):
		return err
	default:
		t.failed = q.add(rec, int64(len(rec.Data)), err)
	}
	return q.t.failed
}

// notOfRecord tells errors of the store, which the application got from its
// side files: another attempt may well map the record.
func notOfRecord(err error) bool {
	return errors.Is(err, object.ErrUnreachable) || errors.Is(err, object.ErrThrottled) || errors.Is(err, object.ErrCredentials)
}

// try calls the mapper and returns a panic as an error.
func (q *quarantine) try(rec mr.Record) (err error) {
	q.stack = ""
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
			if len(q.first) < manifest.FirstBad {
				q.stack = string(debug.Stack())
			}
		}
	}()
	return q.mapper.Map(rec, &q.held)
}

// skip leaves out the record that is too long for r.
func (q *quarantine) skip(r input.Reader, long *input.TooLongError) (length int64, err error) {
	rec, length, err := r.Skip()
	if err != nil {
		return 0, err
	}
	return length, q.add(rec, length, fmt.Errorf("longer than %d bytes", long.Max))
}

// add lists a record. The budget is the job's, of which an attempt knows its
// own part only; it fails where that alone is too much.
func (q *quarantine) add(rec mr.Record, length int64, cause error) error {
	text := strings.ToValidUTF8(cause.Error(), "\uFFFD")
	if len(text) > maxBadError {
		text = strings.ToValidUTF8(text[:maxBadError], "")
	}
	bad := manifest.BadRecord{Object: rec.Object, ETag: q.etag, Offset: rec.Offset, Length: length, Line: rec.Line, Error: text}
	if len(q.first) < manifest.FirstBad {
		q.first = append(q.first, bad)
		log := q.t.Log.Warn().Str("attempt", q.t.ID).Str("object", rec.Object).Int64("offset", rec.Offset).
			Int64("bytes", length).Str("record", shortKey(rec.Data)).Str("err", text)
		if q.stack != "" {
			log = log.Str("stack", q.stack)
		}
		log.Msg("bad record skipped")
	}
	q.n++
	if q.n > q.most {
		return &FatalError{Err: fmt.Errorf("%s, max-bad-records is %s: %s", manifest.CountBad(q.n), q.t.Job.MaxBad, manifest.ListBad(q.first))}
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
func (q *quarantine) mapped() error {
	if q == nil {
		return nil
	}
	return q.held.Close()
}

// Close frees the list too.
func (q *quarantine) Close() error {
	if q == nil {
		return nil
	}
	return errors.Join(q.list.Close(), q.held.Close())
}

// commit makes the list durable, as put does with a partition.
func (q *quarantine) commit(ctx context.Context, c *mapCommit) (*manifest.Quarantine, error) {
	hash := hex.EncodeToString(q.sha.Sum(nil))
	key, info, err := c.put(ctx, madeObject{
		plain: c.layout.Bad(c.index), own: c.layout.MapAttemptBad(c.index, c.id),
		hash: hash, body: &q.list, size: q.list.size, contentType: "application/x-ndjson",
	})
	if err != nil {
		return nil, err
	}
	return &manifest.Quarantine{Key: key, ETag: info.ETag, Size: info.Size, Hash: hash, Records: q.n, First: q.first}, nil
}

// heldBack is the [mr.Emitter] that keeps the pairs of one record, in memory
// up to a limit, then in a scratch file.
type heldBack struct {
	t     *attempt
	limit int
	buf   []byte // pairs, framed by their lengths
	file  *tempFile
	size  int64 // of what is in the file, before buf
}

// Emit takes a copy of a pair.
func (h *heldBack) Emit(key, value []byte) {
	if h.t.failed != nil {
		panic(errAbort) // the mapper recovered from the first one
	}
	need := 2*binary.MaxVarintLen64 + len(key) + len(value)
	if len(h.buf) > 0 && len(h.buf)+need > h.limit {
		h.flush(h.buf)
		h.buf = h.buf[:0]
	}
	h.buf = binary.AppendUvarint(h.buf, uint64(len(key)))
	h.buf = binary.AppendUvarint(h.buf, uint64(len(value)))
	if need > h.limit { // straight from the memory of the application
		h.flush(h.buf, key, value)
		h.buf = h.buf[:0]
		return
	}
	h.buf = append(append(h.buf, key...), value...)
}

// flush writes parts to the file.
func (h *heldBack) flush(parts ...[]byte) {
	if h.file == nil {
		f, err := h.t.space.file("record")
		if err != nil {
			h.t.fail(err)
		}
		h.file = f
	}
	for _, p := range parts {
		n, err := h.file.WriteAt(p, h.size)
		h.size += int64(n)
		if err != nil {
			h.t.fail(err)
		}
	}
}

// reset forgets all pairs.
func (h *heldBack) reset() {
	h.size = 0
	h.buf = h.buf[:0]
}

// replay hands the pairs on.
func (h *heldBack) replay(out mr.Emitter) error {
	if h.size > 0 {
		if err := h.replayFile(out); err != nil {
			return fmt.Errorf("read back the pairs of a record: %w", err)
		}
	}
	for b := h.buf; len(b) > 0; {
		k, n := binary.Uvarint(b)
		v, m := binary.Uvarint(b[n:])
		b = b[n+m:]
		out.Emit(b[:k:k], b[k:k+v:k+v])
		b = b[k+v:]
	}
	return nil
}

func (h *heldBack) replayFile(out mr.Emitter) error {
	r := bufio.NewReaderSize(io.NewSectionReader(h.file, 0, h.size), 64<<10)
	var pair []byte
	for {
		k, err := binary.ReadUvarint(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		v, verr := binary.ReadUvarint(r)
		if err = errors.Join(err, verr); err != nil {
			return err
		}
		pair = slices.Grow(pair[:0], int(k+v))[:k+v]
		if _, err := io.ReadFull(r, pair); err != nil {
			return err
		}
		out.Emit(pair[:k:k], pair[k:])
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
