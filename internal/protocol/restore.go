package protocol

// internal/task/restore.go as a set of transitions: what becomes of a job
// when somebody deletes what was committed.

// lossSteps are the deletions. Whoever replaces an object deletes it first;
// and an attempt that is late by then may put its own in the place.
func (m *model) lossSteps(s *state, yield func(step, *state)) {
	for task := range m.maps {
		parts, ok := m.committed(s, task)
		for r := 0; ok && r < m.parts; r++ {
			t := *s
			c := m.cell(&t, task, r, parts[r])
			if !c.exists() || !parts[r].object().exists() {
				continue
			}
			*c = 0
			t.losses++
			yield(step{who: user, task: int8(task), part: int8(r), verb: "deletes what the record names", fault: true}, &t)
		}
	}
}

// removeSteps are the deletions of what commits a task, before the job is done.
// A record is deleted only where some coordinator knows it: else it is as if it
// had never been.
func (m *model) removeSteps(s *state, yield func(step, *state)) {
	for q := range m.reduces {
		if s.reduces[q].output != 0 {
			t := *s
			t.reduces[q].output, t.reduces[q].first = 0, 0
			t.removals++
			yield(step{who: user, task: int8(q), part: -1, verb: "deletes an output", fault: true}, &t)
		}
	}
	for task := range m.maps {
		known := false
		for c := range m.coords {
			known = known || s.coords[c].maps[task] != 0
		}
		if s.maps[task].record != 0 && known {
			t := *s
			t.maps[task].record, t.maps[task].first = 0, 0
			t.removals++
			yield(step{who: user, task: int8(task), part: -1, verb: "deletes the commit record of a map", fault: true}, &t)
		}
	}
}

// cell is where a part of a record lies.
func (m *model) cell(t *state, task, r int, p part) *object {
	if p.isDisplaced() {
		return &t.maps[task].displaced[m.id(p.object().attempt())][r]
	}
	return &t.maps[task].plain[r]
}

// lies returns the object that is to be read for what a record names: the
// very one, or, once something was lost, one with the same records.
func (m *model) lies(s *state, task, r int, p part) (object, bool) {
	if m.holds(s, task, r, p) {
		return p.object(), true
	}
	if !p.object().exists() || s.losses+s.removals == 0 || m.mutant == restorePinned {
		return 0, false
	}
	o := *m.cell(s, task, r, p)
	if m.mutant == restoreBlindly {
		return o, o.exists()
	}
	return o, o.exists() && m.stream(s, task, o.attempt(), r) == m.stream(s, task, p.object().attempt(), r)
}

// missing is an attempt that cannot read what a record names. It runs the map
// task again, and what that emits is what was committed or it is not.
func (m *model) missing(s *state, q, b, task, r int, st step, yield func(step, *state)) {
	t := *s
	at := &t.reduces[q].attempts[b]
	st.verb = "misses what the record names"
	if m.losses+m.removals == 0 {
		m.reduceEnd(&t, q, b)
		yield(st, &t)
		return
	}
	p := at.parts[task][r]
	same := m.mutant == restoreBlindly || !m.draining || m.stream(s, task, m.attempts, r) == m.stream(s, task, p.object().attempt(), r)
	if same {
		if at.saw = *m.cell(s, task, r, p); at.saw == 0 {
			at.saw = nothing
		}
		st.verb = "misses what the record names, and runs the map again"
		yield(st, &t)
	}
	if !same || !m.draining {
		t = *s
		if m.reduceEnd(&t, q, b); m.draining {
			t.failed = notAgain
		}
		st.verb, st.fault = "misses what the record names, and gets something else", !m.draining
		yield(st, &t)
	}
}

// restoreSteps put back what is lost, if what lies there is still what was
// seen. Of a reply that is lost or an error it learns as of a refusal: it
// looks, which is to read again.
func (m *model) restoreSteps(s *state, q, b, task, r int, st step, yield func(step, *state)) {
	t := *s
	at := &t.reduces[q].attempts[b]
	p := at.parts[task][r]
	there := *m.cell(s, task, r, p)
	if there == 0 {
		there = nothing
	}
	again := there == at.saw
	if m.mutant == restoreAbsent {
		again = there == nothing
	}
	at.saw = 0
	if st.verb = "puts back what was lost: something else is there"; again {
		o := p.object()
		if m.mutant == restoreBlindly {
			o = made(m.another(s, task, r, p))
		}
		*m.cell(&t, task, r, p) = o | restored
		st.verb = "puts back what was lost"
	}
	yield(st, &t)
}

// another is an execution that emits something else, if there is one.
func (m *model) another(s *state, task, r int, p part) int {
	own := p.object().attempt()
	if m.draining {
		return m.attempts
	}
	for a := range m.attempts {
		if m.stream(s, task, a, r) != m.stream(s, task, own, r) {
			return a
		}
	}
	return own
}

// restoring returns the map task of which an attempt restores something, or
// -1.
func (m *model) restoring(s *state, q, b, from, to int) int {
	at := &s.reduces[q].attempts[b]
	if done := int(at.at - reduceGranted); at.saw != 0 && at.at >= reduceGranted && done >= m.maps {
		return (done - m.maps) / (to - from)
	}
	return -1
}
