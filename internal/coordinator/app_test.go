package coordinator

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

func TestLearnAndMatch(t *testing.T) {
	grep := func(change func(*wire.App)) *wire.App {
		a := wire.DescribeApp(mr.App{Name: "grep", Version: "1", Input: mr.NumberedLines, Params: []mr.Param{{Name: "case", Default: "keep"}, {Name: "pattern", Required: true}}}, nil)
		if change != nil {
			change(a)
		}
		return a
	}
	with := func(kv ...string) func(*wire.App) {
		return func(a *wire.App) {
			a.Params = map[string]string{}
			for i := 0; i < len(kv); i += 2 {
				a.Params[kv[i]] = kv[i+1]
			}
		}
	}
	plain := func(name, version string) *wire.App {
		return wire.DescribeApp(mr.App{Name: name, Version: version}, nil)
	}
	tests := []struct {
		name   string
		params map[string]string // of the coordinator
		apps   []*wire.App       // in order; the last may be refused
		want   map[string]string // parameters of the job
		reason string            // of the refusal, "" for none
		says   []string
	}{
		{"defaults", nil, []*wire.App{grep(with("pattern", "x"))}, map[string]string{"case": "keep", "pattern": "x"}, "", nil},
		{"the coordinator's parameters", map[string]string{"pattern": "y"}, []*wire.App{grep(nil)}, map[string]string{"case": "keep", "pattern": "y"}, "", nil},
		{"the same as the coordinator's", map[string]string{"pattern": "y"}, []*wire.App{grep(with("pattern", "y"))}, map[string]string{"case": "keep", "pattern": "y"}, "", nil},
		{"others than the coordinator's", map[string]string{"pattern": "y"}, []*wire.App{grep(with("pattern", "x"))}, nil, wire.ReasonParams, []string{"pattern=y", "pattern=x"}},
		{"a second worker without", nil, []*wire.App{grep(with("pattern", "x")), grep(nil)}, map[string]string{"case": "keep", "pattern": "x"}, "", nil},
		{"a second worker with a default", nil, []*wire.App{grep(with("pattern", "x")), grep(with("case", "keep"))}, map[string]string{"case": "keep", "pattern": "x"}, "", nil},
		{"a second worker with another", nil, []*wire.App{grep(with("pattern", "x")), grep(with("pattern", "z"))}, nil, wire.ReasonParams, []string{"pattern=x", "pattern=z", "worker 0"}},
		{"a parameter that is none", nil, []*wire.App{grep(with("patern", "x"))}, nil, wire.ReasonUnknownParam, []string{`"patern"`}},
		{"the coordinator's is none", map[string]string{"patern": "x"}, []*wire.App{grep(nil)}, nil, wire.ReasonUnknownParam, []string{`"patern"`}},
		{"one is missing", nil, []*wire.App{grep(nil)}, nil, wire.ReasonMissingParam, []string{`"pattern"`}},
		{"another app", nil, []*wire.App{wc(), grep(nil)}, nil, wire.ReasonApp, []string{"app wc", "worker 0", "grep"}},
		{"another version", nil, []*wire.App{wc(), plain("wc", "2")}, nil, wire.ReasonBuild, []string{`"1"`, `"2"`}},
		{"another kind of input", nil, []*wire.App{wc(), wire.DescribeApp(mr.App{Name: "wc", Version: "1", Input: mr.WholeObjects}, nil)}, nil, wire.ReasonBuild, []string{"input: lines -> objects"}},
		{"another partitioner", nil, []*wire.App{wc(), wire.DescribeApp(mr.App{Name: "wc", Version: "1", Ordered: true}, nil)}, nil, wire.ReasonBuild, []string{"partitioner: hash -> range"}},
		{"a second worker that takes the job's", nil, []*wire.App{plain("count", ""), nil}, nil, "", nil},
		{"no parameters", nil, []*wire.App{plain("count", "")}, nil, "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := newLoop(Options{Log: zerolog.Nop(), Params: tt.params}, "e")
			var err error
			for i, a := range tt.apps {
				if err != nil {
					t.Fatalf("app %d: %v", i-1, err)
				}
				err = l.learn(a, "worker "+string(rune('0'+i)))
			}
			var refusal *wire.Refusal
			if errors.As(err, &refusal) != (tt.reason != "") {
				t.Fatalf("learn: %v", err)
			}
			if refusal == nil {
				if d := cmp.Diff(tt.want, l.app.App.Params); d != "" {
					t.Error(d)
				}
				return
			}
			if refusal.Reason != tt.reason {
				t.Errorf("refused with %+v", refusal)
			}
			for _, s := range tt.says {
				if !strings.Contains(refusal.What, s) && !(s == "worker 0" && strings.Contains(refusal.Error(), "pattern")) {
					t.Errorf("%q is not in %q", s, refusal.What)
				}
			}
		})
	}
}

// TestFormatsGiven: the job may name its formats itself. Then what builds of the app
// declare does not matter, and a worker cannot say that the job has named one.
func TestFormatsGiven(t *testing.T) {
	declares := func(in mr.Input) *wire.App { return wire.DescribeApp(mr.App{Name: "wc", Version: "1", Input: in}, nil) }
	l := newLoop(Options{Log: zerolog.Nop(), Input: &manifest.Choice{Name: manifest.Objects}}, "e")
	for _, in := range []mr.Input{mr.Lines, mr.NumberedLines, mr.WholeObjects} {
		if err := l.learn(declares(in), "w"); err != nil {
			t.Errorf("input %v: %v", in, err)
		}
	}
	if in := l.app.Input; in.Name != manifest.Objects || !in.Given || l.app.Output.Given {
		t.Errorf("the job has input %+v and output %+v", in, l.app.Output)
	}
	l = newLoop(Options{Log: zerolog.Nop()}, "e")
	lies := declares(mr.Lines)
	lies.Input.Given = true
	if err := l.learn(lies, "w"); err != nil || l.app.Input.Given {
		t.Errorf("%v, input %+v", err, l.app.Input)
	}
	for _, o := range []Options{{Input: &manifest.Choice{Name: "nothing"}}, {Output: &manifest.Choice{Name: manifest.Lines, Options: map[string]string{"x": "y"}}}} {
		if _, err := New(o).Foresee(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "format of the job's") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// TestWorkerTakesTheApp: a worker that names no app joins once the coordinator
// knows the app, and is told it: from --app, from another worker, or from the
// spec of the job.
func TestWorkerTakesTheApp(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(func(o *Options) { o.App = nil })
	taker := &fakeWorker{service: s, name: "taker"}
	if _, err := taker.register(nil, 1, ""); !wire.IsLater(err) || !strings.Contains(err.Error(), "not known yet") {
		t.Fatalf("before anybody knows: %v", err)
	}
	s.join("w", 1)
	joins := func(s *service) {
		t.Helper()
		h := &fakeWorker{service: s, name: "taker"}
		r, err := h.register(nil, 1, "")
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(wc().Spec(map[string]string{"fold": "no"}), r.App.Spec(r.App.Params)); d != "" {
			t.Errorf("it is told another app (-want +got):\n%s", d)
		}
		s.workers = append(s.workers, h)
	}
	joins(s)
	s.until("the job is planned", func(l *loop) bool { return l.job != nil })
	s.kill()
	s = b.start(func(o *Options) { o.App = nil })
	s.until("the spec is read", func(l *loop) bool { return l.app != nil })
	joins(s)
	s.workers[0].work(3)
	s.succeeds()
}

// TestRefusedWorkerTeachesNothing: an app that cannot run leaves the job open
// for the next worker.
func TestRefusedWorkerTeachesNothing(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(func(o *Options) { o.App = nil })
	bad := &fakeWorker{service: s, name: "bad"}
	if _, err := bad.register(wire.DescribeApp(mr.App{Name: "grep", Params: []mr.Param{{Name: "pattern", Required: true}}}, nil), 1, ""); err == nil {
		t.Fatal("an app without its parameter was taken")
	}
	if r := bad.poll(bad.next()); r.GetUnknown() == nil {
		t.Errorf("the refused worker was answered %v", r)
	}
	s.join("w", 1).work(3)
	if got := s.succeeds(); got.App.Name != "wc" {
		t.Errorf("%+v", got.App)
	}
}
