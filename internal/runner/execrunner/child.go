package execrunner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mraws/mraws/internal/manifest"
)

// ExitError says that a process did not end well.
type ExitError struct {
	Role   string   // "mapper", "combiner" or "reducer"
	Line   string   // its command line
	How    string   // such as "exit code 1", or why it was killed
	Stderr []string // its last lines
}

// Error has the last lines of stderr below it, each behind "stderr: ".
func (e *ExitError) Error() string {
	text := fmt.Sprintf("%s %q: %s", e.Role, short(e.Line), e.How)
	if len(e.Stderr) == 0 {
		return text + "; it wrote nothing to stderr"
	}
	return text + "\n  stderr: " + strings.Join(e.Stderr, "\n  stderr: ")
}

// short is the beginning of a command line, for messages.
func short(line string) string {
	const most = 200
	if len(line) > most {
		return line[:most] + "…"
	}
	return line
}

// process is one run of a command. It has a process group of its own, which is
// killed when the process has ended or the attempt does.
type process struct {
	*attempt
	role, commandLine string
	env               []string // beside that of the attempt

	order  []byte // for a process that runs a module; nil for executables
	cmd    *exec.Cmd
	scope  string  // marks it and those that it starts
	group  *cgroup // bounds its memory; nil if none could be made
	killed error   // by the kernel for memory, or one that it has started; set when it has ended
	stdin  *pipeEnd
	stdout *pipeEnd
	stderr *os.File

	mu     sync.Mutex
	live   bool  // it has started and was not waited for
	reason error // why it was killed; nil if it was not, or at the end of the attempt
}

// parser reads the output of a process. read is told of the bytes of each read and
// may end the reading.
type parser func(r io.Reader, read func(n int) error) error

// lineParser calls line for each line.
func lineParser(line func([]byte) error) parser {
	return func(r io.Reader, read func(int) error) error { return readLines(r, read, line) }
}

// recordParser calls pair for each record.
func recordParser(pair func(key, value []byte) error) parser {
	return func(r io.Reader, read func(int) error) error { return readRecords(r, read, pair) }
}

// patience is for how long the output of a process is read on when all processes
// of its group have been killed. What they wrote is in the pipe already.
const patience = 5 * time.Second

// run runs the command until it has ended and all its output is read. feed writes
// its input, and returns an error that ends the attempt; that the process reads no
// more is none. parse reads its output in another goroutine than feed.
func (p *process) run(feed func(io.Writer) error, parse parser) error {
	ctx := p.task.Context
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	ended, err := p.begin()
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { p.kill(nil) })()
	defer p.attempt.watch.follow(p)()
	tail := newTail(p.attempt)
	var reading sync.WaitGroup
	var failed error
	reading.Go(func() {
		if failed = p.read(parse); failed != nil {
			p.kill(nil)
		}
		_ = p.stdout.Close()
	})
	reading.Go(func() { tail.read(p.stderr); _ = p.stderr.Close() })
	_, _ = p.stdin.Write(p.order) // if it reads no more, feed finds out
	ferr := feed(p.stdin)
	if ferr != nil {
		p.kill(nil)
	}
	_ = p.stdin.Close()
	state := <-ended
	reading.Wait()
	switch {
	case ferr != nil:
		return ferr
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case p.reason != nil:
		return p.failure(p.reason.Error(), tail)
	case p.killed != nil:
		return p.failure(p.killed.Error(), tail)
	case failed != nil && errors.Is(failed, os.ErrDeadlineExceeded):
		return p.failure("it has ended, and something that it started keeps its output open", tail)
	case failed != nil:
		return p.failure(failed.Error(), tail)
	case !state.Success():
		return p.failure(howEnded(state)+p.shortOfMemory(tail), tail)
	}
	return nil
}

// outOfMemory is what programs write when they get no memory: Python, C and awk, Java,
// JavaScript and Go, C++, and perl.
var outOfMemory = regexp.MustCompile(`(?i)memoryerror|cannot allocate memory|out of memory|bad_alloc|memory exhausted`)

// shortOfMemory adds to how a process ended what it may have of memory, if the end of
// its stderr, or how much it has had, says that it was not enough; else "".
func (p *process) shortOfMemory(tail *tail) string {
	limit := p.host.o.Limits.Memory
	if limit == 0 || !slices.ContainsFunc(tail.last(), outOfMemory.MatchString) && largest(p.cmd.ProcessState) < limit {
		return ""
	}
	if p.group != nil { // there is no limit of data
		return fmt.Sprintf(" with a limit of %d bytes of memory (exec-memory)", limit)
	}
	return fmt.Sprintf(" with a limit of %d bytes of memory and %d of data (exec-memory)", limit, p.limits().data())
}

// failure is the error of the process.
func (p *process) failure(how string, tail *tail) error {
	return &ExitError{Role: p.role, Line: p.title(), How: how, Stderr: tail.last()}
}

// title is the command line, or the module with the function.
func (p *process) title() string {
	if m := p.exec.Module; m != nil {
		return m.File + " " + p.commandLine
	}
	return p.commandLine
}

// howEnded says how a process ended that did not end well.
func howEnded(state *os.ProcessState) string {
	if s, ok := state.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return fmt.Sprintf("ended by signal %d (%v)", s.Signal(), s.Signal())
	}
	return fmt.Sprintf("exit code %d", state.ExitCode())
}

// begin starts the process. ended gets how it ended, once all of its group are
// killed.
func (p *process) begin() (ended <-chan *os.ProcessState, err error) {
	p.scope = p.host.nextScope()
	if p.cmd, err = p.command(); err != nil {
		return nil, err
	}
	p.cmd.Dir, p.cmd.SysProcAttr = p.attempt.dir.work, ownGroup()
	theirs, err := p.pipes()
	if err != nil {
		return nil, err
	}
	started, over := make(chan error, 1), make(chan *os.ProcessState, 1)
	p.enterCgroup()
	ownThread(func() { // the end of the thread would count as that of the parent
		err := p.group.start(p.cmd)
		for _, f := range theirs {
			_ = f.Close()
		}
		p.mu.Lock()
		p.live = err == nil
		p.mu.Unlock()
		if err == nil {
			p.host.guard.add(p.cmd.Process.Pid)
			limit(p.cmd.Process.Pid, p.limits())
		}
		started <- err
		if err == nil {
			over <- p.wait()
		}
	})
	if err := <-started; err != nil {
		for _, f := range []io.Closer{p.stdin, p.stdout, p.stderr} {
			_ = f.Close()
		}
		p.leaveCgroup()
		return nil, fmt.Errorf("start the %s %q: %w", p.role, short(p.title()), startError(err))
	}
	return over, nil
}

// enterCgroup makes the control group that the process starts in. Without one it is
// bounded as where there are none.
//
// It is not the group of another process that runs: until a process has replaced its
// program it shares the memory of this one, so the kernel, if it kills in the group
// by then, may take it for the largest and kill this process.
func (p *process) enterCgroup() {
	var err error
	name := strings.TrimSuffix(strings.TrimPrefix(p.scope, p.host.scope+"-"), ".")
	if p.group, err = p.host.cgroups.add(name); err != nil {
		p.host.o.Log.Debug().Err(err).Msg("a process has no control group")
	}
}

// leaveCgroup kills what is in the group, and removes it.
func (p *process) leaveCgroup() {
	p.killed = p.group.killed()
	if err := p.group.close(); err != nil {
		p.host.o.Log.Warn().Err(err).Msg("the control group of a process is left") // until the host closes
	}
}

// limits are those of each process.
func (p *process) limits() Limits {
	l := p.host.o.Limits
	if p.group != nil {
		l.Memory = 0 // the group has it
	}
	if p.exec.Module != nil {
		l.room = ModuleRoom
	}
	return l
}

// command is what is started.
func (p *process) command() (*exec.Cmd, error) {
	if p.exec.Module != nil {
		return p.moduleCommand()
	}
	words, err := manifest.SplitCommand(p.commandLine)
	if err != nil {
		return nil, err // the spec has been validated
	}
	path, err := p.attempt.dir.find(words[0], p.exec.Env)
	if err != nil {
		return nil, fmt.Errorf("start the %s: %w", p.role, err)
	}
	return &exec.Cmd{Path: path, Args: words, Env: p.environ()}, nil
}

// startError is what people understand of why a process was not started.
func startError(err error) error {
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("%w: does the script begin with a line such as #!/bin/sh?", err)
	case errors.Is(err, syscall.ENOENT):
		return fmt.Errorf("%w: if it is a script, the program that its first line names is not there", err)
	}
	return err
}

// pipes makes the pipes of the process, and returns its ends of them.
func (p *process) pipes() (theirs []*os.File, err error) {
	var in, out, errs *os.File
	if p.stdin, in, err = newPipe("stdin", false); err != nil {
		return nil, err
	}
	if p.stdout, out, err = newPipe("stdout", true); err != nil {
		return nil, errors.Join(err, p.stdin.Close(), in.Close())
	}
	var r *os.File
	if r, errs, err = os.Pipe(); err != nil {
		return nil, errors.Join(fmt.Errorf("make a pipe: %w", err), p.stdin.Close(), in.Close(), p.stdout.Close(), out.Close())
	}
	p.stderr = r
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = in, out, errs
	return []*os.File{in, out, errs}, nil
}

// wait waits until the process has ended, kills what it leaves behind, and ends
// its pipes.
func (p *process) wait() *os.ProcessState {
	pid := p.cmd.Process.Pid
	ended(pid) // and keeps its number
	p.mu.Lock()
	killGroup(pid)
	p.mu.Unlock()
	p.leaveCgroup()
	sweep(p.scope)
	p.host.guard.remove(pid) // before its number can be that of another
	p.mu.Lock()
	_ = p.cmd.Wait() // the state says how it ended
	p.live = false
	p.mu.Unlock()
	_ = p.stdin.Close() // whoever feeds it goes on without
	until := time.Now().Add(patience)
	p.stdout.ended(until)
	_ = p.stderr.SetReadDeadline(until)
	return p.cmd.ProcessState
}

// kill kills the process with its group, nil for the end of the attempt.
func (p *process) kill(reason error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.live {
		return
	}
	if p.reason == nil {
		p.reason = reason
	}
	killGroup(p.cmd.Process.Pid)
}

// read reads the output of the process.
func (p *process) read(parse parser) error {
	total, most := int64(0), p.host.o.Limits.Output
	return parse(p.stdout, func(n int) error {
		p.beat()
		if total += int64(n); most > 0 && total > most {
			return fmt.Errorf("it has written more than %d bytes to its output", most)
		}
		return nil
	})
}

// hidden says whether a variable of the worker is kept from executables: AWS
// credentials and other settings of AWS, and the configuration of mraws.
// PYTHONUNBUFFERED, which images of containers set, makes Python write line by
// line, at a seventh of the speed.
func (p *process) hidden(name string) bool {
	return strings.HasPrefix(name, "AWS_") && !p.exec.InheritAWS || strings.HasPrefix(name, "MRAWS_") || name == "PYTHONUNBUFFERED"
}

// environ is the environment of the process.
func (p *process) environ() []string {
	var env []string
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); !p.hidden(name) {
			env = append(env, v)
		}
	}
	env = append(env, p.taskEnv()...)
	env = append(env, p.env...)
	env = append(env, "PYTHONUNBUFFERED=", "TMPDIR="+p.attempt.dir.tmp, "PWD="+p.attempt.dir.work)
	for name, value := range p.exec.Env {
		env = append(env, name+"="+value)
	}
	return append(slices.Clip(env), scopeVariable+"="+p.scope)
}
