package cmd

import "syscall"

// diesWithParent makes the kernel kill a process when its parent has ended,
// however that ended.
func diesWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
