package task

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/mr"
)

// prose returns n bytes of lines of words whose frequencies fall as in real
// text (Zipf), out of a vocabulary of 50,000.
func prose(n int) string {
	rnd := rand.New(rand.NewPCG(7, 7))
	zipf := rand.NewZipf(rnd, 1.1, 4, 50_000)
	b := bytes.NewBuffer(make([]byte, 0, n+64))
	for col := 0; b.Len() < n; {
		w := zipf.Uint64()
		m := b.Len()
		for range 1 + w%7 {
			b.WriteByte('a' + byte(w%26))
			w = w/26 + 3
		}
		if col += b.Len() - m + 1; col > 70 {
			b.WriteByte('\n')
			col = 0
		} else {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// pass emits each line as it is: the record path alone, as when sorting.
var pass = testkit.App("pass", func(rec mr.Record, out mr.Emitter) error {
	n := min(len(rec.Data), 10)
	out.Emit(rec.Data[:n], rec.Data[n:])
	return nil
}, func(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
	for v := range values {
		out.Write(v)
	}
	return nil
}, nil)

// random returns n bytes of lines of 99 random letters, as sort benchmarks do.
func random(n int) string {
	rnd := rand.New(rand.NewPCG(8, 8))
	b := make([]byte, n)
	for i := range b {
		if i%100 == 99 {
			b[i] = '\n'
		} else {
			b[i] = 'a' + byte(rnd.IntN(26))
		}
	}
	return string(b)
}

func BenchmarkMap(b *testing.B) {
	wcSplit := testkit.WC
	wcSplit.Combine = nil
	for _, bc := range []struct {
		name   string
		app    mr.App
		text   func(int) string
		memory int64
	}{
		{"wc", testkit.WC, prose, 256 << 20},
		{"wc/spill", testkit.WC, prose, 2 << 20},
		{"words", wcSplit, prose, 1 << 30},
		{"words/spill", wcSplit, prose, 64 << 20},
		{"sort", pass, random, 1 << 30},
		{"sort/spill", pass, random, 64 << 20},
	} {
		b.Run(bc.name, func(b *testing.B) {
			w := newFixture(bc.app, 10, 0, 1, file{"a", bc.text(64 << 20)})
			w.Scratch, w.Memory = b.TempDir(), bc.memory
			b.SetBytes(64 << 20)
			b.ReportAllocs()
			var res Result
			for i := 0; b.Loop(); i++ {
				var err error
				if res, err = w.env(b).Run(context.Background(), Attempt{mr.MapPhase, 0, fmt.Sprint(i)}); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				w.forget()
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(res.Emitted), "ns/pair")
			b.ReportMetric(float64(res.Spills), "spills")
		})
	}
}

// forget removes what attempts wrote.
func (w *fixture) forget() {
	for key := range w.Store.Objects {
		if _, ok := (layout.Layout{}).InputName(key); !ok {
			delete(w.Store.Objects, key)
		}
	}
}

func BenchmarkReduce(b *testing.B) {
	for _, bc := range []struct {
		name   string
		app    mr.App
		maps   int
		memory int64
	}{
		{"sort", pass, 8, 1 << 30},
		{"sort/passes", pass, 64, 4 << 20},
	} {
		b.Run(bc.name, func(b *testing.B) {
			w := newFixture(bc.app, 1, 64<<20/bc.maps+1, 1, file{"a", random(64 << 20)})
			w.Scratch, w.Memory = b.TempDir(), bc.memory
			e := w.env(b)
			for m := range w.Spec.Tasks {
				if _, err := e.Run(context.Background(), Attempt{mr.MapPhase, m, "m"}); err != nil {
					b.Fatal(err)
				}
			}
			b.SetBytes(64 << 20)
			b.ReportAllocs()
			var res Result
			for i := 0; b.Loop(); i++ {
				var err error
				if res, err = e.Run(context.Background(), Attempt{mr.ReducePhase, 0, fmt.Sprint(i)}); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				delete(w.Store.Objects, layout.Layout{}.Output(0))
				b.StartTimer()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(res.Emitted), "ns/pair")
			b.ReportMetric(float64(res.Spills), "spills")
		})
	}
}

// fields emits (word, 1) for each word of a line, over bytes.
func fields(rec mr.Record, out mr.Emitter) error {
	var one [8]byte
	for word := range bytes.FieldsSeq(rec.Data) {
		out.Emit(word, mr.AppendInt64(one[:0], 1))
	}
	return nil
}

// addUp is a reducer that adds up numbers, over bytes.
func addUp(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
	var sum int64
	for v := range values {
		sum += mr.ParseInt64(v)
	}
	out.Write(strconv.AppendInt(nil, sum, 10))
	return nil
}

// BenchmarkTyped counts the words of 64 MB as a whole job, over bytes and over typed
// pairs, with mr.Sum as combiner and without one. It reports CPU time, all of this
// process.
func BenchmarkTyped(b *testing.B) {
	pairs := mr.PairsOf(mr.Text{}, mr.Int64{})
	sums := testkit.App("sums", fields, addUp, nil)
	typed := sums
	typed.NewMapper = pairs.Map(func(line string, out *mr.Out[string, int64]) error {
		for word := range strings.FieldsSeq(line) {
			out.Emit(word, 1)
		}
		return nil
	})
	typed.NewReducer = pairs.Reduce(func(_ string, counts iter.Seq[int64], out *mr.Printer) error {
		var sum int64
		for n := range counts {
			sum += n
		}
		out.PrintInt(sum)
		return nil
	})
	text := prose(64 << 20)
	for _, combine := range []mr.Combiner{mr.Sum{}, nil} {
		for _, app := range []*mr.App{&sums, &typed} {
			name := map[bool]string{true: "sum", false: "all"}[combine != nil] + map[bool]string{true: "/typed", false: "/bytes"}[app == &typed]
			b.Run(name, func(b *testing.B) {
				app := *app
				app.Combine = combine
				w := newFixture(app, 4, 16<<20+64, 1, file{"a", text})
				w.Scratch, w.Memory = b.TempDir(), 1<<30
				before := cpu(b)
				for i := 0; b.Loop(); i++ {
					e := w.env(b)
					for m := range w.Spec.Tasks {
						e.Progress = new(Progress)
						if _, err := e.Run(context.Background(), Attempt{mr.MapPhase, m, fmt.Sprint(i)}); err != nil {
							b.Fatal(err)
						}
					}
					for r := range w.Spec.NReduce {
						e.Progress = new(Progress)
						if _, err := e.Run(context.Background(), Attempt{mr.ReducePhase, r, fmt.Sprint(i)}); err != nil {
							b.Fatal(err)
						}
					}
					w.forget()
				}
				b.ReportMetric((cpu(b)-before).Seconds()/float64(b.N), "cpu-s/op")
			})
		}
	}
}

// cpu is the CPU time of this process.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkSmallFiles packs 2,000 objects of 4 KB into one task.
func BenchmarkSmallFiles(b *testing.B) {
	files := make([]file, 2000)
	for i := range files {
		files[i] = file{fmt.Sprintf("f%05d", i), prose(4 << 10)}
	}
	w := newFixture(testkit.WC, 10, 0, 2000, files...)
	w.Scratch, w.Memory = b.TempDir(), 256<<20
	b.SetBytes(2000 * 4 << 10)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := w.env(b).Run(context.Background(), Attempt{mr.MapPhase, 0, fmt.Sprint(i)}); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		w.forget()
		b.StartTimer()
	}
}
