package cmd

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	rtmetrics "runtime/metrics"
	"syscall"
	"time"

	"github.com/mraws/mraws/internal/coordinator"
	"github.com/mraws/mraws/internal/metrics"
	"github.com/mraws/mraws/internal/s3fs"
	"github.com/mraws/mraws/internal/telemetry"
	"github.com/mraws/mraws/internal/trace"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/internal/worker"
)

// page is what a command shows of itself, as a page of metrics and to a collector
// of OpenTelemetry; nil if nobody asked for either. The tables of what it shows are
// in metrics_tables.go.
type page struct {
	*metrics.Page
	server *metrics.Server      // nil for no page
	sent   *telemetry.Telemetry // nil for no collector
	stats  *worker.Stats        // of the workers in this process, once there are any
}

// openPage serves the metrics page where that is configured, and begins to send to
// a collector where the environment says so. What there is to show is added by and
// by. The caller closes s.page.
func (s *session) openPage() error {
	v := readVersion()
	p := &page{Page: metrics.New(v.Version, v.Commit, runtime.Version())}
	if err := s.servePage(p); err != nil {
		return err
	}
	var err error
	p.sent, err = telemetry.Start(context.Background(), telemetry.Options{Version: v.Version, Metrics: p.Page, Trouble: func(err error) {
		s.log.Warn().Err(err).Msg("traces or metrics were not sent to the collector; the job goes on, and further losses are not logged")
	}})
	if err != nil {
		s.log.Warn().Err(err).Msg("nothing is sent to a collector")
	}
	if p.server != nil || p.sent != nil {
		s.page = p
	}
	return nil
}

// servePage serves the page if that is configured.
func (s *session) servePage(p *page) error {
	address := s.conf.Metrics
	if s.conf.Pprof {
		if address = cmp.Or(address, "127.0.0.1:0"); !onLoopback(address) {
			return usagef("leave out --metrics, or give it a port alone", "--pprof with --metrics %s: profiles are served on loopback only", address)
		}
	}
	if address == "" {
		return nil
	}
	if s.conf.Pprof {
		p.Debug()
	}
	var err error
	p.server, err = metrics.Serve(address, p.Handler())
	if errors.Is(err, syscall.EADDRINUSE) {
		return &Error{Code: ExitConflict, What: "cannot serve metrics on " + address, Cause: err,
			Hint: "each process needs a port of its own: choose another for --metrics, or 0 for any"}
	}
	if err != nil {
		return &Error{Code: ExitUsage, What: "cannot serve metrics on " + address, Cause: err, Hint: "check --metrics"}
	}
	url := "http://" + p.server.Addr().String()
	if !onLoopback(p.server.Addr().String()) {
		s.log.Warn().Str("metrics", url+"/metrics").Msg("anyone who can reach this address can read the metrics")
	} else {
		s.log.Info().Str("metrics", url+"/metrics").Msg("metrics")
	}
	if s.conf.Pprof {
		s.log.Info().Str("pprof", url+"/debug/pprof/").Msg("profiles")
	}
	return nil
}

// onLoopback tells whether an address with a port is of this machine alone.
func onLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && (host == "localhost" || net.ParseIP(host).IsLoopback())
}

// Close ends the page. What the collector does not take is lost, and no error.
func (p *page) Close() error {
	if p == nil {
		return nil
	}
	p.sent.Close()
	if p.server == nil {
		return nil
	}
	return p.server.Close()
}

// events is who is told what happens to a job; nil for nobody.
func (p *page) events() trace.Listener {
	if p == nil {
		return trace.FromEnv()
	}
	return trace.Both(trace.FromEnv(), p.sent.Listener())
}

// begin is told of attempts that begin; nil for nobody.
func (p *page) begin() func(context.Context, trace.Event) context.Context {
	if p == nil || !p.sent.Traces() {
		return nil
	}
	return p.sent.Begin
}

// ready says that the process does its work, whatever else it shows.
func (p *page) ready() {
	if p != nil {
		p.Ready(func(context.Context) error { return nil })
	}
}

// store shows what is asked of a store.
func (p *page) store(st *s3fs.Store) {
	if p == nil {
		return
	}
	if p.sent.Traces() {
		st.Trace(func(req *http.Request, operation string, resent int) s3fs.Span {
			if span := p.sent.Request(req, operation, resent); span != nil {
				return span
			}
			return nil
		})
	}
	p.Add(storeMetrics(), func(emit metrics.Emit) { emitStore(emit, st.Activity()) })
}

// workers shows what the workers of this process do.
func (p *page) workers() {
	if p == nil {
		return
	}
	p.stats = new(worker.Stats)
	p.Ready(func(context.Context) error {
		if p.stats.Snapshot().Slots == 0 {
			return errors.New("the worker has not joined a coordinator")
		}
		return nil
	})
	p.Add(workerMetrics(), func(emit metrics.Emit) { emitWorker(emit, p.stats.Snapshot(), memoryUsed(), debug.SetMemoryLimit(-1)) })
}

// workerStats is where the workers of this process count; nil for nowhere.
func (p *page) workerStats() *worker.Stats {
	if p == nil {
		return nil
	}
	return p.stats
}

// askFor bounds how long the page waits for a coordinator's word.
const askFor = 5 * time.Second

// coordinator shows where a coordinator stands.
func (p *page) coordinator(c *coordinator.Coordinator) {
	if p == nil {
		return
	}
	p.Ready(func(ctx context.Context) error {
		switch s := c.Status(ctx); {
		case s == nil:
			return errors.New("the coordinator does not serve yet")
		case !s.GetLeading():
			return errors.New("the coordinator stands by: another one leads the job")
		}
		return nil
	})
	p.Add(coordinatorMetrics(), func(emit metrics.Emit) {
		ctx, cancel := context.WithTimeout(context.Background(), askFor)
		defer cancel()
		if s := c.Status(ctx); s != nil {
			emitCoordinator(emit, s)
		}
	})
}

// calls lets a coordinator's server tell of its calls.
func (p *page) calls(o *wire.ServerOptions) {
	if p != nil {
		o.Observe = p.Calls()
	}
}

// memoryUsed is what Go compares with its memory limit, in bytes.
func memoryUsed() int64 {
	v := []rtmetrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	rtmetrics.Read(v)
	return int64(v[0].Value.Uint64() - v[1].Value.Uint64())
}
