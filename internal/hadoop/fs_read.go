package hadoop

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// ReadsBytes says whether a command of FS writes the bytes of files, which may be any.
func ReadsBytes(command string) bool {
	switch command {
	case "-cat", "-text", "-tail", "-head":
		return true
	}
	return false
}

// endBytes is how many bytes of a file head and tail write, as on Hadoop.
const endBytes = 1024

func (f *FS) cat(ctx context.Context, c *call) error {
	return f.read(ctx, c, func(st Store, e Entry) error { return copyTo(ctx, f.Out, st, e) })
}

func (f *FS) head(ctx context.Context, c *call) error {
	return f.read(ctx, c, func(st Store, e Entry) error { return copyRange(ctx, f.Out, st, e, 0, min(e.Size, endBytes)) })
}

func (f *FS) tail(ctx context.Context, c *call) error {
	return f.read(ctx, c, func(st Store, e Entry) error {
		n := min(e.Size, endBytes)
		return copyRange(ctx, f.Out, st, e, e.Size-n, n)
	})
}

// text is cat of what files have within, if they are compressed.
func (f *FS) text(ctx context.Context, c *call) error {
	return f.read(ctx, c, func(st Store, e Entry) error {
		if e.summary {
			return nil
		}
		body, err := st.OpenRange(ctx, e.Key, "", 0, -1)
		if err != nil {
			return err
		}
		r, over, err := unpacked(body)
		if err == nil {
			_, err = io.Copy(f.Out, fileReader{r, e})
			over()
		} else {
			err = unreadable(e, err)
		}
		return errors.Join(err, body.Close())
	})
}

// fileReader names the file in the errors of reading it; those of writing stay as they
// are.
type fileReader struct {
	io.Reader
	of Entry
}

func (r fileReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = unreadable(r.of, err)
	}
	return n, err
}

func unreadable(e Entry, err error) error { return fmt.Errorf("read %s: %w", e.Show(), err) }

// unpacked reads what r has within, by its first bytes. over ends the reading.
func unpacked(r io.Reader) (text io.Reader, over func(), err error) {
	b := bufio.NewReaderSize(r, 64<<10)
	begin, _ := b.Peek(4) // fewer bytes are as they are
	switch over = func() {}; {
	case bytes.HasPrefix(begin, []byte{0x1f, 0x8b}):
		text, err = gzip.NewReader(b)
	case bytes.HasPrefix(begin, []byte("BZh")):
		text = bzip2.NewReader(b)
	case bytes.Equal(begin, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		var d *zstd.Decoder
		if d, err = zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20)); err == nil {
			text, over = d, d.Close
		}
	default:
		text = b
	}
	return text, over, err
}

// read calls do for each file.
func (f *FS) read(ctx context.Context, c *call, do func(st Store, e Entry) error) error {
	return f.each(ctx, c, func(st Store, e Entry) error {
		if e.Folder {
			return &refusal{e.Show(), isFolder}
		}
		return do(st, e)
	})
}

// copyTo writes the bytes of a file.
func copyTo(ctx context.Context, w io.Writer, st Store, e Entry) error {
	return copyRange(ctx, w, st, e, 0, -1)
}

// copyRange writes n bytes of a file from off on; -1 is all that follow.
func copyRange(ctx context.Context, w io.Writer, st Store, e Entry, off, n int64) error {
	if e.summary || n == 0 {
		return nil
	}
	body, err := st.OpenRange(ctx, e.Key, "", off, n)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, body)
	return errors.Join(err, body.Close())
}
