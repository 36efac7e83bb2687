package protocol

import "fmt"

// check returns what is wrong with a state, or "". The names I1 ... are those
// of docs/protocol-model.md.
func (m *model) check(s *state) string {
	if s.failed == sumsDisagree && s.removals == 0 { // else outputs may be of a record that is gone
		return "the job fails: the sums disagree" // I6
	}
	for task := range m.maps {
		if bad := m.checkMap(s, task); bad != "" {
			return fmt.Sprintf("map %d: %s", task, bad)
		}
	}
	for q := range m.reduces {
		if bad := m.checkReduce(s, q); bad != "" {
			return fmt.Sprintf("reduce %d: %s", q, bad)
		}
	}
	if s.success.there != 0 {
		return m.checkSuccess(s)
	}
	return ""
}

const (
	changedRecord = "the commit record is gone or another"
	changedOutput = "the output is gone or another"
)

func (m *model) checkMap(s *state, task int) string {
	t := &s.maps[task]
	if t.first != t.record && !m.harm {
		return changedRecord // I1, I3, I5
	}
	parts, ok := m.committed(s, task)
	if !ok {
		return ""
	}
	for r := range m.parts {
		if parts[r].object().exists() && !m.holds(s, task, r, parts[r]) && s.losses+s.removals == 0 {
			return "the record names an object that is not there" // I3
		}
	}
	first, last := 0, m.attempts
	if m.mutant != noRecord { // then it must be the execution that the record speaks of
		first, last = int(t.record-1), int(t.record-1)
	}
	for a := first; a <= last; a++ {
		one := true
		for r := range m.parts {
			one = one && m.holding(s, task, parts[r].object(), r) == m.stream(s, task, a, r)
		}
		if one {
			return ""
		}
	}
	return "what is committed is not the result of one execution" // I1
}

func (m *model) checkReduce(s *state, q int) string {
	t := &s.reduces[q]
	if t.first != t.output && !m.harm {
		return changedOutput // I3, I5
	}
	if t.output == 0 {
		return ""
	}
	from, to := m.reads(q)
	for task := range m.maps {
		parts, ok := m.committed(s, task)
		if !ok && m.harm || s.removals > 0 && s.success.there == 0 {
			continue // the record may be gone, or be another one: what counts is what comes of it
		}
		if !ok {
			return "there is output before all maps are committed" // I2
		}
		for r := from; r < to; r++ {
			read := t.attempts[t.output-1].parts[task][r].object()
			if m.holding(s, task, read, r) != m.holding(s, task, parts[r].object(), r) {
				return "the output was made of something else than what is committed" // I6
			}
		}
	}
	if !m.described(s, q) {
		return "no record describes the output" // I7
	}
	return ""
}

// checkSuccess is I8: _SUCCESS speaks of everything, truly, and the plain
// names show what is committed, then and ever after.
func (m *model) checkSuccess(s *state) string {
	for task := range m.maps {
		if m.mutant != noRecord && !m.harm && s.success.maps[task] != s.maps[task].record {
			return "_SUCCESS speaks of other maps than are committed"
		}
		parts, ok := m.committed(s, task)
		if !ok && m.harm {
			continue
		}
		if !ok {
			return "_SUCCESS is there before all maps are committed"
		}
		for r := range m.parts {
			o, committed := s.maps[task].plain[r], m.holding(s, task, parts[r].object(), r)
			if s.losses+s.removals > 0 || committed == noStream { // nothing is promised of what nobody reads
				continue
			}
			if m.holding(s, task, o, r) != committed {
				return "_SUCCESS is there, and a plain name shows something else than what is committed"
			}
		}
	}
	for q := range m.reduces {
		if s.reduces[q].output == 0 {
			return "_SUCCESS is there, and an output is missing"
		}
		if s.success.reduces[q] != s.reduces[q].output {
			return "_SUCCESS speaks of other outputs than are there"
		}
	}
	return ""
}
