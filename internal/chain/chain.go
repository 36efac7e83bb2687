// Package chain is the file of a chain of jobs: its steps, in which order they run,
// what each of them reads, and when a step that is repeated ends. It is pure: it
// reads no file, no bucket and no variable of the environment.
//
// A step is a job. Its keys are those that the caller names ([Key]), and the package
// knows nothing of what they mean, but for these:
//
//	name    of the step
//	from    earlier steps whose output the step reads
//	input   what the step reads besides
//	repeat  run the step again and again, each time on the output of the time before
//	steps   the steps of a round, in place of a job of its own
//
// Values may contain ${params.NAME}, ${env.NAME}, ${steps.NAME.output}, and in a step
// that is repeated ${round.number}. $${ in front of such a name stands for ${.
package chain

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// File is the file of a chain.
type File struct {
	Path  string // as errors name it
	Name  Value  // of the chain; an empty Text is none
	Steps []*Step

	params []param
	values map[string]string           // of parameters, set by Bind
	env    func(string) (string, bool) // set by Bind
}

// param is a parameter with its default.
type param struct {
	name     string
	value    Value
	required bool
}

// Value is a text of the file, with its references.
type Value struct {
	Text string
	Pos  Pos
}

// Pos is a place in the file. Lines and columns count from 1.
type Pos struct{ Line, Column int }

// Setting is a key of a step that the package does not know, with one value or several.
type Setting struct {
	Key    string
	Pos    Pos
	Values []Value
}

// Step is a job, or a number of rounds of jobs.
type Step struct {
	Name     string
	Pos      Pos
	From     []Value // names of steps, or [Round]
	Input    []Value
	Settings []Setting // in the order of the file, those of defaults first
	Repeat   *Repeat   // nil for a step that runs once
	Steps    []*Step   // of a round; nil for a step that is a job

	parent *Step // whose round it belongs to; nil for none
}

// Round is the name by which a step of a round reads the input of the round.
const Round = "round"

// Repeat says how often a step is repeated.
type Repeat struct {
	Pos    Pos
	until  Value
	atMost Value
	// Set by Bind.
	Until  *Condition // nil for none
	AtMost int        // rounds, from 1 on
	// KeepLast says that the jobs of rounds are removed that nobody reads any more.
	KeepLast bool
}

// Error is what is wrong with a file.
type Error struct {
	Path string
	Pos  Pos
	Key  string // such as steps.count.nreduce; "" for none
	What string
	// Word is what the file has where one of Names was meant; "" for other errors.
	Word  string
	Names []string
}

// Error returns path, line and key in front of what is wrong.
func (e *Error) Error() string {
	text := e.Path + ":"
	if e.Pos.Line > 0 {
		text += strconv.Itoa(e.Pos.Line) + ":"
	}
	if e.Key != "" {
		text += " " + e.Key + ":"
	}
	return text + " " + e.What
}

// errorf makes an error of a place in the file.
func (f *File) errorf(pos Pos, key, format string, args ...any) *Error {
	return &Error{Path: f.Path, Pos: pos, Key: key, What: fmt.Sprintf(format, args...)}
}

// Key is the name of a key of the step in errors.
func (s *Step) Key(key string) string {
	path := "steps." + s.Name
	if s.parent != nil {
		path = s.parent.Key(path)
	}
	if key != "" {
		path += "." + key
	}
	return path
}

// Setting returns the setting with this key, nil for none.
func (s *Step) Setting(key string) *Setting {
	for i := range s.Settings {
		if s.Settings[i].Key == key {
			return &s.Settings[i]
		}
	}
	return nil
}

// Jobs are the steps that are jobs: those of f, and in place of a step with steps of a
// round these.
func (f *File) Jobs() (jobs []*Step) {
	for _, s := range f.Steps {
		if len(s.Steps) == 0 {
			jobs = append(jobs, s)
		}
		jobs = append(jobs, s.Steps...)
	}
	return jobs
}

// Repeated says whether the step runs in rounds, its own or those of its parent.
func (s *Step) Repeated() bool { return s.Repeat != nil || s.parent != nil }

// roundForm is the name of the folder of a round.
const roundForm = "round-%04d"

// RoundName is the folder of the jobs of round n, from 1 on, below that of the step.
func RoundName(n int) string { return fmt.Sprintf(roundForm, n) }

var roundName = regexp.MustCompile(`^round-([0-9]{4,9})$`)

// ParseRound is the inverse of RoundName.
func ParseRound(name string) (n int, ok bool) {
	m := roundName.FindStringSubmatch(name)
	if m == nil {
		return 0, false
	}
	n, err := strconv.Atoi(m[1])
	return n, err == nil && n > 0 && RoundName(n) == name
}

// validStep is the form of names of steps, which are an element of a key.
var validStep = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// reserved are names of steps that keys or references have another meaning for.
var reserved = []string{"input", "intermediate", "output", Round}

// validName returns what is wrong with the name of a step, or "".
func validName(name string) string {
	if !validStep.MatchString(name) {
		return fmt.Sprintf("%.100q is no name of a step: letters, digits, - and _, at most 64", name)
	}
	for _, r := range reserved {
		if name == r {
			return fmt.Sprintf("%q cannot be the name of a step", name)
		}
	}
	if strings.HasPrefix(name, "round-") {
		return fmt.Sprintf("%q is the name of a round", name)
	}
	return ""
}

// CheckName returns an error unless name can be that of a chain.
func CheckName(name string) error {
	if what := validName(name); what != "" {
		return errors.New(strings.Replace(what, "of a step", "of a chain", 1))
	}
	return nil
}
