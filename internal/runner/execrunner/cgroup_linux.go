package execrunner

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// cgroups makes a control group for each process that a host starts, in which the
// kernel bounds the memory of it and of all that it starts together. The groups lie
// below the group of this process, so that every limit that was set on this process
// holds for what it starts. nil is none.
//
// In version 2 a group that has processes of its own cannot bound those below it.
// So this process moves into a group below its own one, and does so only if it is
// alone there.
type cgroups struct {
	v2     bool
	prefix string // path of all that is made, up to what comes after the scope
	limits Limits
}

// cgroup is the control group of a process. nil is none.
type cgroup struct {
	v2    bool
	path  string
	dir   *os.File // of version 2; nil in version 1
	limit int64    // bytes of memory
}

// findCgroups looks for control groups that this process may make, and has made one
// to see that it can. The error says why there are none.
func findCgroups(scope string, l Limits) (*cgroups, error) {
	v2, err2 := findCgroups2(scope, l)
	if err2 == nil {
		return v2, nil
	}
	v1, err1 := findCgroups1(scope, l)
	if err1 == nil {
		return v1, nil
	}
	return nil, errors.Join(err2, err1)
}

// findCgroups1 is for version 1, where any group may have processes.
func findCgroups1(scope string, l Limits) (*cgroups, error) {
	own, err := ownCgroup(false)
	if err != nil {
		return nil, err
	}
	if b, err := os.ReadFile(filepath.Join(own, "memory.use_hierarchy")); err == nil && string(bytes.TrimSpace(b)) != "1" {
		return nil, errors.New("cgroup v1: memory.use_hierarchy is 0, so limits of this process would not hold for what it starts")
	}
	c := &cgroups{prefix: filepath.Join(own, "mraws-"+scope), limits: l}
	if err := c.try(); err != nil {
		return nil, fmt.Errorf("cgroup v1: %w", err)
	}
	return c, nil
}

// findCgroups2 is for version 2.
func findCgroups2(scope string, l Limits) (*cgroups, error) {
	own, err := ownCgroup(true)
	if err != nil {
		return nil, err
	}
	c := &cgroups{v2: true, prefix: filepath.Join(own, "mraws-"+scope), limits: l}
	if err := c.enable(own); err != nil {
		return nil, fmt.Errorf("cgroup v2: %w", err)
	}
	if err := c.try(); err != nil {
		c.close()
		return nil, fmt.Errorf("cgroup v2: %w", err)
	}
	return c, nil
}

// enable lets groups below own bound memory.
func (c *cgroups) enable(own string) error {
	if !has(own, "cgroup.controllers", "memory") {
		return errors.New("it does not bound memory here")
	}
	if !startsInto() {
		return errors.New("this kernel cannot start a process in a control group, or is not allowed to")
	}
	kind, err := os.ReadFile(filepath.Join(own, "cgroup.type"))
	switch {
	case errors.Is(err, fs.ErrNotExist): // the root: it may have processes, and is not ours to change
		if !has(own, "cgroup.subtree_control", "memory") {
			return errors.New("this process is in the root group, below which memory is not bounded")
		}
		return nil
	case err != nil:
		return err
	case string(bytes.TrimSpace(kind)) != "domain":
		return fmt.Errorf("the control group of this process is of type %q", bytes.TrimSpace(kind))
	case !slices.Equal(members(own), []int{os.Getpid()}):
		return errors.New("there are other processes in the control group of this one")
	case ofSystemd(own):
		return errors.New("systemd has not delegated the control group of this process (Delegate=yes)")
	}
	self := c.self()
	if err := os.Mkdir(self, 0o755); err != nil {
		return err
	}
	if err = write(self, "cgroup.procs", "0"); err == nil {
		if err = write(own, "cgroup.subtree_control", "+memory"); err == nil {
			_ = write(own, "cgroup.subtree_control", "+pids") // a bound more, where it can be had
			return nil
		}
	}
	c.close()
	return err
}

// ofSystemd says whether systemd has made a group, and has not delegated it. The
// manager of the system marks both, since version 251 also for other users than
// root. That of a user marks nothing, so it is asked. It would end a unit that is not
// delegated when the kernel kills in a group below it.
func ofSystemd(path string) bool {
	marked := func(name string) bool {
		for _, space := range []string{"user.", "trusted."} {
			if n, err := unix.Getxattr(path, space+name, nil); err == nil && n > 0 {
				return true
			}
		}
		return false
	}
	unit := userUnit(path)
	if unit == "" {
		return marked("invocation_id") && !marked("delegate")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	delegate, err := exec.CommandContext(ctx, "systemctl", "--user", "show", "--property=Delegate", "--value", "--", unit).Output()
	return err != nil || string(bytes.TrimSpace(delegate)) != "yes"
}

// userUnit is the unit of the manager of a user whose group that is, or "".
func userUnit(path string) string {
	unit := filepath.Base(path)
	if !strings.Contains(filepath.Dir(path)+"/", "/user@") || !strings.HasSuffix(unit, ".service") && !strings.HasSuffix(unit, ".scope") {
		return ""
	}
	return unit
}

// startsInto says whether processes can be started in a control group of version 2.
// It asks for a process in a way that is an error wherever it is known.
func startsInto() bool {
	args := [11]uint64{0: unix.CLONE_INTO_CGROUP, 10: ^uint64(0)} // flags and control group: see clone(2)
	_, _, errno := unix.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&args)), unsafe.Sizeof(args), 0)
	return errno == unix.EINVAL
}

// self is the group that this process moves into in version 2.
func (c *cgroups) self() string { return c.prefix + "-self" }

// kind is what bounds memory, for people.
func (c *cgroups) kind() string {
	switch {
	case c == nil:
		return "rlimit"
	case c.v2:
		return "cgroup v2"
	}
	return "cgroup v1"
}

// at is the beginning of the paths of all groups; "" for none.
func (c *cgroups) at() string {
	if c == nil {
		return ""
	}
	return c.prefix
}

// try makes a group and removes it.
func (c *cgroups) try() error {
	g, err := c.add("0")
	if err != nil {
		return err
	}
	return g.close()
}

// add makes a group.
func (c *cgroups) add(name string) (g *cgroup, err error) {
	if c == nil {
		return nil, nil
	}
	g = &cgroup{v2: c.v2, path: c.prefix + "-" + name, limit: c.limits.Memory}
	if err := os.Mkdir(g.path, 0o755); err != nil {
		return nil, err
	}
	if err := g.bound(c.limits); err != nil {
		return nil, errors.Join(err, g.close())
	}
	return g, nil
}

// threadsEach is how many threads a process may have on average before one more
// cannot be started. What counts processes kills the attempt long before.
const threadsEach = 8

// bound sets the limits of the group.
func (g *cgroup) bound(l Limits) error {
	memory := strconv.FormatInt(l.Memory, 10)
	// optional is for files that not every kernel has.
	optional := func(name, value string) error {
		if err := write(g.path, name, value); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if !g.v2 {
		return cmp.Or(write(g.path, "memory.limit_in_bytes", memory), optional("memory.memsw.limit_in_bytes", memory),
			optional("memory.swappiness", "0"), g.killsAtLimit())
	}
	err := cmp.Or(write(g.path, "memory.max", memory), optional("memory.swap.max", "0"), optional("memory.oom.group", "1"))
	if err == nil && l.Processes > 0 {
		err = optional("pids.max", strconv.Itoa(threadsEach*l.Processes))
	}
	if err == nil {
		g.dir, err = os.Open(g.path)
	}
	return err
}

// killsAtLimit sees to it that processes of a group of version 1 are killed at the
// limit: a group may have inherited that they wait.
func (g *cgroup) killsAtLimit() error {
	if count(g.path, "memory.oom_control", "oom_kill_disable") == 0 {
		return nil
	}
	return write(g.path, "memory.oom_control", "0")
}

// start starts a command in the group, by the thread that the caller has locked,
// which is not the main one.
func (g *cgroup) start(cmd *exec.Cmd) error {
	switch {
	case g == nil:
		return cmd.Start()
	case g.v2:
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(g.dir.Fd())
		return cmd.Start()
	}
	// A process is born into the group of the thread that starts it. This thread
	// enters the group alone; the memory of the worker stays where it is, with the
	// main thread.
	if err := write(g.path, "tasks", "0"); err != nil {
		return fmt.Errorf("enter the control group of the process: %w", err)
	}
	err := cmd.Start()
	if write(filepath.Dir(g.path), "tasks", "0") != nil {
		runtime.LockOSThread() // once more than it is unlocked: the thread ends with its goroutine
	}
	return err
}

// killed returns an error if the kernel has killed a process of the group, since
// there was no more memory.
func (g *cgroup) killed() error {
	if g == nil {
		return nil
	}
	kills, limit := count(g.path, "memory.oom_control", "oom_kill"), false
	if g.v2 {
		kills, limit = count(g.path, "memory.events", "oom_kill"), count(g.path, "memory.events", "oom") > 0
	} else {
		limit = count(g.path, "memory.max_usage_in_bytes", "") > g.limit-g.limit/16 // what did not fit into the rest is not counted
	}
	switch {
	case kills == 0:
		return nil
	case limit:
		return fmt.Errorf("killed: its processes used more than %d bytes of memory (exec-memory)", g.limit)
	}
	return fmt.Errorf("killed: the machine, or the control group of the worker, had no more memory; its processes may use %d bytes", g.limit)
}

// usage is what is used in the group, of memory without the pages of files, which
// give way.
func (g *cgroup) usage() usage {
	if g == nil {
		return usage{}
	}
	anon := "rss"
	if g.v2 {
		anon = "anon"
	}
	return usage{processes: len(members(g.path)), memory: count(g.path, "memory.stat", anon) + count(g.path, "memory.stat", "shmem")}
}

// close kills what is in the group and removes it.
func (g *cgroup) close() error {
	if g == nil {
		return nil
	}
	if g.dir != nil {
		_ = g.dir.Close()
	}
	return removeCgroup(g.path)
}

// close removes all groups, and moves this process back to where it was.
func (c *cgroups) close() {
	if c != nil {
		removeCgroups(c.prefix)
	}
}

// removeCgroups kills what is in the groups whose paths begin with prefix, and
// removes them, for the process that has made them or its guard.
func removeCgroups(prefix string) {
	own := filepath.Dir(prefix)
	entries, _ := os.ReadDir(own)
	for _, e := range entries {
		path := filepath.Join(own, e.Name())
		if !e.IsDir() || !strings.HasPrefix(path, prefix+"-") {
			continue
		}
		if path == prefix+"-self" { // in version 2 nobody may be in own while it is set
			_ = write(own, "cgroup.subtree_control", "-pids")
			_ = write(own, "cgroup.subtree_control", "-memory")
			if slices.Contains(members(path), os.Getpid()) {
				_ = write(own, "cgroup.procs", "0")
			}
			_ = os.Remove(path) // unless others are in it, whom this process has started
			continue
		}
		_ = removeCgroup(path)
	}
}

// removeCgroup kills what is in a group and those below it, and removes them. It
// gives up after patience: a process that hangs in the kernel cannot be killed.
func removeCgroup(path string) (err error) {
	for wait, until := time.Millisecond, time.Now().Add(patience); ; wait = min(2*wait, 50*time.Millisecond) {
		if err = os.Remove(path); err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if time.Now().After(until) {
			return err
		}
		killMembers(path)
		entries, _ := os.ReadDir(path)
		for _, e := range entries { // that a process of the group has made
			if e.IsDir() {
				_ = removeCgroup(filepath.Join(path, e.Name()))
			}
		}
		time.Sleep(wait) // until they are gone
	}
}

// killMembers kills the processes of a group. It spares a worker of which a thread
// is in it.
func killMembers(path string) {
	if write(path, "cgroup.kill", "1") == nil {
		return
	}
	for _, pid := range members(path) {
		if pid > 1 && pid != os.Getpid() && pid != os.Getppid() {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// members are the processes of a group.
func members(path string) (pids []int) {
	b, _ := os.ReadFile(filepath.Join(path, "cgroup.procs"))
	for _, f := range bytes.Fields(b) {
		if pid, err := strconv.Atoi(string(f)); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// count is the number behind a name in a file of a group, or, without a name, the
// only one; 0 if there is none.
func count(path, file, name string) int64 {
	b, _ := os.ReadFile(filepath.Join(path, file))
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) == 1 && name == "" || len(f) == 2 && f[0] == name {
			n, _ := strconv.ParseInt(f[len(f)-1], 10, 64)
			return n
		}
	}
	return 0
}

// has says whether a file of a group lists a word.
func has(path, file, word string) bool {
	b, _ := os.ReadFile(filepath.Join(path, file))
	return slices.Contains(strings.Fields(string(b)), word)
}

// write writes to a file of a group. It makes none.
func write(path, file, value string) error {
	f, err := os.OpenFile(filepath.Join(path, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

// ownCgroup is the folder of the group that bounds the memory of this process.
func ownCgroup(v2 bool) (string, error) {
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	path := cgroupPath(string(groups), string(mounts), v2)
	if path == "" && v2 {
		return "", errors.New("cgroup v2: it is not mounted here")
	}
	if path == "" {
		return "", errors.New("cgroup v1: no hierarchy that bounds memory is mounted here")
	}
	return path, nil
}

// cgroupPath is the folder of a group, by the files /proc/self/cgroup and
// /proc/self/mountinfo; "" if there is none. See cgroups(7) and proc(5).
func cgroupPath(groups, mounts string, v2 bool) string {
	name, fstype := "memory", "cgroup"
	if v2 {
		name, fstype = "", "cgroup2"
	}
	group := ""
	for line := range strings.Lines(groups) { // number:controllers:path
		if f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3); len(f) == 3 && slices.Contains(strings.Split(f[1], ","), name) {
			group = f[2]
		}
	}
	if group == "" || strings.Contains(group+"/", "/../") { // it lies outside of what this process sees
		return ""
	}
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.Lines(mounts) { // … root, where, options … - type, source, options
		before, after, _ := strings.Cut(line, " - ")
		f, of := strings.Fields(before), strings.Fields(after)
		if len(f) < 6 || len(of) < 3 || of[0] != fstype || !v2 && !slices.Contains(strings.Split(of[2], ","), name) {
			continue
		}
		root := strings.TrimSuffix(unescape.Replace(f[3]), "/")
		if below, ok := strings.CutPrefix(group, root); ok && (below == "" || below[0] == '/') {
			return filepath.Join(unescape.Replace(f[4]), below)
		}
	}
	return ""
}

// ownThread runs f in a goroutine that has a thread for itself, which is not the
// main one: the control group of that is the one that the memory of this process is
// counted in, and it ends only with the process.
func ownThread(f func()) {
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if unix.Gettid() != os.Getpid() {
			f()
			return
		}
		locked := make(chan struct{})
		go func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			close(locked)
			f()
		}()
		<-locked // until then the main thread is taken
	}()
}
