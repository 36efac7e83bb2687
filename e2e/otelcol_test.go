//go:build otelcol

package e2e

import (
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// otelcol is a running collector of OpenTelemetry.
type otelcol struct {
	grpc, http string // its endpoints
	process    *exec.Cmd
	said       string // the file that it writes to
}

// newOtelcol starts the collector of MRAWS_OTELCOL, which prints what it receives.
func (b *fixture) newOtelcol() *otelcol {
	b.t.Helper()
	bin := os.Getenv("MRAWS_OTELCOL")
	if bin == "" {
		b.t.Fatal("MRAWS_OTELCOL names no collector: scripts/otelcol.sh prints one")
	}
	free := func() string {
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.t.Fatal(err)
		}
		defer lis.Close()
		return lis.Addr().String()
	}
	grpc, http := free(), free()
	config := filepath.Join(b.t.TempDir(), "collector.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, `
receivers: {otlp: {protocols: {grpc: {endpoint: %q}, http: {endpoint: %q}}}}
exporters: {debug: {verbosity: detailed}}
service:
  telemetry: {metrics: {level: none}}
  pipelines:
    traces: {receivers: [otlp], exporters: [debug]}
    metrics: {receivers: [otlp], exporters: [debug]}
`, grpc, http), 0o600); err != nil {
		b.t.Fatal(err)
	}
	c := &otelcol{"http://" + grpc, "http://" + http, exec.Command(bin, "--config", "file:"+config), filepath.Join(b.t.TempDir(), "said")}
	out, err := os.Create(c.said)
	if err != nil {
		b.t.Fatal(err)
	}
	c.process.Stdout, c.process.Stderr = out, out
	if err := c.process.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = c.process.Process.Kill(); _ = c.process.Wait(); _ = out.Close() })
	b.until("the collector is ready", func() bool { return strings.Contains(c.text(b.t), "Everything is ready") })
	return c
}

func (c *otelcol) text(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(c.said)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// end ends the collector, which prints the rest.
func (c *otelcol) end(t *testing.T) string {
	t.Helper()
	if err := c.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = c.process.Wait() // a second time in Cleanup
	return c.text(t)
}

// TestCollector: a collector gets one trace of a job that two processes run,
// over both protocols, from the job down to requests, and the metrics of both.
func TestCollector(t *testing.T) {
	b := newFixture(t)
	c := b.newOtelcol()
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	b.set("OTEL_EXPORTER_OTLP_ENDPOINT", c.http)
	lead, _ := b.coordinator("--app", "wc", "--nreduce", "2")
	b.set("OTEL_EXPORTER_OTLP_ENDPOINT", c.grpc)
	b.set("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
	work := b.start("worker", "--slots", "1")
	b.exits(lead, work)
	text := c.end(t)

	type span struct{ name, parent string }
	spans, traces := map[string]span{}, map[string]bool{}
	block := regexp.MustCompile(`Trace ID +: (\w+)\n +Parent ID +: (\w*)\n +ID +: (\w+)\n +Name +: (.+)\n`)
	for _, m := range block.FindAllStringSubmatch(text, -1) {
		spans[m[3]], traces[m[1]] = span{m[4], m[2]}, true
	}
	paths := map[string]int{}
	for _, s := range spans {
		path := s.name
		for p := s.parent; p != ""; p = spans[p].parent {
			if spans[p].name == "" {
				t.Fatalf("the parent of %s has not arrived", path)
			}
			path = spans[p].name + " > " + path
		}
		paths[path]++
	}
	t.Logf("%d traces; spans: %v", len(traces), paths)
	if maps := paths["job > map task"]; len(traces) != 1 || paths["job"] != 1 || maps < 2 || paths["job > map task > map attempt"] < maps || paths["job > reduce task > reduce attempt"] < 2 {
		t.Errorf("%d traces; spans: %v", len(traces), paths)
	}
	for _, want := range []string{"job > map task > map attempt > S3/GetObject", "job > map task > map attempt > S3/PutObject", "job > reduce task > reduce attempt > S3/GetObject", "job > S3/PutObject"} {
		if paths[want] == 0 {
			t.Errorf("no span %s among %v", want, slices.Sorted(maps.Keys(paths)))
		}
	}
	metrics := map[string]bool{}
	for _, m := range regexp.MustCompile(`-> Name: (mraws_\w+)`).FindAllStringSubmatch(text, -1) {
		metrics[m[1]] = true
	}
	t.Logf("metrics: %v", slices.Sorted(maps.Keys(metrics)))
	for name := range documented(t) {
		if !metrics[name] {
			t.Errorf("the metric %s has not arrived", name)
		}
	}
}
