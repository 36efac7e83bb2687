package task

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/mr"
)

func TestMostSlots(t *testing.T) {
	for total, want := range map[int64]int{32 << 20: 3, 85 << 20: 7, 1 << 30: 120, 1: 1} {
		got := MostSlots(total)
		if got != want || got > 1 && int64(got)*SlotMemory(total, got) > total {
			t.Errorf("MostSlots(%d) = %d, want %d", total, got, want)
		}
	}
}

func TestSlotMemory(t *testing.T) {
	for _, tc := range []struct {
		total int64
		slots int
		want  int64
	}{
		{256 << 20, 1, 192 << 20}, {256 << 20, 2, 96 << 20}, {1 << 30, 4, 240 << 20}, {1, 0, minSlotMemory}, {64 << 20, 100, minSlotMemory},
	} {
		if got := SlotMemory(tc.total, tc.slots); got != tc.want {
			t.Errorf("SlotMemory(%d, %d) = %d, want %d", tc.total, tc.slots, got, tc.want)
		}
	}
}

// TestShares: what is held at the same time leaves a quarter of the budget
// in a map attempt and in a reduce attempt.
func TestShares(t *testing.T) {
	for budget := int64(minSlotMemory); budget <= 8<<30; budget *= 2 {
		m, r := shareOut(mr.MapPhase, budget), shareOut(mr.ReducePhase, budget)
		for name, sum := range map[string]int64{
			"reading":  m.pairs + m.window + m.readers,
			"merging":  m.pairs + m.spool + m.readers,
			"fetching": r.segments + r.window,
			"reducing": r.segments + r.readers,
			"writing":  r.segments + r.output,
		} {
			if sum > budget/4*3 {
				t.Errorf("budget %d: %d bytes when %s", budget, sum, name)
			}
		}
		if m.chunk > m.window || m.chunk < minChunk || m.chunk > maxChunk {
			t.Errorf("budget %d: chunk %d in window %d", budget, m.chunk, m.window)
		}
		for total := int64(1); total <= 1<<40; total *= 2 {
			switch n := m.chunkOf(total); {
			case n == m.chunk:
			case n < m.chunk || n > maxWide || 8*n > m.window || manyReads*(n-1<<20) >= total:
				t.Errorf("budget %d: requests of %d bytes for %d, chunks of %d in a window of %d", budget, n, total, m.chunk, m.window)
			}
		}
	}
}

// TestChunkOf: what reads much makes large requests, if it has the memory.
func TestChunkOf(t *testing.T) {
	const mib = 1 << 20
	for _, tc := range []struct{ budget, total, want int64 }{
		{8 * mib, 1, 256 << 10}, {8 * mib, 1 << 40, 256 << 10}, // little memory
		{256 * mib, 1 << 40, 8 * mib}, {512 * mib, 1 << 40, 8 * mib}, {1 << 30, 1 << 40, 16 * mib}, {4 << 30, 1 << 40, 64 * mib},
		{16 << 30, 1 << 40, 64 * mib},
		{4 << 30, 1, 8 * mib}, {4 << 30, 64 * mib, 8 * mib}, {4 << 30, 512 * mib, 8 * mib}, // little to read
		{4 << 30, 1 << 30, 16 * mib}, {4 << 30, 2<<30 + 64, 33 * mib}, {4 << 30, 16 << 30, 64 * mib},
	} {
		for _, phase := range []mr.Phase{mr.MapPhase, mr.ReducePhase} {
			if got := shareOut(phase, tc.budget).chunkOf(tc.total); got != tc.want {
				t.Errorf("a budget of %d bytes reads %d by %d, want %d", tc.budget, tc.total, got, tc.want)
			}
		}
	}
}

// asked is a store that makes up what is read, and remembers the requests.
type asked struct {
	Store
	held  int64 // what a stream holds, or 0
	mu    sync.Mutex
	reads []int64 // bytes of each
}

func (a *asked) Stream(_ context.Context, _, _ string, off, n int64) (object.Stream, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reads = append(a.reads, n)
	return testkit.Stream(io.NopCloser(&repeated{text: strings.Repeat("x", 1<<20), off: off, left: n}), nil)
}

// Reach is that of a store on this machine if held is set.
func (a *asked) Reach(n, chunk int64) (reach, held int64) {
	if a.held > 0 {
		return n, a.held
	}
	return min(n, chunk), min(n, chunk)
}

// TestLargeRequests: map and reduce attempts of much input make the requests
// that Chunk says.
func TestLargeRequests(t *testing.T) {
	const budget, size = 4 << 30, 1<<30 + 64
	want := []int64{shareOut(mr.MapPhase, budget).chunkOf(size)}
	for want[0]*int64(len(want)+1) <= size {
		want = append(want, want[0])
	}
	want = append(want, size-want[0]*int64(len(want)))
	job := &manifest.Job{NReduce: 1, Objects: []manifest.Object{{Name: "a", Size: size}}, Spec: manifest.Spec{Input: manifest.Choice{Name: manifest.Lines}}}
	shares := shareOut(mr.MapPhase, budget)
	for name, read := range map[string]func(b *bucket) error{
		"input": func(b *bucket) error {
			a := fetchAhead(context.Background(), b, shares, []manifest.Piece{{Length: size}})
			defer a.Close()
			body, err := a.opener(0)(0, size)
			if err == nil {
				err = drain(body)
			}
			return err
		},
		"shuffle": func(b *bucket) error {
			s := shuffle{bucket: b, shares: shares, segments: []*fetched{{part: part{size: size}}}}
			return s.fetchTo(context.Background(), nowhere{})
		},
	} {
		store := new(asked)
		if err := read(&bucket{store: store, job: job, format: job.InputFormat()}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		slices.SortFunc(store.reads, func(a, b int64) int { return cmp.Compare(b, a) })
		if !slices.Equal(store.reads, want) {
			t.Errorf("%s: requests of %d bytes, want %d", name, store.reads, want)
		}
	}
}

// drain reads to the end.
func drain(src input.Source) error {
	for {
		b, err := src.Peek()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = src.Discard(len(b))
		}
		if err != nil {
			return err
		}
	}
}

// TestReach: a request asks for as much as the store says, and weighs what is
// held of it.
func TestReach(t *testing.T) {
	shares := shareOut(mr.MapPhase, 8<<20)
	store := &asked{held: 300_000}
	b := &bucket{store: store, job: &manifest.Job{Objects: []manifest.Object{{}, {Bucket: "logs"}}}}
	b.others = func(context.Context, string, manifest.Access) (Source, error) { return &asked{}, nil }
	a := &ahead{bucket: b, pieces: []manifest.Piece{{}, {Object: 1}}, window: shares.window, chunk: shares.chunkOf(1 << 30)}
	for left, want := range map[int64][2]int64{1 << 30: {1 << 30, 300_000}, 10: {10, 300_000}} {
		if n, weight := a.cut(0, left); [2]int64{n, weight} != want {
			t.Errorf("of %d bytes: a request of %d that weighs %d, want %d", left, n, weight, want)
		}
	}
	if n, weight := a.cut(1, 1<<30); n != a.chunk || weight != a.chunk {
		t.Errorf("of another bucket: a request of %d bytes that weighs %d, want %d", n, weight, a.chunk)
	}
	store.held = 0
	for left, want := range map[int64][2]int64{1 << 30: {a.chunk, a.chunk}, 10: {10, perObject}} {
		if n, weight := a.cut(0, left); [2]int64{n, weight} != want {
			t.Errorf("of %d bytes: a request of %d that weighs %d, want %d", left, n, weight, want)
		}
	}
}

// nowhere is a file that keeps nothing.
type nowhere struct{ io.ReaderAt }

func (nowhere) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

var (
	memoryText   = flag.Int64("memory.text", 16, "MB of text for TestMemory")
	memoryBudget = flag.Int64("memory.budget", 8, "MiB of budget for TestMemory")
)

// diskStore is a fake whose input is made up as it is read and whose other
// objects are files, so that what it holds does not count.
type diskStore struct {
	*testkit.Store
	dir   string
	block string // the input is this, over and over
	size  int64
}

func (d *diskStore) path(key string) string {
	return filepath.Join(d.dir, strings.ReplaceAll(key, "/", "+"))
}

func (d *diskStore) OpenChunks(_ context.Context, key, _ string, off, n, _ int64, _ int) (io.ReadCloser, error) {
	if strings.HasPrefix(key, "input/") {
		return io.NopCloser(&repeated{text: d.block, off: off, left: n}), nil
	}
	f, err := os.Open(d.path(key))
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, off, n), f}, nil
}

func (d *diskStore) Stream(ctx context.Context, key, etag string, off, n int64) (object.Stream, error) {
	return testkit.Stream(d.OpenChunks(ctx, key, etag, off, n, n, 1))
}

type repeated struct {
	text      string
	off, left int64
}

func (r *repeated) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(int64(len(p)), r.left)], r.text[r.off%int64(len(r.text)):])
	r.off, r.left = r.off+int64(n), r.left-int64(n)
	return n, nil
}

func (d *diskStore) PutFile(_ context.Context, key string, r io.ReaderAt, size int64, _ object.PutOptions) (object.Info, error) {
	f, err := os.Create(d.path(key))
	if err != nil {
		return object.Info{}, err
	}
	_, err = io.Copy(f, io.NewSectionReader(r, 0, size))
	return object.Info{Key: key, Size: size, ETag: "x"}, errors.Join(err, f.Close())
}

func (d *diskStore) Create(_ context.Context, key string, _ object.PutOptions) (object.Writer, error) {
	f, err := os.Create(d.path(key))
	return &diskWriter{f}, err
}

type diskWriter struct{ *os.File }

func (w *diskWriter) Commit(context.Context) (object.Info, error) {
	return object.Info{ETag: "x"}, w.Close()
}
func (w *diskWriter) Abort() error { return w.Close() }

// peak runs f and returns the largest heap in use meanwhile, in bytes, over
// what was in use before.
func peak(f func()) int64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
	read := func() int64 {
		metrics.Read(sample)
		return int64(sample[0].Value.Uint64() + sample[1].Value.Uint64())
	}
	runtime.GC()
	base, most := read(), int64(0)
	stop := make(chan struct{})
	var sampler sync.WaitGroup
	sampler.Go(func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			most = max(most, read())
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	})
	f()
	close(stop)
	sampler.Wait()
	return most - base
}

// TestMemory runs map and reduce over far more data than the budget and
// looks at the heap: with the budget as the runtime's memory limit, as a
// worker sets it, the peak stays within budget and a margin.
func TestMemory(t *testing.T) {
	budget, size := *memoryBudget<<20, *memoryText<<20
	for _, a := range []struct {
		name string
		app  mr.App
	}{{"wc", testkit.WC}, {"sort", pass}} {
		t.Run(a.name, func(t *testing.T) {
			d := &diskStore{Store: testkit.NewStore(), dir: t.TempDir(), size: size, block: uniqueLines(4 << 20)}
			w := newFixture(a.app, 4, 0, 1, file{"a", "x"})
			w.Scratch, w.Memory = t.TempDir(), budget
			w.Spec.Objects[0].Size = size
			w.Spec.Tasks = w.Spec.Tasks[:0]
			const maps = 2
			for m := range int64(maps) {
				from, to := size*m/maps, size*(m+1)/maps
				w.Spec.Tasks = append(w.Spec.Tasks, onePiece(from, to-from))
			}
			e := w.env(t)
			e.Store = d
			var before runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			defer debug.SetMemoryLimit(debug.SetMemoryLimit(int64(before.HeapInuse) + budget))
			for _, a := range []Attempt{{mr.MapPhase, 0, "m"}, {mr.MapPhase, 1, "m"}, {mr.ReducePhase, 1, "r"}} {
				var res Result
				var err error
				most := peak(func() { res, err = e.Run(context.Background(), a) })
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%s %d: peak %.1f MiB of %d, %d spills, %d records", a.Phase, a.Index, float64(most)/(1<<20), *memoryBudget, res.Spills, res.Records)
				if margin := budget/8 + 2<<20; most > budget+margin {
					t.Errorf("%s %d: peak of %d bytes exceeds the budget of %d by more than %d", a.Phase, a.Index, most, budget, margin)
				}
			}
		})
	}
}

// TestLargeRecords: however many records are larger than their share, an
// attempt holds few of them at a time.
func TestLargeRecords(t *testing.T) {
	const size, maps, each = 5 << 20, 9, 9
	value := bytes.Repeat([]byte("x"), size)
	large := testkit.App("large", func(rec mr.Record, out mr.Emitter) error {
		out.Emit(rec.Data, value)
		for i := range each - 1 {
			if rec.Object == "f0" {
				out.Emit(rec.Data, []byte("small"))
				out.Emit(append(rec.Data, byte('0'+i)), value)
			}
		}
		return nil
	}, func(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
		for v := range values {
			out.Write(v)
		}
		return nil
	}, nil)
	var files []file
	for m := range maps {
		files = append(files, file{fmt.Sprintf("f%d", m), fmt.Sprintf("%c\n", 'f'-m)})
	}
	for name, w := range map[string]*fixture{"plain": newFixture(large, 1, 0, 1, files...), "bad records": newFixture(large, 1, 0, 1, files...)} {
		t.Run(name, func(t *testing.T) {
			w.Scratch, w.Memory = t.TempDir(), minSlotMemory
			held := int64(6)
			if name != "plain" {
				w.Spec.MaxBad.Records, held = 1, 7 // one is held back
			}
			e := w.env(t)
			e.Store = &diskStore{Store: w.Store, dir: t.TempDir(), block: "k\n"}
			var before runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			defer debug.SetMemoryLimit(debug.SetMemoryLimit(int64(before.HeapInuse) + minSlotMemory))
			for m := range maps + 1 {
				a := Attempt{mr.MapPhase, m, "m"}
				if m == maps {
					a = Attempt{mr.ReducePhase, 0, "r"}
				}
				var err error
				e.Progress = new(Progress)
				most := peak(func() { _, err = e.Run(context.Background(), a) })
				if err != nil {
					t.Fatal(err)
				}
				t.Logf("%s %d: peak %.1f MiB", a.Phase, a.Index, float64(most)/(1<<20))
				if most > minSlotMemory+held*size {
					t.Errorf("%s %d: peak of %d bytes", a.Phase, a.Index, most)
				}
			}
		})
	}
}

func onePiece(off, n int64) []manifest.Piece { return []manifest.Piece{{Offset: off, Length: n}} }

// uniqueLines returns n bytes of prose whose lines start with a number.
func uniqueLines(n int) string {
	var b strings.Builder
	for i, line := range strings.Split(prose(n), "\n") {
		fmt.Fprintf(&b, "%07x %s\n", uint32(i)*2654435761>>4, line)
	}
	return b.String()
}

// TestManySpills: a map attempt that spills hundreds of times has few files
// open, and merges no record more often than there are levels.
func TestManySpills(t *testing.T) {
	w := newFixture(testkit.Where, 3, 0, 1, file{"a", text(1, 400_000)})
	w.Scratch, w.Memory = t.TempDir(), 20_000
	records, most := 0, 0
	w.App.NewMapper = func(*mr.Task) (mr.Mapper, error) {
		return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
			if records++; records%40 == 0 {
				most = max(most, len(testkit.DeletedFiles(w.Scratch)))
			}
			return testkit.MapWhere(rec, out)
		}), nil
	}
	res, err := w.env(t).Run(context.Background(), Attempt{mr.MapPhase, 0, "m"})
	if err != nil {
		t.Fatal(err)
	}
	// The width is 2 with so little memory: there is at most one run of each
	// level, and merging makes fewer runs than there were.
	t.Logf("%d runs written, at most %d open", res.Spills, most)
	if most < 4 || most > 12 || res.Spills < 400 || res.Spills > 1000 {
		t.Errorf("%d runs written, at most %d open", res.Spills, most)
	}
	if got := spillWidth(1<<30, 10); got != maxWidth {
		t.Errorf("with much memory %d runs are merged at a time", got)
	}
	w.Check(t)
}
