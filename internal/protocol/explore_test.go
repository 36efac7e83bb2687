package protocol

import (
	"fmt"
	"hash/maphash"
	"strings"
)

// result is what an exploration found.
type result struct {
	states, steps int
	depth, drains int
	verbs         map[string]int // how often each kind of step was taken
	bad           string         // the violation that is nearest to the start, or ""
	trace         []step         // that leads to it
	rest          []step         // of the drain, if that found it
}

// String tells the story of a violation.
func (r *result) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, after %d steps:\n", r.bad, len(r.trace))
	for i, s := range r.trace {
		fmt.Fprintf(&b, "%3d. %s\n", i+1, s)
	}
	if len(r.rest) > 0 {
		b.WriteString("and then, with all others dead and no more faults:\n")
	}
	for i, s := range r.rest {
		fmt.Fprintf(&b, "%3d. %s\n", len(r.trace)+i+1, s)
	}
	return b.String()
}

// explorer is a breadth-first search over canonical states.
type explorer struct {
	m      *model
	seed   maphash.Seed
	states []state
	parent []int32
	table  []int32 // open addressing: 1 + index into states
}

// explore visits every state that can be reached, or up to limit, nearest
// first, and stops at the first that is wrong or stuck.
func explore(m *model, limit int) *result {
	x := &explorer{m: m, seed: maphash.MakeSeed(), table: make([]int32, 1<<12)}
	d := newDrains(m)
	res := &result{verbs: map[string]int{}}
	var bad int
	var later *result // wrong in a drain only: not the nearest way to it
	add := func(s *state, from int) {
		m.canonical(s)
		if !x.add(s, from) || res.bad != "" {
			return
		}
		if res.bad = m.check(s); res.bad == "" {
			res.bad, res.rest = d.stuck(s)
		}
		switch {
		case res.bad == "":
		case len(res.rest) > 0 && !isStuck(res.bad):
			if later == nil {
				bad, later = len(x.states)-1, &result{bad: res.bad, rest: res.rest}
			}
			res.bad, res.rest = "", nil
		default:
			bad, later = len(x.states)-1, nil
		}
	}
	for _, s := range m.initial() {
		add(&s, -1)
	}
	end := len(x.states)
	for i := 0; i < len(x.states) && res.bad == "" && len(x.states) < limit; i++ {
		if i == end {
			res.depth, end = res.depth+1, len(x.states)
		}
		s := x.states[i]
		m.next(&s, func(st step, t *state) {
			res.steps++
			res.verbs[st.verb]++
			add(t, i)
		})
	}
	res.states, res.drains = len(x.states), len(d.seen)
	if later != nil {
		res.bad, res.rest = later.bad, later.rest
	}
	if res.bad != "" {
		res.trace = x.trace(bad)
	}
	return res
}

// add enters a state that is new.
func (x *explorer) add(s *state, from int) bool {
	if 2*len(x.states) >= len(x.table) {
		x.grow()
	}
	i := x.slot(s)
	if x.table[i] != 0 {
		return false
	}
	x.states = append(x.states, *s)
	x.parent = append(x.parent, int32(from))
	x.table[i] = int32(len(x.states))
	return true
}

// slot finds the place of a state in the table.
func (x *explorer) slot(s *state) uint64 {
	mask := uint64(len(x.table) - 1)
	i := maphash.Comparable(x.seed, *s) & mask
	for x.table[i] != 0 && x.states[x.table[i]-1] != *s {
		i = (i + 1) & mask
	}
	return i
}

func (x *explorer) grow() {
	x.table = make([]int32, 4*len(x.table))
	for i := range x.states {
		x.table[x.slot(&x.states[i])] = int32(i + 1)
	}
}

// trace replays the way to state i. Its names make sense if m.named.
func (x *explorer) trace(i int) []step {
	var way []int
	for ; i >= 0; i = int(x.parent[i]) {
		way = append(way, i)
	}
	var steps []step
	for k := len(way) - 1; k > 0; k-- {
		from, to := x.states[way[k]], x.states[way[k-1]]
		found := false
		x.m.next(&from, func(st step, t *state) {
			c := *t
			if x.m.canonical(&c); !found && c == to {
				found, steps = true, append(steps, st)
			}
		})
	}
	return steps
}
