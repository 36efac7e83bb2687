package execrunner

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// blocks are the runner.Records of one object, in blocks of whole lines as they
// come from the store.
type blocks struct {
	lines
	left []byte
}

func (r *blocks) NextBlock() (mr.Record, bool) {
	const size = 256 << 10
	n := len(r.left)
	if n > size {
		n = bytes.LastIndexByte(r.left[:size], '\n') + 1
	}
	rec := mr.Record{Object: "a", Data: r.left[:n]}
	r.left = r.left[n:]
	return rec, n > 0
}

// nothing is a runner.Emitter that counts.
type nothing struct{ pairs, bytes int }

func (e *nothing) Emit(key, value []byte) error {
	e.pairs++
	e.bytes += len(key) + len(value)
	return nil
}

func (e *nothing) EmitSpans([]byte, []uint32, []byte) error { panic("not used") }

// records returns n bytes of lines of 99 letters with a tab behind the tenth.
func records(n int) []byte {
	r := rand.New(rand.NewPCG(8, 8))
	b := make([]byte, n)
	for i := range b {
		switch i % 100 {
		case 10:
			b[i] = '\t'
		case 99:
			b[i] = '\n'
		default:
			b[i] = 'a' + byte(r.IntN(26))
		}
	}
	return b
}

// prose returns n bytes of lines of 14 words, whose frequencies fall as in real text.
// With their spaces words have seven bytes on average.
func prose(n int) []byte {
	r := rand.New(rand.NewPCG(7, 7))
	zipf := rand.NewZipf(r, 1.07, 2.7, 30_000)
	b := make([]byte, 0, n+20)
	for i := 1; len(b) < n; i++ {
		w := zipf.Uint64()
		for j := range 4 + w*3%5 {
			b = append(b, 'a'+byte((w>>(3*j)+7*j)%26))
		}
		b = append(b, " \n"[min(1, i%14/13)])
	}
	return append(b[:n-1], '\n')
}

// BenchmarkMapper maps 64 MB from records in memory up to the emitter, with real
// processes. It reports the CPU time of this process and of the mapper together, and
// for comparison that of a mapper in a pipe without mraws. `make bench` runs it.
func BenchmarkMapper(b *testing.B) {
	script, err := filepath.Abs("../../../bench/scripts/map.py")
	if err != nil {
		b.Fatal(err)
	}
	const size = 64_000_000
	measure := func(b *testing.B, f func()) {
		b.SetBytes(size)
		before := cpu(b)
		for b.Loop() {
			f()
		}
		b.ReportMetric(float64(b.N)*size/1e6/(cpu(b)-before).Seconds(), "MB/cpu-s")
	}
	mapper := func(command string, text []byte) func(b *testing.B) {
		return func(b *testing.B) {
			x := newBench(b, command, "cat")
			x.job = &manifest.Job{Spec: *x.exec.Spec("exec"), NReduce: 2, Tasks: make([][]manifest.Piece, 3)}
			x.job.Objects = []manifest.Object{{Name: "a", Size: size}}
			x.job.Tasks[1] = []manifest.Piece{{Length: size}}
			run := x.host.Runner(x.job, lay)
			out := new(nothing)
			measure(b, func() {
				if err := run.Map(x.task(mr.MapPhase), &blocks{lines: lines{blocks: true}, left: text}, out); err != nil {
					b.Fatal(err)
				}
			})
			b.ReportMetric(float64(out.pairs)/float64(b.N), "pairs")
		}
	}
	b.Run("cat", mapper("cat", records(size)))
	text := prose(size)
	words := python(b) + " " + script
	b.Run("python-words", mapper(words, text))
	b.Run("python-words-alone", func(b *testing.B) { // in a pipe of the shell
		file := filepath.Join(b.TempDir(), "text")
		if err := os.WriteFile(file, text, 0o600); err != nil {
			b.Fatal(err)
		}
		measure(b, func() {
			c := exec.Command("sh", "-c", words+` <"$1" | cat >/dev/null`, "sh", file)
			c.Env = append(os.Environ(), "PYTHONUNBUFFERED=")
			if err := c.Run(); err != nil {
				b.Fatal(err)
			}
		})
	})
}

// python is the interpreter behind python3, which may be a script that looks for one.
func python(b *testing.B) string {
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		b.Skip("python3 is not installed:", err)
	}
	return strings.TrimSpace(string(out))
}

// cpu is what this process, and the processes that it has waited for, have taken.
func cpu(b *testing.B) (sum time.Duration) {
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	return sum
}
