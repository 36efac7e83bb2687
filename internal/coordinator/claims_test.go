package coordinator

import (
	"fmt"
	"math"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/wire"
)

// TestCountedRequests: what workers count is believed as far as their slots
// could have made it, under the names that there are.
func TestCountedRequests(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(nil)
	w := s.join("w", 1)
	tell := func(requests map[string]int64) map[string]int64 {
		t.Helper()
		if _, err := s.conn.Heartbeat(t.Context(), &wire.HeartbeatRequest{Worker: "w", S3Requests: requests}); err != nil {
			t.Fatal(err)
		}
		var now map[string]int64
		s.until("it is noted", func(l *loop) bool { now = l.counts.of["w"].all.Requests; return true })
		return now
	}
	many := map[string]int64{"GetObject": 7}
	for i := range 5000 {
		many[fmt.Sprint("Invented", i)] = 1
	}
	for i, tt := range []struct {
		told map[string]int64
		want int64 // of GetObject
	}{
		{map[string]int64{"GetObject": 5}, 5},
		{map[string]int64{"GetObject": math.MaxInt64}, 5},
		{map[string]int64{"GetObject": -1}, 5},
		{map[string]int64{"GetObject": math.MinInt64}, 5},
		{map[string]int64{"GetObject": 3}, 5}, // a late copy
		{many, 7},
		{map[string]int64{"GetObject": 7 + 10*burst}, 7},
	} {
		if got := tell(tt.told); got["GetObject"] != tt.want || len(got) != 1 {
			t.Errorf("%d: %v", i, got)
		}
	}
	s.until("it is reported", func(l *loop) bool { return l.counts.of["w"].doubted })
	w.work(3)
	if got := s.succeeds(); got.Requests["GetObject"] != 7 || len(got.Requests) != 2 { // the fake's PutObject
		t.Errorf("%v", got.Requests)
	}
}

// TestRequestsOfMany: however many names a caller takes, what is kept of their
// counts has a bound, and none is lost.
func TestRequestsOfMany(t *testing.T) {
	l := newLoop(Options{}, "e")
	for i := range maxAsked + 100 {
		w := sched.WorkerID(fmt.Sprint("w", i))
		l.step(0, sched.Register{Worker: w, Slots: 1})
		l.noteRequests(w, map[string]int64{"GetObject": 1}, nil)
		l.step(0, sched.Leave{Worker: w})
	}
	if n, sum := len(l.counts.of), l.counts.sum(object.Traffic{}).Requests["GetObject"]; n > maxAsked || sum != maxAsked+100 {
		t.Errorf("%d are kept, %d requests", n, sum)
	}
}

// TestClaimedAttempts: nobody holds tasks by saying that he runs them: not
// where there was no coordinator before, and not more than slots can run.
func TestClaimedAttempts(t *testing.T) {
	b := newFixture(t, 3)
	s := b.start(nil)
	s.until("the job is prepared", func(l *loop) bool { return l.job != nil })
	claims := []*wire.Attempt{{Task: 0, Id: "x.m0.1"}, {Task: 1, Id: "x.m1.1"}, {Task: 2, Id: "x.m2.1"}}
	liar := &fakeWorker{service: s, name: "liar"}
	if _, err := liar.register(wc(), 1, b.job(), claims...); err != nil {
		t.Fatal(err)
	}
	s.workers = append(s.workers, liar)
	if r := liar.heartbeat(claims...); len(r.Revoked) != 3 {
		t.Errorf("revoked are %v", r.Revoked)
	}
	var all []*wire.Attempt
	for i := range wire.MostRunning + 1 {
		all = append(all, &wire.Attempt{Id: fmt.Sprintf("x.m0.%d", i)})
	}
	if _, err := (&fakeWorker{service: s, name: "other"}).register(wc(), 1, b.job(), all...); status.Code(err) != codes.InvalidArgument {
		t.Errorf("more than the slots can run: %v", err)
	}
	s.join("w", 1).work(5)
	if got := s.succeeds(); got.Map.Granted != 3 {
		t.Errorf("%+v", got.Map)
	}
}
