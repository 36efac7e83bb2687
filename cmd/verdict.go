package cmd

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/mraws/mraws/internal/apps"
	"github.com/mraws/mraws/internal/coordinator"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/mr"
)

// Code of an application may end its process: by os.Exit with any code, by a panic
// in a goroutine (code 2), or by a signal. So the exit code does not tell how the
// command ended. A parent process therefore starts a child to run such code. The
// child writes a verdict to a pipe just before it exits. A child that ends without
// a verdict was ended by the application. The child also writes where the job is
// and which tasks run, which the parent needs for its message.
//
// This file has the messages and the side of the parent: oversee starts a child,
// supervise says how it ended. process.go has the side of the child, and the
// signals.

// verdictVariable marks a child whose parent waits for its verdict.
// Its value is a [mark].
const verdictVariable = "MRAWS_VERDICT"

// The descriptors that such a process inherits.
const (
	verdictFD = 3 // the pipe to the parent
	signalsFD = 4 // the pipe from it, with a byte for each signal
)

// mark is what a child knows about its parent.
type mark struct {
	Parent  int      `json:"parent"`            // its process id: no other process is meant
	Signals bool     `json:"signals,omitempty"` // it passes on signals
	Program []string `json:"program,omitempty"` // how the user started it
}

// word is a message of a child to its parent, a line of JSON. The message that Go
// prints when it ends the process goes to the same pipe.
type word struct {
	Place   *jobPlace `json:"place,omitempty"`
	Begun   string    `json:"begun,omitempty"` // a task
	Ended   string    `json:"ended,omitempty"`
	Verdict *int      `json:"verdict,omitempty"` // the exit code
}

// jobPlace is where a job is, for hints.
type jobPlace struct {
	Local     bool   `json:"local"`
	Prefix    string `json:"prefix"`
	OwnPrefix bool   `json:"own_prefix"`
}

// outcome is how a child ended, with or without a verdict.
type outcome struct {
	verdict *int // nil: the application, or a signal, ended it
	place   *jobPlace
	tasks   map[string]int // that ran at the end, with their attempts
	crash   bytes.Buffer   // the beginning of what Go printed when it ended the process
	state   *os.ProcessState
	passed  os.Signal // the last that was passed on
}

// oversee starts c and waits for its end. It passes signals on; nil means that the
// child gets its own. The child dies with this process.
func oversee(c *exec.Cmd, program []string, signals <-chan os.Signal) (*outcome, error) {
	runtime.LockOSThread() // the end of the thread that starts it counts as the parent's
	defer runtime.UnlockOSThread()
	words, to, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	defer words.Close()
	from, pass, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make a pipe: %w", err), to.Close())
	}
	defer pass.Close()
	text, err := json.Marshal(mark{Parent: os.Getpid(), Signals: signals != nil, Program: program})
	if err != nil {
		return nil, fmt.Errorf("mark the process: %w", err)
	}
	c.ExtraFiles = []*os.File{to, from}
	c.Env = append(os.Environ(), verdictVariable+"="+string(text))
	c.SysProcAttr = diesWithParent()
	err = c.Start()
	if err := errors.Join(err, to.Close(), from.Close()); err != nil {
		return nil, err
	}
	o := &outcome{tasks: map[string]int{}}
	heard, over := make(chan struct{}), make(chan struct{})
	go func() { defer close(heard); o.listen(words) }()
	var passing sync.WaitGroup
	passing.Go(func() { o.pass(c.Process, pass, signals, over) })
	_ = c.Wait() // the state says how it ended
	close(over)
	passing.Wait()
	_ = words.SetReadDeadline(time.Now().Add(time.Second)) // a process that the application left behind may hold the pipe
	<-heard
	o.state = c.ProcessState
	return o, nil
}

// crashKept is the maximum size in bytes that is kept of Go's crash message.
const crashKept = 64 << 10

// listen reads the messages of a child.
func (o *outcome) listen(words *os.File) {
	for r := bufio.NewReaderSize(words, crashKept); ; {
		line, err := r.ReadSlice('\n')
		var w word
		switch {
		case o.crash.Len() > 0 || json.Unmarshal(line, &w) != nil: // what Go prints comes last, and may hold anything
			o.crash.Write(line[:min(len(line), crashKept-min(o.crash.Len(), crashKept))])
		case w.Verdict != nil:
			o.verdict = w.Verdict
		case w.Place != nil:
			o.place = w.Place
		case w.Begun != "":
			o.tasks[w.Begun]++
		case w.Ended != "":
			if o.tasks[w.Ended]--; o.tasks[w.Ended] <= 0 {
				delete(o.tasks, w.Ended)
			}
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

// pass passes signals on until over is closed. Those that no process of ours
// takes go as they are.
func (o *outcome) pass(p *os.Process, to *os.File, signals <-chan os.Signal, over <-chan struct{}) {
	var deadly chan os.Signal
	if signals != nil {
		deadly = make(chan os.Signal, 2)
		signal.Notify(deadly, syscall.SIGQUIT)
		if !signal.Ignored(syscall.SIGHUP) { // nohup
			signal.Notify(deadly, syscall.SIGHUP)
		}
		defer signal.Stop(deadly)
	}
	for {
		select {
		case s := <-signals:
			o.passed = s
			if n, ok := s.(syscall.Signal); ok {
				_, _ = to.Write([]byte{byte(n)}) // else it has just ended
			}
		case s := <-deadly:
			o.passed = s
			_ = p.Signal(s) // else it has just ended
		case <-over:
			return
		}
	}
}

// why says what ended a child, and which tasks ran in it.
func (o *outcome) why() string {
	ws, _ := o.state.Sys().(syscall.WaitStatus)
	why := fmt.Sprintf("the application ended its process with exit code %d", o.state.ExitCode())
	if o.verdict != nil {
		why = fmt.Sprintf("exit code %d", *o.verdict)
	} else if line := o.crashLine(); line != "" {
		why = "the Go runtime ended the process of the application: " + line
	} else if ws.Signaled() {
		why = "the process of the application was ended by signal: " + ws.Signal().String()
	}
	switch tasks := slices.Sorted(maps.Keys(o.tasks)); len(tasks) {
	case 0:
		return why
	case 1:
		return tasks[0] + ": " + why
	default:
		return why + "; it ran " + strings.Join(tasks, ", ")
	}
}

// crashLine is the last line of the message in front of the stacks that Go
// prints; "" if it printed none.
func (o *outcome) crashLine() string {
	last := ""
	for line := range strings.Lines(o.crash.String()) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "goroutine ") {
			break
		}
		for _, begin := range []string{"panic: ", "fatal error: ", "SIG"} {
			if strings.HasPrefix(line, begin) {
				last = line
			}
		}
	}
	return last
}

// printedError is the exit code of a child that has printed its own error.
type printedError int

func (e printedError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// neededBy reports whether an application should run in a child process. It
// should not if it belongs to this program, which does not end the process, if
// this is that child, or if a debugger traces this process.
func (p *Process) neededBy(app mr.App) bool {
	return p != nil && !p.overseen() && !apps.Has(app) && !traced()
}

// traced reports whether a debugger has started this process.
func traced() bool {
	status, _ := os.ReadFile("/proc/self/status") // none without /proc
	_, tracer, found := strings.Cut(string(status), "\nTracerPid:")
	return found && !strings.HasPrefix(strings.TrimSpace(tracer), "0\n")
}

// supervise runs this command line in a child process and waits for it. It returns
// the outcome of a child that ended without a verdict.
func (f *frame) supervise(ctx context.Context) (*outcome, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	defer f.hush()() // the child shows what it does
	signals := allSignals(ctx)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	o, err := oversee(&exec.Cmd{
		Path: self, Args: append([]string{f.process.name}, f.args...),
		Stdin: f.io.In, Stdout: f.out.first, Stderr: f.err.first,
	}, f.program, signals)
	if err != nil {
		return nil, fmt.Errorf("start a process for the application: %w", err)
	}
	ws, _ := o.state.Sys().(syscall.WaitStatus)
	switch {
	case o.verdict != nil:
		return nil, printedError(*o.verdict)
	case o.passed != nil:
		return nil, &Error{Code: Signal{o.passed}.Code(), What: Signal{o.passed}.Error()}
	case ws.Signaled() && ws.Signal() == syscall.SIGPIPE: // the reader of stdout has gone
		return nil, printedError(Signal{syscall.SIGPIPE}.Code())
	}
	return o, nil
}

// apart is run in a child process.
func (r *jobRun) apart(ctx context.Context) error {
	out, err := r.supervise(ctx)
	if err != nil {
		return err
	}
	e := &Error{Code: ExitJobFailed, What: "the job failed", Cause: errors.New(out.why())}
	if at := out.place; at != nil {
		r.chosen, r.local = true, at.Local
		r.layout, r.ownPrefix = layout.New(at.Prefix), at.OwnPrefix
		e.Hint = r.failureHint(&coordinator.JobError{Cause: e.Cause.Error()})
		if !r.flags.processes {
			e.Hint += "\n--processes replaces a worker process that ends and runs its task again: " + r.again("--processes")
		}
	}
	if ws, _ := out.state.Sys().(syscall.WaitStatus); ws.Signal() == syscall.SIGKILL {
		e.Hint = strings.TrimPrefix(e.Hint+"\nthe kernel's log says whether memory ran out (OOM): --memory bounds the buffers, not what the application takes", "\n")
	}
	return e
}

// callApart is any other command that calls code of an application, in a child
// process.
func (f *frame) callApart(ctx context.Context) error {
	out, err := f.supervise(ctx)
	if err != nil {
		return err
	}
	return &Error{Code: ExitJobFailed, What: "the app failed", Cause: errors.New(out.why())}
}
