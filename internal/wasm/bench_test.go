package wasm

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/runner/execrunner"
	"github.com/mraws/mraws/mr"
)

// counted counts pairs.
type counted struct{ pairs int }

func (c *counted) Emit([]byte, []byte) error                { c.pairs++; return nil }
func (c *counted) EmitSpans([]byte, []uint32, []byte) error { panic("not used") }

// BenchmarkMap maps lines of 100 bytes by the module that MRAWS_BENCH_MODULE names, in
// a process of its own. It shows the time of a line, the pipes to and from the process
// included, and the processor's time of both processes. The start of the process and
// the first look at the module are in the time, so -benchtime should be some millions:
//
//	clang --target=wasm32-wasi -mexec-model=reactor -O3 -o /tmp/one.wasm testdata/one.c
//	MRAWS_BENCH_MODULE=/tmp/one.wasm go test -run '^$' -bench Map -benchtime 5000000x ./internal/wasm
func BenchmarkMap(b *testing.B) {
	path := os.Getenv("MRAWS_BENCH_MODULE")
	if path == "" {
		b.Skip("MRAWS_BENCH_MODULE names no module")
	}
	module, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	var text strings.Builder
	for i := range 10_000 {
		line := fmt.Sprintf("%08d the quick brown fox jumps over the lazy dog", i)
		text.WriteString(line + strings.Repeat("x", 99-len(line)) + "\n")
	}
	lines := b.N
	var out counted
	began, cpu := time.Now(), processors(b)
	h := newHost(b, module)
	err = h.run(func(r *execrunner.Host, job *manifest.Job) error {
		in := &blocks{text: text.String()[:min(lines, 10_000)*100], size: 1 << 20, many: max(lines/10_000, 1)}
		return r.Runner(job, lay).Map(h.task(mr.MapPhase), in, &out)
	})
	if err != nil {
		b.Fatal(err)
	}
	n := float64(lines)
	b.ReportMetric(float64(time.Since(began).Nanoseconds())/n, "ns/line")
	b.ReportMetric((processors(b)-cpu)/n, "cpu-ns/line")
	b.ReportMetric(float64(out.pairs)/n, "pairs/line")
}

// processors is the time of processors of this process and its children that have
// ended, in ns.
func processors(b *testing.B) float64 {
	sum := 0.0
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		sum += float64(u.Utime.Nano() + u.Stime.Nano())
	}
	return sum
}
