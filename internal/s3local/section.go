package s3local

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/versity/versitygw/backend"
)

// section replies to a ranged read with a section of the object's file, which is sent
// by sendfile(2). The backend would copy the bytes through two buffers between the
// page cache and the connection.
func (g *guard) section(ctx context.Context, in *s3.GetObjectInput) (*s3.GetObjectOutput, error) {
	whole := *in
	whole.Range = new(string)
	out, err := g.s.GetObject(ctx, &whole)
	if err != nil {
		return nil, err
	}
	f, ok := out.Body.(*os.File)
	if !ok || out.ContentLength == nil { // no file of the system: the backend knows what to do
		if out.Body != nil {
			err = out.Body.Close()
		}
		if err != nil {
			return nil, err
		}
		return g.s.GetObject(ctx, in)
	}
	size := *out.ContentLength
	off, n, valid, err := backend.ParseObjectRange(size, *in.Range)
	if err == nil {
		_, err = f.Seek(off, io.SeekStart)
	}
	if err != nil {
		_ = f.Close()   // nothing was written to it
		return nil, err // as it is: the front end looks at its type
	}
	if valid {
		out.ContentRange = backend.GetPtrFromString(fmt.Sprintf("bytes %d-%d/%d", off, off+n-1, size))
	}
	if off != 0 || n != size {
		withoutChecksums(out)
	}
	out.ContentLength = &n
	out.Body = &section{LimitedReader: io.LimitedReader{R: f, N: n}, Closer: f}
	return out, nil
}

// withoutChecksums removes the checksums, which are those of the whole object, from a
// reply with a range.
func withoutChecksums(out *s3.GetObjectOutput) {
	out.ChecksumType = ""
	for _, sum := range []**string{
		&out.ChecksumCRC32, &out.ChecksumCRC32C, &out.ChecksumCRC64NVME, &out.ChecksumMD5, &out.ChecksumSHA1, &out.ChecksumSHA256,
		&out.ChecksumSHA512, &out.ChecksumXXHASH3, &out.ChecksumXXHASH64, &out.ChecksumXXHASH128,
	} {
		*sum = nil
	}
}

// section is a part of a file.
type section struct {
	io.LimitedReader
	io.Closer
}

// smallSection is the maximum size in bytes of a section that is sent together with
// the headers.
const smallSection = 32 << 10

// WriteTo implements io.WriterTo. It first flushes what the front end has written, so
// that the section can bypass the buffer.
func (s *section) WriteTo(w io.Writer) (int64, error) {
	if b, ok := w.(*bufio.Writer); ok && s.N > smallSection {
		if err := b.Flush(); err != nil {
			return 0, err
		}
		return b.ReadFrom(&s.LimitedReader)
	}
	return io.Copy(w, &s.LimitedReader)
}

var _ io.WriterTo = (*section)(nil)
