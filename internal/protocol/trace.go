package protocol

import (
	"errors"
	"fmt"
	"slices"

	"github.com/mraws/mraws/internal/trace"
)

// CheckTrace returns an error unless the events of a job, in the order in
// which they were told, are steps that the model allows.
//
// The model is small and a job is not, so the job is seen through the model
// many times: each time one coordinator, one map task with two of its attempts
// at most, and no reduce task or one with two of its attempts at most. What
// the others do is left out, and no step of the model depends on it but that a
// reduce is granted when all maps are known: each map is looked at. What a
// trace does not show, such as every request of an attempt but its last, and
// all that the other coordinators do, may happen at any time: the check
// follows all states that the model may be in.
func CheckTrace(events []trace.Event) error {
	j, err := newJobTrace(events)
	if err != nil {
		return err
	}
	return errors.Join(checkLeases(events), j.checkGrants(), j.checkTasks())
}

// taskID names a task of a trace.
type taskID struct {
	phase string
	index int
}

func (t taskID) String() string { return fmt.Sprintf("%s task %d", t.phase, t.index) }

// jobTrace is a trace by what it is about.
type jobTrace struct {
	events        []trace.Event
	maps, reduces int
	coordinators  []string
	granted       map[string]int        // where in events an attempt was granted
	attempts      map[taskID][]string   // of a task, those that matter, in the order of their grants
	winner        map[taskID]string     // the attempt that first is said to have committed
	seen          map[string]*stepError // what was found of a projection
}

func newJobTrace(events []trace.Event) (*jobTrace, error) {
	j := &jobTrace{
		events: events, maps: -1, granted: map[string]int{}, attempts: map[taskID][]string{}, winner: map[taskID]string{}, seen: map[string]*stepError{},
	}
	job := ""
	for i, e := range events {
		if e.Job != "" && job != "" && e.Job != job {
			return nil, fmt.Errorf("event %d is of job %s, and another of %s", i+1, e.Job, job)
		}
		job = max(job, e.Job)
		if e.Coordinator != "" && !slices.Contains(j.coordinators, e.Coordinator) {
			j.coordinators = append(j.coordinators, e.Coordinator)
		}
		id := taskID{e.Phase, e.Task}
		switch e.Kind {
		case trace.JobPlanned:
			if j.maps >= 0 && (j.maps != e.Maps || j.reduces != e.Reduces) {
				return nil, fmt.Errorf("event %d plans %d maps and %d reduces, and another %d and %d", i+1, e.Maps, e.Reduces, j.maps, j.reduces)
			}
			j.maps, j.reduces = e.Maps, e.Reduces
		case trace.OutputGone:
			return nil, fmt.Errorf("event %d: an output was deleted, which the check does not follow", i+1)
		case trace.Granted:
			if !e.Again {
				j.granted[e.Attempt] = i
				j.attempts[id] = append(j.attempts[id], e.Attempt)
			}
		case trace.AttemptRan:
			if e.Outcome == trace.Committed {
				j.wins(id, e.Attempt)
			}
		case trace.CommitFound, trace.TaskReused:
			j.wins(id, e.Attempt)
		}
	}
	if j.maps < 0 {
		return nil, errors.New("no coordinator planned a job")
	}
	return j, nil
}

func (j *jobTrace) wins(id taskID, attempt string) {
	if j.winner[id] == "" {
		j.winner[id] = attempt
	}
}

// checkGrants: what runs was granted before, and nothing is granted that the
// coordinator knows to be committed. (In the model attempts of a map are there
// from the start.)
func (j *jobTrace) checkGrants() error {
	known := map[string]map[taskID]bool{}
	for i, e := range j.events {
		id := taskID{e.Phase, e.Task}
		switch e.Kind {
		case trace.AttemptRan, trace.CommitFound, trace.TaskReused:
			at, ok := j.granted[e.Attempt]
			if !ok || at > i {
				return fmt.Errorf("event %d: attempt %s of %v was not granted before", i+1, e.Attempt, id)
			}
			if e.Kind != trace.AttemptRan {
				if known[e.Coordinator] == nil {
					known[e.Coordinator] = map[taskID]bool{}
				}
				known[e.Coordinator][id] = true
			}
		case trace.Granted:
			if !e.Again && known[e.Coordinator][id] {
				return fmt.Errorf("event %d: coordinator %s grants %v, of which it has found the commit", i+1, e.Coordinator, id)
			}
		}
	}
	return nil
}

// checkTasks looks at the job through the model in all ways.
func (j *jobTrace) checkTasks() error {
	for _, c := range j.coordinators {
		for m := range j.maps {
			id := taskID{"map", m}
			for _, pair := range j.pairs(id) {
				if err := j.check(c, projection{mapTask: id, maps: pair}); err != nil {
					return err
				}
			}
			for r := range j.reduces {
				out := taskID{"reduce", r}
				for _, pair := range j.pairs(out) {
					if err := j.check(c, projection{mapTask: id, maps: j.committer(id), reduceTask: out, reduces: pair}); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// committer is the attempt that committed a task, if any did.
func (j *jobTrace) committer(id taskID) []string {
	if w := j.winner[id]; w != "" {
		return []string{w}
	}
	return nil
}

// pairs lists each attempt of a task with the one that committed, in the
// order of their grants.
func (j *jobTrace) pairs(id taskID) (pairs [][]string) {
	w := j.winner[id]
	for _, a := range j.attempts[id] {
		pair := []string{a}
		if w != "" && w != a {
			pair = append(pair, w)
			slices.SortFunc(pair, func(a, b string) int { return j.granted[a] - j.granted[b] })
		}
		pairs = append(pairs, pair)
	}
	if len(pairs) == 0 {
		pairs = [][]string{nil}
	}
	return pairs
}

// projection is what of a job the model is to see. Its attempts have the
// numbers of the model.
type projection struct {
	mapTask, reduceTask taskID // reduceTask is zero for none
	maps, reduces       []string
}

// check follows a projection as one coordinator sees it.
func (j *jobTrace) check(epoch string, p projection) error {
	c := config{maps: 1, parts: 1, attempts: len(p.maps), coords: 2, named: true}
	if p.reduceTask.phase != "" {
		c.reduces, c.tries = 1, len(p.reduces)
	}
	var steps []observation
	var at []int
	key := fmt.Sprint(c.attempts, c.reduces, c.tries)
	for i, e := range j.events {
		if o, ok := p.observe(epoch, e); ok {
			steps, at = append(steps, o), append(at, i)
			key += fmt.Sprint(o)
		}
	}
	bad, known := j.seen[key]
	if !known {
		bad = newModel(c).follow(steps)
		j.seen[key] = bad
	}
	if bad == nil {
		return nil
	}
	e := j.events[at[bad.step]]
	return fmt.Errorf("event %d, %s: the model has no such step of coordinator %s: %s %s, attempt %s, worker %q (with %v: %v, and %v: %v)",
		at[bad.step]+1, steps[bad.step], epoch, e.Kind, taskID{e.Phase, e.Task}, e.Attempt, e.Worker, p.mapTask, p.maps, p.reduceTask, p.reduces)
}

// stepError names the first observation that does not fit, by number.
type stepError struct{ step int }

// observation is an event in terms of the model: a step of a coordinator, or
// something that an attempt has seen. The coordinator is number 0, the others
// are number 1.
type observation struct {
	verb string
	who  actor
	n    int8 // of the coordinator, or of the attempt
	of   int8 // the attempt that a coordinator's step is about
}

// What attempts see.
const (
	committed  = "has committed"
	superseded = "has found the commit of another attempt"
)

// observe is what the model is to see of an event, if anything.
func (p projection) observe(epoch string, e trace.Event) (o observation, ok bool) {
	id := taskID{e.Phase, e.Task}
	attempts, reduce := p.maps, false
	switch {
	case e.Kind == trace.SuccessCreated:
		o = observation{verb: createsSuccess, who: coordinator}
		if e.Coordinator != epoch {
			o.n = 1
		}
		return o, true
	case id == p.reduceTask:
		attempts, reduce = p.reduces, true
	case id != p.mapTask:
		return o, false
	}
	n := int8(slices.Index(attempts, e.Attempt))
	if n < 0 {
		return o, false
	}
	switch {
	case e.Kind == trace.AttemptRan && e.Outcome != trace.Failed:
		o = observation{verb: committed, who: mapper, n: n}
		if reduce {
			o.who = reducer
		}
		if e.Outcome == trace.Superseded {
			o.verb = superseded
		}
		return o, true
	case e.Coordinator != epoch:
		return o, false
	case e.Kind == trace.CommitFound, e.Kind == trace.TaskReused:
		o = observation{verb: learnsMap, who: coordinator, of: n}
		if reduce {
			o.verb = learnsOutput
		}
		return o, true
	case e.Kind == trace.Granted && !e.Again && reduce:
		return observation{verb: grantsReduce, who: coordinator, of: n}, true
	}
	return o, false
}

func (o observation) String() string { return fmt.Sprintf("%d %q %d %d", o.who, o.verb, o.n, o.of) }

// follow returns an error unless the model can make all of the observations,
// in this order, with steps that cannot be observed between them.
func (m *model) follow(seen []observation) *stepError {
	at := map[state]struct{}{}
	for _, s := range m.initial() {
		at[s] = struct{}{}
	}
	for i, o := range seen {
		next := map[state]struct{}{}
		for s := range m.hidden(at) {
			m.observe(&s, o, func(t *state) { next[*t] = struct{}{} })
		}
		if len(next) == 0 {
			return &stepError{i}
		}
		at = next
	}
	return nil
}

// hidden adds the states to which steps lead that cannot be observed.
func (m *model) hidden(at map[state]struct{}) map[state]struct{} {
	var todo []state
	all := map[state]struct{}{}
	add := func(s state) {
		if _, ok := all[s]; !ok {
			all[s] = struct{}{}
			todo = append(todo, s)
		}
	}
	for s := range at {
		add(s)
	}
	for len(todo) > 0 {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		m.next(&s, func(st step, t *state) {
			switch {
			case st.who == coordinator && st.verb == createsSuccess:
			case st.who == coordinator && st.n == 0 && slices.Contains([]string{learnsMap, learnsOutput, grantsReduce, startsAgain}, st.verb):
			default:
				add(*t)
			}
		})
	}
	return all
}

// observe yields the states that a state can be in when o is observed: itself,
// if o tells what is so already.
func (m *model) observe(s *state, o observation, yield func(*state)) {
	of := uint8(o.of + 1)
	switch {
	case o.verb == committed && o.who == mapper:
		if s.maps[0].record == uint8(o.n+1) && s.maps[0].attempts[o.n].at == mapOver {
			yield(s)
		}
	case o.verb == committed:
		if s.reduces[0].output == uint8(o.n+1) && s.reduces[0].attempts[o.n].at == reduceOver {
			yield(s)
		}
	case o.verb == superseded && o.who == mapper:
		if r := s.maps[0].record; r != 0 && r != uint8(o.n+1) && s.maps[0].attempts[o.n].at == mapOver {
			yield(s)
		}
	case o.verb == superseded:
		if out := s.reduces[0].output; out != 0 && out != uint8(o.n+1) && s.reduces[0].attempts[o.n].at == reduceOver {
			yield(s)
		}
	case o.verb == learnsMap && s.coords[0].maps[0] == of, o.verb == learnsOutput && s.coords[0].reduces[0] == of:
		yield(s) // looked once more
	default:
		m.coordSteps(s, int(o.n), func(st step, t *state) {
			switch {
			case st.verb != o.verb:
			case o.verb == learnsMap && t.coords[0].maps[0] != of:
			case o.verb == learnsOutput && t.coords[0].reduces[0] != of:
			case o.verb == grantsReduce && (s.reduces[0].attempts[o.of].at != reduceIdle || t.reduces[0].attempts[o.of].at != reduceGranted):
			default:
				yield(t)
			}
		})
	}
}
