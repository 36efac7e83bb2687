package recordio

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// words returns n records like those of a word count: words of a skewed
// vocabulary, sorted, with small numbers.
func words(n int, seed uint64) []rec {
	rng := rand.New(rand.NewPCG(seed, 1))
	zipf := rand.NewZipf(rng, 1.1, 10, 50000)
	recs := make([]rec, n)
	for i := range recs {
		w := zipf.Uint64()
		recs[i] = rec{fmt.Sprintf("w%x", w*2654435761%(1<<28)), fmt.Sprint(rng.IntN(30) + 1)}
	}
	slices.SortStableFunc(recs, func(a, b rec) int { return strings.Compare(a.K, b.K) })
	return recs
}

// pages returns n records of a word and a text of 100 bytes.
func pages(n int, seed uint64) []rec {
	recs := words(n, seed)
	for i := range recs {
		recs[i].V = fmt.Sprintf("%-50s%50d", "the quick brown fox jumps over "+recs[i].K, i*7919)
	}
	return recs
}

// keyed is a record as the hot path sees it.
type keyed struct{ k, v []byte }

func asBytes(recs []rec) (out []keyed, size int64) {
	for _, r := range recs {
		out = append(out, keyed{[]byte(r.K), []byte(r.V)})
		size += int64(len(r.K) + len(r.V))
	}
	return out, size
}

var shapes = []struct {
	name string
	make func(int, uint64) []rec
}{{"words", words}, {"pages", pages}}

var benchOptions = []struct {
	name string
	o    Options
}{{"s2", Options{}}, {"none", Options{Codec: None}}, {"s2-local", Options{Local: true}}}

// report adds the figures that matter: nanoseconds for a record.
func report(b *testing.B, records int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(records), "ns/record")
}

func BenchmarkWrite(b *testing.B) {
	for _, shape := range shapes {
		for _, bo := range benchOptions {
			b.Run(shape.name+"/"+bo.name, func(b *testing.B) {
				recs, size := asBytes(shape.make(100_000, 1))
				w := NewWriter(io.Discard, bo.o)
				b.SetBytes(size)
				b.ReportAllocs()
				var s Summary
				for b.Loop() {
					w.Reset(io.Discard)
					for _, r := range recs {
						if err := w.Write(r.k, r.v); err != nil {
							b.Fatal(err)
						}
					}
					s, _ = w.Close()
				}
				report(b, len(recs))
				b.ReportMetric(float64(size)/float64(s.Bytes), "ratio")
			})
		}
	}
}

func BenchmarkRead(b *testing.B) {
	for _, shape := range shapes {
		for _, bo := range benchOptions {
			b.Run(shape.name+"/"+bo.name, func(b *testing.B) {
				data, s := write(b, bo.o, shape.make(100_000, 1))
				r := NewReader(nil)
				src := bytes.NewReader(nil)
				b.SetBytes(s.Sum.Bytes)
				b.ReportAllocs()
				for b.Loop() {
					src.Reset(data)
					r.Reset(src)
					discard(b, r)
				}
				report(b, 100_000)
			})
		}
	}
}

func BenchmarkMerge(b *testing.B) {
	const records = 256_000
	for _, k := range []int{2, 16, 256} {
		for _, how := range []string{"stream", "combine"} {
			b.Run(fmt.Sprintf("k=%d/%s", k, how), func(b *testing.B) {
				files := make([][]byte, k)
				size := int64(0)
				for i := range files {
					var s Summary
					files[i], s = write(b, Options{Local: true}, words(records/k, uint64(i)))
					size += s.Sum.Bytes
				}
				readers, srcs := make([]*Reader, k), make([]Source, k)
				for i := range readers {
					readers[i] = NewReader(nil)
					srcs[i] = readers[i]
				}
				combine := add
				if how == "stream" {
					combine = nil
				}
				b.SetBytes(size)
				b.ReportAllocs()
				for b.Loop() {
					for i := range readers {
						readers[i].Reset(bytes.NewReader(files[i]))
					}
					discard(b, Merge(srcs, combine))
				}
				report(b, records)
			})
		}
	}
}

func BenchmarkHashRecord(b *testing.B) {
	for _, n := range []int{8, 100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			key, value := make([]byte, 6), make([]byte, n-6)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			var sum uint64
			for b.Loop() {
				sum += HashRecord(key, value)
			}
			runtime.KeepAlive(sum)
		})
	}
}
