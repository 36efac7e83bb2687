package mr_test

import (
	"bytes"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/mraws/mraws/mr"
)

// wordCounts are the same word count over bytes and over typed pairs.
func wordCounts() map[string]mr.App {
	pairs := mr.PairsOf(mr.Text{}, mr.Int64{})
	return map[string]mr.App{
		"bytes": {
			NewMapper: fields,
			NewReducer: func(*mr.Task) (mr.Reducer, error) {
				return mr.ReducerFunc(func(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
					var sum int64
					for v := range values {
						sum += mr.ParseInt64(v)
					}
					out.Write(fmt.Append(nil, sum))
					return nil
				}), nil
			},
		},
		"typed": {
			NewMapper: pairs.Map(func(line string, out *mr.Out[string, int64]) error {
				for word := range strings.FieldsSeq(line) {
					out.Emit(word, 1)
				}
				return nil
			}),
			NewReducer: pairs.Reduce(func(_ string, counts iter.Seq[int64], out *mr.Printer) error {
				var sum int64
				for n := range counts {
					sum += n
				}
				out.PrintInt(sum)
				return nil
			}),
		},
	}
}

// sink takes pairs and output, and adds up what it is given.
type sink struct{ pairs, bytes int }

func (s *sink) Emit(key, value []byte) { s.pairs, s.bytes = s.pairs+1, s.bytes+len(key)+len(value) }
func (s *sink) Write(value []byte)     { s.bytes += len(value) }
func (s *sink) WriteLine([]byte)       {}

// text is lines of 14 words.
func benchText() [][]byte {
	var lines [][]byte
	for i := range 1000 {
		var line []byte
		for j := range 14 {
			line = fmt.Appendf(line, "w%x ", (i*14+j)*7919%5003)
		}
		lines = append(lines, bytes.TrimSpace(line))
	}
	return lines
}

// mapAll maps all lines.
func mapAll(tb testing.TB, m mr.Mapper, lines [][]byte, out *sink) {
	for _, line := range lines {
		if err := m.Map(mr.Record{Data: line}, out); err != nil {
			tb.Fatal(err)
		}
	}
}

// reduceAll reduces 1,000 keys of 10 values each.
func reduceAll(tb testing.TB, r mr.Reducer, out *sink) {
	values := slices.Values(slices.Repeat([][]byte{mr.AppendInt64(nil, 3)}, 10))
	key := []byte("word")
	for range 1000 {
		if err := r.Reduce(key, values, out); err != nil {
			tb.Fatal(err)
		}
	}
}

func BenchmarkWordCount(b *testing.B) {
	lines := benchText()
	var size int64
	for _, line := range lines {
		size += int64(len(line)) + 1
	}
	for _, name := range []string{"bytes", "typed"} {
		app := wordCounts()[name]
		b.Run("map/"+name, func(b *testing.B) {
			m, err := app.NewMapper(&mr.Task{})
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				mapAll(b, m, lines, &sink{})
			}
		})
		b.Run("reduce/"+name, func(b *testing.B) {
			r, err := app.NewReducer(&mr.Task{})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				reduceAll(b, r, &sink{})
			}
		})
	}
}

// TestTypedAllocates: typed pairs cost no allocation each. A block of 16 KiB of
// text is one, and the typed reducer saves those of its output.
func TestTypedAllocates(t *testing.T) {
	lines := benchText()
	size := 0
	for _, line := range lines {
		size += len(line)
	}
	allocs := map[string][2]float64{}
	for name, app := range wordCounts() {
		m, err := app.NewMapper(&mr.Task{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := app.NewReducer(&mr.Task{})
		if err != nil {
			t.Fatal(err)
		}
		var out sink
		allocs[name] = [2]float64{
			testing.AllocsPerRun(10, func() { out = sink{}; mapAll(t, m, lines, &out) }),
			testing.AllocsPerRun(10, func() { reduceAll(t, r, &out) }),
		}
		if out.pairs != 14*len(lines) {
			t.Errorf("%s: %d pairs", name, out.pairs)
		}
	}
	raw, typed := allocs["bytes"], allocs["typed"]
	if blocks := float64(size/(16<<10) + 2); typed[0] > raw[0]+blocks {
		t.Errorf("map: %v allocations for %d pairs, %v over bytes and at most %v blocks", typed[0], 14*len(lines), raw[0], blocks)
	}
	if typed[1] > raw[1] {
		t.Errorf("reduce: %v allocations, %v over bytes", typed[1], raw[1])
	}
}
