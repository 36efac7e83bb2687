package apps

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/mr"
	"github.com/mraws/mraws/mr/mrtest"
)

// labWords cuts text as the wc of the lab does.
func labWords(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) })
}

func scan(text string) []string {
	c := newClasses()
	words := []string{}
	for start, end := c.next([]byte(text), 0); start < end; start, end = c.next([]byte(text), end) {
		words = append(words, text[start:end])
	}
	return words
}

func TestWords(t *testing.T) {
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{" ", "a", "Zz", "'", "é", "語", "²", "\xff", "\xc3", "\xe8\xaa", "\uFFFD", "𝒳", "\x00", "9", "ſ"}),
		rapid.String(), rapid.StringMatching(`[a-zA-Z]{0,9}`))
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(piece).Draw(t, "text"), "")
		if diff := cmp.Diff(labWords(text), scan(text)); diff != "" {
			t.Fatalf("%q (-lab +scan):\n%s", text, diff)
		}
	})
}

func FuzzWords(f *testing.F) {
	f.Add("It's caf\u00e9 \xff\xc3 \u8a9e9")
	f.Fuzz(func(t *testing.T, text string) {
		if diff := cmp.Diff(labWords(text), scan(text)); diff != "" {
			t.Fatalf("%q (-lab +scan):\n%s", text, diff)
		}
	})
}

// labWC is the sequential word count of the lab: its output, sorted.
func labWC(inputs map[string]string) []string {
	counts := map[string]int{}
	for _, text := range inputs {
		for _, w := range labWords(text) {
			counts[w]++
		}
	}
	lines := make([]string, 0, len(counts))
	for w, n := range counts {
		lines = append(lines, fmt.Sprintf("%s %d", w, n))
	}
	slices.Sort(lines)
	return lines
}

var texts = map[string]string{
	"empty.txt": "",
	"a.txt":     "The quick brown fox.\r\nIt's the quick one!\n\n",
	"b/a.txt":   "caf\u00e9 \u8a9e caf\u00e9\nbad \xffbytes\xc3\nthe end",
	"c.txt":     "THE the The\n",
}

func TestWC(t *testing.T) {
	for _, r := range []int{1, 3, 10} {
		if diff := cmp.Diff(labWC(texts), mrtest.Run(t, wc(), r, texts)); diff != "" {
			t.Errorf("R = %d (-lab +got):\n%s", r, diff)
		}
	}
}

type discard struct{}

func (discard) Emit(key, value []byte) {}

// goText returns about a MB of real text: documents of the Go distribution
// in use, the same for a given version.
func goText(tb testing.TB) string {
	names, err := filepath.Glob(filepath.Join(goRoot(tb), "src", "net", "http", "*.go"))
	if err != nil || len(names) == 0 {
		tb.Fatalf("no files of Go's source: %v", err)
	}
	var b strings.Builder
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		b.Write(text)
	}
	return b.String()
}

func BenchmarkWC(b *testing.B) {
	lines := strings.Split(goText(b), "\n")
	recs := make([]mr.Record, len(lines))
	size := 0
	for i, l := range lines {
		recs[i].Data = []byte(l)
		size += len(l) + 1
	}
	m, err := wc().NewMapper(nil)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		for _, rec := range recs {
			if err := m.Map(rec, discard{}); err != nil {
				b.Fatal(err)
			}
		}
	}
}
