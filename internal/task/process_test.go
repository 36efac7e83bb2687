package task

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/runner"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/mr"
)

// The seam of package runner has another implementation here than gorunner: the
// application runs in a child process, the test's own binary, and talks through
// pipes. A message is a letter, the number of its fields, and each field with
// its length in front.

// childApp names the application that the process is to serve.
const childApp = "MRAWS_TEST_CHILD_APP"

// childApps are the applications that a child knows.
func childApps() []mr.App {
	numbered, whole := testkit.Where, testkit.WC
	numbered.Name, numbered.Input = "numbered", mr.NumberedLines
	whole.Name, whole.Input = "whole", mr.WholeObjects
	return []mr.App{testkit.WC, testkit.Where, numbered, whole, summed(), flushing(), ordered(), brittle(testkit.Where)}
}

// summed counts words with mr.Sum.
func summed() mr.App {
	one := mr.AppendInt64(nil, 1)
	a := testkit.App("summed", func(rec mr.Record, out mr.Emitter) error {
		for w := range strings.FieldsSeq(string(rec.Data)) {
			out.Emit([]byte(w), one)
		}
		return nil
	}, nil, nil)
	a.Combine, a.NewReducer = mr.Sum{}, mr.SumReducer
	return a
}

// flushing emits in the end how many lines it has seen of each length.
func flushing() mr.App {
	a := testkit.WC
	a.Name, a.Combine = "flushing", nil
	a.NewMapper = func(*mr.Task) (mr.Mapper, error) { return lengths{}, nil }
	return a
}

type lengths map[int]int

func (l lengths) Map(rec mr.Record, _ mr.Emitter) error { l[len(rec.Data)]++; return nil }

func (l lengths) Flush(out mr.Emitter) error {
	for n, lines := range l {
		out.Emit(strconv.AppendInt(nil, int64(n), 10), strconv.AppendInt(nil, int64(lines), 10))
	}
	return nil
}

type message struct {
	kind   byte
	fields [][]byte
}

func send(w *bufio.Writer, kind byte, fields ...[]byte) {
	b := binary.AppendUvarint([]byte{kind}, uint64(len(fields)))
	for _, f := range fields {
		b = append(binary.AppendUvarint(b, uint64(len(f))), f...)
	}
	_, _ = w.Write(b) // Flush tells
}

func receive(r *bufio.Reader) (m message, err error) {
	if m.kind, err = r.ReadByte(); err != nil {
		return m, err
	}
	n, err := binary.ReadUvarint(r)
	for ; err == nil && n > 0; n-- {
		var size uint64
		if size, err = binary.ReadUvarint(r); err == nil {
			f := make([]byte, size)
			_, err = io.ReadFull(r, f)
			m.fields = append(m.fields, f)
		}
	}
	return m, err
}

// childEmitter sends pairs, childOutput lines.
type (
	childEmitter struct{ w *bufio.Writer }
	childOutput  struct{ lines []message }
)

func (e childEmitter) Emit(key, value []byte) { send(e.w, 'p', key, value) }

func (o *childOutput) Write(v []byte) {
	o.lines = append(o.lines, message{'o', [][]byte{slices.Clone(v)}})
}
func (o *childOutput) WriteLine(line []byte) {
	o.lines = append(o.lines, message{'l', [][]byte{slices.Clone(line)}})
}

// serve is the child: it answers each message with what the application emits or
// writes for it, and then with done or failed.
func serve(name string, r *bufio.Reader, w *bufio.Writer) error {
	apps := childApps()
	app := apps[slices.IndexFunc(apps, func(a mr.App) bool { return a.Name == name })]
	task := &mr.Task{Context: context.Background(), Counters: new(counters)}
	mapper, err := app.NewMapper(task)
	if err != nil {
		return err
	}
	reducer, err := app.NewReducer(task)
	if err != nil {
		return err
	}
	for {
		m, err := receive(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch m.kind {
		case 'r':
			off, _ := strconv.ParseInt(string(m.fields[1]), 10, 64)
			line, _ := strconv.ParseInt(string(m.fields[2]), 10, 64)
			err = mapper.Map(mr.Record{Object: string(m.fields[0]), Offset: off, Line: line, Data: m.fields[3]}, childEmitter{w})
		case 'e':
			if f, ok := mapper.(interface{ Flush(mr.Emitter) error }); ok {
				err = f.Flush(childEmitter{w})
			}
		case 'k':
			out := new(childOutput)
			err = reducer.Reduce(m.fields[0], childValues(r), out)
			for _, l := range out.lines { // all values are read by now
				send(w, l.kind, l.fields...)
			}
		}
		if err != nil {
			send(w, 'f', []byte(err.Error()))
		} else {
			send(w, 'd')
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
}

// childValues are the values of a key up to the end of them; those that the
// reducer does not take are read too.
func childValues(r *bufio.Reader) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for more := true; ; {
			m, err := receive(r)
			if err != nil || m.kind != 'v' {
				return
			}
			more = more && yield(m.fields[0])
		}
	}
}

// processRunner runs an application in child processes.
type processRunner struct {
	app mr.App
	runner.Runner
}

func newProcessRunner(app mr.App) runner.Runner { return &processRunner{app: app} }

// Properties says nothing of combiners but mr.Sum: that one is the engine's.
func (p *processRunner) Properties() runner.Properties {
	props := runner.Properties{Ordered: p.app.Ordered}
	if _, sums := p.app.Combine.(mr.Sum); sums {
		props.Combine = mr.Sum{}
	}
	return props
}

func (p *processRunner) Guard(f func() error) error { return f() }

// child is a process that serves an application.
type child struct {
	cmd *exec.Cmd
	in  io.Closer
	w   *bufio.Writer
	r   *bufio.Reader
}

func (p *processRunner) start(ctx context.Context) (*child, error) {
	c := &child{cmd: exec.CommandContext(ctx, os.Args[0])}
	c.cmd.Env = append(os.Environ(), childApp+"="+p.app.Name)
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.in, c.w, c.r = in, bufio.NewWriter(in), bufio.NewReader(out)
	return c, c.cmd.Start()
}

// stop ends the process, unless it has ended by itself, and says how it did.
func (c *child) stop() error {
	_ = c.in.Close()
	return c.cmd.Wait()
}

// errDied says that the application has ended its process.
var errDied = errors.New("the process of the application has ended")

// answer hands on what the child answers until it says that it is done.
func (c *child) answer(each func(message) error) error {
	if err := c.w.Flush(); err != nil {
		return fmt.Errorf("%w: %w", errDied, errors.Join(err, c.stop()))
	}
	for {
		m, err := receive(c.r)
		switch {
		case err != nil:
			return fmt.Errorf("%w: %w", errDied, errors.Join(err, c.stop()))
		case m.kind == 'd':
			return nil
		case m.kind == 'f':
			return errors.New(string(m.fields[0]))
		}
		if err := each(m); err != nil {
			return err
		}
	}
}

func (p *processRunner) Map(t *mr.Task, in runner.Records, out runner.Emitter) (err error) {
	c, err := p.start(t.Context)
	if err != nil {
		return err
	}
	defer func() { _ = c.stop() }()
	emit := func(m message) error { return out.Emit(m.fields[0], m.fields[1]) }
	for rec, ok := in.Next(); ok; rec, ok = in.Next() {
		send(c.w, 'r', []byte(rec.Object), strconv.AppendInt(nil, rec.Offset, 10), strconv.AppendInt(nil, rec.Line, 10), rec.Data)
		err := c.answer(emit)
		if err == nil {
			continue
		}
		if err := in.SkipOrFail(err); err != nil {
			return err
		}
		if errors.Is(err, errDied) {
			if c, err = p.start(t.Context); err != nil {
				return err
			}
		}
	}
	if in.Err() != nil || in.Sample() {
		return in.Err()
	}
	send(c.w, 'e')
	return c.answer(emit)
}

func (p *processRunner) Reduce(t *mr.Task, in runner.Groups, out runner.Output) error {
	c, err := p.start(t.Context)
	if err != nil {
		return err
	}
	defer func() { _ = c.stop() }()
	values := in.Values()
	for in.Next() {
		send(c.w, 'k', in.Key())
		for v := range values {
			send(c.w, 'v', v)
		}
		send(c.w, 'n')
		if err := c.answer(func(m message) error {
			if m.kind == 'l' {
				return out.WriteLine(m.fields[0])
			}
			return out.Write(m.fields[0])
		}); err != nil {
			return err
		}
	}
	return in.Err()
}

// TestProcessRunner: whole jobs give the same output, wherever the code of the
// application runs, also over records that end its process.
func TestProcessRunner(t *testing.T) {
	files := []file{{"a", text(1, 20_000)}, {"b", ""}, {"c", text(2, 10_000)}, {"d", "x bad\nfine\nworse words\nx"}}
	for _, app := range childApps() {
		t.Run(app.Name, func(t *testing.T) {
			var outputs [2][]string
			for i, run := range []func(mr.App) runner.Runner{nil, newProcessRunner} {
				w := newFixture(app, 3, 8_000, 2, files...)
				w.Scratch, w.Memory, w.runner = t.TempDir(), 200_000, run
				if strings.HasSuffix(app.Name, "-brittle") {
					w.Spec.MaxBad = manifest.Budget{Records: 2}
				}
				outputs[i] = w.run(t)
			}
			if diff := cmp.Diff(outputs[0], outputs[1]); diff != "" {
				t.Errorf("-go +process:\n%s", diff)
			}
		})
	}
}

// TestProcessRunnerFails: a failure in another process is blamed on the record as
// one in this process is.
func TestProcessRunnerFails(t *testing.T) {
	for line, want := range map[string]string{"bad": "a bad line", "worse": errDied.Error()} {
		w := newFixture(brittle(testkit.Where), 1, 0, 1, file{"a", "fine\n" + line + "\n"})
		w.Scratch, w.runner = t.TempDir(), newProcessRunner
		_, err := w.env(t).Run(t.Context(), Attempt{mr.MapPhase, 0, "m"})
		var app *AppError
		if !errors.As(err, &app) || app.Object != "a" || app.Offset != 5 || app.Record != strconv.Quote(line) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", line, err)
		}
		w.Check(t)
	}
}
