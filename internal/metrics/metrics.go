// Package metrics is the page that Prometheus reads. It knows the form of
// the page and how to serve it, and nothing of what mraws counts: cmd hands
// it tables of metrics with a function that reads their values, so that the
// roles count with plain numbers and only this package imports the library.
//
// Values are read when the page is asked for. What is not asked costs nothing.
package metrics

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Kind is what a value may do over time.
type Kind int

// The kinds.
const (
	Counter Kind = iota // only grows while the process lives
	Gauge               // may be anything
)

// Desc describes a metric: its name by the conventions of
// https://prometheus.io/docs/practices/naming/, one line of help, and the
// names of its labels.
type Desc struct {
	Name   string
	Help   string
	Kind   Kind
	Labels []string
}

// Emit gives one value, with the values of the labels in the order of
// [Desc.Labels].
type Emit func(name string, value float64, labels ...string)

// Page is all metrics of one process.
type Page struct {
	reg   *prometheus.Registry
	fit   checks
	debug bool
}

// New returns a page with what every process of mraws shows: the version in
// build_info, and what the library knows of Go's runtime (go_*) and of the
// process (process_*).
func New(version, commit, goVersion string) *Page {
	p := &Page{reg: prometheus.NewRegistry()}
	p.reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	p.Add([]Desc{{Name: "mraws_build_info", Help: "Always 1; the labels name the version, commit and Go version.", Kind: Gauge, Labels: []string{"version", "commit", "go"}}},
		func(emit Emit) { emit("mraws_build_info", 1, version, commit, goVersion) })
	return p
}

// Gatherer reads the metrics of the page for others than Prometheus.
func (p *Page) Gatherer() prometheus.Gatherer { return p.reg }

// Add adds metrics; read gives the values of those that have any, and is
// called for each reader of the page, perhaps at the same time. A name that
// is there already, or one that is none, is a mistake in the program and
// panics.
func (p *Page) Add(descs []Desc, read func(Emit)) {
	t := &table{descs: make(map[string]*prometheus.Desc), kinds: make(map[string]prometheus.ValueType), read: read}
	for _, d := range descs {
		t.descs[d.Name] = prometheus.NewDesc(d.Name, d.Help, d.Labels, nil)
		t.kinds[d.Name] = prometheus.CounterValue
		if d.Kind == Gauge {
			t.kinds[d.Name] = prometheus.GaugeValue
		}
	}
	p.reg.MustRegister(t)
}

// table is a set of metrics as the library wants it.
type table struct {
	descs map[string]*prometheus.Desc
	kinds map[string]prometheus.ValueType
	read  func(Emit)
}

// Describe implements prometheus.Collector.
func (t *table) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range t.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (t *table) Collect(ch chan<- prometheus.Metric) {
	t.read(func(name string, value float64, labels ...string) {
		d := t.descs[name]
		if d == nil {
			d = prometheus.NewInvalidDesc(fmt.Errorf("metric %s is in no table", name))
		}
		m, err := prometheus.NewConstMetric(d, t.kinds[name], value, labels...)
		if err != nil {
			m = prometheus.NewInvalidMetric(d, err)
		}
		ch <- m
	})
}

// callBuckets are the upper ends of the buckets of [Page.Calls], in seconds.
// A poll for a task waits up to 20 s for its answer.
func callBuckets() []float64 { return []float64{.0005, .002, .01, .05, .2, 1, 5, 15, 25} }

// Calls adds metrics on the calls that a server answers, and returns what is
// to be told of each: its method, the name of its code, how long it took.
func (p *Page) Calls() func(method, code string, took time.Duration) {
	n := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mraws_rpc_calls_total", Help: "Completed calls, by method and gRPC code.",
	}, []string{"method", "code"})
	took := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "mraws_rpc_duration_seconds", Help: "Time to answer a call in seconds, by method; Poll includes the wait for a task.", Buckets: callBuckets(),
	}, []string{"method"})
	p.reg.MustRegister(n, took)
	return func(method, code string, d time.Duration) {
		n.WithLabelValues(method, code).Inc()
		took.WithLabelValues(method).Observe(d.Seconds())
	}
}

// inFlight is how many readers the page serves at the same time.
const inFlight = 4

// Handler serves the page at /metrics, what the checks say at /healthz and /readyz, and,
// after [Page.Debug], profiles below /debug/pprof/, to GET and HEAD.
func (p *Page) Handler() http.Handler {
	page := promhttp.HandlerFor(p.reg, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: inFlight, Timeout: 10 * time.Second,
	})
	mux := http.NewServeMux()
	mux.Handle("/metrics", page)
	mux.HandleFunc("/healthz", healthz)
	mux.HandleFunc("/readyz", p.fit.readyz)
	if p.debug {
		profiles(mux)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cache-Control", "no-store")
		if !slices.Contains([]string{http.MethodGet, http.MethodHead}, r.Method) {
			h.Set("Allow", "GET, HEAD")
			http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
			return
		}
		mux.ServeHTTP(w, r)
	})
}
