package worker

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/wire"
)

// TestAddressesRace: the next address is tried when the one before fails or is slow,
// the first success counts, and what comes later is dropped. The clock of the
// bubble makes the times exact.
func TestAddressesRace(t *testing.T) {
	boom, refused := errors.New("boom"), &wire.Refusal{Reason: wire.ReasonBucket, What: "no"}
	type try struct {
		takes time.Duration // 0: longer than anybody waits
		err   error
	}
	tests := []struct {
		name  string
		tries []try
		want  int // that wins; -1: none
		fails error
		took  time.Duration
	}{
		{"the only one", []try{{time.Second, nil}}, 0, nil, time.Second},
		{"the first", []try{{10 * time.Millisecond, nil}, {1, nil}}, 0, nil, 10 * time.Millisecond},
		{"the first is dead", []try{{1, boom}, {5, nil}}, 1, nil, 6},
		{"the first stands still", []try{{0, nil}, {5, nil}}, 1, nil, stagger + 5},
		{"the first is slow and better than the next", []try{{stagger + 5, nil}, {time.Second, nil}}, 0, nil, stagger + 5},
		{"two stand still", []try{{0, nil}, {0, nil}, {5, nil}}, 2, nil, 2*stagger + 5},
		{"both come", []try{{stagger + 5, nil}, {5, nil}}, -2, nil, stagger + 5},
		{"all dead", []try{{1, boom}, {1, errors.New("other")}}, -1, boom, 2},
		{"all stand still", []try{{0, nil}, {0, nil}}, -1, context.DeadlineExceeded, dialTimeout + stagger},
		{"a refusal says more", []try{{1, boom}, {1, refused}, {1, boom}}, -1, refused, 3},
		{"a refusal of one is not the end", []try{{1, refused}, {1, nil}}, 1, nil, 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var addresses []string
				for i := range tt.tries {
					addresses = append(addresses, string(rune('0'+i)))
				}
				var open atomic.Int32
				start := time.Now()
				got, err := race(t.Context(), addresses, func(ctx context.Context, address string) (string, error) {
					tr := tt.tries[address[0]-'0']
					takes := tr.takes
					if takes == 0 {
						takes = time.Hour
					}
					select {
					case <-time.After(takes):
					case <-ctx.Done():
						return "", ctx.Err()
					}
					if tr.err == nil {
						open.Add(1)
					}
					return address, tr.err
				}, func(string) { open.Add(-1) })
				took := time.Since(start)
				if tt.want == -2 { // whichever
					tt.want = int(got[0] - '0')
				}
				if tt.want >= 0 && (err != nil || got != addresses[tt.want]) || tt.want < 0 && !errors.Is(err, tt.fails) {
					t.Errorf("got %q, %v", got, err)
				}
				if took != tt.took {
					t.Errorf("it took %v, want %v", took, tt.took)
				}
				left := int32(0)
				if err == nil {
					left = 1
				}
				if open.Load() != left {
					t.Errorf("%d are left open", open.Load())
				}
			})
		})
	}
}

// silentAddress listens and never says a word, as a process that stands still.
func silentAddress(t *testing.T) string {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = lis.Close() })
	return lis.Addr().String()
}

// TestFollowsTakeover: the coordinator dies, or stands still, in the middle of
// an attempt, and another one takes over that a list names or the bucket. The
// worker goes on with what it runs, whatever else listens at its addresses.
func TestFollowsTakeover(t *testing.T) {
	for _, way := range []string{"list", "bucket", "list of others"} {
		for _, secure := range []bool{false, true} {
			name := way
			if secure {
				name += ", pinned"
			}
			t.Run(name, func(t *testing.T) {
				s := newUnderTest(t)
				s.o.Insecure, s.o.CoordTimeout = !secure, patience
				release, began := s.stalled()
				named := func(epoch string) (*fakeCoordinator, *wire.Identity) {
					o, id := plain, (*wire.Identity)(nil)
					if secure {
						var err error
						if id, err = wire.NewIdentity(); err != nil {
							t.Fatal(err)
						}
						o = wire.ServerOptions{Identity: id, Token: id.Token}
					}
					b := newFakeCoordinator(t)
					b.discover.Epoch = epoch
					return b.serve(o), id
				}
				first, id1 := named("one")
				second, id2 := named("two")
				standby, _ := named("three")
				switch way {
				case "list":
					s.o.Addresses = []string{silentAddress(t), standby.address, first.address, second.address}
				case "list of others":
					s.o.Addresses = []string{first.address}
				}
				announce := func(b *fakeCoordinator, id *wire.Identity, epoch string) {
					a := manifest.Coordinator{Schema: manifest.CoordinatorSchema, Epoch: epoch, Addresses: []string{silentAddress(t), b.address}, LeaseMS: 10_000, Insecure: !secure, Renewed: time.Now()}
					if secure {
						a.CertPEM, a.Token = id.CertPEM, id.Token
					}
					s.Store.PutJSON(t, layout.Layout{}.Coordinator(), a)
				}
				announce(first, id1, "one")
				s.start()
				await(t, first.joined, "the registration")
				first.grants <- map0
				await(t, began, "the attempt")
				first.die()
				announce(second, id2, "two")
				moved := time.Now()
				q := await(t, second.joined, "the second registration")
				t.Logf("it took %v", time.Since(moved))
				if len(q.Running) != 1 || q.Running[0].Id != map0.Id {
					t.Errorf("registered with %v", q)
				}
				close(release)
				if r := await(t, second.reports, "the report"); r.Attempt.Id != map0.Id || r.Outcome != wire.Outcome_OUTCOME_COMMITTED {
					t.Errorf("reported %v", r)
				}
				second.end("")
				if err := s.ends(); err != nil {
					t.Errorf("Run: %v", err)
				}
				if n := len(standby.joined); n > 0 {
					t.Errorf("%d registrations with somebody who is not announced", n)
				}
			})
		}
	}
}

// TestLeavesTheOverdue: a coordinator that says that it may have been replaced
// keeps its workers as long as it has not.
func TestLeavesTheOverdue(t *testing.T) {
	s := newUnderTest(t)
	release, began := s.stalled()
	first, second := newFakeCoordinator(t), newFakeCoordinator(t)
	beats := make(chan struct{}, 100)
	first.onHeartbeat = func(context.Context, *wire.HeartbeatRequest) (*wire.HeartbeatReply, error) {
		beats <- struct{}{}
		return &wire.HeartbeatReply{Overdue: true}, nil
	}
	for i, b := range []*fakeCoordinator{first, second} {
		b.discover.Epoch = []string{"one", "two"}[i]
		b.serve(plain)
	}
	announce := func(b *fakeCoordinator) {
		s.Store.PutJSON(t, layout.Layout{}.Coordinator(), manifest.Coordinator{
			Schema: manifest.CoordinatorSchema, Epoch: b.discover.Epoch, Addresses: []string{b.address}, LeaseMS: 10_000, Insecure: true,
		})
	}
	announce(first)
	s.start()
	await(t, first.joined, "the registration")
	first.grants <- map0
	await(t, began, "the attempt")
	for range 5 {
		await(t, beats, "a heartbeat")
	}
	announce(second)
	if q := await(t, second.joined, "the second registration"); !slices.ContainsFunc(q.Running, func(a *wire.Attempt) bool { return a.Id == map0.Id }) {
		t.Errorf("registered with %v", q)
	}
	close(release)
	await(t, second.reports, "the report")
	second.end("")
	if err := s.ends(); err != nil {
		t.Errorf("Run: %v", err)
	}
	if n := len(first.joined); n > 0 {
		t.Errorf("it registered %d times more with the first", n)
	}
}
