package protocol

// mutant is one deliberate mistake in the protocol; "" is none.
type mutant string

const (
	noRecord           mutant = "a map is committed when all its partitions exist"
	adoptBlindly       mutant = "a partition is adopted without comparing hashes"
	plainParts         mutant = "partitions are put unconditionally"
	plainRecord        mutant = "commit records are put unconditionally"
	plainOutput        mutant = "outputs are put unconditionally"
	trustDone          mutant = "a worker's Done is believed"
	leaseDecides       mutant = "whoever finds its lease valid puts the record unconditionally"
	leaseDeletes       mutant = "a record that came after the lease's end is deleted"
	pageLostAtResume   mutant = "a page of the listing is ignored, and what seems uncommitted is swept"
	pageLostAtEnd      mutant = "a page of the listing is ignored, and the outputs in it are not expected"
	twoSweep           mutant = "a coordinator that starts deletes what was not committed when it listed"
	cleanRecords       mutant = "commit records are deleted at cleanup"
	deleteOutput       mutant = "a retried reduce deletes the output that it finds"
	readPlain          mutant = "reduces read the plain names"
	readLeftover       mutant = "reduces read what lies under the plain name of a partition without records"
	reduceEarly        mutant = "reduces are granted before the maps are committed"
	promoteEarly       mutant = "displaced partitions are promoted before the commit"
	errorIsNo          mutant = "an error of the record's PUT is taken for a no, and the attempt cleans up"
	loserCleans        mutant = "an attempt that gets 412 for its record cleans up"
	recordFirst        mutant = "the record is put before its partitions"
	reduceRecordLast   mutant = "a reduce puts its record after the output"
	sharedReduceRecord mutant = "the attempts of a reduce share the name of their record"
	reuseID            mutant = "attempt ids are used again after a restart"
	successEarly       mutant = "_SUCCESS does not wait for the promotion"
	userDeletes        mutant = "somebody deletes a commit record while the job runs"

	restoreBlindly mutant = "what is lost is made again and read without comparing hashes"
	restorePinned  mutant = "what was restored is not read, since it is another version"
	restoreAbsent  mutant = "what lies in the place of what is lost is left there"

	lateConflicts         mutant = "an attempt that finds the object of an earlier job gives up"
	lateAdopted           mutant = "a partition of an earlier job is adopted without comparing hashes"
	lateOverwritten       mutant = "the record of an earlier job is replaced whatever is there by then"
	lateOutputOverwritten mutant = "the output of an earlier job is replaced whatever is there by then"
	lateReplaces          mutant = "an attempt of an earlier job replaces the record that it finds"
	blindEnd              mutant = "_SUCCESS is created without a look at the outputs"
	leaveGone             mutant = "a coordinator does not put back a record that it knows"

	giveUp mutant = "an attempt that finds its partition's name taken gives up"

	// Not mistakes: here the protocol does more than it has to.
	noEarlyLook mutant = "an attempt that meets another's object does not look for the record"
	unpinned    mutant = "reduces read what is under the record's keys, whatever its version"
)

// meddle is what coordinators of some mutants do besides.
func (m *model) meddle(s *state, c, task int, st step, yield func(step, *state)) {
	if m.draining {
		return // a healthy run need not do it
	}
	t := *s
	committed := s.maps[task].record != 0
	switch {
	case m.mutant == leaseDeletes && committed && s.coords[c].maps[task] == 0:
		t.maps[task].record = 0
		st.verb = "deletes a record that it takes for late"
	case m.mutant == cleanRecords && committed && s.success.there != 0:
		t.maps[task].record = 0
		st.verb = "deletes the record of a job that is done"
	case m.mutant == pageLostAtResume && committed && s.coords[c] == (coord{}):
		m.sweep(&t, task)
		st.verb = "lists without the page that shows the map, and sweeps"
	case m.mutant == twoSweep && !committed && s.coords[c].sweep&(1<<task) == 0 && s.coords[c].maps[task] == 0:
		t.coords[c].sweep |= 1 << task
		st.verb = "lists: the map is not committed"
	case m.mutant == twoSweep && s.coords[c].sweep&(1<<task) != 0:
		t.coords[c].sweep &^= 1 << task
		m.sweep(&t, task)
		st.verb = "deletes the partitions of the map"
	default:
		return
	}
	yield(st, &t)
}

func (m *model) sweep(t *state, task int) {
	t.maps[task].plain = [maxParts]object{}
	t.maps[task].displaced = [maxAttempts][maxParts]object{}
}

// deleteOwn deletes what an attempt created.
func (m *model) deleteOwn(t *state, task, a int) {
	for r, o := range t.maps[task].plain {
		if o == made(a) {
			t.maps[task].plain[r] = 0
		}
	}
	t.maps[task].displaced[m.id(a)] = [maxParts]object{}
}

// promoteOwn copies an attempt's displaced partitions before its commit, one
// at a time. It reports false when there is none left.
func (m *model) promoteOwn(s *state, task, a int, st step, yield func(step, *state)) bool {
	for r := range m.parts {
		p := s.maps[task].attempts[a].parts[r]
		if want := p.object() | copied; p.isDisplaced() && s.maps[task].plain[r] != want {
			t := *s
			t.maps[task].plain[r] = want
			st.part, st.verb = int8(r), "copies its partition onto the plain name"
			yield(st, &t)
			return true
		}
	}
	return false
}

// userSteps are deletions by a person.
func (m *model) userSteps(s *state, yield func(step, *state)) {
	for task := range m.maps {
		if s.maps[task].record != 0 {
			t := *s
			t.maps[task].record = 0
			yield(step{who: user, part: -1, verb: "deletes a commit record"}, &t)
		}
	}
}
