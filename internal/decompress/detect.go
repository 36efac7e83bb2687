package decompress

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/mraws/mraws/internal/manifest"
)

// HeadSize is how many of an object's first bytes [Detect] looks at, at most.
const HeadSize = 512

// RefusedError says that an object is an archive, or is encrypted, or is compressed
// in a way that nobody here can read: its lines would be rubbish.
type RefusedError struct {
	Object string
	What   string // such as "a ZIP archive"
	Do     string // what to do about it
}

// Error names the object, what it is, and what to do.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("input %s is %s, which is not read: %s", e.Object, e.What, e.Do)
}

// What to do about an object that is refused.
const (
	unpackIt   = "unpack it, and upload what is in it"
	decryptIt  = "decrypt it before"
	compressIt = "decompress it before, or compress it with zstd or gzip"
)

// magics are the first bytes of what is refused. The formats are those of: ZIP
// (APPNOTE 6.3, section 4.3), 7z (7zFormat.txt), RAR (technote of 5.0), age (the
// C2SP specification, and its armor), OpenPGP (RFC 9580, section 6.2), enc of
// OpenSSL, compress and pack, lzip, lzop, and lz4 -l.
var magics = []struct{ magic, what, do string }{
	{"PK\x03\x04", "a ZIP archive", unpackIt},
	{"PK\x05\x06", "an empty ZIP archive", unpackIt},
	{"PK\x07\x08", "a part of a ZIP archive", unpackIt},
	{"7z\xbc\xaf\x27\x1c", "a 7z archive", unpackIt},
	{"Rar!\x1a\x07", "a RAR archive", unpackIt},
	{"age-encryption.org/v1\n", "encrypted with age", decryptIt},
	{"-----BEGIN AGE ENCRYPTED FILE-----", "encrypted with age", decryptIt},
	{"-----BEGIN PGP MESSAGE-----", "encrypted with OpenPGP", decryptIt},
	{"Salted__", "encrypted with openssl", decryptIt},
	{"\x1f\x9d", "compressed with compress", compressIt},
	{"\x1f\x1e", "compressed with pack", compressIt},
	{"LZIP\x01", "compressed with lzip", compressIt},
	{"\x89LZO\x00\r\n\x1a\n", "compressed with lzop", compressIt},
	{"\x02\x21\x4c\x18", "compressed with lz4 in its legacy form", compressIt},
}

// suffixes are the ends of names of what is refused unless it is text: their
// formats have no first bytes, or those may be others.
var suffixes = map[string]struct{ what, do string }{
	".br":   {"compressed with Brotli, as its name says", compressIt},
	".lzma": {"compressed with lzma, as its name says", compressIt},
	".z":    {"compressed with compress, as its name says", compressIt},
	".gpg":  {"encrypted with OpenPGP, as its name says", decryptIt},
	".pgp":  {"encrypted with OpenPGP, as its name says", decryptIt},
	".age":  {"encrypted with age, as its name says", decryptIt},
	".zip":  {"a ZIP archive, as its name says", unpackIt},
	".7z":   {"a 7z archive, as its name says", unpackIt},
	".rar":  {"a RAR archive, as its name says", unpackIt},
	".tar":  {"a tar archive, as its name says", unpackIt},
}

// First bytes of what is read.
const (
	gzipMagic  = "\x1f\x8b"
	xzMagic    = "\xfd7zXZ\x00"
	lz4Magic   = 0x184d2204
	snappyHead = "\xff\x06\x00\x00sNaPpY"
	s2Head     = "\xff\x06\x00\x00S2sTwO"
)

// Detect tells by the first bytes of an object, at most [HeadSize] of them, how it
// is compressed: "" says that it is not. It returns a *RefusedError for what is
// compressed or encrypted in a way that nobody here can read, and for an archive.
func Detect(object string, head []byte) (manifest.Compression, error) {
	if kind := compressed(head); kind != "" {
		return kind, nil
	}
	for _, m := range magics {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			return "", &RefusedError{object, m.what, m.do}
		}
	}
	switch {
	case isTar(head):
		return "", &RefusedError{object, "a tar archive", unpackIt}
	case isLZMA(head):
		return "", &RefusedError{object, "compressed with lzma", compressIt}
	}
	if s, ok := suffixes[strings.ToLower(path.Ext(object))]; ok && !isText(head) {
		return "", &RefusedError{object, s.what, s.do}
	}
	return "", nil
}

func compressed(head []byte) manifest.Compression {
	has := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }
	switch {
	case has(gzipMagic):
		if _, ok := bgzfSize(head); ok {
			return manifest.BGZF
		}
		return manifest.Gzip
	case has(xzMagic):
		return manifest.XZ
	case has(snappyHead):
		return manifest.Snappy
	case has(s2Head):
		return manifest.S2
	case isBzip2(head):
		return manifest.Bzip2
	}
	// zstd and lz4 share the frames that are to be skipped.
	skipped := false
	for len(head) >= 4 {
		switch m := binary.LittleEndian.Uint32(head); {
		case m == zstdMagic:
			return manifest.Zstd
		case m == lz4Magic:
			return manifest.LZ4
		case m&skippableMask != skippable || len(head) < 8:
			return ""
		}
		size := uint64(binary.LittleEndian.Uint32(head[4:])) + 8
		skipped = true
		head = head[min(size, uint64(len(head))):]
	}
	if skipped {
		return manifest.Zstd // pzstd begins with such a frame
	}
	return ""
}

// isBzip2 looks for the header of a stream and that of its first block, or of its
// end.
func isBzip2(head []byte) bool {
	if len(head) < 10 || !bytes.HasPrefix(head, []byte("BZh")) || head[3] < '1' || head[3] > '9' {
		return false
	}
	magic := binary.BigEndian.Uint64(append(make([]byte, 2, 8), head[4:10]...))
	return magic == bzip2Block || magic == bzip2End
}

// isTar looks for the mark of POSIX (pax, section "ustar Interchange Format"),
// which GNU tar has too.
func isTar(head []byte) bool { return len(head) >= 262 && string(head[257:262]) == "ustar" }

// isLZMA looks for the header of a file of LZMA alone: properties, a dictionary of
// 2^n or 2^n+2^(n-1) bytes, and a size that is not known or can be.
func isLZMA(head []byte) bool {
	if len(head) < 13 || head[0] != 0x5d {
		return false
	}
	dict, size := binary.LittleEndian.Uint32(head[1:]), binary.LittleEndian.Uint64(head[5:])
	return dict >= 1<<12 && bits.OnesCount32(dict) <= 2 && (size == 1<<64-1 || size < 1<<40)
}

// isText tells whether bytes look like text: UTF-8, perhaps cut at the end, without
// the control characters that no text has.
func isText(head []byte) bool {
	for i, b := range head {
		if b < ' ' && b != '\n' && b != '\r' && b != '\t' && b != '\f' || b == 0x7f {
			return false
		}
		if b >= utf8.RuneSelf && len(head)-i < utf8.UTFMax {
			return utf8.Valid(head[:i])
		}
	}
	return utf8.Valid(head)
}
