package worker

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

// TestWorkerIsRefused: what retrying does not change ends the worker at once.
func TestWorkerIsRefused(t *testing.T) {
	tests := []struct {
		name   string
		change func(*fakeCoordinator, *underTest)
		reason string
		says   string
	}{
		{"another app", func(b *fakeCoordinator, _ *underTest) {
			b.onRegister = func(*wire.RegisterRequest) (*wire.RegisterReply, error) {
				return nil, &wire.Refusal{Reason: wire.ReasonApp, What: "the job runs grep"}
			}
		}, wire.ReasonApp, "grep"},
		{"another bucket", func(b *fakeCoordinator, _ *underTest) { b.discover.Bucket = "theirs" }, wire.ReasonBucket, "theirs"},
		{"another prefix", func(b *fakeCoordinator, s *underTest) { s.o.Layout, b.discover.Prefix = layout.New("w2"), "p1" }, wire.ReasonPrefix, "works on prefix p1, this worker on prefix w2"},
		{"the root", func(_ *fakeCoordinator, s *underTest) { s.o.Layout = layout.New("w2") }, wire.ReasonPrefix, "works on the root of the bucket, this worker on prefix w2"},
		{"another protocol", func(b *fakeCoordinator, _ *underTest) { b.discover.Protocol, b.discover.Version = 99, "v9" }, wire.ReasonVersion, "99"},
		{"TLS on one side", func(b *fakeCoordinator, s *underTest) { s.o.Addresses, s.o.Insecure = nil, false }, wire.ReasonPlainText, "without TLS"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, b := newUnderTest(t), newFakeCoordinator(t).serve(plain)
			b.announce(s.Store, nil)
			s.o.Addresses, s.o.CoordTimeout = []string{b.address}, patience
			tt.change(b, s)
			s.start()
			err := s.ends()
			r, ok := wire.AsRefusal(err)
			if !ok || r.Reason != tt.reason || !strings.Contains(r.What, tt.says) {
				t.Errorf("Run: %v (%+v)", err, r)
			}
		})
	}
}

// TestWorkerAlone: without a coordinator the bucket says whether the job is
// done.
func TestWorkerAlone(t *testing.T) {
	success := func(app, job string) manifest.Success {
		return summary(layout.Layout{}, job, app)
	}
	tests := []struct {
		name  string
		prep  func(*underTest)
		done  bool
		says  string
		lease time.Duration
	}{
		{"nobody announced", func(s *underTest) {}, false, "s3://bucket/intermediate/_coordinator.json", 0},
		{"nobody at the address", func(s *underTest) { s.o.Addresses = []string{"127.0.0.1:1"} }, false, "127.0.0.1:1", 0},
		{"nobody where it was announced", func(s *underTest) {
			s.Store.PutJSON(t, layout.Layout{}.Coordinator(), manifest.Coordinator{Schema: manifest.CoordinatorSchema, Epoch: "e", Insecure: true, Addresses: []string{"127.0.0.1:1"}, LeaseMS: 200})
		}, false, "s3://bucket/", 200 * time.Millisecond},
		{"announced without an address", func(s *underTest) {
			s.Store.PutJSON(t, layout.Layout{}.Coordinator(), manifest.Coordinator{Schema: manifest.CoordinatorSchema, Epoch: "e", Insecure: true, LeaseMS: 1})
		}, false, "s3://bucket/", time.Millisecond},
		{"it has ended", func(s *underTest) {
			s.Store.PutJSON(t, layout.Layout{}.Coordinator(), manifest.Coordinator{Schema: manifest.CoordinatorSchema, Epoch: "e", Insecure: true, Addresses: []string{"127.0.0.1:1"}, LeaseMS: 200, Released: true})
		}, false, "s3://bucket/", 0},
		{"the job is done", func(s *underTest) {
			s.o.Addresses = []string{"127.0.0.1:1"}
			s.Store.PutJSON(t, layout.Layout{}.Success(), success("wc", "job-1"))
		}, true, "", 0},
		{"another app's job is done", func(s *underTest) {
			s.Store.PutJSON(t, layout.Layout{}.Success(), success("grep", "job-1"))
		}, false, "_coordinator.json", 0},
		{"a summary that is none", func(s *underTest) { s.Store.Replace(layout.Layout{}.Success(), nil) }, false, "_coordinator.json", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newUnderTest(t)
			s.o.CoordTimeout = 150 * time.Millisecond
			tt.prep(s)
			s.start()
			err := s.ends()
			var gone *UnreachableError
			if tt.done != (err == nil) || !tt.done && (!errors.As(err, &gone) || gone.For != s.o.CoordTimeout+tt.lease || gone.Cause == nil) {
				t.Fatalf("Run: %v", err)
			}
			if !tt.done && !strings.Contains(gone.Where, tt.says) {
				t.Errorf("looked at %q, want %q", gone.Where, tt.says)
			}
		})
	}
}

// TestComesAfterTheEnd: a worker that starts when its job is done learns that
// from the bucket at once, however long it would wait for a coordinator.
func TestComesAfterTheEnd(t *testing.T) {
	released := func(s *underTest, lay layout.Layout, address string) {
		s.Store.PutJSON(t, lay.Coordinator(), manifest.Coordinator{
			Schema: manifest.CoordinatorSchema, Epoch: "e", Insecure: true, Addresses: []string{"192.0.2.1:77", address}, LeaseMS: 200, Released: true,
		})
	}
	tests := []struct {
		name string
		prep func(s *underTest) layout.Layout
	}{
		{"it finds the coordinator's announcement", func(s *underTest) layout.Layout {
			released(s, layout.Layout{}, "127.0.0.1:1")
			return layout.Layout{}
		}},
		{"its prefix is given", func(s *underTest) layout.Layout {
			s.o.Layout, s.o.Addresses = layout.New("p"), []string{"127.0.0.1:1"}
			return s.o.Layout
		}},
		{"the address is given", func(s *underTest) layout.Layout {
			s.o.Addresses = []string{"127.0.0.1:1"}
			released(s, layout.Layout{}, "127.0.0.1:1")
			return layout.Layout{}
		}},
		{"the address is given by another name of the machine", func(s *underTest) layout.Layout {
			s.o.Addresses = []string{"localhost:1"}
			released(s, layout.Layout{}, "10.0.0.7:1")
			return layout.Layout{}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newUnderTest(t)
			s.o.CoordTimeout = time.Hour
			lay := tt.prep(s)
			s.Store.PutJSON(t, lay.Success(), summary(lay, "job-1", "wc"))
			s.start()
			if err := s.ends(); err != nil {
				t.Errorf("Run: %v", err)
			}
		})
	}
}

// TestEarlyForAnother: an address of which nothing is known may be that of a
// coordinator with another prefix, whatever job is done where none is named.
func TestEarlyForAnother(t *testing.T) {
	t.Parallel()
	for name, address := range map[string]string{"another address": "192.0.2.1:2", "another port": "127.0.0.1:2", "no port": "localhost"} {
		if among("127.0.0.1:1", []string{address}) {
			t.Errorf("%s: %s is taken for 127.0.0.1:1", name, address)
		}
	}
	s, b := newUnderTest(t), newFakeCoordinator(t).serve(plain)
	s.Store.PutJSON(t, layout.Layout{}.Success(), manifest.Success{Schema: manifest.SuccessSchema, Job: "job-0", App: manifest.App{Kind: manifest.Go, Name: "wc"}})
	s.Store.PutJSON(t, layout.Layout{}.Coordinator(), manifest.Coordinator{
		Schema: manifest.CoordinatorSchema, Insecure: true, Addresses: []string{"192.0.2.1:1"}, Released: true,
	})
	b.discover.Prefix = "p"
	s.o.Addresses, s.o.CoordTimeout = []string{b.address}, patience
	looked, calls := make(chan bool, 1), 0
	s.Store.Hook = func(_, key string) {
		if key == layout.New("p").Coordinator() {
			if calls++; calls == 5 { // by one caller at a time
				looked <- true
			}
		}
	}
	s.start()
	await(t, looked, "looks for the coordinator below p") // where none is announced yet
	b.announce(s.Store, nil)
	await(t, b.joined, "the registration")
	b.end("")
	if err := s.ends(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestTellsOfItsWait: a worker that waits for a coordinator says so, with the
// place, the time and the reason.
func TestTellsOfItsWait(t *testing.T) {
	t.Parallel()
	s := newUnderTest(t)
	lines := make(lineWriter, 100)
	s.o.Log, s.o.CoordTimeout = zerolog.New(lines), time.Hour
	s.start()
	for {
		line := await(t, lines, "a line about the wait")
		if strings.Contains(line, "waiting for a coordinator") {
			for _, want := range []string{"s3://bucket/intermediate/_coordinator.json", `"up_to":"1h0m0s"`, "no announcement"} {
				if !strings.Contains(line, want) {
					t.Errorf("%s is not in %s", want, line)
				}
			}
			break
		}
	}
	s.cancel(errDone)
	_ = s.ends()
}

// TestWaitsForTheApp: a worker that takes the job's app waits while the
// coordinator does not know it, says why, and then works.
func TestWaitsForTheApp(t *testing.T) {
	t.Parallel()
	s, b := newUnderTest(t), newFakeCoordinator(t)
	lines := make(lineWriter, 100)
	app := s.o.App
	s.o.Log, s.o.App = zerolog.New(lines), nil
	s.o.Lookup = func(name string) *mr.App {
		if name == app.Name {
			return app
		}
		return nil
	}
	var known atomic.Bool
	b.onRegister = func(q *wire.RegisterRequest) (*wire.RegisterReply, error) {
		if q.App != nil {
			t.Errorf("it names %v", q.App)
		}
		select { // of many
		case <-b.joined:
		default:
		}
		if !known.Load() {
			return nil, wire.Later("the app is not known")
		}
		q.App = wire.NewApp(&s.Spec.Spec)
		return nil, nil
	}
	b.serve(plain).announce(s.Store, nil)
	start := time.Now()
	s.start()
	for {
		line := await(t, lines, "a line about the wait")
		if strings.Contains(line, "waiting for the coordinator") {
			if !strings.Contains(line, `"up_to":"no limit"`) || !strings.Contains(line, "the app is not known") {
				t.Error(line)
			}
			break
		}
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("it said so after %v", took)
	}
	known.Store(true)
	b.grants <- map0
	if r := await(t, b.reports, "the report"); r.Outcome != wire.Outcome_OUTCOME_COMMITTED {
		t.Errorf("reported %v", r)
	}
	b.end("")
	if err := s.ends(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestRefusesTheApp: a worker that has not the code of the job's app says so,
// leaves and ends.
func TestRefusesTheApp(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*mr.App)
		gone   bool
		says   string
	}{
		"no such app":       {func(*mr.App) {}, true, "app wc, which this program does not have"},
		"another version":   {func(a *mr.App) { a.Version = "9" }, false, `app version: "" -> "9"`},
		"other input":       {func(a *mr.App) { a.Input = mr.WholeObjects }, false, "input: lines -> objects"},
		"another parameter": {func(a *mr.App) { a.Params = []mr.Param{{Name: "p", Required: true}} }, false, "parameters"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, b := newUnderTest(t), newFakeCoordinator(t)
			app := *s.o.App
			tt.change(&app)
			s.o.App = nil
			s.o.Lookup = func(string) *mr.App {
				if tt.gone {
					return nil
				}
				return &app
			}
			b.onRegister = func(q *wire.RegisterRequest) (*wire.RegisterReply, error) {
				q.App = wire.NewApp(&s.Spec.Spec)
				return nil, nil
			}
			b.serve(plain).announce(s.Store, nil)
			s.start()
			err := s.ends()
			if r, ok := wire.AsRefusal(err); !ok || r.Reason != wire.ReasonBuild || !strings.Contains(r.What, tt.says) {
				t.Errorf("Run: %v", err)
			}
			await(t, b.left, "the worker's leave")
		})
	}
}

// lineWriter hands on what is written, for as long as there is room.
type lineWriter chan string

func (w lineWriter) Write(p []byte) (int, error) {
	select {
	case w <- string(p):
	default:
	}
	return len(p), nil
}

// TestDenied: a token that is not the coordinator's is told apart from a
// coordinator that is not there.
func TestDenied(t *testing.T) {
	t.Parallel()
	s := newUnderTest(t)
	id, err := wire.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	b := newFakeCoordinator(t).serve(wire.ServerOptions{Identity: id, Token: id.Token})
	b.announce(s.Store, id)
	s.o.Insecure, s.o.Token, s.o.CoordTimeout = false, "another token entirely", 100*time.Millisecond
	s.start()
	var gone *UnreachableError
	if err := s.ends(); !errors.As(err, &gone) || !wire.IsDenied(gone.Cause) {
		t.Errorf("Run: %v", err)
	}
}

// TestOwnAuthority: with own certificates the coordinator answers no
// stranger, and tells a worker that has them the prefix of its job.
func TestOwnAuthority(t *testing.T) {
	s, b := newUnderTest(t), newFakeCoordinator(t)
	files := ownAuthority(t)
	b.discover.Prefix = "deep/down"
	b.serve(wire.ServerOptions{Files: files})
	s.Store.PutJSON(t, layout.New("deep/down").Coordinator(), manifest.Coordinator{Schema: manifest.CoordinatorSchema, Epoch: b.discover.Epoch, LeaseMS: 200, Addresses: []string{b.address}})
	s.o.Insecure, s.o.Files, s.o.Addresses = false, files, []string{b.address}
	s.start()
	await(t, b.joined, "the registration")
	b.end("")
	if err := s.ends(); err != nil {
		t.Errorf("Run: %v", err)
	}
}

// TestSearchPassesOver: an announcement that cannot be read, of another version,
// damaged or denied, keeps nobody from the one that can, and is named once.
func TestSearchPassesOver(t *testing.T) {
	f := testkit.NewStore()
	live := manifest.Coordinator{Schema: manifest.CoordinatorSchema, Epoch: "e", Insecure: true, Version: "right", LeaseMS: 10_000}
	f.PutJSON(t, layout.New("d").Coordinator(), live)
	f.Replace(layout.New("a").Coordinator(), []byte(`{"schema":"mraws/coordinator/v99"}`))
	f.Replace(layout.New("b").Coordinator(), []byte(`{"schema":`))
	f.PutJSON(t, layout.New("c").Coordinator(), live)
	f.Fault = func(_ int, _, key string) testkit.Fault {
		if key == layout.New("c").Coordinator() {
			return testkit.Denied
		}
		return testkit.Fine
	}
	dirs := func(_ context.Context, prefix string) ([]string, error) {
		if prefix == "" {
			return []string{"a/", "b/", "c/", "d/"}, nil
		}
		return []string{prefix + "intermediate/"}, nil
	}
	var log bytes.Buffer
	l := newLink(Options{Store: f, Bucket: "bucket", Dirs: dirs, Insecure: true, Log: zerolog.New(&log)}, nil, nil)
	for range 2 {
		if a, err := l.finder.search(t.Context()); err != nil || a.Version != "right" {
			t.Errorf("found %+v, %v", a, err)
		}
	}
	for _, prefix := range []string{"a", "b", "c"} {
		if n := strings.Count(log.String(), `"prefix":"`+prefix+`"`); n != 1 {
			t.Errorf("%s was named %d times:\n%s", prefix, n, &log)
		}
	}
}

// TestSearch: without a prefix and an address, the one coordinator that is
// alive anywhere in the bucket is found. Only the store's clock counts: that
// of the coordinator that lives is a day behind, and the other way round.
func TestSearch(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) // says the store
	live := manifest.Coordinator{Schema: manifest.CoordinatorSchema, Epoch: "e", Insecure: true, Renewed: time.Now().Add(-24 * time.Hour), LeaseMS: 10_000}
	dead := live
	dead.Renewed = time.Now().Add(time.Hour)
	ended := live
	ended.Released = true
	tests := []struct {
		name  string
		there map[string]manifest.Coordinator
		want  string // its version
		fails string
	}{
		{"none", nil, "", "no announcement"},
		{"deep down", map[string]manifest.Coordinator{"a/b": live}, "a/b", ""},
		{"one alive", map[string]manifest.Coordinator{"a": dead, "b": live, "c/d": dead, "e": ended}, "b", ""},
		{"the root first", map[string]manifest.Coordinator{"": live, "b": live}, "", ""},
		{"two alive", map[string]manifest.Coordinator{"a": live, "b": live}, "", "several"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := testkit.NewStore()
			for prefix, a := range tt.there {
				a.Version = prefix
				key := layout.New(prefix).Coordinator()
				f.PutJSON(t, key, a)
				o := f.Objects[key]
				o.Info.Served, o.Info.Modified = now, now.Add(-31*time.Second)
				if a.Renewed.After(time.Now()) {
					o.Info.Modified = now.Add(-33 * time.Second)
				}
				f.Objects[key] = o
			}
			dirs := func(_ context.Context, prefix string) (out []string, err error) {
				for o := range f.List(t.Context(), prefix) {
					rest := strings.TrimPrefix(o.Key, prefix)
					if d, _, ok := strings.Cut(rest, "/"); ok && !slices.Contains(out, prefix+d+"/") {
						out = append(out, prefix+d+"/")
					}
				}
				return out, nil
			}
			l := newLink(Options{Store: f, Bucket: "bucket", Dirs: dirs, Insecure: true}, nil, nil)
			a, err := l.finder.search(t.Context())
			if tt.fails != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fails) {
					t.Errorf("found %+v, %v", a, err)
				}
				return
			}
			if err != nil || a.Version != tt.want {
				t.Errorf("found %+v, %v", a, err)
			}
		})
	}
}
