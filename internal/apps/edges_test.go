package apps

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wordsBy returns the words of text as classes.next finds them.
func wordsBy(text []byte) (all []string) {
	c := newClasses()
	for start, end := c.next(text, 0); start < end; start, end = c.next(text, end) {
		all = append(all, string(text[start:end]))
	}
	return all
}

func wordsOfEdges(text []byte) (all []string) {
	at := edges(nil, text)
	for i := 0; i < len(at); i += 2 {
		all = append(all, string(text[at[i]:at[i+1]]))
	}
	return all
}

func FuzzEdges(f *testing.F) {
	for _, s := range []string{
		"", "a", " a ", "Hello, World! It's 2026.", strings.Repeat("x", 64), strings.Repeat("x", 63) + " " + strings.Repeat("y", 130),
		strings.Repeat(" ", 63) + "ß", strings.Repeat("a", 62) + "世界 b", strings.Repeat("a", 63) + "\xe4\xb8", "\xff\xfea\xc3\x28",
		"@[`{azAZ\x00\x7f", strings.Repeat("é", 100), strings.Repeat("a", 61) + "\U0001d538\U0001d538" + strings.Repeat("—", 40) + "z",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		for range 3 { // at other places in the blocks
			if diff := cmp.Diff(wordsBy(text), wordsOfEdges(text)); diff != "" {
				t.Fatalf("%q (-one by one +by blocks):\n%s", text, diff)
			}
			text = append([]byte("  x-"), text...)
		}
	})
}

func BenchmarkEdges(b *testing.B) {
	text := bytes.Repeat([]byte("It was the best of times, it was the worst of times, it was the age of wisdom. "), 1<<14)
	b.SetBytes(int64(len(text)))
	var at []uint32
	for b.Loop() {
		at = edges(at[:0], text)
	}
}
