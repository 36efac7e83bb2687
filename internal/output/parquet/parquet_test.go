package parquet

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/mraws/mraws/internal/output"
)

// TestRoundTrip: what is written is read again, over many row groups, with columns in
// the order in which they were given.
func TestRoundTrip(t *testing.T) {
	columns := []output.Column{{Name: "z", Type: output.String}, {Name: "n", Type: output.Int}, {Name: "a b", Type: output.Float}, {Name: "ok", Type: output.Bool}, {Name: "j", Type: output.JSON}}
	for _, compression := range []string{output.None, output.Gzip, output.Zstd} {
		var b bytes.Buffer
		w, err := NewWriter(&b, columns, compression)
		if err != nil {
			t.Fatal(err)
		}
		long := bytes.Repeat([]byte{'x'}, 100<<10)
		row := func(i int) [][]byte {
			if i%7 == 3 {
				return [][]byte{nil, nil, nil, nil, nil}
			}
			return [][]byte{long, fmt.Append(nil, i-50), fmt.Append(nil, float64(i)/4), fmt.Append(nil, i%2 == 0), fmt.Appendf(nil, `{"a":[%d]}`, i)}
		}
		const n = 500
		for i := range n {
			if err := w.Row(row(i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		if got := output.FormatColumns(r.Columns()); got != output.FormatColumns(columns) || len(r.groups) < 3 {
			t.Errorf("columns %s in %d row groups", got, len(r.groups))
		}
		for i := range n {
			got, err := r.Next()
			if err != nil {
				t.Fatal(i, err)
			}
			for c, want := range row(i) {
				if !bytes.Equal(got[c], want) {
					t.Fatalf("row %d, column %d: %.40q, want %.40q", i, c, got[c], want)
				}
			}
		}
		if _, err := r.Next(); !errors.Is(err, io.EOF) {
			t.Error(err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}
