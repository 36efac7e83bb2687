package protocol

// States that differ in nothing but the names of processes have the same
// future up to these names, so one of them is enough: canonical renames. It
// need not find the same name for all that are equal up to names; what it
// misses costs states and nothing else.
func (m *model) canonical(s *state) {
	for i := range s.maps {
		if s.maps[i].first == 0 {
			s.maps[i].first = s.maps[i].record
		}
	}
	for i := range s.reduces {
		if s.reduces[i].first == 0 {
			s.reduces[i].first = s.reduces[i].output
		}
	}
	if m.draining || m.named {
		return
	}
	for task := range m.maps {
		m.sortMap(s, task)
	}
	for q := range m.reduces {
		m.sortReduce(s, q)
	}
	if m.coords == 2 && s.coords[0].order() < s.coords[1].order() {
		s.coords[0], s.coords[1] = s.coords[1], s.coords[0]
	}
}

// order gives coordinators an order.
func (c *coord) order() uint64 {
	k := uint64(c.sweep)
	for _, a := range [][]uint8{c.maps[:], c.promoted[:], c.reduces[:]} {
		for _, v := range a {
			k = k<<8 | uint64(v)
		}
	}
	return k
}

// sortMap orders the attempts that may change names by what they have done.
func (m *model) sortMap(s *state, task int) {
	may := &m.exchange[s.contents][task]
	for i := 1; i < m.attempts; i++ {
		for j := i; j > 0 && may[j-1]; j-- {
			if s.mapOrder(task, j-1) <= s.mapOrder(task, j) {
				break
			}
			m.swapMap(s, task, j-1, j)
		}
	}
}

// mapOrder sums up an attempt without naming any.
func (s *state) mapOrder(task, a int) uint64 {
	t := &s.maps[task]
	at := &t.attempts[a]
	k := uint64(at.at)<<1 | uint64(at.looked)
	for r := range at.puts {
		k = k<<4 | uint64(at.puts[r])
		k = k<<2 | bit(at.parts[r].isDisplaced())<<1 | bit(at.parts[r].object() == made(a))
		k = k<<2 | bit(t.plain[r] == made(a))<<1 | bit(t.displaced[a][r].exists())
	}
	k = k<<1 | bit(t.record == uint8(a+1))
	for c := range s.coords {
		k = k<<1 | bit(s.coords[c].maps[task] == uint8(a+1))
	}
	return k
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// swapMap exchanges the names of two attempts of a map task.
func (m *model) swapMap(s *state, task, a, b int) {
	t := &s.maps[task]
	t.attempts[a], t.attempts[b] = t.attempts[b], t.attempts[a]
	t.displaced[a], t.displaced[b] = t.displaced[b], t.displaced[a]
	for r := range m.parts {
		t.plain[r] = t.plain[r].swap(a, b)
		for i := range m.attempts {
			t.displaced[i][r] = t.displaced[i][r].swap(a, b)
			t.attempts[i].parts[r] = t.attempts[i].parts[r].swap(a, b)
		}
		for q := range m.reduces {
			for i := range m.tries {
				p := &s.reduces[q].attempts[i].parts[task][r]
				*p = p.swap(a, b)
			}
		}
	}
	for q := range m.reduces {
		for i := range m.tries {
			if from, to := m.reads(q); m.restoring(s, q, i, from, to) == task {
				at := &s.reduces[q].attempts[i]
				at.saw = at.saw.swap(a, b)
			}
		}
	}
	for _, n := range []*uint8{&t.record, &t.first, &s.success.maps[task], &s.coords[0].maps[task], &s.coords[1].maps[task]} {
		*n = swap(*n, a, b)
	}
}

// swap exchanges two names that are 1 + attempt.
func swap(n uint8, a, b int) uint8 {
	switch int(n) - 1 {
	case a:
		return uint8(b + 1)
	case b:
		return uint8(a + 1)
	}
	return n
}

func (o object) swap(a, b int) object {
	return object(swap(uint8(o&maker), a, b)) | o&^maker
}

func (p part) swap(a, b int) part { return part(p.object().swap(a, b)) | p&displaced }

// sortReduce orders the attempts of a reduce task.
func (m *model) sortReduce(s *state, q int) {
	t := &s.reduces[q]
	order := func(b int) uint64 {
		// Those not granted stay behind, for the next grant is theirs.
		k := bit(t.attempts[b].at == reduceIdle)<<16 | uint64(t.attempts[b].at)<<8 | uint64(t.attempts[b].saw)
		for task := range m.maps {
			for r := range m.parts {
				k = k<<8 | uint64(t.attempts[b].parts[task][r])
			}
		}
		k = k<<1 | bit(t.records[b] != 0)
		return k<<1 | bit(t.output == uint8(b+1))
	}
	if m.tries == 2 && order(0) > order(1) {
		t.attempts[0], t.attempts[1] = t.attempts[1], t.attempts[0]
		t.records[0], t.records[1] = swap(t.records[1], 0, 1), swap(t.records[0], 0, 1)
		for _, n := range []*uint8{&t.output, &t.first, &s.success.reduces[q], &s.coords[0].reduces[q], &s.coords[1].reduces[q]} {
			*n = swap(*n, 0, 1)
		}
	}
}
