package wasm

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"

	"github.com/mraws/mraws/internal/runner/execrunner"
)

// Serve is the whole work of the process of a module. It reads an order and the
// input from in, and writes records to out. It returns the exit code of the process:
// 0, or 1 when it has written to logs what failed.
func Serve(ctx context.Context, in io.Reader, out, logs io.Writer) (code int) {
	if err := serve(ctx, in, out, logs); err != nil {
		fmt.Fprintln(logs, err)
		return 1
	}
	return 0
}

func serve(ctx context.Context, in io.Reader, out, logs io.Writer) error {
	rest := bufio.NewReaderSize(in, 64<<10)
	line, err := rest.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read what is to be run: %w", err)
	}
	var o execrunner.Order
	if err := json.Unmarshal(line, &o); err != nil {
		return fmt.Errorf("read what is to be run: %w", err)
	}
	code, err := os.ReadFile(o.Module)
	if err != nil {
		return fmt.Errorf("read the module: %w", err)
	}
	if o.Inspect {
		f, err := inspect(ctx, code)
		if err != nil {
			return err
		}
		return json.NewEncoder(out).Encode(f)
	}
	if err := run(ctx, o, code, rest, out, logs); err != nil {
		return fmt.Errorf("module %s: %w", o.Name, err)
	}
	return nil
}

// run runs a function of a module over all of its input.
func run(ctx context.Context, o execrunner.Order, code []byte, in io.Reader, out, logs io.Writer) (err error) {
	cache, err := wazero.NewCompilationCacheWithDir(o.Cache)
	if err != nil {
		return fmt.Errorf("open the folder for compiled modules: %w", err)
	}
	defer func() { err = errors.Join(err, cache.Close(ctx)) }()
	limit := pages(o.Memory)
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithMemoryLimitPages(limit).WithCompilationCache(cache))
	defer func() { err = errors.Join(err, rt.Close(ctx)) }()
	if err := hosts(ctx, rt, logs); err != nil {
		return err
	}
	m, err := compile(ctx, rt, code)
	if err != nil {
		return err
	}
	c, done, err := config(o, logs)
	if err != nil {
		return err
	}
	defer done()
	g := &guest{function: o.Function, out: out, logs: logs, most: uint64(limit) << pageBits}
	if g.module, err = instantiate(ctx, rt, m, c); err != nil {
		return g.failed("it does not start", err)
	}
	g.buffer, g.work = g.module.ExportedFunction(bufferFunction), g.module.ExportedFunction(o.Function)
	if g.work == nil {
		return fmt.Errorf("it exports no function %s", o.Function)
	}
	return g.all(ctx, newBatches(in, o.Reads))
}

// instantiate makes an instance of the module, which calls its start functions.
func instantiate(ctx context.Context, rt wazero.Runtime, m wazero.CompiledModule, c wazero.ModuleConfig) (_ api.Module, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("no memory of the size that it asks for: %v", r)
		}
	}()
	return rt.InstantiateModule(experimental.WithMemoryAllocator(ctx, memories()), m, c)
}

// guest is an instance of a module, of which one function is called.
type guest struct {
	module   api.Module
	function string
	buffer   api.Function
	work     api.Function
	out      io.Writer
	logs     io.Writer
	most     uint64 // bytes that its memory may have
	stack    [1]uint64
}

// all hands the batches to the function one after the other. The call without bytes
// is the last.
func (g *guest) all(ctx context.Context, b *batches) error {
	for {
		batch, err := b.next()
		if err != nil {
			return err
		}
		if err := g.one(ctx, batch); err != nil || len(batch) == 0 {
			return err
		}
	}
}

// one hands over a batch, and writes what the function returns for it.
func (g *guest) one(ctx context.Context, batch []byte) error {
	memory := g.module.Memory()
	if n := uint32(len(batch)); n > 0 {
		at, err := g.call(ctx, bufferFunction, g.buffer, n)
		if err != nil {
			return err
		}
		to, ok := memory.Read(uint32(at), n)
		if !ok {
			return fmt.Errorf("%s(%d) returned %d: a buffer there leaves the memory of %d bytes", bufferFunction, n, uint32(at), memory.Size())
		}
		copy(to, batch)
	}
	r, err := g.call(ctx, g.function, g.work, uint32(len(batch)))
	if err != nil {
		return err
	}
	at, n := uint32(r>>32), uint32(r)
	if n == 0 {
		return nil
	}
	records, ok := memory.Read(at, n)
	if !ok {
		return fmt.Errorf("%s returned %d bytes at %d: they leave the memory of %d bytes", g.function, n, at, memory.Size())
	}
	if whole := wholeRecords(records, false); whole < len(records) {
		return fmt.Errorf("%s returned %d bytes of records, and the one at byte %d goes on behind them: %s", g.function, n, whole, describe(records[whole:]))
	}
	if _, err := g.out.Write(records); err != nil {
		return fmt.Errorf("write what it returned: %w", err)
	}
	return nil
}

// call calls a function with one number.
func (g *guest) call(ctx context.Context, name string, f api.Function, n uint32) (uint64, error) {
	g.stack[0] = uint64(n)
	if err := f.CallWithStack(ctx, g.stack[:]); err != nil {
		return 0, g.failed(name, err)
	}
	return g.stack[0], nil
}

const (
	// traceMark stands between what wazero says of a trap and the trace of the stack.
	traceMark = "\nwasm stack trace:\n"
	// traceLines and traceLine bound what is written of a trace: lines, and bytes of
	// one. It has to fit with the error into the end of stderr that is shown.
	traceLines = 10
	traceLine  = 200
)

// trace writes the beginning of the trace that an error has, and returns the error
// without it: the last lines of stderr are shown, and those are to say what is wrong.
func (g *guest) trace(err error) error {
	what, trace, ok := strings.Cut(err.Error(), traceMark)
	if !ok {
		return err
	}
	lines := strings.Split(trace, "\n")
	more := len(lines) - traceLines
	lines = lines[:min(len(lines), traceLines)]
	for i, line := range lines {
		if len(line) > traceLine {
			lines[i] = line[:traceLine] + "…"
		}
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("\t… %d more lines", more))
	}
	_, _ = io.WriteString(g.logs, traceMark[1:]+strings.Join(lines, "\n")+"\n") // the error follows
	return errors.New(what)
}

// failed says how the guest has ended in what.
func (g *guest) failed(what string, err error) error {
	var told *failure
	var exit *sys.ExitError
	switch {
	case errors.As(err, &told):
		return fmt.Errorf("%s: %w", what, told)
	case errors.As(err, &exit):
		return fmt.Errorf("%s: it called proc_exit(%d), where a module returns from its functions or calls mraws.fail", what, int32(exit.ExitCode()))
	}
	err = g.trace(err)
	if g.module == nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: %w\nits memory has %d bytes and may have %d", what, err, g.module.Memory().Size(), g.most)
}

const (
	// pageBits is the size of a page of WebAssembly, 64 KiB, as a power of two.
	pageBits = 16
	// mostPages is a page less than a module can address, 4 GiB: so its size fits into
	// 32 bits, as wazero tells it.
	mostPages = 1<<16 - 1
	// ownMemory is what this program takes beside the memory of the guest, bytes.
	ownMemory = 64 << 20
)

// pages is the most pages that the memory of a guest has in a process that may have
// so many bytes, 0 for any number.
func pages(memory int64) uint32 {
	if memory == 0 {
		return mostPages
	}
	return uint32(min(max(memory-ownMemory, memory/2)>>pageBits, mostPages))
}
