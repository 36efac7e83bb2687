package cmd

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"syscall"

	"github.com/mraws/mraws/mr"
)

// This file is what a process knows about itself: how it was started, and
// whether a parent waits for its verdict (verdict.go). With such a parent it sends
// the verdict and the tasks that run, and takes signals from it.

// Process is what the command line knows about this process.
type Process struct {
	program []string
	name    string   // of the program, as the process was given it
	from    *os.File // signals that a parent passes on, or nil

	mu sync.Mutex
	to *os.File // a parent that waits for a verdict, or nil
}

// NewProcess is called once, first of all, with os.Args and the parts of the program.
func NewProcess(argv []string, parts ...Part) *Process {
	guardIfAsked(argv)
	moduleIfAsked(argv, parts)
	p := &Process{name: argv[0]}
	text := os.Getenv(verdictVariable)
	_ = os.Unsetenv(verdictVariable) // it is not meant for processes that the application starts
	var m mark
	if json.Unmarshal([]byte(text), &m) != nil || m.Parent != os.Getppid() {
		p.program = Invocation(argv)
		return p
	}
	p.program = m.Program
	syscall.CloseOnExec(verdictFD)
	p.to = os.NewFile(verdictFD, "verdict")
	_ = debug.SetCrashOutput(p.to, debug.CrashOptions{}) // without it the parent knows less, no more
	if m.Signals {
		syscall.CloseOnExec(signalsFD)
		p.from = os.NewFile(signalsFD, "signals")
	}
	return p
}

// Invocation is how the user started the program.
func (p *Process) Invocation() []string { return p.program }

type processKey struct{}

// Context returns a context that carries the process. A command with another
// context starts no process for an application.
func (p *Process) Context(ctx context.Context) context.Context {
	return context.WithValue(ctx, processKey{}, p)
}

// Exit writes the verdict, if a parent waits for it, and ends the process.
func (p *Process) Exit(code int) {
	p.say(word{Verdict: &code})
	os.Exit(code)
}

// overseen reports whether a parent waits for a verdict.
func (p *Process) overseen() bool { return p != nil && p.to != nil }

func (p *Process) say(w word) {
	if !p.overseen() {
		return
	}
	line, err := json.Marshal(w)
	if err != nil {
		return // it is plain data
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = p.to.Write(append(line, '\n')) // a parent that is gone needs none
}

// telling returns the app wrapped to report its attempts to the parent; nil stays
// nil.
func (p *Process) telling(a *mr.App) *mr.App {
	if a == nil || !p.overseen() {
		return a
	}
	app := *a
	begun := func(t *mr.Task) {
		task := fmt.Sprintf("%s task %d", t.Phase, t.Index)
		p.say(word{Begun: task})
		context.AfterFunc(t.Context, func() { p.say(word{Ended: task}) })
	}
	mapper, reducer := app.NewMapper, app.NewReducer
	app.NewMapper = func(t *mr.Task) (mr.Mapper, error) { begun(t); return mapper(t) }
	app.NewReducer = func(t *mr.Task) (mr.Reducer, error) { begun(t); return reducer(t) }
	return &app
}

// Signals returns the signals that the process gets itself, and those that its
// parent passes on. A signal to the process group arrives in both ways and counts
// once.
func (p *Process) Signals(own <-chan os.Signal) <-chan os.Signal {
	if p.from == nil {
		return own
	}
	passed, all := make(chan os.Signal), make(chan os.Signal, cap(own))
	go func() {
		for b := make([]byte, 1); ; {
			if _, err := p.from.Read(b); err != nil {
				return // the parent is gone
			}
			passed <- syscall.Signal(b[0])
		}
	}()
	go join(own, passed, all)
	return all
}

// join sends on each signal that came more often on one of two ways than on
// the other, until own is closed.
func join(own, passed <-chan os.Signal, all chan<- os.Signal) {
	for seen := map[os.Signal]*[2]int{}; ; {
		var s os.Signal
		way, ok := 0, true
		select {
		case s, ok = <-own:
		case s = <-passed:
			way = 1
		}
		if !ok {
			return
		}
		if seen[s] == nil {
			seen[s] = new([2]int)
		}
		n := seen[s]
		if n[way]++; n[way] > n[1-way] {
			all <- s
		}
	}
}
