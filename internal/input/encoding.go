package input

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/transform"
)

// optEncoding is the option with the encoding of an object's text.
const optEncoding = "encoding"

// encodings make what decodes text that is not UTF-8. A mark at the start of an object says
// in which order the bytes of UTF-16 are, whatever the option says, and is no text.
// Without a mark "utf-16" has the lower byte first, as files of Windows have it.
var encodings = map[string]func() transform.Transformer{
	"utf-16":   func() transform.Transformer { return &utf16Decoder{} },
	"utf-16le": func() transform.Transformer { return &utf16Decoder{} },
	"utf-16be": func() transform.Transformer { return &utf16Decoder{big: true} },
	"latin-1":  func() transform.Transformer { return charmap.ISO8859_1.NewDecoder() },
}

// Encodings are the encodings of text besides UTF-8, in order.
func Encodings() []string { return slices.Sorted(maps.Keys(encodings)) }

// encodedIn returns the format, over text in the encoding of the options. Records and
// their offsets are then those of the text as UTF-8.
func encodedIn(options map[string]string, f Format) (Format, error) {
	name, ok := options[optEncoding]
	if !ok {
		return f, nil
	}
	e, ok := encodings[name]
	if !ok {
		return nil, fmt.Errorf("input with the encoding %.200q, which is none of %s", name, strings.Join(Encodings(), ", "))
	}
	return encoded{f, e}, nil
}

// encoded is a format of text that is not UTF-8. An object is one piece, since an
// offset in the text is none in the object. What is no text of the encoding becomes
// U+FFFD.
type encoded struct {
	Format
	decoder func() transform.Transformer
}

// Check implements [Format].
func (encoded) Check(int64) error { return nil }

// Cut implements [Format].
func (encoded) Cut(size, at int64) int64 { return OnePiece{}.Cut(size, at) }

// Resumes implements [Format]: a block may begin within a character.
func (encoded) Resumes() bool { return false }

// First implements [Format].
func (encoded) First(off, n int64) (from, length int64) { return off, n }

// Count implements [Format]: a byte may become one of text, or half of one.
func (e encoded) Count(off, n int64) (least, most int64) {
	_, most = e.Format.Count(off, 2*n)
	return 0, most
}

// Read implements [Format].
func (e encoded) Read(p Piece, maxRecord int) (*PieceReader, error) {
	decode := p.Decode
	p.Decode = func(r io.Reader) io.ReadCloser {
		t := &transcoded{}
		if decode != nil {
			inner := decode(r)
			t.close, r = inner.Close, inner
		}
		t.Reader = transform.NewReader(r, e.decoder())
		return t
	}
	return e.Format.Read(p, maxRecord)
}

// utf16Decoder turns UTF-16 into UTF-8. Each surrogate without the other half, and half
// a unit at the end, becomes one U+FFFD, as chapter 3.9 of the Unicode Standard has it.
// The decoder of golang.org/x/text makes one U+FFFD of two low surrogates in a row.
type utf16Decoder struct {
	transform.NopResetter
	big   bool // the first byte of a unit is the higher one
	begun bool // the first unit was seen
}

// unit returns the unit that text begins with, which has at least two bytes.
func (d *utf16Decoder) unit(text []byte) rune {
	if d.big {
		return rune(text[0])<<8 | rune(text[1])
	}
	return rune(text[1])<<8 | rune(text[0])
}

// Transform implements [transform.Transformer].
func (d *utf16Decoder) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		rest := src[nSrc:]
		r, size := rune(utf8.RuneError), len(rest)
		if size < 2 && !atEOF {
			return nDst, nSrc, transform.ErrShortSrc
		}
		if size >= 2 {
			r, size = d.unit(rest), 2
		}
		if !d.begun {
			d.begun = true
			if r == 0xFFFE {
				d.big = !d.big
			}
			if r == 0xFFFE || r == 0xFEFF {
				nSrc += size
				continue
			}
		}
		if utf16.IsSurrogate(r) {
			if len(rest) < 4 && !atEOF {
				return nDst, nSrc, transform.ErrShortSrc
			}
			full := rune(utf8.RuneError)
			if len(rest) >= 4 {
				full = utf16.DecodeRune(r, d.unit(rest[2:]))
			}
			if r = full; r != utf8.RuneError {
				size = 4
			}
		}
		if nDst+utf8.RuneLen(r) > len(dst) {
			return nDst, nSrc, transform.ErrShortDst
		}
		nDst += utf8.EncodeRune(dst[nDst:], r)
		nSrc += size
	}
	return nDst, nSrc, nil
}

// transcoded is text as UTF-8.
type transcoded struct {
	io.Reader
	close func() error // of what it is made of; nil for nothing
}

// Close implements io.Closer. Nothing is read after it.
func (t *transcoded) Close() error {
	t.Reader = closed{}
	if t.close == nil {
		return nil
	}
	return t.close()
}

type closed struct{}

func (closed) Read([]byte) (int, error) { return 0, errors.New("read of text that is closed") }
