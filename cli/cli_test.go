package cli

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/mraws/mraws/cmd"
)

func TestFirstSignalCancelsSecondExits(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	signals := make(chan os.Signal)
	exited := make(chan int)
	go heed(signals, cancel, func(code int) { exited <- code })
	signals <- os.Interrupt
	<-ctx.Done()
	var sig cmd.Signal
	if !errors.As(context.Cause(ctx), &sig) || sig.Code() != cmd.ExitInterrupt {
		t.Errorf("cause %v", context.Cause(ctx))
	}
	select {
	case code := <-exited:
		t.Fatalf("exited with %d at the first signal", code)
	default:
	}
	signals <- syscall.SIGTERM
	if code := <-exited; code != cmd.ExitTerminate {
		t.Errorf("exit code %d", code)
	}
}
