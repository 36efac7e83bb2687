package dashboard

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/dustin/go-humanize"

	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/findings"
)

// mostBuckets bounds the buckets of the curves of throughput, and firstStep is how many
// milliseconds one has in a short job.
const mostBuckets, firstStep = 600, 1000

// throughput is what committed attempts did over time, each spread evenly over its own, by
// buckets of Step milliseconds.
type throughput struct {
	Step     int64     `json:"step"`
	Read     []int64   `json:"read"`     // bytes of the input
	Shuffled []int64   `json:"shuffled"` // bytes of pairs that reduce tasks have read
	Written  []int64   `json:"written"`  // bytes of the output
	CPU      []float64 `json:"cpu"`      // seconds; nil where no worker tells of it
}

func (m *material) throughput() *throughput {
	t := &throughput{Step: firstStep}
	end := max(1, m.since(m.now))
	for end > t.Step*mostBuckets {
		t.Step *= 2
	}
	n := int((end + t.Step - 1) / t.Step)
	read, shuffled, written := newCurve(n, t.Step), newCurve(n, t.Step), newCurve(n, t.Step)
	for i := range m.rows {
		a := m.rows[i].Attempt
		if a.Work == nil || a.Outcome != "committed" || a.Start == 0 || a.Work.TakenOver != "" {
			continue
		}
		from, to := m.since(a.Start), m.since(a.End)
		if m.rows[i].reduce {
			shuffled.add(from, to, a.Work.Bytes)
		} else {
			read.add(from, to, a.Work.Bytes)
		}
		if m.rows[i].reduce || m.state.MapOnly() {
			written.add(from, to, a.Work.WroteBytes)
		}
	}
	t.Read, t.Shuffled, t.Written = read.sums(), shuffled.sums(), written.sums()
	if len(m.spent) > 0 {
		spent := newCurve(n, t.Step)
		for _, s := range m.spent {
			spent.add(m.since(s.from), m.since(s.to), int64(s.seconds*1000))
		}
		for _, ms := range spent.sums() {
			t.CPU = append(t.CPU, float64(ms)/1000)
		}
	}
	return t
}

// curve adds up amounts that are spread over intervals of time. An interval costs the same
// however long it is.
type curve struct {
	step  int64
	own   []float64 // by bucket
	rates []float64 // changes of what each bucket from there on has
}

func newCurve(n int, step int64) *curve {
	return &curve{step: step, own: make([]float64, n), rates: make([]float64, n+1)}
}

// add spreads an amount over the time from and to, in milliseconds.
func (c *curve) add(from, to, amount int64) {
	end := int64(len(c.own)) * c.step
	from = min(max(from, 0), end-1)
	to = min(max(to, from+1), end)
	first, last := from/c.step, (to-1)/c.step
	if first == last {
		c.own[first] += float64(amount)
		return
	}
	rate := float64(amount) / float64(to-from)
	c.own[first] += rate * float64((first+1)*c.step-from)
	c.own[last] += rate * float64(to-last*c.step)
	c.rates[first+1] += rate * float64(c.step)
	c.rates[last] -= rate * float64(c.step)
}

func (c *curve) sums() []int64 {
	list := make([]int64, len(c.own))
	rate := 0.0
	for i, own := range c.own {
		rate += c.rates[i]
		list[i] = int64(own + rate + 0.5)
	}
	return list
}

// partitions is how large the partitions are that reduce tasks have read.
type partitions struct {
	Known   int         `json:"known"`
	Total   int         `json:"total"`
	Counts  []int       `json:"counts"` // tasks, by bin
	Edges   []int64     `json:"edges"`  // bytes; one more than bins
	Largest []partition `json:"largest"`
}

type partition struct {
	Task  string     `json:"task"`
	Bytes int64      `json:"bytes"`
	Keys  []heavyKey `json:"keys"`
}

// bins is how many bins a histogram has, and mostLargest how many partitions are named.
const bins, mostLargest = 24, 10

// committedTask is a task that is committed, with its number.
type committedTask struct {
	*events.Attempt
	number int
}

// largest returns the committed tasks that had the most to read, the largest first.
func largest(tasks []events.Task) []committedTask {
	var list []committedTask
	for i := range tasks {
		if a := tasks[i].Committed; a != nil {
			list = append(list, committedTask{a, i})
		}
	}
	slices.SortStableFunc(list, func(a, b committedTask) int { return cmp.Compare(b.Work.Bytes, a.Work.Bytes) })
	return list[:min(len(list), mostLargest)]
}

func (m *material) partitions() *partitions {
	list := largest(m.state.Reduce)
	if len(list) == 0 {
		return nil
	}
	p := &partitions{Total: len(m.state.Reduce), Counts: make([]int, bins), Edges: make([]int64, bins+1), Largest: []partition{}}
	width := list[0].Work.Bytes/bins + 1
	for i := range p.Edges {
		p.Edges[i] = int64(i) * width
	}
	for i := range m.state.Reduce {
		if a := m.state.Reduce[i].Committed; a != nil {
			p.Known++
			p.Counts[min(a.Work.Bytes/width, bins-1)]++
		}
	}
	for _, t := range list {
		keys := m.keys[t.ID]
		if keys == nil && t.Work.Key != "" {
			keys = []heavyKey{{t.Work.Key, t.Work.KeyBytes}}
		}
		if keys == nil {
			keys = []heavyKey{}
		}
		p.Largest = append(p.Largest, partition{t.Task, t.Work.Bytes, keys})
	}
	return p
}

// straggler is an attempt that runs for much longer than is usual.
type straggler struct {
	Task    string  `json:"task"`
	Attempt string  `json:"attempt"`
	Worker  string  `json:"worker"`
	Seconds float64 `json:"seconds"`
	Usual   float64 `json:"usual_seconds"`
	Reason  string  `json:"reason"`
}

const (
	// much is how many times what is usual is a reason to take long.
	much = 2
	// leastUsual is from how many attempts on that have committed something is usual.
	leastUsual = 3
	// mostStragglers bounds the list.
	mostStragglers = 20
)

// pace is how long committed attempts of a phase took.
type pace struct {
	seconds float64 // the median
	bytes   int64   // the median of what they read
	worker  map[string]float64
	n       int
}

func (m *material) pace(reduce bool) pace {
	var took []float64
	var bytes []int64
	workers := map[string][]float64{}
	for i := range m.rows {
		a := m.rows[i].Attempt
		if m.rows[i].reduce == reduce && a.Work != nil && a.Outcome == "committed" && a.Work.TakenOver == "" {
			took, bytes = append(took, a.Work.Seconds), append(bytes, a.Work.Bytes)
			workers[a.Worker] = append(workers[a.Worker], a.Work.Seconds)
		}
	}
	p := pace{n: len(took), seconds: median(took), bytes: median(bytes), worker: make(map[string]float64, len(workers))}
	for w, list := range workers {
		p.worker[w] = median(list)
	}
	return p
}

// median returns the lower one of two medians, 0 of nothing. It sorts the list.
func median[T cmp.Ordered](list []T) (mid T) {
	if len(list) == 0 {
		return mid
	}
	slices.Sort(list)
	return list[(len(list)-1)/2]
}

func (m *material) stragglers() []straggler {
	paces := map[bool]pace{}
	list := []straggler{}
	for _, n := range m.running() {
		r := &m.rows[n]
		p, ok := paces[r.reduce]
		if !ok {
			p = m.pace(r.reduce)
			paces[r.reduce] = p
		}
		took := float64(m.now-r.Start) / 1000
		if r.Start == 0 || p.n < leastUsual || !findings.Slow(took, p.seconds) {
			continue
		}
		list = append(list, straggler{r.Task, r.ID, r.Worker, took, p.seconds, m.reason(r, p)})
	}
	slices.SortStableFunc(list, func(a, b straggler) int { return cmp.Compare(b.Seconds, a.Seconds) })
	return list[:min(len(list), mostStragglers)]
}

// reason says why an attempt may take long.
func (m *material) reason(r *row, p pace) string {
	bytes := int64(0)
	if !r.reduce && m.spec != nil {
		bytes = m.spec.TaskBytes(r.task)
	}
	for _, end := range m.state.Phases {
		if r.reduce && end.Largest == r.Task {
			bytes = end.Bytes
		}
	}
	text := ""
	switch own, known := p.worker[r.Worker]; {
	case bytes > much*p.bytes && p.bytes > 0:
		text = fmt.Sprintf("it has %s to read, and %s is usual", humanize.IBytes(uint64(bytes)), humanize.IBytes(uint64(p.bytes)))
	case known && own >= much*p.seconds:
		text = fmt.Sprintf("its worker is slow: attempts that committed there took %.1f times as long as usual", own/max(p.seconds, 0.001))
	case !known:
		text = "no attempt of this phase has committed on its worker yet"
	default:
		text = "other attempts of its worker took the usual time, so it may be the data of this task"
	}
	if w := m.state.Workers[r.Worker]; w != nil && w.State != events.Ready && w.State != "" {
		text += "; the worker is " + w.State
	}
	for _, a := range m.state.Task(r.Task).Attempts {
		if a != r.Attempt && a.Running() {
			text += "; a second attempt runs on " + a.Worker
			break
		}
	}
	return text
}
