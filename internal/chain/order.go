package chain

import (
	"slices"
	"strings"
)

// order returns steps so that each comes behind those that it needs, and else in the
// order of the file. Outer are the names of the steps around a round.
func (f *File) order(steps []*Step, outer []string) ([]*Step, error) {
	byName := map[string]*Step{}
	names := slices.Clone(outer)
	for _, s := range steps {
		byName[s.Name] = s
		names = append(names, s.Name)
	}
	var ordered []*Step
	done := map[*Step]bool{}
	var visit func(s *Step, path []string) error
	visit = func(s *Step, path []string) error {
		if done[s] {
			return nil
		}
		if i := slices.Index(path, s.Name); i >= 0 {
			return f.errorf(s.Pos, s.Key("from"), "the step needs its own output: %s", strings.Join(append(path[i:], s.Name), " from "))
		}
		for _, need := range s.needs() {
			on := byName[need.Text]
			switch {
			case on == nil && slices.Contains(outer, need.Text):
				continue
			case on == nil:
				err := f.errorf(need.Pos, s.Key("from"), "there is no step %q", need.Text)
				err.Word, err.Names = need.Text, names
				return err
			}
			if err := visit(on, append(slices.Clone(path), s.Name)); err != nil {
				return err
			}
		}
		done[s] = true
		ordered = append(ordered, s)
		return nil
	}
	for _, s := range steps {
		if err := visit(s, nil); err != nil {
			return nil, err
		}
	}
	for _, s := range steps {
		if len(s.Steps) == 0 {
			continue
		}
		last := s.Steps[len(s.Steps)-1]
		around := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == s.Name })
		inner, err := f.order(s.Steps, around)
		if err != nil {
			return nil, err
		}
		// The last step of the file makes the output of the round.
		if inner[len(inner)-1] != last {
			return nil, f.errorf(last.Pos, last.Key(""), "the last step of a round makes its output, and a step before it needs that")
		}
		s.Steps = inner
	}
	return ordered, nil
}
