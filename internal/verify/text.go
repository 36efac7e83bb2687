package verify

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/mr"
)

// decoded is the object with its text as UTF-8.
func (o Object) decoded(encoding string) Object {
	if encoding == "" {
		return o
	}
	unpack := o.Unpack
	o.Unpack = func(body io.Reader) io.ReadCloser {
		t := &utf8Text{latin1: encoding == "latin-1", big: encoding == "utf-16be"}
		if unpack != nil {
			stream := unpack(body)
			t.closer, body = stream, stream
		}
		t.in = bufio.NewReader(body)
		return t
	}
	return o
}

// utf8Text turns Latin-1 or UTF-16 into UTF-8, unit by unit.
type utf8Text struct {
	in          *bufio.Reader
	closer      io.Closer
	latin1, big bool
	begun       bool
	out         []byte // that was not read yet
	next        rune   // a unit that was read ahead, if has
	has         bool
}

// unit reads a unit of 16 bits; half a unit is U+FFFD.
func (t *utf8Text) unit() (rune, error) {
	if t.has {
		t.has = false
		return t.next, nil
	}
	a, err := t.in.ReadByte()
	if err != nil {
		return 0, err
	}
	b, err := t.in.ReadByte()
	switch {
	case errors.Is(err, io.EOF):
		return utf8.RuneError, nil
	case t.big:
		a, b = b, a
	}
	return rune(b)<<8 | rune(a), err
}

// Read implements io.Reader.
func (t *utf8Text) Read(p []byte) (int, error) {
	for len(t.out) == 0 {
		if t.latin1 {
			c, err := t.in.ReadByte()
			if err != nil {
				return 0, err
			}
			t.out = utf8.AppendRune(t.out[:0], rune(c))
			break
		}
		r, err := t.unit()
		if err != nil {
			return 0, err
		}
		if !t.begun {
			if t.begun = true; r == 0xFFFE {
				t.big = !t.big
				continue
			} else if r == 0xFEFF {
				continue
			}
		}
		if utf16.IsSurrogate(r) {
			low, err := t.unit()
			switch full := utf16.DecodeRune(r, low); {
			case errors.Is(err, io.EOF):
				r = utf8.RuneError
			case err != nil:
				return 0, err
			case full == utf8.RuneError:
				t.next, t.has, r = low, true, full
			default:
				r = full
			}
		}
		t.out = utf8.AppendRune(t.out[:0], r)
	}
	n := copy(p, t.out)
	t.out = t.out[n:]
	return n, nil
}

// Close implements io.Closer.
func (t *utf8Text) Close() error {
	if t.closer == nil {
		return nil
	}
	return t.closer.Close()
}

// parts reads records of a length, or between texts.
type parts struct {
	in      *bufio.Reader
	closers closers
	size    int    // of a record; 0: by ends it
	by      []byte // what ends a record
	most    int    // bytes of a record
	rec     mr.Record
	length  int64
	at      int64 // of the next record
}

func newChunks(o Object, size string) Records {
	in, c := o.stream()
	n, _ := strconv.Atoi(size)
	return &parts{in: in, closers: c, size: max(n, 1), rec: mr.Record{Object: o.Name}}
}

func newParts(o Object, by string) Records {
	in, c := o.stream()
	most := o.MaxRecord
	if most <= 0 {
		most = input.DefaultMaxLine
	}
	return &parts{in: in, closers: c, by: []byte(unescape(by)), most: most, rec: mr.Record{Object: o.Name}}
}

// unescape reads the escapes of a text; the job's spec has been validated.
func unescape(s string) string {
	if text, err := strconv.Unquote(`"` + strings.NewReplacer(`"`, `\"`, `\0`, `\x00`, `\\`, `\\`).Replace(s) + `"`); err == nil {
		return text
	}
	return s
}

// Next implements [Records].
func (p *parts) Next() error {
	p.rec.Offset = p.at
	var data []byte
	var err error
	if p.size > 0 {
		data = make([]byte, p.size)
		var n int
		n, err = io.ReadFull(p.in, data)
		p.at += int64(n)
		if p.length = int64(n); errors.Is(err, io.ErrUnexpectedEOF) {
			p.rec.Data = nil
			return &input.BadError{Object: p.rec.Object, Offset: p.rec.Offset, What: fmt.Sprintf("it has %d of %d bytes", n, p.size)}
		}
	} else {
		data, err = p.part()
	}
	if p.rec.Data = data; err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read %s at byte %d: %w", p.rec.Object, p.at, err)
	}
	if err == nil && p.size == 0 && len(data) > p.most {
		p.rec.Data = nil
		return &input.TooLongError{Object: p.rec.Object, Offset: p.rec.Offset, Max: p.most}
	}
	return err
}

// part reads up to what ends a record.
func (p *parts) part() (data []byte, err error) {
	last := p.by[len(p.by)-1]
	for {
		var more []byte
		more, err = p.in.ReadBytes(last)
		data = append(data, more...)
		p.at += int64(len(more))
		whole := bytes.HasSuffix(data, p.by)
		if whole {
			data = data[:len(data)-len(p.by)]
		}
		p.length = int64(len(data))
		switch {
		case whole && (err == nil || errors.Is(err, io.EOF)):
			return data, nil
		case errors.Is(err, io.EOF) && len(data) > 0:
			return data, nil
		case err != nil:
			return nil, err
		}
	}
}

// Record implements [Records].
func (p *parts) Record() (rec mr.Record, size int64) { return p.rec, p.length }

// Close implements [Records].
func (p *parts) Close() error { return p.closers.Close() }
