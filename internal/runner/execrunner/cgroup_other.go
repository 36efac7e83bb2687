//go:build !linux

package execrunner

import (
	"errors"
	"os/exec"
	"runtime"
)

// cgroups are those of Linux. Here are none.
type cgroups struct{}

type cgroup struct{}

func findCgroups(string, Limits) (*cgroups, error) {
	return nil, errors.New("this system has no control groups")
}

func (*cgroups) kind() string                { return "nothing" }
func (*cgroups) at() string                  { return "" }
func (*cgroups) add(string) (*cgroup, error) { return nil, nil }
func (*cgroups) close()                      {}

func (*cgroup) start(cmd *exec.Cmd) error { return cmd.Start() }
func (*cgroup) killed() error             { return nil }
func (*cgroup) usage() usage              { return usage{} }
func (*cgroup) close() error              { return nil }

func removeCgroups(string) {}

// ownThread runs f in a goroutine that has a thread for itself.
func ownThread(f func()) {
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		f()
	}()
}
