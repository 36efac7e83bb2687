package input

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Format says how the bytes of an object become records. The spec of a job
// names it with its options, and [Resolve] finds it. Its methods may be called
// from several goroutines, and do no I/O: a reader opens nothing before its
// first call of Next.
type Format interface {
	// Check returns an error unless an object of size bytes, as it is stored,
	// can be of the format. The error says what to do about it. It is not asked
	// about compressed objects.
	Check(size int64) error
	// Cut returns the last place at or before at, 0 to size, where an object of
	// size bytes may be cut into pieces. 0 and size are places in every object.
	Cut(size, at int64) int64
	// Guesses says that a piece which is not all of its object cannot tell from its
	// own bytes where its first record begins. The reader of such a piece is an
	// [ExtentReader], also that of the first one.
	Guesses() bool
	// Decompresses says that a compressed object is decompressed before it is read.
	// Such an object is one piece, unless Resumes says otherwise.
	Decompresses() bool
	// Resumes says that a compressed object may be cut between any two of its
	// blocks: Read takes a piece with [Piece.Blocks], and its reader is an
	// [ExtentReader].
	Resumes() bool
	// Weight is how many bytes of records n bytes of an object are taken for,
	// where tasks are packed, compared and timed.
	Weight(n int64) int64
	// Count bounds the number of records in the piece [off, off+n).
	Count(off, n int64) (least, most int64)
	// First returns the range that the reader of the piece [off, off+n) opens
	// first and reads in order, so that it can be fetched ahead of the reader.
	// An empty range says that there is none, as with [Piece.ReaderAt].
	First(off, n int64) (from, length int64)
	// Blocks says that readers are a [BlockReader]. Its blocks must be as
	// [mr.BlockMapper] has them.
	Blocks() bool
	// Lines says that a record begins with a line, so that the number of the
	// line tells people where it is.
	Lines() bool
	// Read returns a reader of the records that belong to p. No record is
	// larger than maxRecord bytes; 0 is the format's default. The package's
	// function [Read] calls it, with a piece between two places of Cut.
	Read(p Piece, maxRecord int) (*PieceReader, error)
}

// Kind is an entry in the table of formats.
type Kind struct {
	Options []string // that New knows, by name
	// New makes a format of these options; no other is set.
	New func(options map[string]string) (Format, error)
}

// Formats are the formats by name. Nobody changes the table once the program
// runs; a test may add a format before.
var Formats = map[string]Kind{
	"lines":     {[]string{"numbered", "per-task", optEncoding}, newLines},
	"objects":   {nil, func(map[string]string) (Format, error) { return objects{}, nil }},
	"fixed":     {[]string{"size"}, newFixed},
	"delimiter": {[]string{"by", optEncoding}, newDelimited},
	"json":      {[]string{optColumns, optAs, optEncoding}, newJSON},
	"csv":       {csvOptions, newCSV(',')},
	"tsv":       {csvOptions, newCSV('\t')},
	"parquet":   {[]string{optColumns, optAs}, newParquet},
}

// Resolve returns the format of this name with these options.
func Resolve(name string, options map[string]string) (Format, error) {
	kind, ok := Formats[name]
	if name == RowsOf {
		return nil, fmt.Errorf("the application reads rows, and it is not said of what: %s", strings.Join(tables, ", "))
	}
	if !ok {
		return nil, fmt.Errorf("unknown input %.200q", name)
	}
	for option := range options {
		if !slices.Contains(kind.Options, option) {
			return nil, fmt.Errorf("input %s with the unknown option %.200q", name, option)
		}
	}
	return kind.New(options)
}

// OnePiece is a base for formats: it answers all but Count and Read as a
// format does whose objects are each one piece, which is read from its beginning
// to its end.
type OnePiece struct{}

// Check implements [Format]: an object may have any size.
func (OnePiece) Check(int64) error { return nil }

// Cut implements [Format]: there is no place but the ends.
func (OnePiece) Cut(size, at int64) int64 {
	if at < size {
		return 0
	}
	return size
}

// Guesses implements [Format]: all of an object has its first record.
func (OnePiece) Guesses() bool { return false }

// Decompresses implements [Format].
func (OnePiece) Decompresses() bool { return true }

// Resumes implements [Format].
func (OnePiece) Resumes() bool { return false }

// Weight implements [Format]: the bytes are those of records.
func (OnePiece) Weight(n int64) int64 { return n }

// First implements [Format]: it is the piece.
func (OnePiece) First(off, n int64) (from, length int64) { return off, n }

// Blocks implements [Format].
func (OnePiece) Blocks() bool { return false }

// Lines implements [Format].
func (OnePiece) Lines() bool { return false }

// lines makes a record of each line, see [LineReader]. Objects whose lines are
// numbered are not cut. With the option per-task, a number, they are cut behind each
// so many lines: any place is one of those, for all that can be told without the
// bytes.
type lines struct {
	OnePiece
	numbered bool
	counted  bool // a piece begins with a line
}

func newLines(options map[string]string) (Format, error) {
	numbered, ok := options["numbered"]
	if ok && numbered != "true" {
		return nil, fmt.Errorf("input lines with numbered %.200q", numbered)
	}
	n, counted := options["per-task"]
	if counted {
		if v, err := strconv.ParseInt(n, 10, 64); err != nil || v < 1 || numbered != "" || strconv.FormatInt(v, 10) != n {
			return nil, fmt.Errorf("input lines with per-task %.200q and numbered %q", n, numbered)
		}
	}
	if _, encoded := options[optEncoding]; encoded && counted {
		return nil, errors.New("input lines with per-task and an encoding: such an object is not cut")
	}
	return encodedIn(options, lines{numbered: ok, counted: counted})
}

// Cut implements [Format]: a line is found from any byte on.
func (f lines) Cut(size, at int64) int64 {
	if f.numbered {
		return f.OnePiece.Cut(size, at)
	}
	return at
}

// Blocks implements [Format]: the lines of a block have no numbers.
func (f lines) Blocks() bool { return !f.numbered }

// Lines implements [Format].
func (lines) Lines() bool { return true }

// Resumes implements [Format]: a line is found from any block on.
func (f lines) Resumes() bool { return !f.numbered && !f.counted }

// First implements [Format]: the byte before the piece tells whether a line
// starts at its offset.
func (lines) First(off, n int64) (from, length int64) {
	from = max(off-1, 0)
	return from, off + n - from
}

// Count implements [Format]: each line but the last of an object has a byte.
func (f lines) Count(off, n int64) (least, most int64) {
	if n > 0 && (off == 0 || f.counted) {
		least = 1
	}
	return least, n + 1
}

// Read implements [Format] by the lines that start in the piece.
func (f lines) Read(p Piece, maxRecord int) (*PieceReader, error) {
	o := LinesOptions{Object: p.Object, First: p.Offset == 0, Limit: -1, Numbered: f.numbered, MaxRecord: maxRecord}
	switch {
	case p.Blocks != nil:
		return newBlockLines(p, o), nil
	case p.Decode != nil:
		body := p.Stream()
		return &PieceReader{Lines(NewBuffered(body, usualRatio*min(p.Size, maxBlock)), o), body}, nil
	}
	o.Offset, o.Limit = f.First(p.Offset, p.Length)
	body := p.span(o.Offset)
	return &PieceReader{Lines(body, o), body}, nil
}

// objects makes one record of each object.
type objects struct{ OnePiece }

// Count implements [Format]: an empty object is a record too.
func (objects) Count(int64, int64) (least, most int64) { return 1, 1 }

// Read implements [Format].
func (objects) Read(p Piece, maxRecord int) (*PieceReader, error) {
	size := p.Size
	if p.Decode != nil {
		size = -1
	}
	body := p.Stream()
	return &PieceReader{Whole(body, p.Object, size, maxRecord), body}, nil
}
