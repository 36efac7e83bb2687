package protocol

// The steps of a coordinator that a trace shows.
const (
	learnsMap      = "reads the commit record of the map"
	learnsOutput   = "finds the output and reads the record of its attempt"
	grantsReduce   = "grants an attempt of the reduce"
	createsSuccess = "creates _SUCCESS"
	startsAgain    = "is killed and starts again"
)

// coordSteps is what a coordinator does to the bucket and learns of it
// (internal/coordinator: recover, look, promote, finish). Whether it learns
// from a listing, after a report or from a look at an expiring lease is the
// same: it reads a record that is there. A listing that is old by now is one
// after which it has not learnt everything yet.
func (m *model) coordSteps(s *state, c int, yield func(step, *state)) {
	st := step{who: coordinator, n: int8(c), part: -1}
	for task := range m.maps {
		st.task = int8(task)
		m.learnMap(s, c, task, st, yield)
		m.promote(s, c, task, st, yield)
		m.putBack(s, c, task, st, yield)
		m.meddle(s, c, task, st, yield)
		if m.draining && s.coords[c].maps[task] == 0 && s.maps[task].attempts[m.attempts].at == mapIdle {
			t := *s
			m.grantMap(&t, task, m.attempts)
			st.verb = "grants one more attempt of the map"
			yield(st, &t)
		}
	}
	for q := range m.reduces {
		st.task = int8(q)
		m.learnReduce(s, c, q, st, yield)
		m.grantReduce(s, c, q, st, yield)
	}
	st.task = -1
	m.finish(s, c, st, yield)
	if s.coords[c] != (coord{}) {
		t := *s
		t.coords[c] = coord{}
		st.verb, st.fault = startsAgain, true
		yield(st, &t)
	}
}

// learnMap reads a commit record.
func (m *model) learnMap(s *state, c, task int, st step, yield func(step, *state)) {
	if s.coords[c].maps[task] != 0 {
		return
	}
	if _, ok := m.committed(s, task); ok {
		t := *s
		t.coords[c].maps[task] = max(s.maps[task].record, 1) // 1: there are no records
		st.verb = learnsMap
		yield(st, &t)
	}
	for a := range m.attempts {
		if m.mutant == trustDone && s.maps[task].attempts[a].at == mapRecording {
			t := *s
			t.coords[c].maps[task] = uint8(a + 1)
			st.verb = "takes a worker's word that the map is committed"
			yield(st, &t)
		}
	}
}

// putBack is internal/coordinator/restore.go for a commit record: the coordinator
// that has read it creates it again. Another one that is there by then it takes
// for its own if it speaks of the same records, and else gives up.
func (m *model) putBack(s *state, c, task int, st step, yield func(step, *state)) {
	known, there := s.coords[c].maps[task], s.maps[task].record
	if m.removals == 0 || m.mutant == leaveGone || known == 0 || known == there {
		return
	}
	t := *s
	switch {
	case there == 0:
		t.maps[task].record = known
		st.verb = "puts back the commit record that it knows"
	case m.sameRecords(s, task, int(known-1), int(there-1)):
		t.coords[c].maps[task], t.coords[c].promoted[task] = there, 0
		st.verb = "takes another record of the same"
	default:
		t.failed = otherRecord
		st.verb = "finds that another record speaks of something else"
	}
	yield(st, &t)
}

// sameRecords says whether two attempts emitted the same for all partitions.
func (m *model) sameRecords(s *state, task, a, b int) bool {
	for r := range m.parts {
		if m.stream(s, task, a, r) != m.stream(s, task, b, r) {
			return false
		}
	}
	return true
}

// unpromoted calls f for the partitions of a map that the coordinator has to
// copy onto their plain names.
func (m *model) unpromoted(s *state, c, task int, f func(r int, p part)) {
	by := s.coords[c].maps[task]
	if by == 0 || m.mutant == noRecord {
		return
	}
	for r := range m.parts {
		p := s.maps[task].attempts[by-1].parts[r]
		if p.isDisplaced() && s.coords[c].promoted[task]&(1<<r) == 0 {
			f(r, p)
		}
	}
}

// promote copies one partition. Errors and lost replies need no step of their
// own: the copy may be repeated, and a coordinator that stops is in some
// state before the copy or after it.
func (m *model) promote(s *state, c, task int, st step, yield func(step, *state)) {
	m.unpromoted(s, c, task, func(r int, p part) {
		o, ok := m.lies(s, task, r, p)
		if !ok && s.losses+s.removals == 0 {
			return
		}
		t := *s
		t.coords[c].promoted[task] |= 1 << r
		st.part, st.verb = int8(r), "does without a copy of what is lost"
		if ok {
			t.maps[task].plain[r] = o | copied
			st.verb = "copies what was committed onto the plain name"
		}
		yield(st, &t)
	})
}

// learnReduce reads whose the output is, and that attempt's record.
func (m *model) learnReduce(s *state, c, q int, st step, yield func(step, *state)) {
	if s.coords[c].reduces[q] != 0 {
		return
	}
	if out := s.reduces[q].output; out != 0 && m.described(s, q) {
		t := *s
		t.coords[c].reduces[q] = out
		st.verb = learnsOutput
		yield(st, &t)
	}
	for b := range m.tries {
		if m.mutant == trustDone && s.reduces[q].attempts[b].at == reduceWriting {
			t := *s
			t.coords[c].reduces[q] = uint8(b + 1)
			st.verb = "takes a worker's word that the output is there"
			yield(st, &t)
		}
	}
}

// described says whether the record of the attempt that made the output is
// there.
func (m *model) described(s *state, q int) bool {
	out := s.reduces[q].output
	return s.reduces[q].records[m.recordID(int(out-1))] == out
}

// grantReduce starts the next attempt of a reduce task once all maps are
// known to be committed (I2). Why it does so, a lease that has ended or a
// speculative attempt, does not matter.
func (m *model) grantReduce(s *state, c, q int, st step, yield func(step, *state)) {
	co := &s.coords[c]
	if co.reduces[q] != 0 {
		return
	}
	for task := range m.maps {
		if co.maps[task] == 0 && m.mutant != reduceEarly {
			return
		}
	}
	first, last := 0, m.tries
	if m.draining {
		first, last = m.tries, m.tries+1
	}
	for b := first; b < last; b++ {
		if s.reduces[q].attempts[b].at == reduceIdle {
			t := *s
			t.reduces[q].attempts[b].at = reduceGranted
			st.verb = grantsReduce
			yield(st, &t)
			return
		}
	}
}

// finish compares the sums and creates _SUCCESS. A lost reply changes nothing
// for the bucket, and an error is a pause.
func (m *model) finish(s *state, c int, st step, yield func(step, *state)) {
	co, known, done := &s.coords[c], 0, true
	for task := range m.maps {
		done = done && co.maps[task] != 0
		if m.mutant != successEarly {
			m.unpromoted(s, c, task, func(int, part) { done = false })
		}
	}
	for q := range m.reduces {
		if co.reduces[q] != 0 {
			known++
		}
	}
	if m.mutant != pageLostAtEnd {
		done = done && known == m.reduces
	}
	if !done || m.mutant == pageLostAtEnd && known == 0 || s.success.there != 0 || s.failed != 0 {
		return
	}
	t := *s
	if m.removals > 0 && m.mutant != blindEnd && m.review(&t, c) {
		st.verb = "finds outputs that are gone or another attempt's, and goes on"
		yield(st, &t)
		return
	}
	for task := range m.maps {
		if m.removals > 0 && m.mutant != leaveGone && s.maps[task].record != co.maps[task] {
			return // put back first
		}
	}
	if !m.sumsAgree(s, c) {
		t.failed = sumsDisagree
		st.verb = "finds that the sums of maps and reduces disagree"
	} else {
		t.success = success{there: 1, maps: co.maps, reduces: co.reduces}
		t.coords[c] = coord{} // it ends; another may start
		st.verb = createsSuccess
	}
	yield(st, &t)
}

// review forgets the outputs that are not those that it has seen.
func (m *model) review(t *state, c int) (changed bool) {
	for q := range m.reduces {
		if seen := t.coords[c].reduces[q]; seen != 0 && t.reduces[q].output != seen {
			t.coords[c].reduces[q] = 0
			changed = true
		}
	}
	return changed
}

// sumsAgree compares what the records of the reduces say was read with what
// the records of the maps say was committed.
func (m *model) sumsAgree(s *state, c int) bool {
	co := &s.coords[c]
	for q := range m.reduces {
		from, to := m.reads(q)
		for task := range m.maps {
			for r := from; r < to; r++ {
				if co.reduces[q] == 0 || m.mutant == noRecord {
					continue
				}
				read := s.reduces[q].attempts[co.reduces[q]-1].parts[task][r].object()
				if m.holding(s, task, read, r) != m.stream(s, task, int(co.maps[task]-1), r) {
					return false
				}
			}
		}
	}
	return true
}
