//go:build failpoint

package failpoint

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// Enabled says whether this program has failpoints.
const Enabled = true

// ofProcess reads the environment once.
var ofProcess = sync.OnceValue(func() *set {
	s, err := parse(os.Getenv(Variable))
	if err != nil {
		giveUp(err)
	}
	return s
})

// hit is a step of this process.
func hit(p Point) error {
	err := ofProcess().hit(p)
	if errors.Is(err, errNoPoint) {
		giveUp(err)
	}
	return err
}

// giveUp ends the process, so that a wrong variable or a step without a name does
// not look like a test that passed.
func giveUp(err error) {
	_, _ = fmt.Fprintf(os.Stderr, "failpoint: %v\n", err)
	os.Exit(2)
}

// signal sends the signal of an action to the calling thread, so that this thread
// executes no further instruction.
func signal(a Action) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	sig := unix.SIGKILL
	if a == Stop {
		sig = unix.SIGSTOP
	}
	if err := unix.Tgkill(unix.Getpid(), unix.Gettid(), sig); err != nil {
		giveUp(err)
	}
}
