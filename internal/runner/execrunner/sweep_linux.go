package execrunner

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ownGroup starts a process in a group of its own, and lets it die with the thread
// that starts it.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// killGroup kills all processes of a group.
func killGroup(pgid int) { _ = syscall.Kill(-pgid, syscall.SIGKILL) }

// ended waits until a child of this process has ended. The number of the process
// stays taken until somebody waits for the process.
func ended(pid int) {
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
}

// mostSweeps bounds how often processes are looked for that go on starting others.
const mostSweeps = 200

// sweep kills all processes whose mark begins with scope, with their groups. It
// returns when a look finds none, or after mostSweeps looks.
func sweep(scope string) {
	for range mostSweeps {
		if !killMarked(scope) {
			return
		}
		time.Sleep(time.Millisecond) // until they are gone
	}
}

// killMarked kills those that there are; false if there are none. The environment
// of processes of other users cannot be read: those are none of ours.
func killMarked(scope string) (found bool) {
	mark := []byte("\x00" + scopeVariable + "=" + scope)
	for _, pid := range processes() {
		env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
		if err != nil || !bytes.Contains(env, mark) && !bytes.HasPrefix(env, mark[1:]) || pid == os.Getpid() {
			continue
		}
		found = true
		if pgid, err := syscall.Getpgid(pid); err == nil && pgid == pid {
			killGroup(pgid)
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	return found
}

// processes lists the processes of this machine.
func processes() []int {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// limit bounds what a process, and each that it starts, may use. It is no error
// that a process has ended already.
func limit(pid int, l Limits) {
	set := func(resource int, n uint64) {
		_ = unix.Prlimit(pid, resource, &unix.Rlimit{Cur: n, Max: n}, nil)
	}
	set(unix.RLIMIT_CORE, 0)
	if l.Memory > 0 { // what a process has asked for and not used yet counts here too
		set(unix.RLIMIT_DATA, uint64(l.data()))
	}
	if l.Disk > 0 {
		set(unix.RLIMIT_FSIZE, uint64(l.Disk))
	}
	// A worker that the kernel is to spare for want of memory does not start others
	// that are spared too.
	const adjust = "/oom_score_adj"
	if b, err := os.ReadFile("/proc/self" + adjust); err == nil && bytes.HasPrefix(b, []byte("-")) {
		_ = os.WriteFile("/proc/"+strconv.Itoa(pid)+adjust, []byte("0"), 0)
	}
}

// largest is the most memory that a process which has ended had, bytes, resident.
func largest(state *os.ProcessState) int64 {
	if u, ok := state.SysUsage().(*syscall.Rusage); ok {
		return u.Maxrss << 10
	}
	return 0
}

// usage is what the processes of a group use.
type usage struct {
	processes int
	memory    int64 // bytes, resident
	cpu       time.Duration
}

// tick is the unit of processor time in /proc, whatever the kernel's own:
// https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html (USER_HZ).
const tick = time.Second / 100

// usages returns what is used, by group.
func usages() map[int]usage {
	all := map[int]usage{}
	page := int64(os.Getpagesize())
	for _, pid := range processes() {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			continue
		}
		i := bytes.LastIndexByte(stat, ')') // the name before it may hold anything
		fields := bytes.Fields(stat[i+1:])
		if len(fields) < 22 || fields[0][0] == 'Z' {
			continue
		}
		pgid, err := strconv.Atoi(string(fields[2]))
		if err != nil {
			continue
		}
		pages, err := strconv.ParseInt(string(fields[21]), 10, 64)
		if err != nil {
			continue
		}
		u := all[pgid]
		for _, field := range fields[11:15] { // utime, stime, and those of children that it waited for
			ticks, _ := strconv.ParseInt(string(field), 10, 64)
			u.cpu += time.Duration(ticks) * tick
		}
		u.processes++
		u.memory += pages * page
		all[pgid] = u
	}
	return all
}
