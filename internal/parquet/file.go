// Package parquet reads Parquet, for the formats of package input and for package
// verify, by parquet-go/parquet-go. Only package cli/parquet imports it, so that
// programs which read none do not link the library.
//
// The workers read column by column, the verifier row by row; both hold what they read
// against the counts of the footer. Of an object that is not sound the library may
// panic, which is caught around each step.
package parquet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/mraws/mraws/internal/input"
)

const (
	// tailSize is how much of the end of an object is read at first: most footers
	// lie in it.
	tailSize = 64 << 10
	// mostFooter bounds a footer, in bytes.
	mostFooter = 256 << 20
	// gapSize is up to how many bytes between two columns are read rather than
	// left out by another request.
	gapSize = 1 << 20
	// wholeSize is up to how many bytes of a row group are held at once.
	wholeSize = 16 << 20
	// Windows are what is held of each column of a larger row group, in bytes.
	leastWindow, mostWindow = 256 << 10, 4 << 20
)

// guard calls f and returns a panic as an error.
func guard(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%v", v)
		}
	}()
	return f()
}

// file is an object with its footer.
type file struct {
	*parquet.File
	name   string
	size   int64
	at     io.ReaderAt
	groups []group
}

// group is a row group.
type group struct {
	index  int   // from 0
	first  int64 // of its rows in the object, from 0
	rows   int64
	size   int64 // bytes
	middle int64 // byte of the object

	each, more int64 // bytes that each row is taken for, and how many of the first for one more
}

// share is how many bytes a row of the group is taken for.
func (g *group) share(row int64) int64 {
	if row < g.more {
		return g.each + 1
	}
	return g.each
}

// bad is the error of a row group that cannot be read.
func (f *file) bad(g group, err error) *input.BadError {
	return &input.BadError{Object: f.name, Offset: g.middle, Where: fmt.Sprintf("row group %d", g.index), What: err.Error()}
}

// tail serves the end of an object from memory.
type tail struct {
	at   io.ReaderAt
	from int64 // of bytes in the object
	data []byte
}

// ReadAt implements io.ReaderAt.
func (t *tail) ReadAt(p []byte, off int64) (int, error) {
	if off < t.from {
		return t.at.ReadAt(p, off)
	}
	return bytes.NewReader(t.data).ReadAt(p, off-t.from)
}

// readError marks an error of the store: the object may well be sound.
type readError struct{ error }

func (e readError) Unwrap() error { return e.error }

// marked are bytes whose errors are of the store.
type marked struct{ io.ReaderAt }

// ReadAt implements io.ReaderAt.
func (m marked) ReadAt(p []byte, off int64) (int, error) {
	n, err := m.ReaderAt.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		err = readError{err}
	}
	return n, err
}

// stored returns the error of the store that led to err, if there is one.
func stored(err error) error {
	var e readError
	if errors.As(err, &e) {
		return e.error
	}
	return nil
}

// open reads the footer. An object that has none is an [*input.ObjectError].
func open(name string, size int64, at io.ReaderAt) (*file, error) {
	none := func(format string, args ...any) error {
		return &input.ObjectError{Object: name, What: "is no Parquet: " + fmt.Sprintf(format, args...)}
	}
	if size < 12 {
		return nil, none("it has %d bytes", size)
	}
	end := &tail{at: marked{at}, from: max(size-tailSize, 0)}
	if err := end.read(size); err != nil {
		return nil, err
	}
	last := end.data[len(end.data)-8:]
	switch string(last[4:]) {
	case "PAR1":
	case "PARE":
		return nil, &input.ObjectError{Object: name, What: "is Parquet with an encrypted footer, which is not read"}
	default:
		return nil, none("it does not end with PAR1, but with %q", last[4:])
	}
	length := int64(binary.LittleEndian.Uint32(last))
	if length > min(size-12, mostFooter) {
		return nil, none("it says that its footer has %d of its %d bytes", length, size)
	}
	if from := size - 8 - length; from < end.from {
		end.from = from
		if err := end.read(size); err != nil {
			return nil, err
		}
	}
	f := &file{name: name, size: size, at: end.at}
	err := guard(func() (err error) {
		f.File, err = parquet.OpenFile(end, size, parquet.SkipMagicBytes(true), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(64<<10))
		if err == nil {
			err = f.list()
		}
		return err
	})
	switch {
	case err == nil:
		return f, nil
	case stored(err) != nil:
		return nil, stored(err)
	}
	return nil, none("of its footer %v", err)
}

// read reads the tail.
func (t *tail) read(size int64) error {
	t.data = make([]byte, size-t.from)
	if n, err := t.at.ReadAt(t.data, t.from); n < len(t.data) {
		if e := stored(err); e != nil {
			return e
		}
		return fmt.Errorf("read the last %d bytes: %w", len(t.data), errors.Join(err, io.ErrUnexpectedEOF))
	}
	return nil
}

// list lists the row groups that have rows.
func (f *file) list() error {
	meta := f.Metadata()
	var rows int64
	for i := range meta.RowGroups {
		g := &meta.RowGroups[i]
		if g.NumRows == 0 {
			continue // it has no pages, and some writers say that its columns lie at byte 0
		}
		this := group{index: i, first: rows, rows: g.NumRows}
		start := f.size
		for j := range g.Columns {
			from, size := place(&g.Columns[j].MetaData)
			if from < 4 || size < 0 || size > f.size-from {
				return fmt.Errorf("column %d of row group %d lies at byte %d, %d bytes of %d", j, i, from, size, f.size)
			}
			start = min(start, from)
			this.size += size
		}
		if this.size > f.size-start || g.NumRows < 0 || g.NumRows > 1<<53-rows {
			return fmt.Errorf("row group %d has %d rows in %d bytes from byte %d on", i, g.NumRows, this.size, start)
		}
		this.middle = min(start+this.size/2, f.size-1)
		rows += g.NumRows
		this.each, this.more = this.size/g.NumRows, this.size%g.NumRows
		f.groups = append(f.groups, this)
	}
	if rows != f.NumRows() {
		return fmt.Errorf("its row groups have %d rows, and it has %d", rows, f.NumRows())
	}
	return nil
}

// place is where the bytes of a column of a row group lie.
func place(m *format.ColumnMetaData) (from, size int64) {
	if from = m.DataPageOffset; m.DictionaryPageOffset > 0 {
		from = min(from, m.DictionaryPageOffset)
	}
	return from, m.TotalCompressedSize
}

// shaped calls f, which looks at the schema, and returns a panic as the error of one
// that cannot be.
func (f *file) shaped(look func() error) error {
	var object error
	if err := guard(func() error { object = look(); return nil }); err != nil {
		return &input.ObjectError{Object: f.name, What: fmt.Sprintf("is no Parquet: of its schema %v", err)}
	}
	return object
}

// columns finds columns by name; nil is all. A column whose name has a dot is found by
// that before the member of another.
func (f *file) columns(names []string) (cols []*parquet.Column, err error) {
	if cols, err = f.named(names); err != nil {
		return nil, err
	}
	for _, g := range f.groups {
		chunks := f.Metadata().RowGroups[g.index].Columns
		for _, c := range cols {
			for _, l := range leaves(nil, c) {
				// The library makes other bytes of LZ4, without an error, where a
				// page is not much smaller compressed (decompress in column.go of
				// v0.32.0).
				if codec := chunks[l.Index()].MetaData.Codec; codec == format.Lz4Raw || codec == format.Lz4 {
					return nil, &input.ObjectError{Object: f.name, What: fmt.Sprintf("has column %s compressed with LZ4, which is not read: write it with zstd or snappy", name(l))}
				}
			}
		}
	}
	return cols, nil
}

// named finds columns by name; nil is all.
func (f *file) named(names []string) (cols []*parquet.Column, err error) {
	root := f.Root()
	if names == nil {
		return root.Columns(), nil
	}
	seen := map[int]bool{}
	for _, path := range names {
		c := find(root, path)
		if c == nil {
			var all []string
			for _, have := range root.Columns() {
				all = append(all, have.Name())
			}
			return nil, &input.ObjectError{Object: f.name, What: fmt.Sprintf("has no column %q: its columns are %.1000q", path, strings.Join(all, ","))}
		}
		for _, l := range leaves(nil, c) {
			if seen[l.Index()] {
				return nil, &input.ObjectError{Object: f.name, What: fmt.Sprintf("has %s in two of the columns", name(l))}
			}
			seen[l.Index()] = true
		}
		cols = append(cols, c)
	}
	return cols, nil
}

// find finds a column below a group that is no list. A dot in a name may have a
// backslash before it, as in a path of JSON.
func find(group *parquet.Column, path string) *parquet.Column {
	for _, c := range group.Columns() {
		rest, below := strings.CutPrefix(path, c.Name())
		if !below {
			rest, below = strings.CutPrefix(path, escapedDots.Replace(c.Name()))
		}
		switch {
		case below && rest == "":
			return c
		case below && rest[0] == '.' && !c.Leaf() && !c.Repeated():
			if kid := find(c, rest[1:]); kid != nil && !kid.Repeated() {
				return kid
			}
		}
	}
	return nil
}

var escapedDots = strings.NewReplacer(`\`, `\\`, `.`, `\.`)

// leaves appends the columns below one that have values.
func leaves(all []*parquet.Column, c *parquet.Column) []*parquet.Column {
	if c.Leaf() {
		return append(all, c)
	}
	for _, kid := range c.Columns() {
		all = leaves(all, kid)
	}
	return all
}
