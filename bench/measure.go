package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Run is what one run of a contestant took, all its processes together.
type Run struct {
	Wall float64 `json:"wall_s"`
	CPU  float64 `json:"cpu_s"`  // user and system
	Peak int64   `json:"peak_b"` // resident memory of all processes at one time, sampled
}

// sampling is how often memory is looked at.
const sampling = 20 * time.Millisecond

// execute runs a shell command to its end and accounts for it and all its
// children. What it prints goes to the file out.
func execute(ctx context.Context, env []string, command, out string, limit time.Duration) (run Run, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("took longer than %s", limit))
	defer cancel()
	f, err := os.Create(out)
	if err != nil {
		return run, fmt.Errorf("make %s: %w", out, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	c := exec.CommandContext(ctx, "sh", "-c", command)
	c.Env, c.Stdout = env, f
	var complaint bytes.Buffer
	c.Stderr = &complaint
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	start := time.Now()
	if err := c.Start(); err != nil {
		return run, err
	}
	peak := make(chan int64)
	over := make(chan struct{})
	go func() { peak <- watch(c.Process.Pid, over) }()
	err = c.Wait()
	run.Wall = time.Since(start).Seconds()
	close(over)
	run.Peak = <-peak
	if ctx.Err() != nil {
		return run, context.Cause(ctx)
	}
	if err != nil {
		return run, fmt.Errorf("%s: %w\n%s", command, err, bytes.TrimSpace(complaint.Bytes()))
	}
	u := c.ProcessState
	run.CPU = (u.UserTime() + u.SystemTime()).Seconds()
	return run, nil
}

// watch returns the most memory, in bytes, that a process and its
// descendants held together until over is closed.
func watch(pid int, over <-chan struct{}) (peak int64) {
	tick := time.NewTicker(sampling)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return peak
		case <-tick.C:
			peak = max(peak, resident(pid))
		}
	}
}

// resident adds up the resident memory of a process and its descendants, in
// bytes (proc_pid_statm(5), proc_pid_task(5)). Processes that end meanwhile
// count nothing.
func resident(pid int) (n int64) {
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	statm, _ := os.ReadFile(filepath.Join(proc, "statm")) // gone: empty
	if f := strings.Fields(string(statm)); len(f) > 1 {
		pages, _ := strconv.ParseInt(f[1], 10, 64)
		n = pages * int64(os.Getpagesize())
	}
	tasks, _ := filepath.Glob(filepath.Join(proc, "task", "*", "children"))
	for _, t := range tasks {
		children, _ := os.ReadFile(t)
		for _, c := range strings.Fields(string(children)) {
			if child, err := strconv.Atoi(c); err == nil {
				n += resident(child)
			}
		}
	}
	return n
}
