package protocol

// internal/task/stale.go as a set of transitions: an attempt of an earlier
// job stood still while that was reset, goes on, and writes into the place of
// this job. What it creates it creates on condition that nothing is there, and
// it replaces nothing, since it asks whose the place is. Whoever meets its
// objects has asked the same, so that the question is no step of its own.

// lateSteps are what the earlier job's attempts write.
func (m *model) lateSteps(s *state, yield func(step, *state)) {
	if m.draining {
		return
	}
	for task := range m.maps {
		st := step{who: earlier, task: int8(task), part: -1, fault: true}
		for r := range m.parts {
			if s.maps[task].plain[r].exists() {
				continue
			}
			t := *s
			t.maps[task].plain[r] = stale
			t.late++
			st.part, st.verb = int8(r), "creates the plain name, late"
			yield(st, &t)
		}
		st.part, st.verb = -1, "creates its commit record, late"
		if m.mutant == lateReplaces || s.maps[task].record == 0 && s.maps[task].stale == 0 {
			t := *s
			t.maps[task].record, t.maps[task].stale = 0, 1
			t.late++
			yield(st, &t)
		}
	}
	for q := range m.reduces {
		if s.reduces[q].output == 0 && s.reduces[q].stale == 0 {
			t := *s
			t.reduces[q].stale = 1
			t.late++
			yield(step{who: earlier, task: int8(q), part: -1, fault: true, verb: "creates its output, late"}, &t)
		}
	}
}

// replaceRecord puts the record over that of an earlier job, if this is still
// what lies there. Whatever comes of it, the attempt is over.
func (m *model) replaceRecord(s *state, task, a int, st step, yield func(step, *state)) {
	t := *s
	st.verb = "replaces the commit record of an earlier job: another has"
	if s.maps[task].stale != 0 || m.mutant == lateOverwritten {
		t.maps[task].stale, t.maps[task].record = 0, uint8(a+1)
		st.verb = "replaces the commit record of an earlier job"
	}
	m.mapEnd(&t, task, a)
	yield(st, &t)
}

// replaceOutput is the same of an output.
func (m *model) replaceOutput(s *state, q, b int, st step, yield func(step, *state)) {
	t := *s
	st.verb = "replaces the output of an earlier job: another has"
	if s.reduces[q].stale != 0 || m.mutant == lateOutputOverwritten {
		t.reduces[q].stale, t.reduces[q].output = 0, uint8(b+1)
		st.verb = "replaces the output of an earlier job"
	}
	m.reduceEnd(&t, q, b)
	yield(st, &t)
}
