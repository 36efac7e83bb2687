package protocol

// reduceSteps is internal/task/reduce.go and commitReduce as a set of
// transitions. The reads of one attempt come one after the other here.
func (m *model) reduceSteps(s *state, q, b int, yield func(step, *state)) {
	at := s.reduces[q].attempts[b].at
	st := step{who: reducer, n: int8(b), task: int8(q), part: -1}
	switch {
	case at >= reduceGranted && at < reduceRecording:
		m.readSteps(s, q, b, int(at-reduceGranted), st, yield)
	case at == reduceRecording:
		// Unconditional and always the same bytes, so that an error, which
		// ends the attempt, is a pause before this step or after it.
		t := *s
		t.reduces[q].records[m.recordID(b)] = uint8(b + 1)
		t.reduces[q].attempts[b].at = reduceWriting
		if m.mutant == reduceRecordLast {
			m.reduceEnd(&t, q, b)
		}
		st.verb = "writes its record below _attempts/"
		yield(st, &t)
	case at == reduceWriting && s.reduces[q].stale != 0:
		t := *s
		t.reduces[q].attempts[b].at = reduceReplacing
		if m.mutant == lateConflicts {
			m.reduceEnd(&t, q, b)
		}
		st.verb = "creates the output: that of an earlier job is there"
		yield(st, &t)
	case at == reduceWriting:
		m.outputSteps(s, q, b, st, yield)
	case at == reduceReplacing:
		m.replaceOutput(s, q, b, st, yield)
	}
}

// readSteps are the reads: first of the commit record of every map task, then
// of the partitions that they name, at the version that they name.
func (m *model) readSteps(s *state, q, b, done int, st step, yield func(step, *state)) {
	from, to := m.reads(q)
	t := *s
	at := &t.reduces[q].attempts[b]
	if done < m.maps {
		parts, ok := m.committed(s, done)
		if st.verb = "reads the commit record of a map task"; !ok && m.mutant != reduceEarly {
			m.reduceEnd(&t, q, b)
			yield(st, &t)
			return
		}
		for r := from; r < to; r++ {
			at.parts[done][r] = parts[r]
		}
	} else {
		task, r := (done-m.maps)/(to-from), from+(done-m.maps)%(to-from)
		st.part = int8(r)
		st.verb = "reads what the record names"
		p := &at.parts[task][r]
		switch {
		case m.mutant == readPlain:
			*p = part(s.maps[task].plain[r])
		case m.mutant == unpinned && !p.isDisplaced():
			*p = part(s.maps[task].plain[r])
		case *p == 0 && m.mutant == readLeftover:
			*p = part(s.maps[task].plain[r])
		case *p == 0 && (m.sparse || m.mutant == reduceEarly):
		case at.saw != 0:
			m.restoreSteps(s, q, b, task, r, st, yield)
			return
		default:
			o, ok := m.lies(s, task, r, *p)
			if !ok {
				m.missing(s, q, b, task, r, st, yield)
				return
			}
			*p = part(o) | *p&displaced
		}
	}
	if at.at++; done+1 == m.maps+m.maps*(to-from) {
		at.at = m.afterReads()
	}
	yield(st, &t)
}

func (m *model) afterReads() uint8 {
	if m.mutant == reduceRecordLast {
		return reduceWriting
	}
	return reduceRecording
}

// outputSteps create the output. Whatever comes of it, the attempt is over.
func (m *model) outputSteps(s *state, q, b int, st step, yield func(step, *state)) {
	there := s.reduces[q].output != 0
	if there && m.mutant == deleteOutput {
		t := *s
		t.reduces[q].output = 0
		st.verb = "deletes the output that an earlier attempt left"
		yield(st, &t)
		return
	}
	t := *s
	st.verb = "creates the output: it exists"
	if !there || m.mutant == plainOutput {
		st.verb = "creates the output"
		t.reduces[q].output = uint8(b + 1)
	}
	if m.reduceEnd(&t, q, b); m.mutant == reduceRecordLast && t.reduces[q].output == uint8(b+1) {
		t.reduces[q].attempts[b].at = reduceRecording
	}
	yield(st, &t)
	if there {
		return
	}
	st.fault = true
	t = *s
	t.reduces[q].output = uint8(b + 1)
	m.reduceEnd(&t, q, b)
	st.verb = "creates the output, and the reply is lost"
	yield(st, &t)
	t = *s
	m.reduceEnd(&t, q, b)
	st.verb = "creates the output: an error, and nothing is there"
	yield(st, &t)
}

// reduceEnd ends an attempt. What it read stays if an output was made of it.
func (m *model) reduceEnd(t *state, q, b int) {
	at := &t.reduces[q].attempts[b]
	if t.reduces[q].output != uint8(b+1) {
		*at = reduceAttempt{}
	}
	at.at = reduceOver
}

// holds says whether the bucket has the very object that a record names.
func (m *model) holds(s *state, task, r int, p part) bool {
	o := p.object()
	if !o.exists() {
		return false
	}
	if p.isDisplaced() {
		return s.maps[task].displaced[m.id(o.attempt())][r] == o
	}
	return s.maps[task].plain[r] == o
}

// committed returns what the bucket shows of a map task.
func (m *model) committed(s *state, task int) (parts [maxParts]part, ok bool) {
	t := &s.maps[task]
	if m.mutant == noRecord {
		for r := range m.parts {
			parts[r] = part(t.plain[r])
			ok = t.plain[r].exists()
			if !ok {
				return parts, false
			}
		}
		return parts, true
	}
	if t.record == 0 {
		return parts, false
	}
	return t.attempts[t.record-1].parts, true
}
