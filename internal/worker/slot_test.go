package worker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	"github.com/mraws/mraws/internal/wire"
)

// hasty answers each poll after a time, from the last on with a grant.
type hasty struct {
	wire.CoordinatorClient
	takes []time.Duration
	polls int
}

func (h *hasty) Poll(ctx context.Context, _ *wire.PollRequest, _ ...grpc.CallOption) (*wire.PollReply, error) {
	h.polls++
	if h.polls > len(h.takes) {
		return &wire.PollReply{Answer: &wire.PollReply_Grant{Grant: &wire.Attempt{}}}, nil
	}
	select {
	case <-time.After(h.takes[h.polls-1]):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return &wire.PollReply{Answer: &wire.PollReply_Wait{Wait: &wire.Wait{}}}, nil
}

// TestAnsweredAtOnce: a coordinator that answers at once that there is nothing
// yet is polled at most about once a second; one that keeps the poll for
// its time is polled again at once.
func TestAnsweredAtOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		takes []time.Duration
		want  time.Duration // until the grant
	}{
		"in time":    {[]time.Duration{pollFor, pollFor}, 2 * pollFor},
		"once early": {[]time.Duration{0, pollFor}, 10*time.Millisecond + pollFor},
		"forgotten":  {[]time.Duration{0, 0, pollFor, 0}, (10+20+10)*time.Millisecond + pollFor},
		"always":     {make([]time.Duration, 107), 1270*time.Millisecond + 100*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &hasty{takes: tt.takes}
				w := &worker{link: &link{session: &session{client: h}}}
				start := time.Now()
				reply, err := w.poll(t.Context(), 0, 1)
				if err != nil || reply.GetGrant() == nil {
					t.Fatalf("%v, %v", reply, err)
				}
				if took := time.Since(start); took != tt.want {
					t.Errorf("it took %v and %d polls, want %v", took, h.polls, tt.want)
				}
			})
		})
	}
}
