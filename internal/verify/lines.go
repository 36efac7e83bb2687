package verify

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
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

// readsOutput tells whether the verifier can read the records of the job's
// outputs. It has a reader of its own for lines alone.
func (a *audit) readsOutput() bool { return a.job.Output.String() == manifest.Lines }

// lineReader reads the lines of an output and digests all of it.
type lineReader struct {
	br   *bufio.Reader
	sha  hash.Hash
	size int64
	n    int64  // lines so far
	long []byte // a line that does not fit into the buffer
	// open: the last line does not end in "\n".
	open bool
}

func newLineReader(r io.Reader) *lineReader {
	l := &lineReader{sha: sha256.New(), br: buffers.Get().(*bufio.Reader)}
	l.br.Reset(io.TeeReader(r, l))
	return l
}

// buffers are those of line readers that are done: there may be very many
// outputs.
var buffers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 128<<10) }}

// close gives the buffer back; no line of it may be used any more.
func (l *lineReader) close() {
	l.br.Reset(nil)
	buffers.Put(l.br)
	l.br = nil
}

// Write counts and digests what the TeeReader passes on.
func (l *lineReader) Write(p []byte) (int, error) {
	l.size += int64(len(p))
	return l.sha.Write(p)
}

// next returns the next line without its "\n", valid until the next call;
// io.EOF follows the last.
func (l *lineReader) next() ([]byte, error) {
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
		if len(part) == 0 {
			return nil, io.EOF
		}
		l.n++
		line, ended := bytes.CutSuffix(part, []byte{'\n'})
		l.open = !ended
		return line, nil
	}
}

// hash is the SHA-256 of all that was read, in hex.
func (l *lineReader) hash() string { return hex.EncodeToString(l.sha.Sum(nil)) }
