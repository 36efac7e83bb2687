package output

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestResolve(t *testing.T) {
	if f, err := Resolve("lines", nil); err != nil || f != (lines{}) {
		t.Errorf("%v, %v", f, err)
	}
	for want, options := range map[string]map[string]string{
		`unknown output "words"`:                       nil,
		`output lines with the unknown option "width"`: {"width": "4"},
	} {
		name := "words"
		if options != nil {
			name = "lines"
		}
		if _, err := Resolve(name, options); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestLines: lines are written in the order in which they come, whatever is
// gathered and whatever is too large for that.
func TestLines(t *testing.T) {
	var got, want bytes.Buffer
	e := lines{}.Encoder(&got)
	for _, n := range []int{0, 1, lineBlock - 3, lineBlock - 2, lineBlock, 3 * lineBlock, 7} {
		key, value := strings.Repeat("k", n/3), strings.Repeat("v", n)
		if err := errors.Join(e.Key([]byte(key)), e.Value([]byte(value)), e.Value(nil), e.Line([]byte(value))); err != nil {
			t.Fatal(err)
		}
		want.WriteString(key + " " + value + "\n" + key + " \n" + value + "\n")
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("%d bytes, want %d", got.Len(), want.Len())
	}
}

// TestLineBreaks: no line can hold one.
func TestLineBreaks(t *testing.T) {
	e := lines{}.Encoder(&bytes.Buffer{})
	text := []byte("a\nb")
	for what, err := range map[string]error{"key": e.Key(text), "value": e.Value(text), "line": e.Line(text)} {
		var unfit *UnfitError
		if !errors.As(err, &unfit) || !strings.Contains(unfit.What, "line break in the "+what) || (unfit.Data == nil) != (what == "key") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// broken is a writer that fails.
type broken struct{ err error }

func (b broken) Write([]byte) (int, error) { return 0, b.err }

// TestWriterFails: its error comes back, at the latest from Close.
func TestWriterFails(t *testing.T) {
	failed := errors.New("failed")
	for _, n := range []int{1, lineBlock} {
		e := lines{}.Encoder(broken{failed})
		err := errors.Join(e.Key([]byte("k")), e.Value(make([]byte, n)))
		if (n == 1) != (err == nil) || !errors.Is(errors.Join(err, e.Close()), failed) {
			t.Errorf("%d bytes: %v, then %v", n, err, e.Close())
		}
	}
}
