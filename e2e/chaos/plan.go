//go:build linux

package main

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/mraws/mraws/e2e/lab"
	"github.com/mraws/mraws/internal/failpoint"
)

// plan is all that a seed decides about a round. The same seed makes the same
// plan; what real processes do with it is different each time.
type plan struct {
	Seed uint64
	Job  lab.Job `json:"-"`

	App       string
	NReduce   int
	Inputs    int
	Flags     []string      // of the coordinator
	Slots     []int         // of each worker
	Patience  time.Duration // of a worker without a coordinator
	Addresses bool          // workers are told addresses, and need not look into the bucket
	Store     []string      // the rules by which the store fails
	Delay     time.Duration // of every packet
	Loss      float64       // of every packet

	Length time.Duration // of the faults, all of which end then
	Events []event
	// Armed are processes that kill or stop themselves at a named step, by
	// name: what MRAWS_FAILPOINTS says to them.
	Armed map[string]string
}

// event is one fault: from At for as long as For, or until the end of all.
type event struct {
	At, For time.Duration
	Kind    kind
	Host    string
	Peer    string // of a cut; "" is everybody
}

func (e event) String() string {
	s := fmt.Sprintf("%6.2fs %s %s", e.At.Seconds(), e.Kind, e.Host)
	if e.Peer != "" {
		s += " " + e.Peer
	}
	return fmt.Sprintf("%s for %.2fs", s, e.For.Seconds())
}

// kind is what happens to a host or to its process.
type kind string

const (
	kill        kind = "kill"         // kill -9, and a new process at the end
	term        kind = "term"         // SIGTERM, and a new process at the end
	stop        kind = "stop"         // SIGSTOP, and SIGCONT at the end
	cut         kind = "cut"          // both ways
	dropEgress  kind = "drop-egress"  // packets from the host are dropped
	dropIngress kind = "drop-ingress" // packets to the host are dropped
	slow        kind = "slow"         // a third of a second each way, and one packet of ten is lost
	rival       kind = "rival"        // a second coordinator starts, as standby
	takeover    kind = "takeover"     // a second coordinator starts and takes over
)

// kinds are drawn from with these weights; the second ones need a network
// that can be troubled.
var (
	processKinds = []kind{kill, kill, kill, kill, stop, stop, stop, term, term, rival, takeover}
	networkKinds = []kind{cut, cut, cut, dropEgress, dropEgress, dropIngress, dropIngress, slow}
)

// Names of hosts. Workers are worker0, worker1 and so on.
const (
	store       = "s3"
	coordinator = "coordinator"
	rivalHost   = "rival"
)

// crash is the app whose processes end by themselves.
const crash = "crash"

// draw makes the plan of a seed. Without a network that can be troubled its
// events are those of processes only.
func draw(seed uint64, network bool) *plan {
	rng := rand.New(rand.NewPCG(seed, 0x6368616f73))
	p := &plan{Seed: seed, Length: 2*time.Second + rand3(rng, 5*time.Second)}
	p.drawJob(rng)
	p.drawStore(rng)
	if network && rng.IntN(3) == 0 {
		p.Delay, p.Loss = rand3(rng, 40*time.Millisecond), float64(rng.IntN(3))/100
	}
	kinds := processKinds
	if network {
		kinds = slices.Concat(kinds, networkKinds)
	}
	for range 2 + rng.IntN(9) {
		p.Events = append(p.Events, p.drawEvent(rng, kinds))
	}
	p.drawArmed(rng)
	slices.SortStableFunc(p.Events, func(a, b event) int { return cmp.Compare(a.At, b.At) })
	return p
}

// rand3 is a time of up to most, in whole milliseconds.
func rand3(rng *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(rng.Int64N(int64(most/time.Millisecond)+1)) * time.Millisecond
}

func pick[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }

// drawJob draws what is computed, and by whom.
func (p *plan) drawJob(rng *rand.Rand) {
	p.App = pick(rng, "wc", "wc", "indexer", "indexer", "grep", "nocrash", crash)
	p.NReduce, p.Inputs = 1+rng.IntN(12), 1+rng.IntN(24)
	if p.App == crash {
		p.Inputs = 1 + p.Inputs/4 // each costs a few processes
	}
	p.Job = lab.Job{App: p.App, NReduce: p.NReduce, Inputs: lab.Books(rng, p.Inputs, 6000)}
	switch p.App {
	case "grep":
		p.Job.Params = map[string]string{"pattern": pick(rng, "whale", "[xyz]$", "(?i)QUEE.*deep")}
	case crash:
		p.Job.Params = map[string]string{"max-stall": "300ms"}
	}
	for range 1 + rng.IntN(4) {
		p.Slots = append(p.Slots, 1+rng.IntN(3))
	}
	p.Patience = pick(rng, 3*time.Second, 5*time.Second, 15*time.Second)
	p.Addresses = rng.IntN(3) == 0
	p.Flags = []string{
		"--lease", pick(rng, "700ms", "1s", "2s"),
		"--split-size", pick(rng, "1KiB", "3000B", "64MiB"),
		"--speculation", pick(rng, "auto", "auto", "off"),
		// Attempts fail by the dozen here, through no fault of the job's.
		"--max-attempts", "100",
	}
}

// drawStore draws how the store fails. That it answers late is so in each
// round: the job would be over before anything happens.
func (p *plan) drawStore(rng *rand.Rand) {
	p.Store = []string{fmt.Sprintf("* * delay %dms", 30+rng.IntN(120))}
	rare := func() string { return pick(rng, "p=0.01", "p=0.03", "p=0.1") }
	rules := []func() string{
		func() string { return "* * " + pick(rng, "p=0.05", "p=0.3") + " 503" },
		func() string { return "* * " + rare() + " " + pick(rng, "500", "502", "504") },
		func() string { return "* * " + rare() + " drop" },
		func() string { return "* * " + rare() + " lost-reply" },
		func() string { return "PutObject *intermediate/_commit/* every=2 lost-reply" },
		func() string { return "PutObject *output/* every=2 lost-reply" },
		func() string { return "PutObject * " + rare() + " 409" },
		func() string { return "GetObject * " + rare() + " " + pick(rng, "reset", "short") },
		func() string { return "GetObject *intermediate/* " + rare() + " flip" },
		func() string {
			return "GetObject *intermediate/*mr-* " + pick(rng, "p=0.1", "nth=3", "every=7") + " flip"
		},
		func() string { return "GetObject *output/* " + rare() + " flip" },
		func() string { return "PutObject * " + rare() + " flip" },
		func() string { return "ListObjectsV2 * " + rare() + " 500" },
		func() string { return "* * " + rare() + " delay 700ms" },
	}
	for range rng.IntN(4) {
		p.Store = append(p.Store, pick(rng, rules...)())
	}
	// These cost a time-out of twenty seconds each.
	if rng.IntN(12) == 0 {
		p.Store = append(p.Store, fmt.Sprintf("%s nth=%d %s", pick(rng, "GetObject *", "PutObject *"), 5+rng.IntN(40), pick(rng, "no-headers", "stall")))
	}
}

// drawEvent draws one fault.
func (p *plan) drawEvent(rng *rand.Rand, kinds []kind) event {
	e := event{At: rand3(rng, p.Length-time.Second), For: 100*time.Millisecond + rand3(rng, 3*time.Second), Kind: pick(rng, kinds...)}
	e.For = min(e.For, p.Length-e.At)
	hosts := []string{store, coordinator, coordinator}
	for i := range p.Slots {
		hosts = append(hosts, fmt.Sprintf("worker%d", i), fmt.Sprintf("worker%d", i))
	}
	e.Host = pick(rng, hosts...)
	switch e.Kind {
	case rival, takeover:
		e.Host, e.For = rivalHost, p.Length-e.At
	case cut, dropEgress, dropIngress, slow:
		e.Peer = pick(rng, append(hosts, "", "")...)
		if e.Peer == e.Host {
			e.Peer = ""
		}
	}
	return e
}

// drawArmed lets the first processes of some hosts kill or stop themselves at
// a step that a clock would hardly hit.
func (p *plan) drawArmed(rng *rand.Rand) {
	p.Armed = map[string]string{}
	points := map[string][]failpoint.Point{}
	for _, point := range failpoint.Points() {
		role, _, _ := strings.Cut(string(point), ".")
		points[role] = append(points[role], point)
	}
	for range rng.IntN(4) {
		role, host := coordinator, coordinator
		if rng.IntN(3) > 0 {
			role, host = "worker", fmt.Sprintf("worker%d", rng.IntN(len(p.Slots)))
		}
		p.Armed[fmt.Sprintf("%s-%d", host, 1+rng.IntN(2))] = fmt.Sprintf("%s=%s@%d",
			pick(rng, points[role]...), pick(rng, failpoint.Kill, failpoint.Kill, failpoint.Stop), 1+rng.IntN(4))
	}
}
