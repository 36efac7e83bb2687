package protocol

// drains checks that nothing is ever stuck: from a state, with every attempt
// under way dead, one coordinator, with what it has in memory or new, and one
// new attempt for each task, and nothing more going wrong, the job ends.
type drains struct {
	m    *model
	seen map[drainKey]struct{}
}

type drainKey struct {
	state   state
	repeats int
}

func newDrains(m *model) *drains { return &drains{m: m, seen: map[drainKey]struct{}{}} }

// stuck returns what is wrong and the steps that lead there, or "".
func (d *drains) stuck(s *state) (string, []step) {
	for c := range d.m.coords + 1 {
		start := d.m.alone(s, c)
		most := 1
		if d.m.losses+d.m.removals > 0 { // whose output can be made again
			most = d.m.attempts
		}
		for repeats := range most + 1 {
			k := drainKey{start, repeats}
			if _, ok := d.seen[k]; ok {
				continue
			}
			d.seen[k] = struct{}{}
			m := *d.m
			m.draining, m.repeats = true, repeats
			if bad, steps := m.drain(start); bad != "" {
				return bad, steps
			}
		}
	}
	return "", nil
}

// alone is s without the processes that are given up: coordinator c, if there
// is such a one, is the first and only one. What attempts have in memory is
// forgotten unless the bucket or the coordinator has it too.
func (m *model) alone(s *state, c int) state {
	t := *s
	t.coords = [maxCoords]coord{}
	if c < m.coords {
		t.coords[0] = s.coords[c]
	}
	for i := range t.maps {
		for a := range t.maps[i].attempts {
			if n := uint8(a + 1); n != t.maps[i].record && n != t.coords[0].maps[i] {
				t.maps[i].attempts[a] = mapAttempt{}
			}
		}
	}
	for i := range t.reduces {
		for b := range t.reduces[i].attempts {
			if n := uint8(b + 1); n != t.reduces[i].output && n != t.coords[0].reduces[i] {
				t.reduces[i].attempts[b] = reduceAttempt{}
			}
		}
	}
	return t
}

const (
	stuck   = "the job is stuck"
	endless = "the job does not end"
)

func isStuck(bad string) bool { return bad == stuck || bad == endless }

// drain takes healthy steps in any order, each of which brings the job
// forward, until it is done.
func (m *model) drain(s state) (string, []step) {
	var steps []step
	for range 100 {
		if s.success.there != 0 || s.failed == notAgain || s.failed == otherRecord || s.failed != 0 && s.removals > 0 {
			return m.check(&s), steps
		}
		var next state
		var how step
		found := false
		pick := func(st step, t *state) {
			if !found && !st.fault {
				next, how, found = *t, st, true
			}
		}
		m.coordSteps(&s, 0, pick)
		for task := range m.maps {
			m.mapSteps(&s, task, m.attempts, pick)
		}
		for q := range m.reduces {
			m.reduceSteps(&s, q, m.tries, pick)
		}
		if !found {
			return stuck, steps
		}
		s = next
		m.canonical(&s)
		steps = append(steps, how)
		if bad := m.check(&s); bad != "" {
			return bad, steps
		}
	}
	return endless, steps
}
