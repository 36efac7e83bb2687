package protocol

import (
	"flag"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var full = flag.Bool("model.full", false, "explore larger jobs too, which takes minutes and GB")

// small are the jobs that every run explores.
var small = []config{
	{name: "any three executions", maps: 1, parts: 2, attempts: 3},
	{name: "promotion among three attempts", maps: 1, parts: 2, attempts: 3, coords: 1, alike: true},
	{name: "a whole job", maps: 1, parts: 2, attempts: 2, reduces: 1, tries: 2, coords: 2},
	{name: "two maps", maps: 2, parts: 1, attempts: 2, reduces: 1, tries: 1, coords: 1},
	{name: "two outputs", maps: 1, parts: 2, attempts: 1, reduces: 2, tries: 2, coords: 2},
	{name: "a loss", maps: 1, parts: 2, attempts: 2, reduces: 1, tries: 1, coords: 1, losses: 1},
	{name: "partitions without records", maps: 1, parts: 2, attempts: 2, reduces: 1, tries: 1, coords: 1, sparse: true},
	{name: "a loss among partitions without records", maps: 1, parts: 2, attempts: 2, reduces: 1, tries: 1, coords: 1, losses: 1, sparse: true},
	{name: "what an earlier job writes late", maps: 1, parts: 1, attempts: 2, reduces: 1, tries: 2, coords: 1, late: 3},
	{name: "late partitions", maps: 1, parts: 2, attempts: 2, coords: 1, late: 3},
	{name: "outputs and records are deleted", maps: 1, parts: 1, attempts: 2, reduces: 1, tries: 2, coords: 1, removals: 2},
	{name: "an output is deleted under two coordinators", maps: 1, parts: 1, attempts: 1, reduces: 1, tries: 2, coords: 2, removals: 1},
	{name: "two losses, two who restore", maps: 1, parts: 1, attempts: 2, reduces: 1, tries: 2, coords: 1, losses: 2},
}

// large are explored with -model.full.
var large = []config{
	{name: "promotion among any three executions", maps: 1, parts: 2, attempts: 3, coords: 2},
	{name: "three attempts in a whole job", maps: 1, parts: 2, attempts: 3, reduces: 1, tries: 2, coords: 1},
	{name: "two maps, two coordinators", maps: 2, parts: 1, attempts: 2, reduces: 1, tries: 2, coords: 2},
	{name: "losses, and two who restore", maps: 1, parts: 2, attempts: 2, reduces: 1, tries: 2, coords: 1, losses: 2},
	{name: "two outputs of two attempts", maps: 1, parts: 2, attempts: 2, reduces: 2, tries: 1, coords: 2},
}

// most bounds an exploration, in states of about 150 bytes.
const most = 1<<31 - 1

// TestProtocol explores the protocol as it is.
func TestProtocol(t *testing.T) {
	configs := slices.Clone(small)
	if *full {
		configs = append(configs, large...)
	}
	var mu sync.Mutex
	verbs, done := map[string]int{}, 0
	t.Run("explore", func(t *testing.T) {
		for _, c := range configs {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				m := newModel(c)
				r := explore(m, most)
				t.Logf("%d states, %d steps, depth %d; %d ways in which the executions differ; %d drains",
					r.states, r.steps, r.depth, len(m.contents), r.drains)
				if r.bad != "" {
					c.named = true
					t.Fatal(explore(newModel(c), most))
				}
				mu.Lock()
				defer mu.Unlock()
				done++
				for v, n := range r.verbs {
					verbs[v] += n
				}
			})
		}
	})
	if done < len(configs) {
		return // failed, or not asked for
	}
	// An exploration that never comes to the hard cases proves nothing.
	if diff := cmp.Diff(sorted(every), slices.Sorted(maps.Keys(verbs))); diff != "" {
		t.Errorf("the steps that were taken are not those that there are (-want +got):\n%s", diff)
	}
}

// every lists the kinds of steps of the protocol.
var every = []string{
	"creates the plain name",
	"creates the plain name, and the reply is lost",
	"creates the plain name: an error, and nothing is there",
	"creates the plain name: it exists",
	"looks at the plain name",
	"looks for the commit record",
	"creates its own name below _attempts/",
	"creates its own name below _attempts/, and the reply is lost",
	"creates its own name below _attempts/: an error, and nothing is there",
	"looks at its own name below _attempts/",
	"creates the commit record",
	"creates the commit record, and the reply is lost",
	"creates the commit record: an error, and nothing is there",
	"creates the commit record: it exists",
	"reads the commit record of the map",
	"copies what was committed onto the plain name",
	"grants an attempt of the reduce",
	"reads the commit record of a map task",
	"reads what the record names",
	"deletes what the record names",
	"misses what the record names, and runs the map again",
	"misses what the record names, and gets something else",
	"puts back what was lost",
	"puts back what was lost: something else is there",
	"does without a copy of what is lost",
	"deletes an output",
	"deletes the commit record of a map",
	"puts back the commit record that it knows",
	"takes another record of the same",
	"finds that another record speaks of something else",
	"finds outputs that are gone or another attempt's, and goes on",
	"finds that the sums of maps and reduces disagree",
	"writes its record below _attempts/",
	"creates the output",
	"creates the output, and the reply is lost",
	"creates the output: an error, and nothing is there",
	"creates the output: it exists",
	"finds the output and reads the record of its attempt",
	"creates _SUCCESS",
	"creates the plain name, late",
	"creates its commit record, late",
	"creates its output, late",
	"creates the commit record: that of an earlier job is there",
	"replaces the commit record of an earlier job",
	"replaces the commit record of an earlier job: another has",
	"creates the output: that of an earlier job is there",
	"replaces the output of an earlier job",
	"replaces the output of an earlier job: another has",
	"is killed and starts again",
}

func sorted(s []string) []string { return slices.Sorted(slices.Values(s)) }

// mutants are all that has to be caught.
var mutants = []mutant{
	noRecord, adoptBlindly, plainParts, plainRecord, plainOutput, trustDone, leaseDecides, leaseDeletes,
	pageLostAtResume, pageLostAtEnd, twoSweep, cleanRecords, deleteOutput, readPlain, readLeftover, reduceEarly,
	promoteEarly, errorIsNo, loserCleans, recordFirst, reduceRecordLast, sharedReduceRecord, reuseID,
	successEarly, userDeletes, giveUp,
	restoreBlindly, restorePinned, restoreAbsent,
	lateConflicts, lateAdopted, lateOverwritten, lateOutputOverwritten, lateReplaces,
	blindEnd, leaveGone,
}

// TestMutants explores broken protocols: each must be caught, or the model is
// worth nothing.
func TestMutants(t *testing.T) {
	for _, mut := range mutants {
		t.Run(string(mut), func(t *testing.T) {
			t.Parallel()
			c := broken(mut)
			r := explore(newModel(c), 1<<20)
			if r.bad == "" {
				t.Fatalf("not caught in %d states", r.states)
			}
			t.Logf("caught after %d states: %v", r.states, r)
			if mut != reuseID && mut != sharedReduceRecord && r.states < 10_000 { // those two treat attempts unequally
				c.named = false
				if u := explore(newModel(c), 1<<20); len(u.trace) != len(r.trace) {
					t.Errorf("caught after %d steps where names do not matter, after %d where they do", len(u.trace), len(r.trace))
				}
				c.named = true
			}
			if !strings.HasSuffix(r.bad, changedRecord) && !strings.HasSuffix(r.bad, changedOutput) {
				return
			}
			// That alone is forbidden; this is why.
			c.harm = true
			if r = explore(newModel(c), 1<<20); r.bad == "" {
				t.Fatalf("does no harm in %d states", r.states)
			}
			t.Logf("does harm after %d states: %v", r.states, r)
		})
	}
}

// broken is the job on which a mutant is tried.
func broken(mut mutant) config {
	c := config{maps: 1, parts: 2, attempts: 2, reduces: 1, tries: 2, coords: 1, named: true, mutant: mut}
	switch mut {
	case pageLostAtEnd:
		c.attempts, c.reduces = 1, 2
	case readLeftover:
		c.sparse = true
	case restoreBlindly, restorePinned, restoreAbsent:
		c.losses = 1
	case lateConflicts, lateAdopted, lateOverwritten, lateOutputOverwritten, lateReplaces:
		c.late, c.parts = 1, 1
	case blindEnd, leaveGone:
		c.parts, c.removals = 1, 1
	case trustDone, leaseDeletes, pageLostAtResume, twoSweep:
		c.coords = 2
	}
	return c
}

// TestSpare explores what the protocol could do without: it is said in
// docs/protocol-model.md why it is there all the same.
func TestSpare(t *testing.T) {
	for _, mut := range []mutant{noEarlyLook, unpinned} {
		t.Run(string(mut), func(t *testing.T) {
			t.Parallel()
			c := broken(mut)
			c.named, c.tries = false, 1
			r := explore(newModel(c), most)
			if r.bad != "" {
				t.Fatalf("this matters after all: %v", r)
			}
			t.Logf("%d states", r.states)
		})
	}
}
