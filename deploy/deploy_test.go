// Package deploy holds files for those who run mraws; these tests hold them against the
// program's documents.
package deploy_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"
)

// metricsDocumented are the metrics of the table in docs/operations.md, with the series
// of its histograms.
func metricsDocumented(t *testing.T) map[string]bool {
	t.Helper()
	doc, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{"process_cpu_seconds_total": true} // of the library
	for _, m := range regexp.MustCompile("(?m)^\\| `(mraws_\\w+)` \\| (\\w+)").FindAllStringSubmatch(string(doc), -1) {
		all[m[1]] = true
		if m[2] == "histogram" {
			all[m[1]+"_bucket"] = true
		}
	}
	return all
}

var metric = regexp.MustCompile(`\b(?:mraws|process)_\w+`)

// TestAlertsNameMetrics: each metric of the alert rules exists.
func TestAlertsNameMetrics(t *testing.T) {
	rules, err := os.ReadFile("prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	known, named := metricsDocumented(t), 0
	for _, name := range metric.FindAllString(string(rules), -1) {
		if named++; !known[name] {
			t.Errorf("alerts.yaml names %s, which is not in docs/operations.md", name)
		}
	}
	examples, err := os.ReadFile("prometheus/alerts_test.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)alert: (\w+)`).FindAllStringSubmatch(string(rules), -1) {
		if strings.Count(string(examples), "alertname: "+m[1]) < 2 {
			t.Errorf("%s has no example in which it holds and one in which it does not", m[1])
		}
	}
	if named < 10 {
		t.Errorf("%d metrics", named)
	}
}

// TestDashboard: each metric of the dashboard exists, and no panel covers another.
func TestDashboard(t *testing.T) {
	data, err := os.ReadFile("grafana/mraws.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			Type    string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(data, &dashboard); err != nil {
		t.Fatal(err)
	}
	known := metricsDocumented(t)
	covered, ids, exprs := map[[2]int]string{}, map[int]bool{}, 0
	for _, p := range dashboard.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have the id %d", p.ID)
		}
		ids[p.ID] = true
		g := p.GridPos
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other := covered[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%q covers %q at %d, %d", p.Title, other, x, y)
				}
				covered[[2]int{x, y}] = p.Title
			}
		}
		if (p.Type == "row") != (len(p.Targets) == 0) {
			t.Errorf("%q has %d queries", p.Title, len(p.Targets))
		}
		for _, q := range p.Targets {
			exprs++
			names := metric.FindAllString(q.Expr, -1)
			for _, name := range names {
				if !known[name] {
					t.Errorf("%q asks for %s, which is not in docs/operations.md", p.Title, name)
				}
			}
			if len(names) == 0 {
				t.Errorf("%q asks for no metric: %s", p.Title, q.Expr)
			}
		}
	}
	if exprs < 20 {
		t.Errorf("%d queries", exprs)
	}
}
