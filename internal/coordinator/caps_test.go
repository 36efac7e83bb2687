package coordinator

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/wire"
)

// TestManyWorkers: a coordinator that has as many workers as it takes turns
// others away until one leaves, and keeps those it has.
func TestManyWorkers(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(nil)
	w := s.join("w", 1)
	s.c.call(t.Context(), func() {
		for i := 1; i < maxWorkers; i++ {
			s.c.loop.step(s.c.now(), sched.Register{Worker: sched.WorkerID(fmt.Sprint("other-", i)), Slots: 1})
		}
	})
	late := &fakeWorker{service: s, name: "late"}
	_, err := late.register(wc(), 1, "")
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "takes no more") || !wire.IsUnreachable(err) {
		t.Errorf("one more is answered %v", err)
	}
	if _, err := w.register(wc(), 1, ""); err != nil {
		t.Errorf("one that is there already is answered %v", err)
	}
	s.c.call(t.Context(), func() { s.c.loop.step(s.c.now(), sched.Leave{Worker: "other-1"}) })
	if _, err := late.register(wc(), 1, ""); err != nil {
		t.Errorf("when one has left: %v", err)
	}
	s.workers = append(s.workers, late)
	s.c.call(t.Context(), func() { // nobody tells these of the end
		for i := 2; i < maxWorkers; i++ {
			s.c.loop.step(s.c.now(), sched.Leave{Worker: sched.WorkerID(fmt.Sprint("other-", i))})
		}
	})
	w.work(3)
	s.succeeds()
}

// TestManyConnections: those who connect and say nothing keep out neither a
// worker that has joined nor one that comes to join.
func TestManyConnections(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(func(o *Options) { o.Connections = 4 })
	w := s.join("w", 1)
	for range 9 {
		c, err := net.Dial("tcp", s.c.o.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	w.heartbeat()
	conn, err := wire.Dial(s.c.o.Listener.Addr().String(), wire.ClientOptions{Insecure: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for deadline := time.Now().Add(patience); ; {
		_, err := wire.NewCoordinatorClient(conn).Status(t.Context(), &wire.StatusRequest{})
		if err == nil {
			break
		}
		if !wire.IsUnreachable(err) || time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	w.work(3)
	s.succeeds()
}
