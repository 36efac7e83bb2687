package status

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/wire"
)

// ask asks the announced addresses side by side; the first answer counts, and
// if there is none the first error.
func ask(ctx context.Context, o Options, a *manifest.Coordinator) (*Live, error) {
	// Unlike a worker, which must not be lured into a job without TLS, whoever
	// only looks does as the announcement says.
	own := wire.ClientOptions{Insecure: a.Insecure, Token: o.Token}
	if a.CertPEM == "" {
		own.Files = o.Files
	}
	security, err := own.Believe(a)
	if err != nil {
		return nil, err
	}
	if len(a.Addresses) == 0 {
		return nil, errors.New("it announced no address")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		live *Live
		err  error
	}
	answers := make(chan answer, len(a.Addresses))
	for _, address := range a.Addresses {
		go func() {
			live, err := askOne(ctx, address, security)
			answers <- answer{live, err}
		}()
	}
	var live *Live
	for range a.Addresses {
		got := <-answers
		switch {
		case got.err == nil && live == nil:
			live = got.live
			cancel()
		case got.err != nil && err == nil:
			err = got.err
		}
	}
	if live != nil {
		return live, nil
	}
	return nil, err
}

func askOne(ctx context.Context, address string, security wire.ClientOptions) (*Live, error) {
	conn, err := wire.Dial(address, security)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	s, err := wire.NewCoordinatorClient(conn).Status(ctx, &wire.StatusRequest{})
	switch {
	case grpcstatus.Code(err) == codes.DeadlineExceeded:
		return nil, context.DeadlineExceeded
	case err != nil:
		return nil, fmt.Errorf("at %s: %w", address, wire.Plain(err))
	}
	return live(address, s), nil
}

func live(address string, s *wire.StatusReply) *Live {
	l := &Live{
		Address: address, Epoch: short(s.GetEpoch()), State: wire.Text(s.GetState(), 8<<10), UptimeSeconds: seconds(s.GetUptimeMs()),
		Map: livePhase(s.GetMap()), Reduce: livePhase(s.GetReduce()),
		MapBytes: reading(s.GetMapBytes()), ReduceBytes: reading(s.GetReduceBytes()),
		Members: []Member{}, Attempts: []Attempt{},
	}
	if s.GetPrices() != "" {
		t := s.GetS3().Object()
		l.Receipt = &Receipt{Requests: t.Requests, Sent: t.Sent, Received: t.Received, USD: s.GetUsd(), Region: short(s.GetRegion()), Prices: short(s.GetPrices())}
	}
	for _, n := range s.GetWorkers() {
		l.Workers += int(n)
	}
	for _, m := range s.GetMembers() {
		l.Members = append(l.Members, Member{
			Name: short(m.GetName()), Host: short(m.GetHost()), Version: short(m.GetVersion()), Slots: int(m.GetSlots()), Running: int(m.GetRunning()),
			State: m.GetState(), SilentSeconds: seconds(m.GetSilentMs()), Sample: m.GetSample().Object(),
		})
	}
	for _, a := range s.GetAttempts() {
		phase := "map"
		if a.GetAttempt().GetPhase() == wire.Phase_PHASE_REDUCE {
			phase = "reduce"
		}
		l.Attempts = append(l.Attempts, Attempt{
			Task: fmt.Sprintf("%s-%d", phase, a.GetAttempt().GetTask()), ID: short(a.GetAttempt().GetId()), Worker: short(a.GetWorker()),
			Seconds: seconds(a.GetAgeMs()), Progress: a.GetProgress(), LeftSeconds: seconds(a.GetLeftMs()),
			Lags: a.GetLags(), Speculative: a.GetSpeculative(),
		})
	}
	return l
}

func seconds(ms int64) float64 { return (time.Duration(ms) * time.Millisecond).Seconds() }

func reading(r *wire.Reading) *Reading {
	if r == nil { // also of an earlier version
		return nil
	}
	return &Reading{r.GetTotal(), r.GetDone()}
}

func livePhase(p *wire.PhaseStatus) LivePhase {
	return LivePhase{
		Tasks: int(p.GetTasks()), Done: int(p.GetDone()), Active: int(p.GetActive()), Reused: int(p.GetReused()),
		Granted: int(p.GetGranted()), Adopted: int(p.GetAdopted()), Running: int(p.GetRunning()), Committed: int(p.GetCommitted()),
		Failed: int(p.GetFailed()), Lost: int(p.GetLost()), Released: int(p.GetReleased()),
		Superseded: int(p.GetSuperseded()), Canceled: int(p.GetCanceled()),
		Retried:     int(p.GetRetried()),
		Speculative: int(p.GetSpeculative()), SpeculativeCommitted: int(p.GetSpeculativeCommitted()),
	}
}
