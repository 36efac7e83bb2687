package execrunner

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

const (
	// tailLines and tailBytes bound what an error shows of stderr.
	tailLines = 20
	tailBytes = 4 << 10
	// logHalf is how many bytes are kept of the beginning of what an attempt
	// writes to stderr, and of its end.
	logHalf = 256 << 10
	// maxStderrLine is where longer lines of stderr are cut, in bytes.
	maxStderrLine = 16 << 10
	// logTime bounds the time that keeping the log takes.
	logTime = 10 * time.Second
)

// tail reads the stderr of one process and keeps its last lines.
type tail struct {
	*attempt
	mu    sync.Mutex
	lines []string
	size  int
}

func newTail(a *attempt) *tail { return &tail{attempt: a} }

// read reads until the end. Lines are cut at maxStderrLine.
func (t *tail) read(f *os.File) {
	buf := make([]byte, maxStderrLine)
	n := 0
	for {
		m, err := f.Read(buf[n:])
		n += m
		rest := buf[:n]
		for {
			i := bytes.IndexByte(rest, '\n')
			if i < 0 {
				break
			}
			t.line(rest[:i])
			rest = rest[i+1:]
		}
		if len(rest) == len(buf) || err != nil && len(rest) > 0 {
			t.line(rest)
			rest = nil
		}
		n = copy(buf, rest)
		if err != nil {
			return
		}
	}
}

// line takes a line.
func (t *tail) line(line []byte) {
	if text, ok := bytes.CutPrefix(line, []byte("reporter:")); ok && t.report(string(text)) {
		t.beat()
		return
	}
	t.log.add(line)
	text := strings.ToValidUTF8(string(line), "\uFFFD")
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(text) > tailBytes {
		cut := tailBytes
		for !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "…"
	}
	t.lines, t.size = append(t.lines, text), t.size+len(text)
	for len(t.lines) > 1 && (len(t.lines) > tailLines || t.size > tailBytes) {
		t.size -= len(t.lines[0])
		t.lines = t.lines[1:]
	}
}

// last returns the last lines.
func (t *tail) last() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lines
}

// report takes what stands behind "reporter:"; false if it is none.
func (t *tail) report(text string) bool {
	kind, rest, _ := strings.Cut(text, ":")
	switch kind {
	case "status":
		t.host.o.Log.Debug().Str("job", t.task.Job).Str("task", t.name()).Str("attempt", t.task.Attempt).Str("status", rest).Msg("status of an executable")
		return true
	case "counter":
		i := strings.LastIndexByte(rest, ',')
		if i < 0 || !strings.Contains(rest[:i], ",") {
			return false
		}
		n, err := strconv.ParseInt(strings.TrimSpace(rest[i+1:]), 10, 64)
		if err != nil {
			return false
		}
		t.task.Counters.Add(strings.ToValidUTF8(rest[:i], "\uFFFD"), n)
		return true
	}
	return false
}

// name is that of the task.
func (a *attempt) name() string { return fmt.Sprintf("%s-%d", a.task.Phase, a.task.Index) }

// stderrLog is what the processes of an attempt write to stderr, its middle left
// out if it is much.
type stderrLog struct {
	*attempt
	mu    sync.Mutex
	head  []byte
	tail  []byte // at most twice logHalf
	total int64
}

func newStderrLog(a *attempt) *stderrLog { return &stderrLog{attempt: a} }

// add adds a line.
func (l *stderrLog) add(line []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total += int64(len(line)) + 1
	if len(l.tail) == 0 && len(l.head)+len(line) < logHalf {
		l.head = append(append(l.head, line...), '\n')
		return
	}
	l.tail = append(append(l.tail, line...), '\n')
	if len(l.tail) > 2*logHalf {
		l.tail = append(l.tail[:0], l.tail[len(l.tail)-logHalf:]...)
	}
}

// text is what is kept.
func (l *stderrLog) text() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	tail := l.tail[max(len(l.tail)-logHalf, 0):]
	if left := l.total - int64(len(l.head)+len(tail)); left > 0 {
		return fmt.Appendf(bytes.Clone(l.head), "… %d bytes left out …\n%s", left, tail)
	}
	return append(bytes.Clone(l.head), tail...)
}

// keep keeps the log as a side file of the job, if there is any.
func (l *stderrLog) keep(ctx context.Context) {
	text := l.text()
	if len(text) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, logTime)
	defer cancel()
	name := "stderr/" + l.name() + "/" + l.task.Attempt
	if err := l.task.Side.Put(ctx, name, text); err != nil {
		l.host.o.Log.Warn().Err(err).Str("job", l.task.Job).Str("task", l.name()).Str("attempt", l.task.Attempt).Msg("the stderr of an executable is not kept")
		return
	}
	l.host.o.Log.Debug().Str("job", l.task.Job).Str("task", l.name()).Str("attempt", l.task.Attempt).Str("side_file", name).Int("bytes", len(text)).Msg("stderr of executables kept")
}
