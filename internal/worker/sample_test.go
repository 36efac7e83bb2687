package worker

import (
	"context"
	"testing"

	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/wire"
)

// TestHeartbeatHasSample: a worker tells with its heartbeats what its process takes.
func TestHeartbeatHasSample(t *testing.T) {
	s, b := newUnderTest(t), newFakeCoordinator(t)
	s.o.Sample = func() *object.Sample { return &object.Sample{CPUSeconds: 2.5, Cores: 3} }
	told := make(chan *wire.Sample, 1)
	b.onHeartbeat = func(_ context.Context, q *wire.HeartbeatRequest) (*wire.HeartbeatReply, error) {
		select {
		case told <- q.Sample:
		default:
		}
		return nil, nil
	}
	b.serve(plain).announce(s.Store, nil)
	s.start()
	if got := await(t, told, "a heartbeat"); got.GetCpuMs() != 2500 || got.GetCores() != 3 {
		t.Errorf("%v", got)
	}
	b.end("")
	if err := s.ends(); err != nil {
		t.Errorf("Run: %v", err)
	}
}
