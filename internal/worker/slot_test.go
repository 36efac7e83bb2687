package worker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	"github.com/mraws/mraws/internal/wire"
)

// hasty answers each question after a time, from the last on with a grant.
type hasty struct {
	wire.CoordinatorClient
	takes []time.Duration
	asked int
}

func (h *hasty) Ask(ctx context.Context, _ *wire.AskRequest, _ ...grpc.CallOption) (*wire.AskReply, error) {
	h.asked++
	if h.asked > len(h.takes) {
		return &wire.AskReply{Answer: &wire.AskReply_Grant{Grant: &wire.Attempt{}}}, nil
	}
	select {
	case <-time.After(h.takes[h.asked-1]):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return &wire.AskReply{Answer: &wire.AskReply_Wait{Wait: &wire.Wait{}}}, nil
}

// TestAnsweredAtOnce: a coordinator that answers at once that there is nothing
// yet is asked at most about once a second; one that keeps the question for
// its time is asked again at once.
func TestAnsweredAtOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		takes []time.Duration
		want  time.Duration // until the grant
	}{
		"in time":    {[]time.Duration{askFor, askFor}, 2 * askFor},
		"once early": {[]time.Duration{0, askFor}, 10*time.Millisecond + askFor},
		"forgotten":  {[]time.Duration{0, 0, askFor, 0}, (10+20+10)*time.Millisecond + askFor},
		"always":     {make([]time.Duration, 107), 1270*time.Millisecond + 100*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &hasty{takes: tt.takes}
				w := &worker{link: &link{session: &session{client: h}}}
				start := time.Now()
				reply, err := w.ask(t.Context(), 0, 1)
				if err != nil || reply.GetGrant() == nil {
					t.Fatalf("%v, %v", reply, err)
				}
				if took := time.Since(start); took != tt.want {
					t.Errorf("it took %v and %d questions, want %v", took, h.asked, tt.want)
				}
			})
		})
	}
}
