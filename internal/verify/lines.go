package verify

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"sync"

	"github.com/mraws/mraws/internal/manifest"
)

// quoteMax is how much of a key or line a message shows, in bytes.
const quoteMax = 200

// quote shows b in Go's syntax, cut at quoteMax bytes.
func quote(b []byte) string {
	if len(b) > quoteMax {
		return strconv.Quote(string(b[:quoteMax])) + "..."
	}
	return strconv.Quote(string(b))
}

// Lines are the records of one output in order, in the form of lines: key, space
// and value, or a line as the application wrote it ([mr.Output]). Those of a table are
// its rows, see tableShape.
type Lines interface {
	// Next returns the next record, valid until the next call; io.EOF follows
	// the last. A [*MalformedError] says what is wrong with the output; nothing
	// is read of it after that.
	Next() ([]byte, error)
	// Close frees what the reader holds. No record may be used any more.
	Close()
}

// MalformedError says that an object is not of the format of the job's output.
type MalformedError struct{ What string }

// Error says what is wrong.
func (e *MalformedError) Error() string { return e.What }

// OutputKind is a reader of one format of output.
type OutputKind struct {
	Options []string // that Open knows, by name
	// Open returns the records that an output holds.
	Open func(Output) Lines
	// shape, if not nil, returns that of the table that the records are rows of.
	shape func(options map[string]string) *tableShape
}

// Output is an output as a reader gets it.
type Output struct {
	Options map[string]string // of the format
	Body    io.Reader
	Scratch string // folder for temporary files
	// Parquet reads files of Parquet, see [Options].
	Parquet func(io.ReaderAt, int64) (ParquetRows, error)
}

// Outputs are the formats of output that the verifier reads, by the name that the
// job's spec gives them, as [Inputs] are those of input.
var Outputs = map[string]OutputKind{
	manifest.Lines: {Options: []string{"compression"}, Open: openPacked},
	"csv":          tableKind(openSeparated(','), true),
	"tsv":          tableKind(openSeparated('\t'), true),
	"json":         tableKind(openJSON, false),
	"parquet":      tableKind(openParquet, false),
}

// linesOf returns what reads the records of a format of output; nil if there is
// no reader.
func (o Options) linesOf(c manifest.Choice) func(io.Reader) Lines {
	kind, ok := Outputs[c.Name]
	if !ok || !knows(kind.Options, c) {
		return nil
	}
	return o.openAs(kind, c)
}

// openAs returns what reads the records of a kind; nil if the program lacks it.
func (o Options) openAs(kind OutputKind, c manifest.Choice) func(io.Reader) Lines {
	if c.Name == "parquet" && o.ParquetOutput == nil {
		return nil
	}
	return func(body io.Reader) Lines {
		return kind.Open(Output{Options: c.Options, Body: body, Scratch: o.Scratch, Parquet: o.ParquetOutput})
	}
}

// tableOf returns the shape of a format that is a table, nil for one whose records are
// lines.
func tableOf(c manifest.Choice) *tableShape {
	kind := Outputs[c.Name]
	if kind.shape == nil {
		return nil
	}
	return kind.shape(c.Options)
}

// openPacked reads lines, compressed or not.
func openPacked(o Output) Lines {
	lines := openLines(plainBody(o))
	if o.Options["compression"] == "" {
		return lines
	}
	return packedLines{lines}
}

// packedLines are lines of an output that is compressed.
type packedLines struct{ Lines }

// Next implements [Lines].
func (l packedLines) Next() ([]byte, error) {
	line, err := l.Lines.Next()
	return line, malformed(err)
}

// cannotRead is the error of a format of output without a reader.
func cannotRead(c manifest.Choice) error {
	return fmt.Errorf("verify cannot read output %s: it has no reader of its own for that format", c)
}

// outputReader reads an output and digests all of it.
type outputReader struct {
	body      io.Reader // what is read of it is digested
	lines     Lines     // nil: there is no reader of the format
	sha       hash.Hash
	size      int64
	n         int64 // records so far
	malformed error // what is wrong with the output
}

// newOutputReader reads the records of body as open does; nil digests the bytes
// alone.
func newOutputReader(open func(io.Reader) Lines, body io.Reader) *outputReader {
	o := &outputReader{sha: sha256.New()}
	o.body = io.TeeReader(body, o)
	if open != nil {
		o.lines = open(o.body)
	}
	return o
}

// close frees the reader; no record of it may be used any more.
func (o *outputReader) close() {
	if o.lines != nil {
		o.lines.Close()
		o.lines = nil
	}
}

// Write counts and digests what the TeeReader passes on.
func (o *outputReader) Write(p []byte) (int, error) {
	o.size += int64(len(p))
	return o.sha.Write(p)
}

// next returns the next record, valid until the next call; io.EOF follows the
// last, when all bytes have been digested.
func (o *outputReader) next() (line []byte, err error) {
	if o.lines == nil || o.malformed != nil {
		err = io.EOF
	} else if line, err = o.lines.Next(); err == nil {
		o.n++
		return line, nil
	}
	var malformed *MalformedError
	switch {
	case errors.As(err, &malformed):
		o.malformed = malformed
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	if _, err := io.Copy(io.Discard, o.body); err != nil {
		return nil, err
	}
	return nil, io.EOF
}

// hash is the SHA-256 of all that was read, in hex.
func (o *outputReader) hash() string { return hex.EncodeToString(o.sha.Sum(nil)) }

// textLines reads an output of lines.
type textLines struct {
	br   *bufio.Reader
	n    int64  // lines so far
	long []byte // a line that does not fit into the buffer
	open bool   // the last line does not end in "\n"
}

func openLines(body io.Reader) Lines {
	l := &textLines{br: buffers.Get().(*bufio.Reader)}
	l.br.Reset(body)
	return l
}

// buffers are those of readers of lines that are done: there may be very many
// outputs.
var buffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 128<<10) }}

// Close implements [Lines]: it gives the buffer back.
func (l *textLines) Close() {
	l.br.Reset(nil)
	buffers.Put(l.br)
	l.br = nil
}

// Next implements [Lines] by the next line without its "\n".
func (l *textLines) Next() ([]byte, error) {
	l.long = l.long[:0]
	for {
		part, err := l.br.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			l.long = append(l.long, part...)
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if len(l.long) > 0 {
			l.long = append(l.long, part...)
			part = l.long
		}
		if len(part) == 0 && l.open {
			return nil, &MalformedError{fmt.Sprintf("its last line, %d, does not end: it is cut off", l.n)}
		}
		if len(part) == 0 {
			return nil, io.EOF
		}
		l.n++
		line, ended := bytes.CutSuffix(part, []byte{'\n'})
		l.open = !ended
		return line, nil
	}
}
