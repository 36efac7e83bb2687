package s3fault

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Count says how often a rule came into play.
type Count struct {
	Rule   Rule
	Seen   int64 // calls that it looked at
	Played int64 // calls to which its fault happened
}

// state is a script at work.
type state struct {
	mu    sync.Mutex
	rules []*ruleState
}

// ruleState is what a rule remembers. Which of its calls a rule picks
// depends on the seed and the rule's place alone, not on other rules.
type ruleState struct {
	Count
	key   *regexp.Regexp
	rng   *rand.Rand
	since time.Time // of its first call
}

func newState(s *Script, seed uint64) *state {
	st := &state{}
	for i, r := range s.Rules {
		st.rules = append(st.rules, &ruleState{
			Count: Count{Rule: r}, key: glob(r.Key), rng: rand.New(rand.NewPCG(seed, uint64(i))),
		})
	}
	return st
}

// glob compiles a pattern in which * stands for any run of characters, "/"
// among them, and ? for one.
func glob(pattern string) *regexp.Regexp {
	p := regexp.QuoteMeta(pattern)
	p = strings.ReplaceAll(strings.ReplaceAll(p, `\*`, `.*`), `\?`, `.`)
	return regexp.MustCompile(`(?s)^` + p + `$`)
}

// action is one fault that is to happen to one call.
type action struct {
	rule *ruleState
	Rule
	draw uint64 // where a flip without an offset hits
}

// plan is what is to happen to one call.
type plan struct {
	before []action // modifiers, in order
	fault  *action  // any other; nil for none
}

// decide shows a call to every rule and returns what those want that pick
// it: the modifiers, and of other faults the first.
func (st *state) decide(c call, now time.Time) plan {
	st.mu.Lock()
	defer st.mu.Unlock()
	var p plan
	for _, r := range st.rules {
		if r.Rule.Operation != "*" && r.Rule.Operation != c.operation || !r.key.MatchString(c.key) {
			continue
		}
		r.Seen++
		if r.Seen == 1 {
			r.since = now
		}
		a := action{rule: r, Rule: r.Rule, draw: r.rng.Uint64()}
		if picked := r.picks(now); !picked {
			continue
		}
		switch r.Rule.Fault.Name {
		case "delay", "ignore-condition", "no-checksum":
			p.before = append(p.before, a)
		default:
			if p.fault == nil {
				p.fault = &a
			}
		}
	}
	return p
}

// picks says whether a rule wants the call that it has just counted.
func (r *ruleState) picks(now time.Time) bool {
	w, n := r.Rule.When, r.Seen
	hit := w.P == 0 || r.rng.Float64() < w.P // drawn for every call
	return hit &&
		(w.Nth == 0 || n == w.Nth) &&
		(w.Every == 0 || n%w.Every == 0) &&
		(w.First == 0 || n <= w.First) &&
		n > w.After &&
		(w.For == 0 || now.Sub(r.since) <= w.For)
}

// played takes note that a fault has happened.
func (st *state) played(a *action) {
	st.mu.Lock()
	defer st.mu.Unlock()
	a.rule.Played++
}

// counts returns the counts of all rules, in their order.
func (st *state) counts() []Count {
	st.mu.Lock()
	defer st.mu.Unlock()
	all := make([]Count, len(st.rules))
	for i, r := range st.rules {
		all[i] = r.Count
	}
	return all
}
