// Package telemetry sends what happens to a job, and the metrics of the
// process, to a collector of OpenTelemetry, if the variables of OpenTelemetry
// ask for that. It hears of the job by package trace and of requests to S3 by
// the store's tracer, and reads the metrics that package metrics has.
//
// What it cannot send is lost, and costs the job nothing.
package telemetry

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	bridge "go.opentelemetry.io/contrib/bridges/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/mraws/mraws/internal/metrics"
)

// closeFor bounds how long the end of a process waits for a collector.
const closeFor = 2 * time.Second

// Options of a process.
type Options struct {
	Version string        // of the program
	Metrics *metrics.Page // what to send as metrics
	// Trouble is told the first error of sending, and none after it.
	Trouble func(error)
}

// Telemetry sends spans and metrics. A nil one sends nothing.
type Telemetry struct {
	spans
	tracers *sdktrace.TracerProvider // nil for no traces
	meters  *metric.MeterProvider    // nil for no metrics
	flushes sync.WaitGroup
}

// asked tells whether the environment asks for one signal, "TRACES" or
// "METRICS".
func asked(signal string) bool {
	if disabled, _ := strconv.ParseBool(os.Getenv("OTEL_SDK_DISABLED")); disabled || os.Getenv("OTEL_"+signal+"_EXPORTER") == "none" {
		return false
	}
	return cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT")) != ""
}

// Asked tells whether the environment asks for traces or metrics: an endpoint
// is set (OTEL_EXPORTER_OTLP_ENDPOINT, or with _TRACES_ or _METRICS_ in it).
func Asked() bool { return asked("TRACES") || asked("METRICS") }

// Start begins to send. It connects to nobody yet. The caller closes what it
// returns, which is nil if the environment asks for nothing. The error handler
// of the library is one for a process.
func Start(ctx context.Context, o Options) (*Telemetry, error) {
	if !Asked() {
		return nil, nil
	}
	var once sync.Once
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { once.Do(func() { o.Trouble(err) }) }))
	otel.SetLogger(logr.Discard())
	of, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(), resource.WithProcessPID(),
		resource.WithAttributes(attribute.String("service.name", "mraws"), attribute.String("service.version", o.Version)), resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, fmt.Errorf("describe the process: %w", err)
	}
	t := new(Telemetry)
	if asked("TRACES") {
		e, err := spanExporter(ctx)
		if err != nil {
			return nil, fmt.Errorf("send traces: %w", err)
		}
		t.tracers = sdktrace.NewTracerProvider(sdktrace.WithResource(of), sdktrace.WithBatcher(e), sdktrace.WithIDGenerator(identities{}), sdktrace.WithSampler(sampler()))
		t.open(t.tracers.Tracer("github.com/mraws/mraws"))
	}
	if asked("METRICS") {
		e, err := metricExporter(ctx)
		if err != nil {
			t.Close()
			return nil, fmt.Errorf("send metrics: %w", err)
		}
		t.meters = metric.NewMeterProvider(metric.WithResource(of), metric.WithReader(
			metric.NewPeriodicReader(e, metric.WithProducer(bridge.NewMetricProducer(bridge.WithGatherer(o.Metrics.Gatherer()))))))
	}
	t.finished = t.flush
	return t, nil
}

// protocol is how to send a signal: "grpc" or "http/protobuf", the default.
func protocol(signal string) (grpc bool, err error) {
	switch p := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_"+signal+"_PROTOCOL"), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL")); p {
	case "grpc":
		return true, nil
	case "", "http/protobuf":
		return false, nil
	default:
		return false, fmt.Errorf("protocol %q is neither grpc nor http/protobuf", p)
	}
}

func spanExporter(ctx context.Context) (sdktrace.SpanExporter, error) {
	grpc, err := protocol("TRACES")
	switch {
	case err != nil:
		return nil, err
	case grpc:
		return otlptracegrpc.New(ctx)
	}
	return otlptracehttp.New(ctx)
}

func metricExporter(ctx context.Context) (metric.Exporter, error) {
	grpc, err := protocol("METRICS")
	switch {
	case err != nil:
		return nil, err
	case grpc:
		return otlpmetricgrpc.New(ctx)
	}
	return otlpmetrichttp.New(ctx)
}

// sampler is what OTEL_TRACES_SAMPLER asks for. Every process of a job judges
// the same trace id by the same rule, so they agree without a word; a rule by
// a parent comes to the same.
func sampler() sdktrace.Sampler {
	root := sdktrace.AlwaysSample()
	switch name := strings.TrimPrefix(os.Getenv("OTEL_TRACES_SAMPLER"), "parentbased_"); name {
	case "always_off":
		root = sdktrace.NeverSample()
	case "traceidratio":
		if share, err := strconv.ParseFloat(os.Getenv("OTEL_TRACES_SAMPLER_ARG"), 64); err == nil {
			root = sdktrace.TraceIDRatioBased(share)
		}
	}
	return sdktrace.ParentBased(root, sdktrace.WithRemoteParentSampled(root))
}

// flush sends the metrics as they are now: those of a coordinator end with it.
// It returns at once.
func (t *Telemetry) flush() {
	if t.meters != nil {
		t.flushes.Go(func() { _ = t.within(t.meters.ForceFlush) }) // the error handler has it
	}
}

func (t *Telemetry) within(f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), closeFor)
	defer cancel()
	return f(ctx)
}

// Close ends what has not ended, and sends the rest, for 2 s at most. What it
// cannot send is told to [Options.Trouble].
func (t *Telemetry) Close() {
	if t == nil {
		return
	}
	t.end()
	if err := t.within(func(ctx context.Context) error {
		var wait sync.WaitGroup
		var spans, metrics error
		if t.tracers != nil {
			wait.Go(func() { spans = t.tracers.Shutdown(ctx) })
		}
		if t.meters != nil {
			wait.Go(func() { t.flushes.Wait(); metrics = t.meters.Shutdown(ctx) })
		}
		wait.Wait()
		return errors.Join(spans, metrics)
	}); err != nil {
		otel.Handle(err)
	}
}
