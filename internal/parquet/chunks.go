package parquet

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
)

// chunks are the bytes of the columns of a row group that are wanted. If they are few
// they are read at once, with what lies between columns that are close to each other;
// else each column is read in windows.
type chunks struct {
	at     io.ReaderAt
	held   []held
	window int // bytes of a column that are held; 0: all are in held
}

// held are bytes of the object in memory.
type held struct {
	from int64
	data []byte
}

// source returns the bytes of the row group at hand.
func (r *reader) source() (*chunks, error) {
	type span struct{ from, to int64 }
	var spans []span
	meta := &r.file.Metadata().RowGroups[r.group.index]
	n := 0
	for _, c := range r.cols {
		for _, l := range c.leaves {
			if l.Index() >= len(meta.Columns) {
				return nil, fmt.Errorf("it has %d columns, and no column %s", len(meta.Columns), name(l.Column))
			}
			from, size := place(&meta.Columns[l.Index()].MetaData)
			spans = append(spans, span{from, from + size})
			n++
		}
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	merged := spans[:0]
	for _, s := range spans {
		if k := len(merged); k > 0 && s.from-merged[k-1].to <= gapSize {
			merged[k-1].to = max(merged[k-1].to, s.to)
		} else {
			merged = append(merged, s)
		}
	}
	total := int64(0)
	for _, s := range merged {
		total += s.to - s.from
	}
	src := &chunks{at: r.file.at}
	if total > int64(cap(r.held)) && total <= wholeSize {
		r.held = make([]byte, total) // of the row group before nothing is needed any more
	}
	room := r.held[:cap(r.held)]
	if total > wholeSize {
		src.window = min(max(wholeSize/max(n, 1), leastWindow), mostWindow)
		return src, nil
	}
	for _, s := range merged {
		h := held{s.from, room[: s.to-s.from : s.to-s.from]}
		room = room[len(h.data):]
		if n, err := src.at.ReadAt(h.data, h.from); n < len(h.data) {
			return nil, err
		}
		src.held = append(src.held, h)
	}
	return src, nil
}

// of returns the bytes for one column, which reads in order.
func (c *chunks) of(int) io.ReaderAt {
	if c.window == 0 {
		return c
	}
	return &window{at: c.at, buf: make([]byte, 0, c.window)}
}

// ReadAt implements io.ReaderAt.
func (c *chunks) ReadAt(p []byte, off int64) (int, error) {
	for _, h := range c.held {
		if off >= h.from && off < h.from+int64(len(h.data)) {
			return bytes.NewReader(h.data).ReadAt(p, off-h.from)
		}
	}
	return c.at.ReadAt(p, off)
}

// window holds bytes from where was read last.
type window struct {
	at   io.ReaderAt
	from int64
	buf  []byte
}

// ReadAt implements io.ReaderAt. It may return fewer bytes than p has without an error
// only at the end of the object.
func (w *window) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := off + int64(n)
		if at < w.from || at >= w.from+int64(len(w.buf)) {
			w.from = at
			got, err := w.at.ReadAt(w.buf[:cap(w.buf)], at)
			if w.buf = w.buf[:got]; got == 0 {
				return n, err
			}
		}
		n += copy(p[n:], w.buf[at-w.from:])
	}
	return n, nil
}
