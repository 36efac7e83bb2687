package cmd

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mraws/mraws/internal/spot"
	"github.com/mraws/mraws/internal/worker"
)

// signalled is a context under signals that a test sends.
func signalled(t *testing.T) (ctx context.Context, signals chan os.Signal, exited chan int) {
	signals, exited = make(chan os.Signal), make(chan int, 1)
	t.Cleanup(func() { close(signals) })
	return WithSignals(t.Context(), signals, func(code int) { exited <- code }), signals, exited
}

func TestSignals(t *testing.T) {
	tests := map[string]struct {
		drains  bool
		signals []os.Signal
		gap     time.Duration // before each; 0 is a second
		drained bool
		cause   os.Signal // of the end of ctx; nil: it has not ended
		exit    int       // 0: the process goes on
	}{
		"one":                            {signals: []os.Signal{os.Interrupt}, cause: os.Interrupt},
		"term":                           {signals: []os.Signal{syscall.SIGTERM}, cause: syscall.SIGTERM},
		"two":                            {signals: []os.Signal{os.Interrupt, syscall.SIGTERM}, cause: os.Interrupt, exit: ExitTerminate},
		"int from timeout(1)":            {signals: []os.Signal{os.Interrupt, os.Interrupt}, gap: time.Millisecond, cause: os.Interrupt},
		"int twice":                      {signals: []os.Signal{os.Interrupt, os.Interrupt}, gap: 100 * time.Millisecond, cause: os.Interrupt, exit: ExitInterrupt},
		"a worker, term from timeout(1)": {drains: true, signals: []os.Signal{syscall.SIGTERM, syscall.SIGTERM}, gap: time.Millisecond, drained: true},
		"a worker, interrupted":          {drains: true, signals: []os.Signal{os.Interrupt}, cause: os.Interrupt},
		"a worker drains":                {drains: true, signals: []os.Signal{syscall.SIGTERM}, drained: true},
		"a worker, term again":           {drains: true, signals: []os.Signal{syscall.SIGTERM, syscall.SIGTERM}, drained: true, cause: syscall.SIGTERM},
		"a worker, then int":             {drains: true, signals: []os.Signal{syscall.SIGTERM, os.Interrupt}, drained: true, cause: os.Interrupt},
		"a worker, int, term":            {drains: true, signals: []os.Signal{os.Interrupt, syscall.SIGTERM}, cause: os.Interrupt, exit: ExitTerminate},
		"a worker, three": {drains: true, signals: []os.Signal{syscall.SIGTERM, syscall.SIGTERM, os.Interrupt}, drained: true,
			cause: syscall.SIGTERM, exit: ExitInterrupt},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, signals, exited := signalled(t)
				var drains <-chan Signal
				if tt.drains {
					drains = terminated(ctx)
				}
				if tt.gap == 0 {
					tt.gap = time.Second
				}
				for _, s := range tt.signals {
					time.Sleep(tt.gap) // of the bubble's clock
					signals <- s
				}
				synctest.Wait()
				var sig Signal
				if errors.As(context.Cause(ctx), &sig); sig.Signal != tt.cause {
					t.Errorf("cause %v, want %v", context.Cause(ctx), tt.cause)
				}
				if got := len(drains) == 1; got != tt.drained {
					t.Errorf("drains: %t, want %t", got, tt.drained)
				}
				if got := len(exited) == 1; got != (tt.exit != 0) || got && <-exited != tt.exit {
					t.Errorf("exited: %t, want code %d", got, tt.exit)
				}
			})
		})
	}
}

// TestLastResort: a process that does not end by itself is ended some time
// after the signal.
func TestLastResort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, signals, exited := signalled(t)
		start := time.Now()
		signals <- syscall.SIGTERM
		<-ctx.Done()
		if code := <-exited; code != ExitTerminate || time.Since(start) != lastResort {
			t.Errorf("exit code %d after %v", code, time.Since(start))
		}
	})
}

// TestInterruptible: what does not heed the end of its context is left behind.
func TestInterruptible(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause, release := errors.New("a signal"), make(chan struct{})
		ctx, cancel := context.WithCancelCause(t.Context())
		if n, err := interruptible(ctx, func() (int, error) { return 1, cause }); n != 1 || !errors.Is(err, cause) {
			t.Errorf("%d, %v", n, err)
		}
		start := time.Now()
		cancel(cause)
		slow := func() (int, error) { time.Sleep(stopGrace / 2); return 2, nil }
		if n, err := interruptible(ctx, slow); n != 2 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if n, err := interruptible(ctx, func() (int, error) { <-release; return 3, nil }); n != 0 || !errors.Is(err, cause) {
			t.Errorf("%d, %v", n, err)
		}
		if took := time.Since(start); took != stopGrace/2+stopGrace {
			t.Errorf("it took %v", took)
		}
		close(release)
	})
}

// TestOrders: SIGTERM becomes an order to drain for the configured time, and
// a spot notice one for the time that is left.
func TestOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, signals, _ := signalled(t)
		ctx, cancel := context.WithCancel(ctx)
		orders := make(chan worker.Order)
		terms := terminated(ctx)
		notices := make(chan *spot.Notice)
		go giveOrders(ctx, 25*time.Second, terms, notices, orders)
		signals <- syscall.SIGTERM
		o := <-orders
		var sig Signal
		if !errors.As(o.Cause, &sig) || sig.Code() != ExitTerminate || time.Until(o.Until) != 25*time.Second {
			t.Errorf("%v in %v", o.Cause, time.Until(o.Until))
		}
		notices <- &spot.Notice{Action: "stop", Time: time.Now().Add(time.Minute)}
		if o := <-orders; (&commandLine{}).roleError(o.Cause).(*Error).Code != ExitTerminate || time.Until(o.Until) != 50*time.Second { //nolint:errorlint // the very one
			t.Errorf("%v in %v", o.Cause, time.Until(o.Until))
		}
		cancel()
	})
}
