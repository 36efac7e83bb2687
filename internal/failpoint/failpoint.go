// Package failpoint kills, stops or fails a process at a named step. Every step of
// coordinator and worker that uses S3, a scratch file or the wire is a point
// ([Points]). The crash matrix (e2e, TestCrashMatrix) runs a job for each point
// and compares its output with that of a job without faults.
//
// The code of the roles does not mark points. [Store] wraps the store of a role,
// [Call] and [Serve] wrap the calls between roles, and [Disk] precedes operations
// on scratch files. A step that [Points] does not list ends the program, and a
// point that is never reached fails the matrix, so no step can be forgotten.
//
// The package does nothing unless the program is built with `-tags failpoint`.
// Then the environment variable [Variable] arms points:
//
//	MRAWS_FAILPOINTS=worker.put.partition.after=kill@2
//	MRAWS_FAILPOINTS=worker.put.output.after=error,worker.stat.output=stop
//
// Rules are NAME=ACTION[@N], separated by commas. The action happens when the
// process reaches the point for the Nth time, 1 without @N. It is printed to
// stderr before. The actions are [Kill], [Stop] and [Fail].
package failpoint

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// Variable is the environment variable that arms points.
const Variable = "MRAWS_FAILPOINTS"

// Point names a step: role, what is done, to what, and for a write or a call
// whether before or after it.
type Point string

// Action is what happens at a point.
type Action string

// The actions.
const (
	Kill Action = "kill"  // SIGKILL to the process itself
	Stop Action = "stop"  // SIGSTOP to the process itself; goes on after SIGCONT
	Fail Action = "error" // the step returns an error as of a store, disk or connection that fails
)

// errNoPoint says that a step has no name. It must not look like an error of a store.
var errNoPoint = errors.New("a step is no point")

// Error is the error of a step that [Fail] made fail.
type Error struct{ Point Point }

// Error names the point.
func (e *Error) Error() string { return "failpoint " + string(e.Point) }

// rule is one rule of the variable.
type rule struct {
	point  Point
	action Action
	nth    int64 // from 1
	seen   atomic.Int64
}

// set is the rules of a process.
type set struct {
	rules  []*rule
	points []Point
	act    func(Action)                  // carries out Kill and Stop
	say    func(format string, a ...any) // to people and to the test
}

// parse reads the value of [Variable].
func parse(text string) (*set, error) {
	s := &set{points: Points(), act: signal, say: func(format string, a ...any) {
		// One write, so that the line is whole and there before the end.
		_, _ = fmt.Fprintf(os.Stderr, format, a...)
	}}
	for word := range strings.SplitSeq(text, ",") {
		if word == "" {
			continue
		}
		name, what, ok := strings.Cut(word, "=")
		action, nth, counted := strings.Cut(what, "@")
		r := &rule{point: Point(name), action: Action(action), nth: 1}
		if counted {
			n, err := strconv.ParseInt(nth, 10, 64)
			if err != nil || n < 1 {
				return nil, fmt.Errorf("read %s: %q: %q is no number from 1", Variable, word, nth)
			}
			r.nth = n
		}
		switch {
		case !ok || !slices.Contains([]Action{Kill, Stop, Fail}, r.action):
			return nil, fmt.Errorf("read %s: %q is not name=kill, =stop or =error", Variable, word)
		case !slices.Contains(s.points, r.point):
			return nil, fmt.Errorf("read %s: there is no point %q", Variable, name)
		}
		s.rules = append(s.rules, r)
	}
	return s, nil
}

// hit counts that the process is at p, and carries out the action of its rule.
func (s *set) hit(p Point) error {
	if !slices.Contains(s.points, p) {
		return fmt.Errorf("%w: add %s to internal/failpoint/points.go, and a case that reaches it to e2e/crash_cases_test.go", errNoPoint, p)
	}
	for _, r := range s.rules {
		if r.point != p || r.seen.Add(1) != r.nth {
			continue
		}
		s.say("failpoint %s: %s\n", p, r.action)
		if r.action == Fail {
			return &Error{p}
		}
		s.act(r.action)
	}
	return nil
}

// Disk is called before an operation on a scratch file. Its error is that of a
// full disk.
func Disk(p Point) error {
	if !Enabled {
		return nil
	}
	if err := hit(p); err != nil {
		return fmt.Errorf("%w: %w", err, syscall.ENOSPC)
	}
	return nil
}
