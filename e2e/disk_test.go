//go:build !interop

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A cramped process has little room in its scratch folder.
type cramped struct {
	*process
	scratch string // as the process sees it
	refusal string // what the system says when there is no more
}

// onSmallDisk starts mraws with a scratch folder that is a disk of 4 MiB: a
// tmpfs in a mount namespace of its own, for which an ordinary user needs a
// user namespace as well. Where nobody gets that, small files have to do.
func (b *fixture) onSmallDisk(args ...string) cramped {
	b.t.Helper()
	dir := b.smallFolder()
	flags := "-m"
	if os.Getuid() != 0 {
		flags = "-Urm"
	}
	if out, err := exec.Command("unshare", flags, "mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", dir).CombinedOutput(); err != nil {
		b.t.Logf("this user may not mount a small disk, so files are bounded: unshare %s: %v\n%s", flags, err, out)
		return b.withSmallFiles(args...)
	}
	line := `mount -t tmpfs -o size=4m tmpfs "$0" && exec "$@"`
	c := exec.Command("unshare", append([]string{flags, "sh", "-c", line, dir, b.bin}, append(args, "--scratch", dir)...)...)
	p := b.launch(c, args)
	return cramped{p, filepath.Join("/proc", strconv.Itoa(p.Process.Pid), "root", dir), "no space left on device"}
}

// withSmallFiles starts mraws with a limit of 4 MiB for any file: writes fail
// at it, as Go ignores the signal that comes with it.
func (b *fixture) withSmallFiles(args ...string) cramped {
	b.t.Helper()
	dir := b.smallFolder()
	return cramped{b.under("ulimit -f 8192", append(args, "--scratch", dir)...), dir, "file too large"}
}

func (b *fixture) smallFolder() string {
	b.t.Helper()
	dir, err := os.MkdirTemp(b.dir, "small-")
	if err != nil {
		b.t.Fatal(err)
	}
	return dir
}

// TestDiskFull is row 10: attempts on a worker whose disk is full fail and
// say so, of their files nothing stays, and another worker does the job: in
// map, where attempts spill, and in reduce, where they fetch.
func TestDiskFull(t *testing.T) {
	for name, start := range map[string]func(*fixture, ...string) cramped{
		"map": (*fixture).onSmallDisk, "reduce": (*fixture).onSmallDisk, "map, small files": (*fixture).withSmallFiles,
	} {
		phase, _, _ := strings.Cut(name, ",")
		t.Run(name, func(t *testing.T) {
			b := newHeavyFixture(t)
			b.env = append(b.env, "MRAWS_LEASE=10s") // nobody is gone while stopped
			var texts []string
			for i := range 8 {
				texts = append(texts, fmt.Sprintf("%d00000 %d80000\n", 2*i, 2*i+1)) // 18 MB of pairs
			}
			b.inputs(texts...)
			c, address := b.coordinator("--app", "hot", "--app-arg", "keys=1000", "--nreduce", "8")
			line := []string{"worker", "--coord", address, "--app", "hot", "--slots", "1", "--memory", "32MiB"}
			good := b.start(line...)
			b.until("the good worker has begun", func() bool { return b.commits() == 8 || phase == "map" && b.commits() > 0 })
			b.signal(good, syscall.SIGSTOP) // it shall leave something for the other
			full := start(b, line...)
			b.until("three tasks have failed", func() bool {
				return strings.Contains(c.errout.String(), "several tasks failed on it")
			})
			b.until("its files are gone", func() bool {
				left, err := os.ReadDir(full.scratch)
				open := slices.ContainsFunc(openFiles(full.Process.Pid), func(n string) bool { return strings.Contains(n, "/small-") })
				return err != nil || len(left) == 0 && !open // it may have ended
			})
			b.signal(good, syscall.SIGCONT)
			for _, p := range []*process{c, good, full.process} {
				if code := b.exit(p); code != 0 {
					t.Errorf("mraws %s: exit code %d", p.name, code)
				}
			}
			s := b.success()
			failed, others := s.Map.Failed, s.Reduce.Failed
			if phase == "reduce" {
				failed, others = others, failed
			}
			if failed != 3 || others != 0 {
				t.Errorf("map %+v, reduce %+v", s.Map, s.Reduce)
			}
			wants(t, c.errout.String(), "write scratch file in", full.refusal)
			b.run(0, "verify")
		})
	}
}

func (b *fixture) signal(p *process, s syscall.Signal) {
	b.t.Helper()
	if err := p.Process.Signal(s); err != nil {
		b.t.Fatal(err)
	}
}
