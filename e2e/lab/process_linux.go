package lab

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Process is a running mraws, or one that has ended.
type Process struct {
	Name string
	Host *Host

	cmd      *exec.Cmd
	out, err string // files of its stdout and stderr
	scratch  string
	done     chan struct{}
}

// Start starts mraws with args on a host. Its output goes into files of the
// lab's folder that bear name, which must be new.
func (l *Lab) Start(h *Host, name string, args ...string) (*Process, error) {
	return l.StartWith(h, name, nil, args...)
}

// StartWith is Start with more environment.
func (l *Lab) StartWith(h *Host, name string, env []string, args ...string) (*Process, error) {
	p := &Process{
		Name: name, Host: h, done: make(chan struct{}),
		out: filepath.Join(l.Dir, name+".out"), err: filepath.Join(l.Dir, name+".err"),
		scratch: filepath.Join(l.Dir, "scratch", name),
	}
	out, err := os.OpenFile(p.out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	errout, err := os.OpenFile(p.err, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer errout.Close()
	if err := os.MkdirAll(p.scratch, 0o700); err != nil {
		return nil, err
	}
	p.cmd = exec.Command(l.bin, args...)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = l.Dir, out, errout
	p.cmd.Env = append(append(l.environment(), env...), "MRAWS_SCRATCH="+p.scratch)
	if err := h.start(p.cmd); err != nil {
		return nil, fmt.Errorf("start mraws %s: %w", name, err)
	}
	l.processes = append(l.processes, p)
	go func() { defer close(p.done); _ = p.cmd.Wait() }()
	return p, nil
}

// Run runs mraws to its end, within limit, and wants exit code 0.
func (l *Lab) Run(h *Host, limit time.Duration, name string, args ...string) error {
	p, err := l.Start(h, name, args...)
	if err != nil {
		return err
	}
	code, ok := p.Wait(limit)
	if !ok {
		return errors.Join(fmt.Errorf("mraws %s has not ended after %s", name, limit), p.Signal(syscall.SIGKILL))
	}
	if code != 0 {
		return fmt.Errorf("mraws %s: exit code %d\n%s", name, code, p.Stderr())
	}
	return nil
}

// Signal sends a signal; to a process that has ended it is none.
func (p *Process) Signal(s syscall.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %s to %s: %w", s, p.Name, err)
	}
	return nil
}

// Kill is kill -9, and returns when the process is gone.
func (p *Process) Kill() error {
	if err := p.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	<-p.done
	return nil
}

// Done is closed when the process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Code returns the exit code of a process that has ended; a signal counts as
// 128 and its number.
func (p *Process) Code() (code int, ended bool) {
	select {
	case <-p.done:
	default:
		return 0, false
	}
	if ws, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return 128 + int(ws.Signal()), true
	}
	return p.cmd.ProcessState.ExitCode(), true
}

// Wait waits for the end, and returns the exit code.
func (p *Process) Wait(limit time.Duration) (code int, ended bool) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
	}
	return p.Code()
}

// Stdout returns what the process has written to stdout so far.
func (p *Process) Stdout() string { return read(p.out) }

// Stderr returns what the process has written to stderr so far.
func (p *Process) Stderr() string { return read(p.err) }

func read(name string) string {
	data, err := os.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// marks are what no process of ours may ever say.
var marks = []string{"panic:", "fatal error:", "DATA RACE", "unexpected fault address"}

// Autopsy says what is wrong with what a process that has ended left behind:
// signs of a crash in its stderr, and scratch files.
func (p *Process) Autopsy() error {
	var err error
	text := p.Stderr()
	for _, m := range marks {
		if i := strings.Index(text, m); i >= 0 {
			err = errors.Join(err, fmt.Errorf("%s says %q", p.Name, firstLine(text[i:])))
		}
	}
	werr := filepath.WalkDir(p.scratch, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			err = fmt.Errorf("%s left %s", p.Name, path)
		}
		return err
	})
	return errors.Join(err, werr)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
