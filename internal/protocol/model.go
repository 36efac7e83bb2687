package protocol

import "fmt"

// config is a job that is explored: its size and how it is broken.
type config struct {
	name     string
	maps     int
	parts    int // R
	attempts int // of each map task
	reduces  int // 1: one task that reads every partition; R: task r reads partition r; 0: none
	tries    int // attempts of each reduce task
	coords   int
	late     int  // objects that attempts of an earlier job write
	losses   int  // committed objects that somebody deletes
	removals int  // outputs and commit records that somebody deletes before the job is done
	alike    bool // of three executions two emit the same
	sparse   bool // executions may emit nothing for a partition
	named    bool // do not take states for equal that are so up to names: traces need it, and mutants that mix names up
	harm     bool // do not mind that a commit is gone or replaced: look for what comes of it
	mutant   mutant
}

// model is a configuration with what follows from it.
type model struct {
	config
	contents []contents                   // all the ways in which executions may differ
	exchange [][maxMaps][maxAttempts]bool // see swaps
	draining bool                         // see drain
	repeats  int                          // the drain's attempts emit what this attempt did, from 1, or something new
}

// contents tells which executions emit the same: contents[m][a][r] is the
// record stream of attempt a of map task m for partition r; equal numbers are
// equal streams.
type contents [maxMaps]streams

type streams [maxAttempts][maxParts]uint8

// newStream is what no explored execution emits, and noStream what one emits
// that has no records for a partition.
const (
	newStream = 9
	noStream  = 10
	// staleStream is what an attempt of an earlier job emitted.
	staleStream = 11
)

func newModel(c config) *model {
	m := &model{config: c}
	m.fill(contents{}, 0, 0, 0)
	m.exchange = make([][maxMaps][maxAttempts]bool, len(m.contents))
	for i, c := range m.contents {
		for task := range m.maps {
			m.exchange[i][task] = m.swaps(c[task])
		}
	}
	return m
}

// fill enumerates the contents. In each partition an attempt emits what an
// earlier one emitted, or something new, so that streams are named in the
// order of their first use and no pattern comes twice.
func (m *model) fill(s contents, task, a, r int) {
	switch {
	case task == m.maps:
		if m.foremost(s) && (!m.alike || m.twoAlike(s)) {
			m.contents = append(m.contents, s)
		}
		return
	case r == m.parts:
		m.fill(s, task, a+1, 0)
		return
	case a == m.attempts:
		m.fill(s, task+1, 0, 0)
		return
	}
	fresh := uint8(0)
	for b := range a {
		if v := s[task][b][r]; v != noStream {
			fresh = max(fresh, v+1)
		}
	}
	for v := range fresh + 1 {
		s[task][a][r] = v
		m.fill(s, task, a, r+1)
	}
	if m.sparse {
		s[task][a][r] = noStream
		m.fill(s, task, a, r+1)
	}
}

func (m *model) twoAlike(c contents) bool {
	for task := range m.maps {
		if t := c[task]; t[0] != t[1] && t[0] != t[2] && t[1] != t[2] {
			return false
		}
	}
	return true
}

// stream is what an attempt emitted for a partition.
func (m *model) stream(s *state, task, attempt, r int) int {
	switch {
	case attempt < 0:
		return staleStream
	case attempt < m.attempts:
	case m.repeats > 0:
		attempt = m.repeats - 1
	default:
		return newStream
	}
	return int(m.contents[s.contents][task][attempt][r])
}

// holding is the stream in an object; there is none for a partition without
// records.
func (m *model) holding(s *state, task int, o object, r int) int {
	if !o.exists() {
		return noStream
	}
	return m.stream(s, task, o.attempt(), r)
}

// id is the name of an attempt, which is a part of keys and in the metadata
// of what it writes.
func (m *model) id(attempt int) int {
	if m.mutant == reuseID && attempt == 1 {
		return 0
	}
	return attempt
}

// recordID is the name under which a reduce attempt puts its record.
func (m *model) recordID(try int) int {
	if m.mutant == sharedReduceRecord {
		return 0
	}
	return try
}

// reads lists the partitions that a reduce task reads.
func (m *model) reads(q int) (from, to int) {
	if m.reduces == 1 {
		return 0, m.parts
	}
	return q, q + 1
}

// initial returns the states in which all map attempts have been granted and
// have computed, and nothing has been written. An attempt that is granted
// later is one that is slow to take its first step.
func (m *model) initial() []state {
	var all []state
	for i := range m.contents {
		s := state{contents: uint8(i)}
		for t := range m.maps {
			for a := range m.attempts {
				m.grantMap(&s, t, a)
			}
		}
		all = append(all, s)
	}
	return all
}

// grantMap starts a map attempt.
func (m *model) grantMap(t *state, task, a int) {
	at := &t.maps[task].attempts[a]
	if at.at = mapWriting; m.mutant == recordFirst {
		at.at = mapRecording
		for r := range m.parts {
			at.parts[r] = part(made(a))
		}
		return
	}
	for r := range m.parts {
		if m.stream(t, task, a, r) == noStream {
			m.putEnds(t, task, a, r, 0)
		}
	}
}

// step names a transition, in words only when asked to.
type step struct {
	verb  string
	who   actor
	n     int8 // of the actor: attempt or coordinator
	task  int8 // map or reduce task
	part  int8 // partition, or -1
	fault bool // something goes wrong here: no step of a healthy run
}

type actor uint8

const (
	mapper actor = iota
	reducer
	coordinator
	user
	earlier
)

func (s step) String() string {
	var who string
	switch s.who {
	case mapper:
		who = fmt.Sprintf("attempt %c of map %d", 'A'+s.n, s.task)
	case reducer:
		who = fmt.Sprintf("attempt %c of reduce %d", 'P'+s.n, s.task)
	case coordinator:
		who = fmt.Sprintf("coordinator %d", s.n+1)
		if s.task >= 0 {
			who += fmt.Sprintf(", task %d", s.task)
		}
	case user:
		who = "somebody"
	case earlier:
		who = fmt.Sprintf("an attempt of an earlier job, task %d", s.task)
	}
	if s.part >= 0 {
		who += fmt.Sprintf(", partition %d", s.part)
	}
	return who + ": " + s.verb
}

// next yields every state that one step leads to. A step is one request to
// the store and what its process does in memory until its next request.
func (m *model) next(s *state, yield func(step, *state)) {
	for t := range m.maps {
		for a := range m.attempts {
			m.mapSteps(s, t, a, yield)
		}
	}
	for q := range m.reduces {
		for b := range m.tries {
			m.reduceSteps(s, q, b, yield)
		}
	}
	for c := range m.coords {
		m.coordSteps(s, c, yield)
	}
	if m.mutant == userDeletes {
		m.userSteps(s, yield)
	}
	if int(s.late) < m.late {
		m.lateSteps(s, yield)
	}
	if int(s.losses) < m.losses {
		m.lossSteps(s, yield)
	}
	if int(s.removals) < m.removals && s.success.there == 0 {
		m.removeSteps(s, yield)
	}
}
