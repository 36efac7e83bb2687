package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/manifest"
)

// page returns the address of the metrics page of a process, as its log
// tells it.
func (b *fixture) page(p *process) string {
	b.t.Helper()
	var url string
	b.until("the page of "+p.name, func() bool {
		for line := range strings.Lines(p.errout.String()) {
			var entry struct{ Metrics string }
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Metrics != "" {
				url = entry.Metrics
			}
		}
		return url != ""
	})
	return url
}

// scrape reads a page.
func (b *fixture) scrape(url string) string {
	b.t.Helper()
	client := http.Client{Timeout: 30 * time.Second}
	r, err := client.Get(url)
	if err != nil {
		b.t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		b.t.Fatalf("%s: %s, %v", url, r.Status, err)
	}
	return string(body)
}

// ready asks /readyz beside a page.
func (b *fixture) ready(page string) (code int, body string) {
	b.t.Helper()
	client := http.Client{Timeout: 30 * time.Second}
	r, err := client.Get(strings.TrimSuffix(page, "metrics") + "readyz")
	if err != nil {
		b.t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return r.StatusCode, string(text)
}

// shown lists the metrics of a page that are ours: type and names of labels
// by name.
func shown(page string) map[string]string {
	kinds, out := map[string]string{}, map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (mraws_\S+) (\S+)$`).FindAllStringSubmatch(page, -1) {
		kinds[m[1]] = m[2]
	}
	label := regexp.MustCompile(`(\w+)="(?:[^"\\]|\\.)*"`)
	for _, m := range regexp.MustCompile(`(?m)^(mraws_\w+)(\{.*\})? `).FindAllStringSubmatch(page, -1) {
		name := m[1]
		if kinds[name] == "" {
			name = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(name, "_bucket"), "_sum"), "_count")
		}
		var labels []string
		for _, l := range label.FindAllStringSubmatch(m[2], -1) {
			if l[1] != "le" {
				labels = append(labels, l[1])
			}
		}
		slices.Sort(labels)
		out[name] = kinds[name] + " " + strings.Join(labels, " ")
	}
	return out
}

// documented reads the table of docs/operations.md in the same form.
func documented(t *testing.T) map[string]string {
	t.Helper()
	doc, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for line := range strings.Lines(string(doc)) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 || !strings.HasPrefix(cells[1], " `mraws_") {
			continue
		}
		labels := strings.Fields(strings.ReplaceAll(cells[3], "`", ""))
		slices.Sort(labels)
		out[strings.Trim(cells[1], " `")] = strings.TrimSpace(cells[2]) + " " + strings.Join(labels, " ")
	}
	return out
}

// secrets are what nobody may ever be shown: the job's token and the keys of
// the store.
func (b *fixture) secrets() []string {
	b.t.Helper()
	data, _, err := b.store.Get(b.t.Context(), b.layout.Coordinator())
	if err != nil {
		b.t.Fatal(err)
	}
	a, err := manifest.Decode[manifest.Coordinator](data, manifest.CoordinatorSchema)
	if err != nil {
		b.t.Fatal(err)
	}
	if len(a.Token) < 64 {
		b.t.Fatalf("token %q", a.Token)
	}
	return append(b.secretsLeft(), a.Token)
}

// secretsLeft are those of the store, which remain when a job has ended.
func (b *fixture) secretsLeft() (secrets []string) {
	b.t.Helper()
	for _, e := range cliEnv(b.t, b) {
		if name, value, _ := strings.Cut(e, "="); strings.HasSuffix(name, "KEY") || strings.HasSuffix(name, "_KEY_ID") {
			secrets = append(secrets, value)
		}
	}
	return secrets
}

// discreet checks that a text shows none of the secrets.
func discreet(t *testing.T, what, text string, secrets []string) {
	t.Helper()
	for _, s := range secrets {
		if strings.Contains(text, s) {
			t.Errorf("%s show a secret:\n%s", what, text)
		}
	}
}

// TestMetrics compares the pages of a running job with their documentation,
// and looks for secrets on them and in the logs.
func TestMetrics(t *testing.T) {
	b := newFixture(t)
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	c, _ := b.coordinator("--app", "jobcount", "--app-arg", "stall=300ms", "--nreduce", "3", "--metrics", ":0", "--log-level", "trace")
	w := b.start("worker", "--app", "jobcount", "--slots", "1", "--metrics", "0", "--log-level", "trace")
	atC, atW := b.page(c), b.page(w)
	if !strings.HasPrefix(atC, "http://127.0.0.1:") || !strings.HasPrefix(atW, "http://127.0.0.1:") {
		t.Errorf("pages at %s and %s", atC, atW)
	}
	standby := b.page(b.start("coordinator", "--app", "jobcount", "--app-arg", "stall=300ms", "--nreduce", "3", "--port", "0", "--metrics", "0"))
	b.until("the standby says why it is not ready", func() bool {
		code, body := b.ready(standby)
		if code != http.StatusServiceUnavailable {
			t.Fatalf("a standby is ready: %d %s", code, body)
		}
		return strings.Contains(body, "another one leads the job")
	}) // and never was
	b.until("coordinator and worker are ready", func() bool {
		ofC, _ := b.ready(atC)
		ofW, _ := b.ready(atW)
		return ofC == http.StatusOK && ofW == http.StatusOK
	})
	var ofC, ofW string
	in := func(page string, patterns ...string) bool {
		return !slices.ContainsFunc(patterns, func(p string) bool { return !regexp.MustCompile(p).MatchString(page) })
	}
	b.until("two maps are done and one runs", func() bool {
		ofC, ofW = b.scrape(atC), b.scrape(atW)
		return in(ofC, `tasks{phase="map",state="done"} [2-9]`, `workers{state="busy"} 1`) &&
			in(ofW, `attempts_ended_total{outcome="committed",phase="map"} [2-9]`, `attempts_running{phase="map"} 1`)
	})
	wants(t, ofC, `mraws_coordinator_leading 1`, `mraws_rpc_calls_total{code="OK",method="Register"} 1`,
		`mraws_coordinator_commit_lookups_total{result="found"}`, `mraws_s3_concurrency_limit 64`, `mraws_s3_retry_budget 512`)
	wants(t, ofW, `mraws_worker_slots 1`, `mraws_worker_records_read_total{phase="map"}`,
		`mraws_s3_requests_total{operation="GetObject",outcome="ok"}`)
	seen := shown(ofC)
	for name, what := range shown(ofW) {
		seen[name] = what
	}
	if diff := cmp.Diff(documented(t), seen); diff != "" {
		t.Errorf("docs/operations.md and the pages differ (-documented +shown):\n%s", diff)
	}
	secrets := b.secrets()
	for _, p := range []*process{c, w} {
		if code := b.exit(p); code != 0 {
			t.Errorf("mraws %s: exit code %d", p.name, code)
		}
	}
	discreet(t, "the metrics", ofC+ofW, secrets)
	discreet(t, "the logs", c.errout.String()+w.errout.String()+c.out.String()+w.out.String(), secrets)
}

// TestMetricsAddress: a port that is taken is a conflict, and the workers of
// run do not fight over one.
func TestMetricsAddress(t *testing.T) {
	b := newFixture(t)
	s := b.start("s3", "--data-dir", b.dir+"/other", "--metrics", "0")
	at := b.page(s)
	wants(t, b.scrape(at), "mraws_build_info", "go_goroutines", "process_open_fds")
	port := at[strings.LastIndexByte(at, ':')+1:]
	port = strings.TrimSuffix(port, "/metrics")
	_, errout := b.run(7, "coordinator", "--metrics", port)
	wants(t, errout, "cannot serve metrics on 127.0.0.1:"+port, "--metrics")
	b.run(0, append([]string{"upload-input"}, b.books()...)...)
	b.env = append(b.env, "MRAWS_METRICS=0")
	_, errout = b.run(0, "run", "--app", "wc", "--processes", "--workers", "2")
	if n := strings.Count(errout, `"metrics":"http`); n != 1 {
		t.Errorf("%d pages:\n%s", n, errout)
	}
}
