package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/output"
	"github.com/mraws/mraws/internal/s3fs"
	"github.com/mraws/mraws/mr"
)

// outputFlags say of which format the output of a job is.
type outputFlags struct {
	format, compression, columns, partition string
}

func (o *outputFlags) add(c *cobra.Command) {
	f := c.Flags()
	defer section(f, outputSection)()
	few(f, &o.format, "output-format", "format of the output; json is a line for each row", manifest.Lines, "tsv", "csv", "json", "parquet")
	few(f, &o.compression, "output-compression", "compression of the output; if empty, none, and zstd for the pages of parquet", "", output.None, output.Gzip, output.Zstd)
	f.StringVar(&o.partition, "output-partition", "", "`names` of columns, such as year,month, whose values name folders in place of being in the rows: output/year=2026/month=1/")
	f.StringVar(&o.columns, "output-columns", "", "`names` of the columns of an output that is a table, or lines with --output-partition, such as word,count:int, with the types string, text (with \\t, \\n, \\r and \\\\ in it), int, float, bool and json; if empty, those of the app, or key,value; of a map-only job key,value")
}

// choice is the format that the flags name, nil for lines as they are. The columns are
// the declared ones, if there are any, unless others are given.
func (o *outputFlags) choice(declared []mr.Column) (*manifest.Choice, error) {
	c := manifest.Choice{Name: o.format, Options: map[string]string{}}
	if o.compression != "" && (o.compression != output.None || o.format == "parquet") {
		c.Options[output.CompressionOption] = o.compression
	}
	if c.Name == "" { // the flags are not those of this command
		c.Name = manifest.Lines
	}
	columns := o.columns
	switch {
	case c.Name == manifest.Lines && o.partition == "" && columns != "":
		return nil, usagef("such as --output-format json", "--output-columns is for an --output-format that is a table")
	case c.Name == manifest.Lines && o.partition == "":
	case columns == "" && declared != nil:
		columns = columnsOf(declared)
	}
	if columns != "" {
		if _, err := output.ParseColumns(columns); err != nil {
			return nil, usagef(nearTypes(columns)+"such as --output-columns word,count:int", "--output-columns %s: %w", columns, err)
		}
		c.Options[output.ColumnsOption] = columns
	}
	if o.partition != "" {
		c.Options[output.PartitionOption] = o.partition
		if _, err := output.Resolve(c.Name, c.Options); err != nil {
			return nil, usagef("such as --output-columns year:int,month:int,value --output-partition year,month", "--output-partition %s: %w", o.partition, err)
		}
	}
	if c.Name == manifest.Lines && len(c.Options) == 0 {
		return nil, nil
	}
	return &c, nil
}

// nearTypes begins a hint with the types of columns that may have been meant.
func nearTypes(columns string) (hint string) {
	for column := range strings.SplitSeq(columns, ",") {
		if _, kind, typed := strings.Cut(column, ":"); typed && !slices.Contains(output.Types(), kind) {
			hint += nearHint(kind, output.Types())
		}
	}
	return hint
}

// columnsOf writes the columns of an app as --output-columns has them.
func columnsOf(columns []mr.Column) string {
	list := make([]output.Column, len(columns))
	for i, c := range columns {
		list[i] = output.Column{Name: c.Name, Type: output.Type(c.Type)}
		if c.Type == "" {
			list[i].Type = output.String
		}
	}
	return output.FormatColumns(list)
}

// libraries are the encoders of output that the program has.
func (f *frame) libraries() output.Libraries { return output.Libraries{Parquet: f.parquetOut.Write} }

// checkFormat refuses a format that this program cannot write, where its own workers
// would have to.
func (s *session) checkFormat(o *outputFlags) error {
	if o.format == "parquet" && s.parquetOut.Write == nil {
		return usagef("give the program Parquet: cli.With(parquet.Files()).Main(app); or name another format", "this program cannot write --output-format parquet")
	}
	return nil
}

// parquetText are the rows of a file of Parquet for the verifier.
type parquetText struct{ ParquetRows }

// Columns implements verify.ParquetRows.
func (p parquetText) Columns() (columns []string) {
	for _, c := range p.ParquetRows.Columns() {
		columns = append(columns, c.Name+":"+string(c.Type))
	}
	return columns
}

// openOutput opens an output of size bytes of a job, decoded: without compression, and rows of Parquet as
// lines of JSON.
func (s *session) openOutput(ctx context.Context, st *s3fs.Store, key string, size int64) (io.ReadCloser, error) {
	if strings.HasSuffix(key, ".parquet") {
		return s.openParquet(ctx, st, key, size)
	}
	body, err := st.OpenRange(ctx, key, "", 0, -1)
	if err != nil {
		return nil, err
	}
	switch {
	case strings.HasSuffix(key, ".gz"):
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("decompress %s: %w", key, err), body.Close())
		}
		return &decoded{z, body.Close}, nil
	case strings.HasSuffix(key, ".zst"):
		z, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("decompress %s: %w", key, err), body.Close())
		}
		return &decoded{z, func() error { z.Close(); return body.Close() }}, nil
	}
	return body, nil
}

// decoded is an output without its compression.
type decoded struct {
	io.Reader
	end func() error
}

// Close implements io.Closer.
func (d *decoded) Close() error { return d.end() }

// openParquet opens a file of Parquet as lines of JSON.
func (s *session) openParquet(ctx context.Context, st *s3fs.Store, key string, size int64) (io.ReadCloser, error) {
	if s.parquetOut.Read == nil {
		return nil, &Error{Code: ExitUsage, What: "this program cannot read " + key, Hint: "give the program Parquet: cli.With(parquet.Files()).Main(app); or use `mraws cat --raw`"}
	}
	rows, err := s.parquetOut.Read(&ranges{ctx: ctx, st: st, key: key, size: size, blocks: map[int64][]byte{}}, size)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", key, err)
	}
	p := &parquetLines{rows: rows, key: key}
	p.to = output.NewJSON(&p.text, rows.Columns())
	return p, nil
}

// parquetLines are the rows of a file of Parquet as lines of JSON.
type parquetLines struct {
	rows ParquetRows
	key  string
	to   output.RowWriter
	text rest // that is not read yet
	over bool
}

// rest is a buffer that is written to before it is read.
type rest struct{ text []byte }

func (r *rest) Write(p []byte) (int, error) {
	r.text = append(r.text, p...)
	return len(p), nil
}

// Read implements io.Reader.
func (p *parquetLines) Read(b []byte) (int, error) {
	for len(p.text.text) == 0 {
		if p.over {
			return 0, io.EOF
		}
		p.text.text = p.text.text[:0:0]
		for range 64 {
			fields, err := p.rows.Next()
			if errors.Is(err, io.EOF) {
				p.over = true
				break
			}
			if err == nil {
				err = p.to.Row(fields)
			}
			if err != nil {
				return 0, fmt.Errorf("read %s: %w", p.key, err)
			}
		}
		if err := p.to.Close(); err != nil {
			return 0, err
		}
	}
	n := copy(b, p.text.text)
	p.text.text = p.text.text[n:]
	return n, nil
}

// Close implements io.Closer.
func (p *parquetLines) Close() error { return p.rows.Close() }

// ranges reads an object in blocks, of which it keeps the last ones: the columns of a
// file of Parquet are read side by side.
type ranges struct {
	ctx    context.Context //nolint:containedctx // io.ReaderAt has none
	st     *s3fs.Store
	key    string
	size   int64
	blocks map[int64][]byte // by number
	recent []int64          // the numbers, oldest first
}

const (
	rangeBlock = 1 << 20
	mostBlocks = 32
)

// ReadAt implements io.ReaderAt.
func (r *ranges) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		at := off + int64(n)
		if at >= r.size {
			return n, io.EOF
		}
		b, err := r.block(at / rangeBlock)
		if err != nil {
			return n, err
		}
		n += copy(p[n:], b[at%rangeBlock:])
	}
	return n, nil
}

func (r *ranges) block(i int64) ([]byte, error) {
	if b, ok := r.blocks[i]; ok {
		return b, nil
	}
	from := i * rangeBlock
	b := make([]byte, min(rangeBlock, r.size-from))
	body, err := r.st.OpenRange(r.ctx, r.key, "", from, int64(len(b)))
	if err != nil {
		return nil, err
	}
	_, err = io.ReadFull(body, b)
	if err = errors.Join(err, body.Close()); err != nil {
		return nil, fmt.Errorf("read %s: %w", r.key, err)
	}
	if len(r.recent) == mostBlocks {
		delete(r.blocks, r.recent[0])
		r.recent = slices.Delete(r.recent, 0, 1)
	}
	r.blocks[i], r.recent = b, append(r.recent, i)
	return b, nil
}
