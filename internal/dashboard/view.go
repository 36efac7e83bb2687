package dashboard

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/mraws/mraws/internal/escape"
	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/jobs"
	"github.com/mraws/mraws/internal/object"
)

// View is a job in figures. Times are milliseconds since Began unless they say other. What
// is not known is nil.
type View struct {
	Job          jobView           `json:"job"`
	Began        *time.Time        `json:"began"`
	Now          int64             `json:"now"`
	Seconds      *float64          `json:"seconds"` // of a job that is done
	Phases       []phaseView       `json:"phases"`
	Throughput   *throughput       `json:"throughput"`
	Partitions   *partitions       `json:"partitions"`
	Stragglers   []straggler       `json:"stragglers"`
	Workers      []workerView      `json:"workers"`
	Counters     []counter         `json:"counters"`
	Skipped      skipped           `json:"skipped"`
	Errors       []errorView       `json:"errors"`
	Receipt      *receipt          `json:"receipt"`
	Seal         *string           `json:"seal"`
	Explain      []Finding         `json:"explain"`
	Totals       *events.Totals    `json:"totals"`
	Coordinators []coordinatorView `json:"coordinators"`
	Lacks        []string          `json:"lacks"`
	Problem      string            `json:"problem,omitempty"`
}

type jobView struct {
	Name    string     `json:"name"`
	Prefix  string     `json:"prefix"`
	ID      string     `json:"id"`
	App     string     `json:"app"`
	State   jobs.State `json:"state"`
	Failure string     `json:"failure,omitempty"`
	Created *time.Time `json:"created"`
	NReduce *int       `json:"nreduce"`
	Version string     `json:"version,omitempty"` // of the app
}

type phaseView struct {
	Name        string `json:"name"`
	Total       int    `json:"total"`
	Done        int    `json:"done"`
	Bytes       int64  `json:"bytes"` // that committed tasks had to read, of BytesTotal
	BytesTotal  *int64 `json:"bytes_total"`
	Running     int    `json:"running"`
	Retried     int    `json:"retried"` // attempts after the first of a task, without speculative ones
	Speculative int    `json:"speculative"`
	Failed      int    `json:"failed"`
	Lost        int    `json:"lost"`
	Started     *int64 `json:"started"`
	Ended       *int64 `json:"ended"`
}

type workerView struct {
	ID      string `json:"id"`
	Host    string `json:"host,omitempty"`
	Slots   int    `json:"slots"`
	Running int    `json:"running"`
	State   string `json:"state"`
	// Sample is what the worker has told last of its process, at Seen; nil for nothing.
	*object.Sample
	Seen *int64 `json:"seen"`
}

type counter struct {
	Name  string `json:"name"`
	Value int64  `json:"value"`
}

type skipped struct {
	Records int64 `json:"records"`
}

type errorView struct {
	Task    string `json:"task"`
	Attempt string `json:"attempt"`
	Worker  string `json:"worker"`
	At      int64  `json:"at"`
	Outcome string `json:"outcome"`
	Cause   string `json:"cause"`
	Object  string `json:"object,omitempty"` // the only one that the task reads
}

type receipt struct {
	Requests map[string]int64 `json:"requests"`
	Received int64            `json:"bytes_in"` // by this side
	Sent     int64            `json:"bytes_out"`
	USD      *float64         `json:"usd"`
	MaxUSD   *float64         `json:"max_usd"`
	Final    bool             `json:"final"`
}

type coordinatorView struct {
	Epoch string `json:"epoch"`
	From  int64  `json:"from"`
	To    *int64 `json:"to"`
	Ended string `json:"ended,omitempty"`
}

// material is what a view is made of.
type material struct {
	*fold
	facts    facts
	now      events.Time
	findings []Finding
	keys     map[string][]heavyKey
	maxUSD   float64
	problem  string
}

// mostErrors bounds the errors of a view, and mostCounters its counters.
const mostErrors, mostCounters = 100, 1000

// viewOf makes the view of a job.
func viewOf(m material) View {
	s := &m.state
	v := View{
		Job: m.jobView(), Now: max(0, int64(m.now-m.began())), Problem: m.problem,
		Phases: []phaseView{}, Stragglers: []straggler{}, Workers: m.workerViews(), Counters: []counter{}, Errors: []errorView{},
		Explain: m.findings, Coordinators: []coordinatorView{}, Lacks: []string{},
	}
	if v.Explain == nil {
		v.Explain = []Finding{}
	}
	if m.began() != 0 {
		v.Began = known(m.began().Time())
	} else {
		v.Began, v.Now = v.Job.Created, 0
	}
	for _, c := range s.Coordinators {
		v.Coordinators = append(v.Coordinators, coordinatorView{Epoch: c.Epoch, From: m.since(c.Start), To: m.maybe(c.End), Ended: escape.Short(c.Ended, shortText)})
	}
	if success := m.facts.success; success != nil {
		v.Seconds, v.Seal = &success.Seconds, &success.Seal
	}
	v.Receipt = m.receipt()
	if !s.Planned {
		return v
	}
	v.Phases = append(v.Phases, m.phase("map", s.Map))
	if !s.MapOnly() {
		v.Phases = append(v.Phases, m.phase("reduce", s.Reduce))
	}
	v.Throughput = m.throughput()
	v.Partitions = m.partitions()
	v.Stragglers = m.stragglers()
	v.Errors = m.errors()
	m.totals(&v)
	if m.reader != nil {
		v.Lacks = append(v.Lacks, m.reader.Faults()...)
	}
	if m.facts.job.State == jobs.Done && s.Over {
		v.Lacks = append(v.Lacks, s.Missing()...)
	}
	return v
}

// since is a time in milliseconds since the beginning.
func (m *material) since(t events.Time) int64 { return int64(t - m.began()) }

// maybe is since, nil for no time.
func (m *material) maybe(t events.Time) *int64 {
	if t == 0 {
		return nil
	}
	ms := m.since(t)
	return &ms
}

func (m *material) jobView() jobView {
	row := newJobRow(m.facts.job)
	v := jobView{Name: row.Name, Prefix: row.Prefix, ID: row.ID, App: row.App, State: row.State, Failure: row.Failure, Created: row.Created}
	if v.Failure == "" {
		v.Failure = escape.Short(m.state.Failure, longText)
	}
	if m.spec != nil {
		v.NReduce, v.Version = &m.spec.NReduce, escape.Short(m.spec.App.Version, shortText)
	}
	return v
}

// phase is how far a phase is.
func (m *material) phase(name string, tasks []events.Task) phaseView {
	p := phaseView{Name: name, Total: len(tasks)}
	var started events.Time
	for i := range tasks {
		t := &tasks[i]
		if t.Committed != nil {
			p.Done++
			p.Bytes += m.planned(name, i, t)
		}
		usual := 0
		for _, a := range t.Attempts {
			if a.Start != 0 && (started == 0 || a.Start < started) {
				started = a.Start
			}
			switch {
			case a.Speculative:
				p.Speculative++
			default:
				usual++
			}
			switch a.Outcome {
			case "":
				p.Running++
			case "failed":
				p.Failed++
			case "lost":
				p.Lost++
			}
		}
		p.Retried += max(0, usual-1)
	}
	p.Started = m.maybe(started)
	if p.Done == p.Total {
		for _, end := range m.state.Phases {
			if end.Name == name {
				p.Ended = m.maybe(end.End)
			}
		}
	}
	p.BytesTotal = m.bytesTotal(name)
	return p
}

// planned is how many bytes a committed task had to read: of the input as it is stored,
// where that is known.
func (m *material) planned(phase string, task int, t *events.Task) int64 {
	if phase == "map" && m.spec != nil {
		return m.spec.TaskBytes(task)
	}
	return t.Committed.Work.Bytes
}

// bytesTotal is how many bytes a phase reads, nil while that is not known.
func (m *material) bytesTotal(phase string) *int64 {
	n := int64(0)
	switch {
	case phase == "map" && m.spec != nil:
		for i := range m.spec.Tasks {
			n += m.spec.TaskBytes(i)
		}
	case phase == "map":
		return nil
	default:
		for i := range m.state.Map {
			a := m.state.Map[i].Committed
			if a == nil {
				return nil
			}
			n += a.Work.WroteBytes
		}
	}
	return &n
}

// workerViews are the workers in the order in which they came.
func (m *material) workerViews() []workerView {
	list := make([]workerView, len(m.workers))
	for i, name := range m.workers {
		list[i] = workerView{ID: name, State: "unknown"}
		if w := m.state.Workers[name]; w != nil {
			list[i].Host, list[i].Slots, list[i].State = w.Host, w.Slots, w.State
			list[i].Sample, list[i].Seen = w.Sample, m.maybe(w.SampledAt)
		}
	}
	for n := range m.live {
		if at := m.rows[n].worker; at >= 0 {
			list[at].Running++
		}
	}
	return list
}

// errors are the attempts that failed or were lost, the newest first.
func (m *material) errors() []errorView {
	var failed []*row
	for i := range m.rows {
		if r := &m.rows[i]; r.Outcome == "failed" || r.Outcome == "lost" {
			failed = append(failed, r)
		}
	}
	slices.SortStableFunc(failed, func(a, b *row) int { return cmp.Compare(b.End, a.End) })
	list := []errorView{}
	for _, r := range failed[:min(len(failed), mostErrors)] {
		e := errorView{
			Task: r.Task, Attempt: r.ID, Worker: r.Worker, At: m.since(r.End), Outcome: r.Outcome, Cause: escape.Short(strings.TrimSpace(r.Cause), 2000),
		}
		if reads := m.reads(r); len(reads) == 1 {
			e.Object = m.object(reads[0])
		}
		list = append(list, e)
	}
	return list
}

// totals adds the sums, and the counters among them.
func (m *material) totals(v *View) {
	t := m.state.Totals("")
	for name, n := range t.Counters {
		v.Counters = append(v.Counters, counter{escape.Short(name, shortText), n})
	}
	slices.SortFunc(v.Counters, func(a, b counter) int { return cmp.Compare(a.Name, b.Name) })
	v.Counters = v.Counters[:min(len(v.Counters), mostCounters)]
	t.Counters = nil
	v.Totals, v.Skipped.Records = &t, t.Skipped
}

// receipt is what the job has asked of S3: as its summary says, else as its coordinator has
// announced when it renewed its lease.
func (m *material) receipt() *receipt {
	r := &receipt{Requests: map[string]int64{}}
	if m.maxUSD > 0 {
		r.MaxUSD = &m.maxUSD
	}
	switch success, says := m.facts.success, m.facts.says; {
	case success != nil:
		r.Final, r.Requests = true, success.Requests
		if is := success.Receipt; is != nil {
			r.Sent, r.Received, r.USD = is.Sent, is.Received, &is.USD
		}
	case says != nil && says.Receipt != nil:
		all := says.S3.Clone()
		all.Add(says.Receipt.Committed)
		r.Requests, r.Sent, r.Received, r.USD = all.Requests, all.Sent, all.Received, &says.Receipt.USD
	case says != nil && !says.S3.IsZero():
		r.Requests, r.Sent, r.Received = says.S3.Requests, says.S3.Sent, says.S3.Received
	default:
		return nil
	}
	return r
}
