package wasm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/runner/execrunner"
	"github.com/mraws/mraws/mr"
)

// childArgument makes the binary of the test the process of a module.
const childArgument = "run-module"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == childArgument {
		// With the race detector os.Exit waits for a second.
		syscall.Exit(Serve(context.Background(), os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// bucket has files of code.
type bucket map[string]string

func (b bucket) OpenChunks(_ context.Context, key, _ string, _, _, _ int64, _ int) (io.ReadCloser, error) {
	data, ok := b[key]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(strings.NewReader(data)), nil
}

var lay = layout.New("p")

// host runs jobs of modules in real processes.
type host struct {
	t      testing.TB
	bucket bucket
	exec   *manifest.Exec
	limits execrunner.Limits
	ctx    context.Context
	counts counts
	side   side
}

// newHost is one for a module, with the functions that it exports.
func newHost(t testing.TB, module []byte) *host {
	h := &host{t: t, bucket: bucket{}, exec: &manifest.Exec{Module: &manifest.Module{File: "a.wasm"}}, ctx: t.Context(), side: side{files: map[string]string{}}}
	h.exec.Mapper, h.exec.Reducer = mapFunction, reduceFunction
	h.ship("a.wasm", module)
	return h
}

// ship adds a file.
func (h *host) ship(name string, data []byte) {
	sum := sha256.Sum256(data)
	f := manifest.CodeFile{Name: name, SHA256: hex.EncodeToString(sum[:]), Size: int64(len(data))}
	h.bucket[lay.Code(f.SHA256)] = string(data)
	h.exec.Files = append(h.exec.Files, f)
}

// run calls f with a host, and fails if that leaves anything.
func (h *host) run(f func(r *execrunner.Host, job *manifest.Job) error) error {
	self, err := os.Executable()
	if err != nil {
		h.t.Fatal(err)
	}
	scratch := h.t.TempDir()
	r := execrunner.NewHost(execrunner.Options{
		Store: h.bucket, Bucket: "bucket", Scratch: scratch, Log: zerolog.Nop(), Limits: h.limits, Module: []string{self, childArgument},
	})
	job := &manifest.Job{Spec: *h.exec.Spec("a.wasm"), NReduce: 2, Tasks: [][]manifest.Piece{{{Object: 0, Length: 1}}}, Objects: []manifest.Object{{Name: "in.txt", Size: 1}}}
	if err := job.App.Exec.Validate(); err != nil {
		h.t.Fatal(err)
	}
	err = f(r, job)
	if cerr := r.Close(); cerr != nil {
		h.t.Error(cerr)
	}
	if left, lerr := os.ReadDir(scratch); lerr != nil || len(left) > 0 {
		h.t.Errorf("left in scratch: %v, %v", left, lerr)
	}
	return err
}

func (h *host) task(phase mr.Phase) *mr.Task {
	return &mr.Task{Context: h.ctx, Job: "job-1", Worker: "w", Attempt: "e.7", Phase: phase, Counters: &h.counts, Side: &h.side}
}

// mapText maps a text, in blocks, and returns pairs "key|value".
func (h *host) mapText(text string) ([]string, error) {
	out := new(emitted)
	err := h.run(func(r *execrunner.Host, job *manifest.Job) error {
		return r.Runner(job, lay).Map(h.task(mr.MapPhase), &blocks{text: text, size: 10_000}, out)
	})
	return out.pairs, err
}

// reduce reduces sorted pairs "key|value", and returns lines.
func (h *host) reduce(pairs ...string) ([]string, error) {
	out := new(written)
	err := h.run(func(r *execrunner.Host, job *manifest.Job) error {
		return r.Runner(job, lay).Reduce(h.task(mr.ReducePhase), &sorted{pairs: pairs}, out)
	})
	return out.lines, err
}

// blocks are the runner.Records of one object: blocks of whole lines.
type blocks struct {
	text string
	size int // of a block
	off  int
	many int // how often the text is handed out; 0 is once
}

func (b *blocks) Next() (mr.Record, bool) { panic("not used") }

func (b *blocks) NextBlock() (mr.Record, bool) {
	if b.off == len(b.text) {
		if b.many--; b.many <= 0 {
			return mr.Record{}, false
		}
		b.off = 0
	}
	end := min(b.off+b.size, len(b.text))
	if i := strings.IndexByte(b.text[end:], '\n'); i >= 0 {
		end += i + 1
	} else {
		end = len(b.text)
	}
	rec := mr.Record{Object: "in.txt", Offset: int64(b.off), Data: []byte(b.text[b.off:end])}
	b.off = end
	return rec, true
}

func (b *blocks) Blocks() bool               { return true }
func (b *blocks) SkipOrFail(err error) error { return err }
func (b *blocks) Sample() bool               { return false }
func (b *blocks) Err() error                 { return nil }

// emitted are the pairs that a mapper has emitted.
type emitted struct{ pairs []string }

func (e *emitted) Emit(key, value []byte) error {
	e.pairs = append(e.pairs, string(key)+"|"+string(value))
	return nil
}

func (e *emitted) EmitSpans([]byte, []uint32, []byte) error { panic("not used") }

// sorted are the runner.Groups of pairs "key|value".
type sorted struct {
	pairs []string
	at    int
	key   string
}

func (s *sorted) Next() bool {
	for s.at < len(s.pairs) && s.key != "" && strings.HasPrefix(s.pairs[s.at], s.key+"|") {
		s.at++
	}
	if s.at == len(s.pairs) {
		return false
	}
	s.key, _, _ = strings.Cut(s.pairs[s.at], "|")
	return true
}

func (s *sorted) Key() []byte { return []byte(s.key) }

func (s *sorted) Values() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for s.at < len(s.pairs) {
			value, ok := strings.CutPrefix(s.pairs[s.at], s.key+"|")
			if !ok {
				return
			}
			s.at++
			if !yield([]byte(value)) {
				return
			}
		}
	}
}

func (s *sorted) Err() error { return nil }

// written are the lines of a reducer.
type written struct{ lines []string }

func (w *written) Write([]byte) error { panic("not used") }

func (w *written) WriteLine(line []byte) error {
	w.lines = append(w.lines, string(line))
	return nil
}

// counts are the counters of an attempt.
type counts struct {
	mu    sync.Mutex
	n     map[string]int64
	added func() // is called for each; nil for nobody
}

func (c *counts) Add(name string, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int64{}
	}
	c.n[name] += n
	if c.added != nil {
		c.added()
	}
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

// want compares what came out.
func want(t *testing.T, got []string, err error, lines ...string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, lines) {
		t.Errorf("got  %.2000q\nwant %.2000q", got, lines)
	}
}
