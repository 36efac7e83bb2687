package execrunner

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestCgroupPath: the folder of a group is found where its hierarchy is mounted,
// also if only a part of it is.
func TestCgroupPath(t *testing.T) {
	const v1 = "9:name=systemd:/s\n4:cpu,memory:/a/b\n0::/u v\n"
	mount := func(root, at, options, end string) string {
		return "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n35 31 0:32 " + root + " " + at + " " + options + " - " + end + "\n"
	}
	for name, tt := range map[string]struct {
		groups, mounts string
		v2             bool
		want           string
	}{
		"version 1":                   {v1, mount("/", "/sys/m", "rw,relatime shared:9", "cgroup cgroup rw,cpu,memory"), false, "/sys/m/a/b"},
		"version 1 in a container":    {v1, mount("/a", "/sys/m", "rw", "cgroup cgroup rw,memory"), false, "/sys/m/b"},
		"its own group is mounted":    {v1, mount("/a/b", "/sys/m", "rw", "cgroup cgroup rw,memory"), false, "/sys/m"},
		"another group is mounted":    {v1, mount("/a/bc", "/sys/m", "rw", "cgroup cgroup rw,memory"), false, ""},
		"the beginning of its name":   {v1, mount("/a/", "/sys/m", "rw", "cgroup cgroup rw,memory"), false, "/sys/m/b"},
		"half of its name":            {"4:memory:/ab\n", mount("/a", "/sys/m", "rw", "cgroup cgroup rw,memory"), false, ""},
		"other controllers":           {v1, mount("/", "/sys/m", "rw", "cgroup cgroup rw,memoryless"), false, ""},
		"version 2":                   {v1, mount("/", `/sys/my\040groups`, "rw shared:9 master:1", "cgroup2 cgroup2 rw"), true, "/sys/my groups/u v"},
		"version 2 in a namespace":    {"0::/\n", mount("/", "/sys/fs/cgroup", "rw", "cgroup2 cgroup rw"), true, "/sys/fs/cgroup"},
		"a group outside of it":       {"0::/../other\n", mount("/", "/sys/fs/cgroup", "rw", "cgroup2 cgroup rw"), true, ""},
		"no version 2":                {"4:memory:/a\n", mount("/", "/sys/m", "rw", "cgroup2 cgroup2 rw"), true, ""},
		"not mounted":                 {v1, mount("/", "/sys/m", "rw", "cgroup2 cgroup2 rw"), false, ""},
		"nothing that can be made of": {"", "\n - \n", true, ""},
	} {
		if got := cgroupPath(tt.groups, tt.mounts, tt.v2); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// TestCgroupUserUnit: the units of the manager of a user lie below that.
func TestCgroupUserUnit(t *testing.T) {
	const user = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service"
	for path, want := range map[string]string{
		user + "/app.slice/run-u0.scope":                 "run-u0.scope",
		user + "/app.slice/app-a.slice/mraws.service":    "mraws.service",
		user + "/app.slice/run-u0.scope/group":           "",
		user:                                             "",
		"/sys/fs/cgroup/system.slice/mraws.service":      "",
		"/sys/fs/cgroup/user.slice/user-1.slice/1.scope": "",
	} {
		if got := userUnit(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// someCgroups are groups that a test makes; it is skipped where none can be made.
func someCgroups(t *testing.T) *cgroups {
	t.Helper()
	c, err := findCgroups(newScope(), Limits{Memory: 1 << 30})
	if err != nil {
		t.Skipf("no control group can be made here: %v", err)
	}
	t.Cleanup(c.close)
	return c
}

// leftOf lists the groups that there are yet.
func leftOf(t *testing.T, c *cgroups) (left []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(c.prefix))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), filepath.Base(c.prefix)) {
			left = append(left, e.Name())
		}
	}
	return left
}

// TestCgroup: an attempt whose processes use more memory than they may fails with
// the reason, whichever of them it is and whatever the others make of its end, and
// no process and no group is left.
func TestCgroup(t *testing.T) {
	someCgroups(t).close()
	const used = "killed: its processes used more than 67108864 bytes of memory (exec-memory)"
	for name, tt := range map[string]struct {
		mapper, want string
	}{
		"one process":           {bomb, used},
		"a shell that goes on":  {`sh -c 'eval "$BOMB"; echo "k	v"; exit 0'`, used},
		"a shell that fails":    {`sh -c 'eval "$BOMB" | cat; exit 7'`, used},
		"many processes":        {`sh -c 'for i in 1 2 3 4 5 6; do sh -c "$SMALL" & done; wait'`, used},
		"out of sight":          {`sh -c 'env -i PATH="$PATH" setsid sh -c "$BOMB" & wait; sleep 1000'`, used},
		"less than it may":      {`awk 'BEGIN { s = "0123456789abcdef"; while (length(s) < 16000000) s = s s } { print }'`, ""},
		"one that hides itself": {`sh -c 'env -i PATH="$PATH" setsid sleep 1000 <&- >/dev/null 2>&1 & echo "pid	$!"; cat'`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, tt.mapper, "cat")
			b.host.o.Limits = Limits{Memory: 64 << 20, Processes: 100}
			b.exec.Env = map[string]string{"BOMB": bomb, "SMALL": small}
			if err := b.host.open(); err != nil || b.host.cgroups == nil {
				t.Fatalf("the host has no groups: %v", err)
			}
			got, err := b.mapAll(true, object{"a", "x\n"})
			switch exit := (*ExitError)(nil); {
			case tt.want == "" && err != nil:
				t.Fatal(err)
			case tt.want != "" && (!errors.As(err, &exit) || exit.How != tt.want):
				t.Errorf("%v, want %s", err, tt.want)
			case tt.want == "" && strings.HasPrefix(got[0], "pid|"):
				gone(t, pid(t, got))
			}
			for _, name := range leftOf(t, b.host.cgroups) {
				if !strings.HasSuffix(name, "-self") {
					t.Errorf("group %s is left", name)
				}
			}
			if err := b.host.Close(); err != nil {
				t.Error(err)
			}
			if left := leftOf(t, b.host.cgroups); len(left) > 0 {
				t.Errorf("groups %s are left by the host", left)
			}
		})
	}
}

// begin starts a command in a group, and kills it at the end of the test.
func (g *cgroup) begin(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command(args[0], args[1:]...)
	c.SysProcAttr = new(syscall.SysProcAttr)
	started := make(chan error)
	ownThread(func() { started <- g.start(c) })
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	return c
}

// TestCgroupThread: the thread that starts a process in a group is none of it
// afterwards, and the processes that it starts later are not either.
func TestCgroupThread(t *testing.T) {
	c := someCgroups(t)
	g, err := c.add("1")
	if err != nil {
		t.Fatal(err)
	}
	in := func() string {
		b, err := os.ReadFile("/proc/thread-self/cgroup")
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	before, own := in(), make(chan [2]string)
	for range 20 { // the first may get the main thread
		ownThread(func() {
			if unix.Gettid() == os.Getpid() {
				t.Error("it is the main thread")
			}
			cmd := exec.Command("cat", "/proc/self/cgroup")
			cmd.SysProcAttr = new(syscall.SysProcAttr)
			var out bytes.Buffer
			cmd.Stdout = &out
			if err := cmd.Run(); err != nil {
				t.Error(err)
			}
			own <- [2]string{in(), out.String()}
		})
		if got := <-own; got[0] != before || got[1] != before {
			t.Fatalf("thread and process are in %q, want %q", got, before)
		}
		if got := g.begin(t, "sleep", "1000"); !slices.Contains(members(g.path), got.Process.Pid) || slices.Contains(members(g.path), os.Getpid()) {
			t.Fatalf("in the group are %v, want %d", members(g.path), got.Process.Pid)
		}
	}
	if err := g.close(); err != nil {
		t.Error(err)
	}
}

// TestCgroupBelow: a group is removed with those that its processes have made below
// it, and all that is in them.
func TestCgroupBelow(t *testing.T) {
	c := someCgroups(t)
	g, err := c.add("1")
	if err != nil {
		t.Fatal(err)
	}
	below := filepath.Join(g.path, "below")
	p := g.begin(t, "sh", "-c", `mkdir -p "$1/deeper" && echo $$ > "$1/deeper/cgroup.procs" && exec sleep 1000`, "sh", below)
	for until := time.Now().Add(20 * time.Second); len(members(filepath.Join(below, "deeper"))) == 0; {
		if time.Now().After(until) {
			t.Fatal("the process has not moved")
		}
	}
	if err := g.close(); err != nil {
		t.Error(err)
	}
	gone(t, p.Process.Pid)
	if left := leftOf(t, c); slices.Contains(left, filepath.Base(g.path)) {
		t.Errorf("groups %s are left", left)
	}
}

// around is a new group with a host alone in it, which is what version 2 wants.
type around struct {
	t     *testing.T
	of    *cgroups
	group *cgroup
	dir   string
}

func newAround(t *testing.T) *around {
	t.Helper()
	a := &around{t: t, of: someCgroups(t), dir: t.TempDir()}
	a.of.limits.Memory = 256 << 20
	var err error
	if a.group, err = a.of.add("1"); err != nil {
		t.Fatal(err)
	}
	if a.of.v2 { // a limit of the worker kills one of its processes, not all
		if err := write(a.group.path, "memory.oom.group", "0"); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

// host starts a host that runs one attempt.
func (a *around) host(mapper string) *exec.Cmd {
	a.t.Helper()
	self, err := os.Executable()
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Setenv(hostVariable, filepath.Join(a.dir, "result"))
	a.t.Setenv(mapperVariable, mapper)
	return a.group.begin(a.t, self)
}

// result is what a host says of an attempt that ends.
func (a *around) result(mapper string) string {
	a.t.Helper()
	if err := a.host(mapper).Wait(); err != nil {
		a.t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(a.dir, "result"))
	if err != nil {
		a.t.Fatal(err)
	}
	a.empty()
	return string(b)
}

// empty waits until no group is left in it.
func (a *around) empty() {
	a.t.Helper()
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); {
		if left, err := os.ReadDir(a.group.path); err == nil && !slices.ContainsFunc(left, fs.DirEntry.IsDir) {
			return
		}
	}
	a.t.Error("groups of the host are left")
}

// TestCgroupOfKilledHost: when a host is killed with SIGKILL, its guard kills what
// is in its groups, also what it cannot find in any other way, and removes them.
func TestCgroupOfKilledHost(t *testing.T) {
	a := newAround(t)
	host := a.host(`sh -c 'env -i PATH="$PATH" setsid sleep 1000 & echo $! $$ > "$DIR/new"; cat /proc/self/cgroup >> "$DIR/new"; mv "$DIR/new" "$DIR/out"; sleep 1000'`)
	var out []byte
	for until := time.Now().Add(30 * time.Second); len(out) == 0; out, _ = os.ReadFile(filepath.Join(a.dir, "out")) {
		if time.Now().After(until) {
			t.Fatal("the host has not started its mapper")
		}
	}
	pids, groups, _ := strings.Cut(string(out), "\n")
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if path := cgroupPath(groups, string(mounts), a.of.v2); filepath.Dir(path) != a.group.path {
		t.Fatalf("the mapper is in %s, want a group below %s", path, a.group.path)
	}
	_ = host.Process.Kill()
	for _, f := range strings.Fields(pids) {
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		gone(t, n)
	}
	a.empty()
}

// TestCgroupAbove: a limit that was set on the worker holds for its executables, and
// the error says that it was not theirs.
func TestCgroupAbove(t *testing.T) {
	got := newAround(t).result(bomb)
	if !strings.Contains(got, "killed: the machine, or the control group of the worker, had no more memory; its processes may use 1073741824 bytes") {
		t.Error(got)
	}
}

// TestCgroupRefused: in version 2 groups are made where this process is alone and
// nobody else manages its group, and nowhere else.
func TestCgroupRefused(t *testing.T) {
	a := newAround(t)
	if !a.of.v2 {
		t.Skip("the hierarchy that bounds memory here is of version 1, which has no such rules")
	}
	expect := func(name, want string) {
		t.Helper()
		if got := a.result("cat"); !strings.Contains(got, want) || !strings.HasSuffix(got, "attempt: <nil>, close: <nil>") {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		if has(a.group.path, "cgroup.subtree_control", "memory") {
			t.Errorf("%s: the group around is not as it was", name)
		}
	}
	mark := func(name, value string) {
		if err := unix.Setxattr(a.group.path, name, []byte(value), 0); err != nil {
			t.Fatal(err)
		}
	}
	expect("alone", "bounded by: cgroup v2")
	mark("user.invocation_id", "0123456789abcdef0123456789abcdef")
	expect("of systemd", "systemd has not delegated")
	mark("user.delegate", "1")
	expect("delegated", "bounded by: cgroup v2")
	a.group.begin(t, "sleep", "1000")
	expect("not alone", "there are other processes")
}
