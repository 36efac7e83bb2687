package coordinator

import (
	"go/ast"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/trace"
	"github.com/mraws/mraws/internal/wire"
)

// receivers lists the types of the scheduler that have a method.
func receivers(t *testing.T, method string) map[string]bool {
	t.Helper()
	types := map[string]bool{}
	for _, d := range parse(t, "sched/event.go") {
		if f, ok := d.(*ast.FuncDecl); ok && f.Name.Name == method {
			types[f.Recv.List[0].Type.(*ast.Ident).Name] = true
		}
	}
	if len(types) < 5 {
		t.Fatalf("with %s there are %v", method, types)
	}
	return types
}

// cases lists the types of the scheduler that a function has a case for.
func cases(t *testing.T, file, function string) map[string]bool {
	t.Helper()
	types := map[string]bool{}
	for _, d := range parse(t, file) {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Name.Name != function {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if c, ok := n.(*ast.CaseClause); ok {
				for _, e := range c.List {
					if sel, ok := e.(*ast.SelectorExpr); ok {
						types[sel.Sel.Name] = true
					}
				}
			}
			return true
		})
	}
	return types
}

// TestEverythingIsTold: every event and effect of the scheduler has a kind,
// and whatever has a kind is told by somebody.
func TestEverythingIsTold(t *testing.T) {
	if d := cmp.Diff(receivers(t, "sender"), cases(t, "tap.go", "traceOfEvent")); d != "" {
		t.Errorf("events of the scheduler and those that are told (-there +told):\n%s", d)
	}
	if d := cmp.Diff(receivers(t, "effect"), cases(t, "tap.go", "traceOfEffect")); d != "" {
		t.Errorf("effects of the scheduler and those that are told (-there +told):\n%s", d)
	}
	kinds := map[string]bool{}
	for _, d := range parse(t, "../trace/trace.go") {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			if v := s.(*ast.ValueSpec); v.Type != nil && v.Type.(*ast.Ident).Name == "Kind" {
				kinds[v.Names[0].Name] = true
			}
		}
	}
	if len(kinds) < 30 {
		t.Fatalf("the kinds are %v", kinds)
	}
	for _, dir := range []string{".", "lease", "../worker"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`Kind: +trace\.(\w+)`).FindAllSubmatch(text, -1) {
				delete(kinds, string(m[1]))
			}
		}
	}
	if len(kinds) > 0 {
		t.Errorf("nobody tells of %q", slices.Sorted(maps.Keys(kinds)))
	}
}

// record is a listener that keeps what it is told.
type record struct {
	mu     sync.Mutex
	events []trace.Event
}

func (r *record) hear(e trace.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// of returns the events of these kinds, in the order in which they were told,
// without what differs from run to run.
func (r *record) of(kinds ...trace.Kind) (events []trace.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.events {
		if slices.Contains(kinds, e.Kind) {
			e.At, e.Coordinator = time.Time{}, ""
			events = append(events, e)
		}
	}
	return events
}

// TestTold: what a listener is told of a job.
func TestTold(t *testing.T) {
	b := newFixture(t, 2)
	var heard record
	s := b.start(func(o *Options) { o.Events = heard.hear })
	w := s.join("w", 1)
	a := w.granted()
	w.report(a, func(q *wire.ReportRequest) { q.Outcome = wire.Outcome_OUTCOME_FAILED; q.Error = "oops" })
	w.work(4)
	s.succeeds()
	want := []trace.Event{
		{Kind: trace.LeaseAcquired, Cause: trace.Free},
		{Kind: trace.JobPlanned},
		{Kind: trace.Granted},
		{Kind: trace.CommitLookedUp, Outcome: wire.LookupAbsent},
		{Kind: trace.FailureReported, Cause: "on worker w: oops"},
		{Kind: trace.Ended, Outcome: "failed"},
		{Kind: trace.SuccessCreated},
		{Kind: trace.LeaseReleased},
	}
	var got []trace.Event
	for _, e := range heard.of(trace.LeaseAcquired, trace.JobPlanned, trace.Granted, trace.CommitLookedUp, trace.FailureReported, trace.Ended, trace.SuccessCreated, trace.LeaseReleased) {
		if len(got) < 6 || e.Kind == trace.SuccessCreated || e.Kind == trace.LeaseReleased {
			got = append(got, trace.Event{Kind: e.Kind, Outcome: e.Outcome, Cause: e.Cause})
			if e.Kind == trace.Ended {
				got[len(got)-1].Cause = ""
			}
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	found := heard.of(trace.CommitFound)
	if len(found) != 4 || found[0].Phase != "map" || found[3].Phase != "reduce" || found[0].Job != b.job() || found[0].Attempt == "" {
		t.Errorf("%+v", found)
	}
	if heard.of(trace.WorkerRegistered)[0].Worker != "w" {
		t.Errorf("%+v", heard.of(trace.WorkerRegistered))
	}
}
