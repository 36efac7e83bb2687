package input

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestResolve(t *testing.T) {
	for _, tt := range []struct {
		name    string
		options map[string]string
		want    any // a Format, or the text of an error
	}{
		{"lines", nil, lines{}},
		{"lines", map[string]string{"numbered": "true"}, lines{numbered: true}},
		{"lines", map[string]string{"per-task": "20"}, lines{counted: true}},
		{"lines", map[string]string{"per-task": "-1"}, `input lines with per-task "-1" and numbered ""`},
		{"lines", map[string]string{"per-task": "01"}, `input lines with per-task "01" and numbered ""`},
		{"objects", nil, objects{}},
		{"words", nil, `unknown input "words"`},
		{"", nil, `unknown input ""`},
		{"lines", map[string]string{"numbered": "yes"}, `input lines with numbered "yes"`},
		{"lines", map[string]string{"size": "4"}, `input lines with the unknown option "size"`},
		{"objects", map[string]string{"numbered": "true"}, `input objects with the unknown option "numbered"`},
	} {
		f, err := Resolve(tt.name, tt.options)
		var got any = f
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s %v is %#v, want %#v", tt.name, tt.options, got, tt.want)
		}
	}
}

// TestReaderAt: bytes in any order, as an io.ReaderAt has them, and nothing left
// open.
func TestReaderAt(t *testing.T) {
	o := &opener{text: strings.Repeat("0123456789", 20)}
	p := Piece{Object: "o", Size: 200, Offset: 50, Length: 10, Open: o.Open}
	if err := iotest.TestReader(io.NewSectionReader(p.ReaderAt(), 0, p.Size), []byte(o.text)); err != nil {
		t.Error(err)
	}
	b := make([]byte, 7)
	if n, err := p.ReaderAt().ReadAt(b, 195); n != 5 || !errors.Is(err, io.EOF) || string(b[:n]) != "56789" {
		t.Errorf("%d bytes %q, %v", n, b[:n], err)
	}
	if n, err := p.ReaderAt().ReadAt(b, 200); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("%d bytes behind the end, %v", n, err)
	}
	if o.open != 0 {
		t.Errorf("%d bodies left open", o.open)
	}
}
