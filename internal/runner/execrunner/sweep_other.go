//go:build !linux

package execrunner

import (
	"os"
	"syscall"
	"time"
)

// ownGroup starts a process in a group of its own.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// killGroup kills all processes of a group.
func killGroup(pgid int) { _ = syscall.Kill(-pgid, syscall.SIGKILL) }

// ended cannot wait here without freeing the number of the process.
func ended(int) {}

// sweep finds no process that has left its group.
func sweep(string) {}

// limit sets no bounds.
func limit(int, Limits) {}

// largest tells nothing.
func largest(*os.ProcessState) int64 { return 0 }

type usage struct {
	processes int
	memory    int64
	cpu       time.Duration
}

// usages tells nothing.
func usages() map[int]usage { return nil }
