package input

import (
	"bytes"
	"io"
	"strings"
	"testing"
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

func TestLinesAllocate(t *testing.T) {
	text := bytes.Repeat([]byte(strings.Repeat("x", 79)+"\n"), 50000)
	src := bytes.NewReader(text)
	allocs := testing.AllocsPerRun(5, func() {
		src.Reset(text)
		r := Lines(NewBuffered(src, 0), LinesOptions{First: true, Limit: -1})
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
	if got := NewBuffered(strings.NewReader("one"), 13).r.Size(); got > 16 {
		t.Errorf("a buffer of %d bytes for 13", got)
	}
	if got := NewBuffered(strings.NewReader("one"), 0).r.Size(); got != maxBlock {
		t.Errorf("a buffer of %d bytes for nobody knows how many", got)
	}
}
