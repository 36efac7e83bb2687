package execrunner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mraws/mraws/internal/manifest"
)

// A module runs in a process of this program, since one that loops would freeze the
// process that it runs in. The first line that this process reads is its [Order], and
// what follows is the input of the function: lines for a mapper, or the bytes of an
// object, and records for a combiner and a reducer. It writes records.

// Order says to the process of a module what it runs.
type Order struct {
	// Inspect says that nothing is run: the process writes [Functions] as JSON.
	Inspect  bool   `json:"inspect,omitempty"`
	Module   string `json:"module"`   // path of the file
	Name     string `json:"name"`     // of the module, for messages
	Function string `json:"function"` // which is called
	// Reads is what the input consists of: [Lines], [Bytes] or [Records].
	Reads string `json:"reads"`
	// Files is the folder that the module can read, "" for none.
	Files string `json:"files,omitempty"`
	// Env are the variables that it sees, as name=value.
	Env []string `json:"env,omitempty"`
	// Allow is as [manifest.Module] has it.
	Allow []string `json:"allow,omitempty"`
	// Memory is what the process may have, in bytes; 0 is no bound.
	Memory int64 `json:"memory,omitempty"`
	// Cache is the folder for what is made of modules.
	Cache string `json:"cache"`
}

// Functions are the names of what a module exports for a job, "" for what it does not.
type Functions struct {
	Map     string `json:"map"`
	Combine string `json:"combine"`
	Reduce  string `json:"reduce"`
}

const (
	// inspectTime bounds a look at a module, which takes seconds for 20 MB.
	inspectTime = time.Minute
	// inspectMemory bounds the memory of its process, bytes.
	inspectMemory = 2 << 30
)

// Inspect says what the module in a file exports. It returns an error if no job can run
// it. A process with that command line looks at it, as at an order: a module of a few
// bytes can ask for any amount of memory.
func Inspect(ctx context.Context, line []string, path string) (f Functions, err error) {
	if ctx.Err() != nil {
		return f, context.Cause(ctx)
	}
	order, err := json.Marshal(Order{Inspect: true, Module: path})
	if err != nil {
		return f, fmt.Errorf("inspect a module: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, inspectTime)
	defer cancel()
	c := exec.CommandContext(limited, line[0], line[1:]...)
	var out, errs bytes.Buffer
	c.Env, c.Stdout, c.Stderr = []string{}, &out, &errs
	stdin, err := c.StdinPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		return f, fmt.Errorf("start a process that inspects the module: %w", err)
	}
	limit(c.Process.Pid, Limits{Memory: inspectMemory / 2}) // before it reads
	_, _ = stdin.Write(append(order, '\n'))                 // if it reads no more, its end says why
	_ = stdin.Close()
	err = c.Wait()
	said := strings.ToValidUTF8(string(bytes.TrimSpace(errs.Next(tailBytes))), "\uFFFD")
	switch exit := (*exec.ExitError)(nil); {
	case ctx.Err() != nil:
		return f, context.Cause(ctx)
	case limited.Err() != nil:
		return f, fmt.Errorf("its inspection takes more than %v", inspectTime)
	case errors.As(err, &exit) && exit.ExitCode() == 1:
		return f, errors.New(said)
	case err != nil:
		first, _, _ := strings.Cut(said, "\n") // a trace of this program follows
		return f, fmt.Errorf("the process that inspects it, in at most %d bytes of memory, has failed: %w: %s", inspectMemory, err, first)
	}
	if err := json.Unmarshal(out.Bytes(), &f); err != nil {
		return f, fmt.Errorf("the process that inspects it has written %.100q: %w", out.Bytes(), err)
	}
	return f, nil
}

// What the input of a module consists of.
const (
	Lines   = "lines"   // each with a line break
	Bytes   = "bytes"   // of one object
	Records = "records" // see [Exec.Records]
)

// moduleCommand is the process of a module. It has no variable of this process: the
// module could not see them.
func (p *process) moduleCommand() (*exec.Cmd, error) {
	line := p.host.o.Module
	if len(line) == 0 {
		return nil, fmt.Errorf("start the %s: %w", p.role, p.host.Check(p.exec))
	}
	o := Order{
		Module: filepath.Join(p.attempt.dir.work, p.exec.Module.File), Name: p.exec.Module.File, Function: p.commandLine, Reads: Records,
		Env: append([]string{}, p.env...), Allow: p.exec.Module.Allow, Memory: p.host.o.Limits.Memory, Cache: filepath.Join(p.host.dir, "modules"),
	}
	switch {
	case p.role == "mapper" && p.exec.Whole == manifest.WholeBytes:
		o.Reads = Bytes
	case p.role == "mapper":
		o.Reads = Lines
	}
	if len(p.exec.Files) > 1 {
		o.Files = p.attempt.dir.work
	}
	for _, name := range slices.Sorted(maps.Keys(p.exec.Env)) {
		o.Env = append(o.Env, name+"="+p.exec.Env[name])
	}
	order, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("start the %s: %w", p.role, err)
	}
	p.order = append(order, '\n')
	env := []string{"TMPDIR=" + p.attempt.dir.tmp, "PWD=" + p.attempt.dir.work, scopeVariable + "=" + p.scope}
	return &exec.Cmd{Path: line[0], Args: line, Env: env}, nil
}
