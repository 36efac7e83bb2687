package protocol

// mapSteps is internal/task/commit.go as a set of transitions: commitMap,
// put, displace, lookAfter, settled and putRecord.
func (m *model) mapSteps(s *state, task, a int, yield func(step, *state)) {
	at := &s.maps[task].attempts[a]
	st := step{who: mapper, n: int8(a), task: int8(task), part: -1}
	switch at.at {
	case mapWriting:
		found := false
		for r := range m.parts {
			st.part = int8(r)
			m.putSteps(s, task, a, r, st, yield)
			found = found || at.puts[r] == putFound
		}
		if st.part = -1; found && at.looked == 0 {
			m.lookForRecord(s, task, a, st, yield)
		}
	case mapRecording, mapOverwriting:
		m.recordSteps(s, task, a, st, yield)
	case mapReplacing:
		m.replaceRecord(s, task, a, st, yield)
	case mapCleaning:
		t := *s
		m.deleteOwn(&t, task, a)
		m.mapEnd(&t, task, a)
		st.verb = "deletes the partitions that it created"
		yield(st, &t)
	}
}

// putSteps are the requests for one partition.
func (m *model) putSteps(s *state, task, a, r int, st step, yield func(step, *state)) {
	switch s.maps[task].attempts[a].puts[r] {
	case putPlain:
		upload{m: m, task: task, a: a, r: r, verbs: &plainVerbs}.steps(s, st, yield)
	case putDisplaced:
		upload{m: m, task: task, a: a, r: r, below: displaced, verbs: &displacedVerbs}.steps(s, st, yield)
	case putUnsure:
		t := *s
		m.lookAtPlain(&t, task, a, r)
		st.verb = "looks at the plain name"
		yield(st, &t)
	case putDisplacedUnsure:
		t := *s
		o := t.maps[task].displaced[m.id(a)][r]
		if o.exists() && m.stream(s, task, o.attempt(), r) == m.stream(s, task, a, r) {
			m.putEnds(&t, task, a, r, part(o)|displaced)
		} else {
			m.mapEnd(&t, task, a)
		}
		st.verb = "looks at its own name below _attempts/"
		yield(st, &t)
	}
}

// upload is a creation on condition that nothing is there, with all that a
// client can see of it. A reply that is lost is an error, or the 412 that the
// client's own second try gets for its first: either way the attempt has to
// look.
type upload struct {
	m          *model
	task, a, r int
	below      part // displaced, or 0
	verbs      *[4]string
}

var plainVerbs = [4]string{
	"creates the plain name: it exists",
	"creates the plain name",
	"creates the plain name, and the reply is lost",
	"creates the plain name: an error, and nothing is there",
}

var displacedVerbs = [4]string{
	"creates its own name below _attempts/: it exists",
	"creates its own name below _attempts/",
	"creates its own name below _attempts/, and the reply is lost",
	"creates its own name below _attempts/: an error, and nothing is there",
}

func (u upload) cell(t *state) *object {
	if u.below != 0 {
		return &t.maps[u.task].displaced[u.m.id(u.a)][u.r]
	}
	return &t.maps[u.task].plain[u.r]
}

// unsure is the state after a creation without success.
func (u upload) unsure(t *state) *state {
	at := &t.maps[u.task].attempts[u.a]
	if at.puts[u.r] = putUnsure; u.below != 0 {
		at.puts[u.r] = putDisplacedUnsure
	}
	return t
}

func (u upload) steps(s *state, st step, yield func(step, *state)) {
	free := !u.cell(s).exists()
	if !free && (u.below != 0 || u.m.mutant != plainParts) {
		t := *s
		st.verb = u.verbs[0]
		yield(st, u.unsure(&t))
		return
	}
	t := *s
	*u.cell(&t) = made(u.a)
	u.m.putEnds(&t, u.task, u.a, u.r, part(made(u.a))|u.below)
	st.verb = u.verbs[1]
	yield(st, &t)

	st.fault = true
	t = *s
	*u.cell(&t) = made(u.a)
	st.verb = u.verbs[2]
	yield(st, u.unsure(&t))
	if free {
		t = *s
		st.verb = u.verbs[3]
		yield(st, u.unsure(&t))
	}
}

// lookAtPlain is what put does after a creation without success.
func (m *model) lookAtPlain(t *state, task, a, r int) {
	at := &t.maps[task].attempts[a]
	o := t.maps[task].plain[r]
	switch {
	case !o.exists(), m.mutant == giveUp, o == stale && m.mutant == lateConflicts:
		m.mapEnd(t, task, a) // with the error of the write
	case o == stale && m.mutant != lateAdopted:
		at.puts[r], at.parts[r] = putDisplaced, 0
	case o == stale:
		m.putEnds(t, task, a, r, part(o))
	case m.id(o.attempt()) == m.id(a):
		m.putEnds(t, task, a, r, part(o))
	default:
		at.puts[r], at.parts[r] = putFound, part(o)
		if at.looked != 0 || m.mutant == noEarlyLook {
			m.resolve(t, task, a, r)
		}
	}
}

// lookForRecord is settled, which an attempt asks once.
func (m *model) lookForRecord(s *state, task, a int, st step, yield func(step, *state)) {
	t := *s
	at := &t.maps[task].attempts[a]
	if t.maps[task].record != 0 {
		m.mapEnd(&t, task, a)
	} else {
		at.looked = 1
		for r := range m.parts {
			if at.puts[r] == putFound {
				m.resolve(&t, task, a, r)
			}
		}
	}
	st.verb = "looks for the commit record"
	yield(st, &t)
}

// resolve adopts what another attempt put under the plain name if the record
// streams are equal, and else displaces.
func (m *model) resolve(t *state, task, a, r int) {
	at := &t.maps[task].attempts[a]
	other := at.parts[r].object()
	equal := m.stream(t, task, other.attempt(), r) == m.stream(t, task, a, r)
	if equal || m.mutant == adoptBlindly || m.mutant == noRecord {
		m.putEnds(t, task, a, r, at.parts[r])
		return
	}
	at.puts[r], at.parts[r] = putDisplaced, 0
}

// putEnds notes where a partition lies, nowhere if it has no records. The last
// one leads to the record.
func (m *model) putEnds(t *state, task, a, r int, p part) {
	at := &t.maps[task].attempts[a]
	at.puts[r], at.parts[r] = putDone, p
	for i := range m.parts {
		if at.puts[i] != putDone {
			return
		}
	}
	at.looked = 0
	switch m.mutant {
	case recordFirst, noRecord:
		m.mapEnd(t, task, a)
	default:
		at.at = mapRecording
	}
}

// recordSteps create the commit record. Whatever comes of it, the attempt is
// over: what it reads after an error, and what it reports, changes nothing.
func (m *model) recordSteps(s *state, task, a int, st step, yield func(step, *state)) {
	at := s.maps[task].attempts[a]
	free := s.maps[task].record == 0
	switch {
	case s.maps[task].stale != 0:
		t := *s
		t.maps[task].attempts[a].at = mapReplacing
		if m.mutant == lateConflicts {
			m.mapEnd(&t, task, a)
		}
		st.verb = "creates the commit record: that of an earlier job is there"
		yield(st, &t)
		return
	case m.mutant == promoteEarly && m.promoteOwn(s, task, a, st, yield):
		return
	case m.mutant == leaseDecides && at.at == mapRecording:
		t := *s
		if t.maps[task].attempts[a].at = mapOverwriting; !free {
			m.mapEnd(&t, task, a)
		}
		st.verb = "finds its lease valid and no record"
		yield(st, &t)
		return
	}
	if !free && m.mutant != plainRecord && at.at != mapOverwriting {
		t := *s
		if m.afterRecord(&t, task, a); m.mutant == loserCleans {
			t.maps[task].attempts[a].at = mapCleaning
		}
		st.verb = "creates the commit record: it exists"
		yield(st, &t)
		return
	}
	t := *s
	t.maps[task].record = uint8(a + 1)
	m.afterRecord(&t, task, a)
	st.verb = "creates the commit record"
	yield(st, &t)

	st.fault = true
	t = *s
	t.maps[task].record = uint8(a + 1)
	if m.afterRecord(&t, task, a); m.mutant == errorIsNo || m.mutant == loserCleans {
		t.maps[task].attempts[a].at = mapCleaning
	}
	st.verb = "creates the commit record, and the reply is lost"
	yield(st, &t)
	t = *s
	if m.afterRecord(&t, task, a); m.mutant == errorIsNo {
		t.maps[task].attempts[a].at = mapCleaning
	}
	st.verb = "creates the commit record: an error, and nothing is there"
	yield(st, &t)
}

func (m *model) afterRecord(t *state, task, a int) {
	if m.mutant == recordFirst {
		t.maps[task].attempts[a].at = mapWriting
		return
	}
	m.mapEnd(t, task, a)
}

// mapEnd ends an attempt. Its parts stay if a record speaks of them. Else
// nothing that it put below _attempts/ will ever be looked at: only itself
// and its record know those names.
func (m *model) mapEnd(t *state, task, a int) {
	at := &t.maps[task].attempts[a]
	keep := t.maps[task].record == uint8(a+1)
	for c := range t.coords {
		keep = keep || t.coords[c].maps[task] == uint8(a+1)
	}
	if !keep {
		*at = mapAttempt{}
		if m.mutant != reuseID {
			t.maps[task].displaced[a] = [maxParts]object{}
		}
	}
	at.at, at.looked, at.puts = mapOver, 0, [maxParts]uint8{}
}
