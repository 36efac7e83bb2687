package status

import (
	"context"
	"math"
	"net"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeCoordinator answers Status.
type fakeCoordinator struct {
	wire.UnimplementedCoordinatorServer
	answer func(context.Context) (*wire.StatusReply, error)
}

func (b fakeCoordinator) Status(ctx context.Context, _ *wire.StatusRequest) (*wire.StatusReply, error) {
	return b.answer(ctx)
}

// serve starts a coordinator that answers so, and returns its address.
func serve(t *testing.T, o wire.ServerOptions, answer func(context.Context) (*wire.StatusReply, error)) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s, err := wire.NewServer(fakeCoordinator{answer: answer}, o)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(lis) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return lis.Addr().String()
}

func reply(context.Context) (*wire.StatusReply, error) {
	return &wire.StatusReply{
		State: "map", Epoch: "e", UptimeMs: 1500, Workers: map[string]int32{wire.WorkerIdle: 1, wire.WorkerExcluded: 1},
		Map:     &wire.PhaseStatus{Tasks: 3, Done: 1, Active: 1, Granted: 3, Running: 1, Committed: 1, Lost: 1, Speculative: 1},
		Members: []*wire.WorkerStatus{{Name: "w", Host: "h\u202e", Version: "v\u202e", Slots: 2, Running: 1, State: wire.WorkerExcluded, SilentMs: 200}},
		Attempts: []*wire.AttemptStatus{{
			Attempt: &wire.Attempt{Phase: wire.Phase_PHASE_REDUCE, Task: 7, Id: "e.r7.1"}, Worker: "w", AgeMs: 3000, Progress: 0.5, LeftMs: 4000, Lags: true,
		}},
	}, nil
}

// TestAsk: who is asked, with what, and what comes of it.
func TestAsk(t *testing.T) {
	id, err := wire.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := wire.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	guarded := wire.ServerOptions{Identity: id, Token: id.Token}
	good := serve(t, guarded, reply)
	denied := func(context.Context) (*wire.StatusReply, error) {
		return nil, status.Error(codes.Unavailable, "this coordinator is a standby")
	}
	hangs := func(ctx context.Context) (*wire.StatusReply, error) { <-ctx.Done(); return nil, ctx.Err() }
	forged := func(ctx context.Context) (*wire.StatusReply, error) {
		r, err := reply(ctx)
		r.Attempts[0].Progress = math.NaN() // of which no JSON can be made
		return r, err
	}
	plain := serve(t, wire.ServerOptions{Insecure: true}, func(ctx context.Context) (*wire.StatusReply, error) { return reply(ctx) })
	pin := func(addresses ...string) manifest.Coordinator {
		return announcement(func(a *manifest.Coordinator) { a.CertPEM, a.Token, a.Addresses = id.CertPEM, id.Token, addresses })
	}
	for _, tt := range []struct {
		name  string
		a     manifest.Coordinator
		token string
		want  string // in the error; "" for an answer
	}{
		{"answers", pin(good), "", ""},
		{"at the second address", pin("127.0.0.1:1", good), "", ""},
		{"beside one that hangs", pin(serve(t, guarded, hangs), good), "", ""},
		{"own token", announcement(func(a *manifest.Coordinator) { a.CertPEM, a.Token, a.Addresses = id.CertPEM, "", []string{good} }), id.Token, ""},
		{"plain", announcement(func(a *manifest.Coordinator) {
			a.CertPEM, a.Token, a.Insecure, a.Addresses = "", "", true, []string{plain}
		}), "", ""},
		{"nobody", pin("127.0.0.1:1"), "", "refused"},
		{"no address", pin(), "", "no address"},
		{"another certificate", announcement(func(a *manifest.Coordinator) { a.CertPEM, a.Addresses = other.CertPEM, []string{good} }), "", "certificate"},
		{"another token", announcement(func(a *manifest.Coordinator) { a.CertPEM, a.Addresses = id.CertPEM, []string{good} }), "", "token"},
		{"a standby", pin(serve(t, guarded, denied)), "", "standby"},
		{"a forged answer", pin(serve(t, guarded, forged)), "", "the answer to Status is not valid: an attempt has the progress NaN"},
		{"own CA", announcement(func(a *manifest.Coordinator) { a.CertPEM = "" }), "", "this side has no CA"},
		{"silence", pin(serve(t, guarded, hangs)), "", "no answer within"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake()
			f.put(t, lay.Job(), job(3, 1))
			f.put(t, lay.Coordinator(), tt.a)
			patience := 10 * time.Second
			if tt.name == "silence" {
				patience = 200 * time.Millisecond
			}
			r, err := Read(t.Context(), Options{Store: f, Layout: lay, Token: tt.token, Patience: patience})
			if err != nil {
				t.Fatal(err)
			}
			if tt.want != "" {
				if r.Live != nil || !strings.Contains(r.Coordinator.Error, tt.want) || strings.Contains(r.Coordinator.Error, id.Token) {
					t.Errorf("%+v, error %q", r.Live, r.Coordinator.Error)
				}
				return
			}
			want := &Live{
				Epoch: "e", State: "map", UptimeSeconds: 1.5, Workers: 2,
				Map:      LivePhase{Tasks: 3, Done: 1, Active: 1, Granted: 3, Running: 1, Committed: 1, Lost: 1, Speculative: 1},
				Members:  []Member{{Name: "w", Host: `h\u202e`, Version: `v\u202e`, Slots: 2, Running: 1, State: "excluded", SilentSeconds: 0.2}},
				Attempts: []Attempt{{Task: "reduce-7", ID: "e.r7.1", Worker: "w", Seconds: 3, Progress: 0.5, LeftSeconds: 4, Lags: true}},
			}
			if r.Live != nil {
				want.Address = r.Live.Address
			}
			if diff := cmp.Diff(want, r.Live); diff != "" || r.Coordinator.Error != "" || !slices.Contains(tt.a.Addresses, want.Address) {
				t.Errorf("%s%+v", diff, r.Coordinator)
			}
		})
	}
}

// TestNotAsked: a job that is over has nobody who could say more.
func TestNotAsked(t *testing.T) {
	address := serve(t, wire.ServerOptions{Insecure: true}, func(context.Context) (*wire.StatusReply, error) {
		t.Error("asked")
		return nil, nil
	})
	at := announced(func(a *manifest.Coordinator) { a.Insecure, a.Addresses = true, []string{address} })
	left := announced(func(a *manifest.Coordinator) { a.Insecure, a.Released, a.Addresses = true, true, []string{address} })
	for _, in := range [][]put{{at, spec(1, 1), success("wc-1")}, {left, spec(1, 1)}} {
		f := newFake()
		for _, p := range in {
			p(t, f)
		}
		if r, err := Read(t.Context(), Options{Store: f, Layout: lay, Patience: time.Minute}); err != nil || r.Live != nil {
			t.Errorf("%+v, %v", r, err)
		}
	}
}

// TestDocumented holds docs/operations.md to explain every field of a report,
// and no other.
func TestDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(doc), "### `"+Schema+"`")
	section, _, _ = strings.Cut(section, "\n## ")
	var told []string
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]+) \\|").FindAllStringSubmatch(section, -1) {
		for _, name := range regexp.MustCompile("`([a-z_.]+)`").FindAllStringSubmatch(row[1], -1) {
			told = append(told, name[1])
		}
	}
	var fields []string
	var walk func(prefix string, of reflect.Type)
	walk = func(prefix string, of reflect.Type) {
		for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct || !strings.HasSuffix(of.PkgPath(), "internal/status") {
			fields = append(fields, prefix)
			return
		}
		for i := range of.NumField() {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			if name != "-" {
				walk(strings.TrimPrefix(prefix+"."+name, "."), of.Field(i).Type)
			}
		}
	}
	walk("", reflect.TypeFor[Report]())
	for i, f := range fields { // both phases have the same fields
		fields[i] = strings.Replace(f, "reduce.", "map.", 1)
	}
	slices.Sort(fields)
	slices.Sort(told)
	if diff := cmp.Diff(slices.Compact(fields), told); diff != "" {
		t.Errorf("fields and docs/operations.md differ (-fields +documented):\n%s", diff)
	}
}
