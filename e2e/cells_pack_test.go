//go:build !interop

package e2e

import (
	"bytes"
	"compress/bzip2"
	encoding "encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"

	"github.com/mraws/mraws/internal/testkit"
)

// The compressions of the table in docs/own-data.md, by its words.
const (
	plainCell   = "none"
	gzipCell    = "gzip"
	bgzfCell    = "BGZF"
	zstdCell    = "zstd, one frame"
	framesCell  = "zstd, frames"
	bzip2Cell   = "bzip2"
	xzCell      = "xz"
	lz4Cell     = "lz4"
	snappyCell  = "Snappy"
	s2Cell      = "S2"
	sizeOfFrame = 40_000 // of text, bytes
)

// compressions are the columns of the table.
var compressions = []string{plainCell, gzipCell, bgzfCell, zstdCell, framesCell, bzip2Cell, xzCell, lz4Cell, snappyCell, s2Cell}

// packCell compresses text: gzip of three members, zstd of many frames with a table of
// them, xz of two streams. What bzip2 makes of the text is kept in testdata under name.
func packCell(t *testing.T, compression, name, text string) []byte {
	t.Helper()
	third := len(text) / 3
	switch compression {
	case plainCell:
		return []byte(text)
	case gzipCell:
		return gzipped(t, text[:third], text[third:third], text[third:])
	case bgzfCell:
		return testkit.BGZF(t, text, sizeOfFrame)
	case zstdCell:
		return zstandard(t, text)
	case framesCell:
		return seekable(t, text)
	case bzip2Cell:
		return bzipped(t, name, text)
	}
	var b bytes.Buffer
	write := func(w io.WriteCloser, text string) {
		_, err := io.WriteString(w, text)
		if err = errors.Join(err, w.Close()); err != nil {
			t.Fatal(err)
		}
	}
	switch compression {
	case xzCell:
		for _, part := range []string{text[:third], text[third:]} {
			w, err := xz.NewWriter(&b)
			if err != nil {
				t.Fatal(err)
			}
			write(w, part)
		}
	case lz4Cell:
		w := lz4.NewWriter(&b)
		if err := w.Apply(lz4.BlockSizeOption(lz4.Block64Kb), lz4.ConcurrencyOption(1)); err != nil {
			t.Fatal(err)
		}
		write(w, text)
	case snappyCell:
		write(s2.NewWriter(&b, s2.WriterSnappyCompat(), s2.WriterConcurrency(1), s2.WriterBlockSize(64<<10)), text)
	case s2Cell:
		write(s2.NewWriter(&b, s2.WriterConcurrency(1), s2.WriterBlockSize(64<<10)), text)
	default:
		t.Fatalf("no compression %s", compression)
	}
	return b.Bytes()
}

// seekable is text in frames of zstd, with a table of them in a frame to skip, in the
// format of zstd's contrib/seekable_format.
func seekable(t *testing.T, text string) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var all, table []byte
	n := uint32(0)
	for ; text != ""; n++ {
		part := text[:min(len(text), sizeOfFrame)]
		text = text[len(part):]
		before := len(all)
		all = w.EncodeAll([]byte(part), all)
		table = encoding.LittleEndian.AppendUint32(table, uint32(len(all)-before))
		table = encoding.LittleEndian.AppendUint32(table, uint32(len(part)))
	}
	table = append(encoding.LittleEndian.AppendUint32(table, n), 0)
	table = encoding.LittleEndian.AppendUint32(table, 0x8F92EAB1)
	all = encoding.LittleEndian.AppendUint32(all, 0x184D2A5E)
	all = encoding.LittleEndian.AppendUint32(all, uint32(len(table)))
	return append(all, table...)
}

// bzipped is what `bzip2 -1` makes of text, in blocks of 100 kB, since no library
// here writes bzip2. With -update it is made again, by the program bzip2.
func bzipped(t *testing.T, name, text string) []byte {
	t.Helper()
	path := filepath.Join("testdata", "cells", name+".bz2")
	if *update {
		c := exec.Command("bzip2", "-1", "-c")
		c.Stdin = bytes.NewReader([]byte(text))
		data, err := c.Output()
		if err == nil {
			err = os.WriteFile(path, data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(bzip2.NewReader(bytes.NewReader(data))); err != nil || string(got) != text {
		t.Fatalf("%s is not the text of the test, %v: -update makes it again", path, err)
	}
	return data
}
