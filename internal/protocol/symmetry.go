package protocol

import "slices"

// Attempts at a task are interchangeable, so contents that differ only in which
// attempt emits which stream are enumerated once. The search for all states uses
// the same symmetry on states (symmetry_test.go).

// foremost says whether contents are the first of all those that they become
// when attempts change names.
func (m *model) foremost(c contents) bool {
	for task := range m.maps {
		names := make([]int, m.attempts)
		for i := range names {
			names[i] = i
		}
		for p := range permutations(names) {
			t := c[task]
			for i, a := range p {
				t[i] = c[task][a]
			}
			if m.before(t, c[task]) {
				return false
			}
			for a := range t { // nor, if nobody reads, in the order of partitions
				t[a][0], t[a][1] = t[a][1], t[a][0]
			}
			if m.maps == 1 && m.parts == 2 && m.reduces == 0 && m.before(t, c[task]) {
				return false
			}
		}
	}
	return true
}

func (m *model) before(t, u streams) bool {
	m.rename(&t)
	return slices.Compare(flat(&t), flat(&u)) < 0
}

// swaps tells after which attempts the next may change names with it without
// a change in which executions emit the same.
func (m *model) swaps(t streams) (ok [maxAttempts]bool) {
	for a := range m.attempts - 1 {
		u := t
		u[a], u[a+1] = u[a+1], u[a]
		m.rename(&u)
		ok[a] = u == t
	}
	return ok
}

// rename numbers the streams of each partition by their first use.
func (m *model) rename(t *streams) {
	for r := range m.parts {
		names := map[uint8]uint8{noStream: noStream}
		for a := range m.attempts {
			if _, ok := names[t[a][r]]; !ok {
				names[t[a][r]] = uint8(len(names) - 1)
			}
			t[a][r] = names[t[a][r]]
		}
	}
}

func flat(t *streams) []uint8 {
	var f []uint8
	for _, a := range t {
		f = append(f, a[:]...)
	}
	return f
}

// permutations yields every order of names.
func permutations(names []int) func(func([]int) bool) {
	return func(yield func([]int) bool) {
		var walk func(n int) bool
		walk = func(n int) bool {
			if n == len(names) {
				return yield(names)
			}
			for i := n; i < len(names); i++ {
				names[n], names[i] = names[i], names[n]
				more := walk(n + 1)
				names[n], names[i] = names[i], names[n]
				if !more {
					return false
				}
			}
			return true
		}
		walk(0)
	}
}
