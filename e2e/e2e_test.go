// Package e2e tests the built binary as its users run it: real processes, a
// real S3 server, real signals. With the tag interop the same tests run over
// MinIO, an S3 implementation that is not ours.
package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/s3fs"
)

// patience bounds every wait of these tests: how long a machine that is
// busy with other things may take, not how long things should take.
const patience = 2 * time.Minute

// raced has the program under test built with the race detector, which makes
// its processes three to five times as dear. It is about them, so that it does
// not matter whether the tests themselves are built with it.
var raced = flag.Bool("e2e.race", false, "build the program with the race detector, for the tests that are not about size or numbers")

// programs is where what is built is, until all tests have ended.
var programs = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "mraws-e2e-") })

// program returns the path of a program that is built once, when it is
// first called, as mraws in a folder of this name: errors begin with it.
func program(name, pkg string, flags func() []string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		dir, err := programs()
		if err != nil {
			return "", err
		}
		path := filepath.Join(dir, name, "mraws")
		args := append([]string{"build", "-o", path}, flags()...)
		out, err := exec.Command("go", append(args, "github.com/mraws/mraws"+pkg)...).CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
		return path, nil
	})
}

var (
	// binary is the program under test, with the race detector if that is
	// asked for.
	binary = program("any", "", func() []string {
		if *raced {
			return []string{"-race"}
		}
		return nil
	})
	// plainBinary is the program as users have it.
	plainBinary = program("plain", "", func() []string { return nil })
)

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := programs(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

// fixture is what one test runs on: a program, a running store, a prefix that no
// other test uses, an environment and a folder.
type fixture struct {
	t      *testing.T
	bin    string
	store  *s3fs.Store
	layout layout.Layout
	env    []string
	dir    string
}

// newFixture provides a running store and a prefix that nobody else uses.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	return fixtureOf(t, binary)
}

// newPlainFixture is newFixture without the race detector: for what is about
// time, size or numbers, or is played with it elsewhere.
func newPlainFixture(t *testing.T) *fixture {
	t.Helper()
	return fixtureOf(t, plainBinary)
}

// fixtureOf is newFixture for another program.
func fixtureOf(t *testing.T, program func() (string, error)) *fixture {
	t.Helper()
	t.Parallel()
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	prefix := newPrefix()
	b := &fixture{t: t, bin: bin, layout: layout.New(prefix), dir: t.TempDir()}
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "MRAWS_") && !strings.HasPrefix(e, "AWS_") {
			b.env = append(b.env, e)
		}
	}
	b.env = append(b.env, "MRAWS_PREFIX="+prefix, "MRAWS_SCRATCH="+b.dir, "HOME="+b.dir,
		"MRAWS_LEASE=3s", "MRAWS_LISTEN=127.0.0.1", "MRAWS_PORT=0", "AWS_EC2_METADATA_DISABLED=true")
	store, env := openStore(t, b)
	b.store, b.env = store, append(b.env, env...)
	t.Cleanup(store.Close)
	return b
}

// newPrefix is one that nobody else uses.
func newPrefix() string { return strings.ToLower(rand.Text()[:10]) }

// process is a running mraws.
type process struct {
	*exec.Cmd
	name        string
	out, errout lockedBuffer
	done        chan struct{}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start starts mraws with args; it is killed at the end of the test.
func (b *fixture) start(args ...string) *process {
	b.t.Helper()
	return b.launch(exec.Command(b.bin, args...), args)
}

func (b *fixture) launch(c *exec.Cmd, args []string) *process {
	b.t.Helper()
	p := &process{Cmd: c, name: strings.Join(args, " "), done: make(chan struct{})}
	p.Env, p.Dir = b.env, b.dir
	if p.Stdout == nil {
		p.Stdout, p.Stderr = &p.out, &p.errout
	}
	if err := p.Start(); err != nil {
		b.t.Fatal(err)
	}
	go func() { defer close(p.done); _ = p.Wait() }()
	b.t.Cleanup(func() {
		p.Process.Kill()
		<-p.done
		if strings.Contains(p.errout.String(), "WARNING: DATA RACE") { // one that was killed has no exit code of its own
			b.t.Error("a data race")
		}
		if b.t.Failed() {
			b.t.Logf("mraws %s: %v\nstdout:\n%s\nstderr:\n%s", p.name, p.ProcessState, p.out.String(), p.errout.String())
		}
	})
	return p
}

// exit waits for a process to end and returns its exit code; a signal counts
// as 128 and its number.
func (b *fixture) exit(p *process) int {
	b.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		b.t.Fatalf("mraws %s has not ended", p.name)
	}
	if ws, ok := p.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return p.ProcessState.ExitCode()
}

// ended says whether the process has ended.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// run runs mraws to its end, wants that exit code and returns its stdout and
// stderr.
func (b *fixture) run(code int, args ...string) (stdout, stderr string) {
	b.t.Helper()
	p := b.start(args...)
	if got := b.exit(p); got != code {
		b.t.Fatalf("mraws %s: exit code %d, want %d\nstdout:\n%s\nstderr:\n%s", p.name, got, code, p.out.String(), p.errout.String())
	}
	return p.out.String(), p.errout.String()
}

// kill -9.
func (b *fixture) kill(p *process) {
	b.t.Helper()
	if err := p.Process.Kill(); err != nil {
		b.t.Fatal(err)
	}
	<-p.done
}

// coordinator starts one and returns it with its address.
func (b *fixture) coordinator(args ...string) (*process, string) {
	b.t.Helper()
	p := b.start(append([]string{"coordinator"}, args...)...)
	var address string
	b.until("the coordinator listens", func() bool {
		for line := range strings.Lines(p.errout.String()) {
			var entry struct{ Addr string }
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Addr != "" {
				address = entry.Addr
				return true
			}
		}
		if p.ended() {
			b.t.Fatalf("the coordinator ended: %v\n%s", p.ProcessState, p.errout.String())
		}
		return false
	})
	return p, address
}

// until polls for a state of the bucket or of a process that nothing
// announces.
func (b *fixture) until(what string, ok func() bool) {
	b.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			b.t.Fatalf("gave up waiting: %s", what)
		case <-tick.C:
		}
	}
}

// keys lists the keys below a prefix.
func (b *fixture) keys(prefix string) []string {
	b.t.Helper()
	var keys []string
	for o, err := range b.store.List(b.t.Context(), prefix) {
		if err != nil {
			b.t.Fatal(err)
		}
		keys = append(keys, o.Key)
	}
	return keys
}

// outputs returns the bytes of every output by number, of one that is partitioned those of
// its list.
func (b *fixture) outputs() map[int]string {
	b.t.Helper()
	out := map[int]string{}
	for _, key := range b.keys(b.layout.OutputDir()) {
		r, ok := b.layout.ParseOutput(key)
		if !ok {
			r, ok = b.layout.Partitioned().ParseOutput(key)
		}
		if ok {
			data, _, err := b.store.Get(b.t.Context(), key)
			if err != nil {
				b.t.Fatal(err)
			}
			out[r] = string(data)
		}
	}
	return out
}

// success reads _SUCCESS.
func (b *fixture) success() *manifest.Success {
	b.t.Helper()
	data, _, err := b.store.Get(b.t.Context(), b.layout.Success())
	if err != nil {
		b.t.Fatal(err)
	}
	s, err := manifest.Decode[manifest.Success](data, manifest.SuccessSchema)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// wants checks that text holds every part.
func wants(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("no %q in:\n%s", p, text)
		}
	}
}

// books writes eight files of deterministic text and returns their paths.
func (b *fixture) books() []string {
	b.t.Helper()
	var paths []string
	for i := range 8 {
		path := filepath.Join(b.dir, fmt.Sprintf("pg-book%d.txt", i))
		if err := os.WriteFile(path, []byte(book(i)), 0o644); err != nil {
			b.t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// book is about 20 kB of words, some of them not ASCII, lines with either
// ending, and no line break at its end.
func book(i int) string {
	words := strings.Fields("the of and whale Ishmael sea captain ship naïve façade Ærø über 山 don't water-proof 42 a I man Queequeg harpoon white deep")
	var s strings.Builder
	x := uint32(2*i + 1)
	for n := range 3500 {
		x = x*1664525 + 1013904223
		s.WriteString(words[int(x>>16)%len(words)])
		if x>>20&3 == 0 {
			fmt.Fprintf(&s, "%c", 'a'+rune(x>>24%26))
		}
		switch {
		case n%97 == 0:
			s.WriteString("\r\n")
		case n%11 == 0:
			s.WriteString("\n")
		default:
			s.WriteString(" ")
		}
	}
	return s.String()
}
