package testkit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/output"
	"github.com/mraws/mraws/mr"
)

// AddFormats adds formats that the program does not have, so that tests see
// whether others fit. Of input, "indexed" has records whose places stand at the end of
// the object, and readers of "clauses" guess where records begin. Of output, "framed"
// has the length of each key and value before it, and the number of records at the
// end. Tests call it before any other goroutine runs.
func AddFormats() {
	input.Formats["indexed"] = input.Kind{New: func(map[string]string) (input.Format, error) { return indexed{}, nil }}
	input.Formats["clauses"] = input.Kind{New: func(map[string]string) (input.Format, error) { return clauses{}, nil }}
	output.Formats["framed"] = output.Kind{New: func(map[string]string) (output.Format, error) { return framed{}, nil }}
}

// recordReader is an [input.Reader] whose records are not too long.
type recordReader struct {
	next func() (off int64, data []byte, err error)
	rec  mr.Record
	err  error
}

func (r *recordReader) Next() bool {
	if r.err != nil {
		return false
	}
	r.rec.Offset, r.rec.Data, r.err = r.next()
	return r.err == nil
}

func (r *recordReader) Record() mr.Record { return r.rec }

func (r *recordReader) Err() error {
	if errors.Is(r.err, io.EOF) {
		return nil
	}
	return r.err
}

func (r *recordReader) Skip() (mr.Record, int64, error) {
	return mr.Record{}, 0, errors.New("no record is too long")
}

// indexed finds records from the end of an object: there are their offsets and
// the number of these, 8 bytes each. A piece owns the records that start in it.
type indexed struct{ input.OnePiece }

// Indexed is an object of the format "indexed".
func Indexed(records ...string) string {
	var text, index []byte
	for _, r := range records {
		index = binary.BigEndian.AppendUint64(index, uint64(len(text)))
		text = append(text, r...)
	}
	index = binary.BigEndian.AppendUint64(index, uint64(len(records)))
	return string(text) + string(index)
}

func (indexed) Check(size int64) error {
	if size < 8 {
		return fmt.Errorf("its %d bytes hold no index", size)
	}
	return nil
}

func (indexed) Cut(_, at int64) int64                { return at }
func (indexed) Decompresses() bool                   { return false }
func (indexed) Weight(n int64) int64                 { return 2 * n }
func (indexed) Count(_, _ int64) (least, most int64) { return 0, math.MaxInt64 } // empty ones take no byte
func (indexed) First(_, _ int64) (from, n int64)     { return 0, 0 }
func (indexed) Read(p input.Piece, _ int) (*input.PieceReader, error) {
	in, body := p.ReaderAt(), p.Stream()
	number := func(at int64) (int64, error) {
		var b [8]byte
		_, err := in.ReadAt(b[:], at)
		return int64(binary.BigEndian.Uint64(b[:])), err
	}
	i, n, end := int64(0), int64(-1), int64(0) // record, records, where the index begins
	next := func() (int64, []byte, error) {
		if n < 0 {
			var err error
			if n, err = number(p.Size - 8); err != nil {
				return 0, nil, err
			}
			end = p.Size - 8*(n+1)
		}
		for ; i < n; i++ {
			from, err := number(end + 8*i)
			to := end
			if i+1 < n && err == nil {
				to, err = number(end + 8*(i+1))
			}
			if err != nil {
				return 0, nil, err
			}
			if from < p.Offset || from >= p.Offset+p.Length {
				continue
			}
			i++
			data := make([]byte, to-from)
			if _, err := in.ReadAt(data, from); err != nil && !errors.Is(err, io.EOF) {
				return 0, nil, err
			}
			return from, data, nil
		}
		return 0, nil, io.EOF
	}
	return &input.PieceReader{Reader: &recordReader{next: next, rec: mr.Record{Object: p.Object}}, Body: body}, nil
}

// framed writes keys and values, each behind its length, and at the end the
// number of records.
type framed struct{}

func (framed) ContentType() string { return "application/x-framed" }

func (framed) Ending() string { return "" }

func (framed) Check(_, size int64) error {
	if size < 8 {
		return fmt.Errorf("%d bytes, which hold no number of records", size)
	}
	return nil
}

func (framed) Encoder(w io.Writer, _ output.Libraries) (output.Encoder, error) {
	return &frames{to: w}, nil
}

type frames struct {
	to  io.Writer
	key []byte
	n   uint64
}

func (f *frames) Key(key []byte) error {
	f.key = key
	return nil
}

func (f *frames) Value(value []byte) error {
	f.n++
	var b []byte
	for _, p := range [][]byte{f.key, value} {
		b = append(binary.BigEndian.AppendUint64(b, uint64(len(p))), p...)
	}
	_, err := f.to.Write(b)
	return err
}

func (f *frames) Line(line []byte) error {
	return &output.UnfitError{What: "a line", Data: line}
}

func (f *frames) Close() error {
	_, err := f.to.Write(binary.BigEndian.AppendUint64(nil, f.n))
	return err
}

// Framed cuts what the output format "framed" writes into "key=value".
func Framed(t TB, text string) (records []string) {
	t.Helper()
	number := func() (n int) {
		if len(text) < 8 {
			t.Fatalf("cut off: %q", text)
		}
		n, text = int(binary.BigEndian.Uint64([]byte(text))), text[8:]
		return n
	}
	field := func() (s string) {
		n := number()
		s, text = text[:n], text[n:]
		return s
	}
	for len(text) > 8 {
		key := field()
		records = append(records, key+"="+field())
	}
	if n := number(); n != len(records) {
		t.Fatalf("%d records, it says %d", len(records), n)
	}
	return records
}
