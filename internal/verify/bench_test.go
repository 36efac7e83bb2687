package verify

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// BenchmarkRun verifies a word count of five hundred small files, from
// memory.
func BenchmarkRun(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	words := rand.NewZipf(rng, 1.1, 2, 20_000)
	j := testJob{app: wordCount(), reduces: 10, inputs: map[string]string{}}
	var size int64
	for i := range 500 {
		var text strings.Builder
		for text.Len() < 10<<10 {
			fmt.Fprintf(&text, "w%x ", words.Uint64()*2654435761%(1<<32))
			if rng.IntN(8) == 0 {
				text.WriteByte('\n')
			}
		}
		j.inputs[fmt.Sprintf("file-%03d", i)] = text.String()
		size += int64(text.Len())
	}
	s, lay := j.build(b)
	dir := b.TempDir()
	b.SetBytes(size)
	for b.Loop() {
		if rep := run(b, s, lay, j.app, Options{Scratch: dir}); !rep.OK() {
			b.Fatal(show(rep))
		}
	}
}
