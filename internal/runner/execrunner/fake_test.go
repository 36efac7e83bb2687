package execrunner

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// guardVariable makes the binary of the test a guard.
const guardVariable = "MRAWS_TEST_GUARD"

func TestMain(m *testing.M) {
	if os.Getenv(guardVariable) != "" {
		StandGuard(os.Stdin)
		os.Exit(0)
	}
	if file := os.Getenv(hostVariable); file != "" {
		runOneAttempt(file)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// code is a bucket with files of code.
type code map[string]string

func (c code) OpenChunks(_ context.Context, key, _ string, _, _, _ int64, _ int) (io.ReadCloser, error) {
	data, ok := c[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(strings.NewReader(data)), nil
}

// add adds a file, and returns what a job says of it.
func (c code) add(name, data string) manifest.CodeFile {
	sum := sha256.Sum256([]byte(data))
	f := manifest.CodeFile{Name: name, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(data)), Executable: strings.HasPrefix(data, "#!")}
	c[lay.Code(f.SHA256)] = data
	return f
}

var lay = layout.New("p")

// object is an input object, or the part of it that a task reads.
type object struct{ name, text string }

// lines are the runner.Records of some objects.
type lines struct {
	objects []object
	blocks  bool
	at      int
	off     int
	err     error // at the end
	read    int   // bytes
	over    bool  // the end was told
}

func (l *lines) Next() (mr.Record, bool) { return l.take(false) }

func (l *lines) NextBlock() (mr.Record, bool) { return l.take(true) }

// take takes a line, or up to three.
func (l *lines) take(block bool) (mr.Record, bool) {
	for ; l.at < len(l.objects); l.at, l.off = l.at+1, 0 {
		o := l.objects[l.at]
		rest := o.text[l.off:]
		if rest == "" {
			continue
		}
		n := 0
		for range 3 {
			i := strings.IndexByte(rest[n:], '\n')
			if n += i + 1; i < 0 {
				n = len(rest)
			}
			if !block || n == len(rest) {
				break
			}
		}
		rec := mr.Record{Object: o.name, Offset: int64(l.off), Data: []byte(rest[:n])}
		if !block {
			rec.Data = bytes.TrimSuffix(rec.Data, []byte("\n"))
		}
		l.off += n
		l.read += n
		return rec, true
	}
	if l.over {
		panic("asked for a record behind the end")
	}
	l.over = true
	return mr.Record{}, false
}

func (l *lines) Blocks() bool               { return l.blocks }
func (l *lines) SkipOrFail(err error) error { return err }
func (l *lines) Sample() bool               { return false }
func (l *lines) Err() error {
	if l.at == len(l.objects) {
		return l.err
	}
	return nil
}

// emitted are the pairs that a mapper has emitted.
type emitted struct {
	pairs []string // "key|value"
	fail  error
}

func (e *emitted) Emit(key, value []byte) error {
	if e.fail != nil {
		return e.fail
	}
	e.pairs = append(e.pairs, string(key)+"|"+string(value))
	return nil
}

func (e *emitted) EmitSpans([]byte, []uint32, []byte) error { panic("not used") }

// sorted are the runner.Groups of some pairs.
type sorted struct {
	pairs []string
	at    int // of the first pair of the next key
	taken int
	read  int
	err   error
}

func key(pair string) string { k, _, _ := strings.Cut(pair, "|"); return k }

func (s *sorted) Next() bool {
	s.read += s.at - s.taken
	if s.taken = s.at; s.taken == len(s.pairs) {
		return false
	}
	for s.at < len(s.pairs) && key(s.pairs[s.at]) == key(s.pairs[s.taken]) {
		s.at++
	}
	return true
}

func (s *sorted) Key() []byte { return []byte(key(s.pairs[s.at-1])) }

func (s *sorted) Values() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for s.taken < s.at {
			_, v, _ := strings.Cut(s.pairs[s.taken], "|")
			s.taken, s.read = s.taken+1, s.read+1
			if !yield([]byte(v)) {
				return
			}
		}
	}
}

func (s *sorted) Err() error {
	if s.taken == len(s.pairs) {
		return s.err
	}
	return nil
}

// written are the lines of a reducer.
type written struct {
	lines []string
	fail  error
}

func (w *written) Write([]byte) error { panic("not used") }

func (w *written) WriteLine(line []byte) error {
	if w.fail != nil {
		return w.fail
	}
	w.lines = append(w.lines, string(line))
	return nil
}

// counts are the counters of an attempt.
type counts struct {
	mu    sync.Mutex
	n     map[string]int64
	beats int
}

func (c *counts) Add(name string, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int64{}
	}
	c.n[name] += n
}

func (c *counts) Beat() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.beats++
}

// side are side files.
type side struct {
	mr.SideFiles
	files map[string]string
}

func (s *side) Put(_ context.Context, name string, data []byte) error {
	s.files[name] = string(data)
	return nil
}

// bench runs executables.
type bench struct {
	t      testing.TB
	host   *Host
	exec   manifest.Exec
	job    *manifest.Job
	counts counts
	side   side
	ctx    context.Context
}

// newBench is one for these commands, an empty one for none.
func newBench(t testing.TB, mapper, reducer string) *bench {
	b := &bench{t: t, ctx: t.Context(), side: side{files: map[string]string{}}, exec: manifest.Exec{Mapper: mapper, Reducer: reducer}}
	b.host = NewHost(Options{Store: code{}, Bucket: "bucket", Scratch: t.TempDir(), Log: zerolog.Nop()})
	t.Cleanup(func() {
		if err := b.host.Close(); err != nil {
			t.Error(err)
		}
		left, err := os.ReadDir(b.host.o.Scratch)
		if err != nil || len(left) > 0 {
			t.Errorf("left in scratch: %v, %v", left, err)
		}
	})
	return b
}

func (b *bench) task(phase mr.Phase) *mr.Task {
	return &mr.Task{Context: b.ctx, Job: "job-1", Worker: "w", Attempt: "e.7", Phase: phase, Index: 1, Counters: &b.counts, Side: &b.side}
}

// mapAll maps objects, each a whole one of the input.
func (b *bench) mapAll(blocks bool, objects ...object) ([]string, error) {
	e := new(emitted)
	err := b.mapTo(&lines{objects: objects, blocks: blocks}, e)
	return e.pairs, err
}

func (b *bench) mapTo(in *lines, e *emitted) error {
	b.job = &manifest.Job{Spec: *b.exec.Spec("exec"), NReduce: 2, Tasks: make([][]manifest.Piece, 3)}
	for i, o := range in.objects {
		b.job.Objects = append(b.job.Objects, manifest.Object{Name: o.name, Size: int64(len(o.text))})
		b.job.Tasks[1] = append(b.job.Tasks[1], manifest.Piece{Object: i, Length: int64(len(o.text))})
	}
	return b.host.Runner(b.job, lay).Map(b.task(mr.MapPhase), in, e)
}

// reduce reduces pairs "key|value".
func (b *bench) reduce(pairs ...string) ([]string, error) {
	out := new(written)
	in := &sorted{pairs: pairs}
	err := b.reduceTo(in, out)
	if err == nil && in.read != len(pairs) {
		err = fmt.Errorf("%d of %d pairs were read", in.read, len(pairs))
	}
	return out.lines, err
}

func (b *bench) reduceTo(in *sorted, out *written) error {
	b.job = &manifest.Job{Spec: *b.exec.Spec("exec"), NReduce: 2, Tasks: make([][]manifest.Piece, 3)}
	return b.host.Runner(b.job, lay).Reduce(b.task(mr.ReducePhase), in, out)
}

// want compares lines.
func want(t *testing.T, got []string, err error, lines ...string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, lines) {
		t.Errorf("got  %q\nwant %q", got, lines)
	}
}
