//go:build linux

package main

import (
	"fmt"
	"slices"
	"strings"
	"syscall"

	"github.com/mraws/mraws/e2e/lab"
)

// seat is a place for a process: when one has died another takes it.
type seat struct {
	round *round
	name  string // of its host
	host  *lab.Host
	start starter

	process *lab.Process // the last one; nil before the first
	all     []*lab.Process
}

// starter starts a process of a name, with more arguments.
type starter func(name string, more ...string) (*lab.Process, error)

// fill starts a process if none is running.
func (s *seat) fill(more ...string) error {
	if s.running() {
		return nil
	}
	p, err := s.start(fmt.Sprintf("%s-%d", s.name, len(s.all)+1), more...)
	if err != nil {
		return err
	}
	s.process, s.all = p, append(s.all, p)
	s.round.note("%s is process %s", s.name, p.Name)
	return nil
}

// running tells whether there is a process, which may be stopped.
func (s *seat) running() bool {
	if s.process == nil {
		return false
	}
	_, ended := s.process.Code()
	return !ended
}

// code is the exit code of the last process, if it has ended.
func (s *seat) code() (code int, ended bool) {
	if s.process == nil {
		return 0, false
	}
	return s.process.Code()
}

func (s *seat) signal(sig syscall.Signal) error {
	if !s.running() {
		return nil
	}
	return s.process.Signal(sig)
}

// documented are the exit codes that a process may have in a round, besides
// those of the signals that it was sent.
func (r *round) documented(s *seat) []int {
	codes := []int{128 + int(syscall.SIGKILL), 128 + int(syscall.SIGTERM)}
	switch {
	case s.name == store:
		return codes
	case strings.HasPrefix(s.name, "worker"):
		if r.plan.App == crash {
			codes = append(codes, 1) // the application's own
		}
		return append(codes, 0, 5)
	}
	return append(codes, 0, 5, 7)
}

// codes says which processes have ended as none should, or have not.
func (r *round) codes() (wrong []string) {
	for _, s := range r.seats {
		for _, p := range s.all {
			code, ended := p.Code()
			switch {
			case !ended && s.name != store:
				wrong = append(wrong, p.Name+" has not ended")
			case ended && !slices.Contains(r.documented(s), code):
				wrong = append(wrong, fmt.Sprintf("%s ended with exit code %d", p.Name, code))
			}
		}
	}
	return wrong
}
