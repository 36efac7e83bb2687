package input

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/mraws/mraws/mr"
)

// views is a [Source] that shows text in views of some sizes in turn, and
// spoils what was discarded.
type views struct {
	text  string
	sizes []int
	next  int // of sizes
	view  []byte
}

func (v *views) Peek() ([]byte, error) {
	if len(v.view) == 0 {
		if v.text == "" {
			return nil, io.EOF
		}
		n := min(v.sizes[v.next%len(v.sizes)], len(v.text))
		v.next++
		v.view, v.text = []byte(v.text[:n]), v.text[n:]
	}
	return v.view, nil
}

func (v *views) Discard(n int) error {
	for i := range v.view[:n] {
		v.view[i] = '\n'
	}
	v.view = v.view[n:]
	return nil
}

func (v *views) Read([]byte) (int, error) { panic("a source is peeked at") }

func TestLinesAllocate(t *testing.T) {
	text := bytes.Repeat([]byte(strings.Repeat("x", 79)+"\n"), 50000)
	src := bytes.NewReader(text)
	allocs := testing.AllocsPerRun(5, func() {
		src.Reset(text)
		r := Lines(src, LinesOptions{First: true, Limit: -1})
		for r.Next() {
		}
	})
	if allocs > 4 { // the reader, a buffered source of two, and a line that crosses its end
		t.Errorf("%v allocations for 50,000 lines, want at most 4", allocs)
	}
}

// TestSmallObjectsGetSmallBuffers: ten thousand small files must not cost a
// full buffer each.
func TestSmallObjectsGetSmallBuffers(t *testing.T) {
	const text = "one\ntwo\nthree"
	r, err := Read(mr.Lines, Piece{
		Object: "small", Size: int64(len(text)), Length: int64(len(text)),
		Open: func(off, n int64) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(text[off : off+n])), nil
		},
	}, 0)
	if err != nil {
		t.Fatal(err)
	}
	lines := 1
	if !r.Next() {
		t.Fatal(r.Err())
	}
	first := r.Reader.(*LineReader).src.(*span).src.(buffered)
	for r.Next() {
		lines++
	}
	if r.Err() != nil || lines != 3 {
		t.Fatalf("%d lines, %v", lines, r.Err())
	}
	if got := first.r.Size(); got > 16 {
		t.Errorf("the buffer has %d bytes for an object of %d", got, len(text))
	}
}
