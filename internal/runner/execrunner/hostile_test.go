package execrunner

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/manifest"
)

// gone waits until there is no process with that id, or only what is left of it
// for its parent.
func gone(t *testing.T, pid int) {
	t.Helper()
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
	}
	t.Errorf("process %d is still there", pid)
}

// pid reads the id of a process from a pair "pid|<n>".
func pid(t *testing.T, pairs []string) int {
	t.Helper()
	if len(pairs) == 0 {
		t.Fatal("no pairs")
	}
	n, err := strconv.Atoi(strings.TrimPrefix(pairs[0], "pid|"))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestLeftBehind: what an executable leaves behind is killed when it has ended,
// also if it has left the process group, and what it wrote before counts.
func TestLeftBehind(t *testing.T) {
	for name, mapper := range map[string]string{
		"in the group":     `sh -c 'sleep 1000 & echo "pid	$!"; cat'`,
		"in another one":   `sh -c 'setsid sleep 1000 & echo "pid	$!"; cat'`,
		"ignoring signals": `sh -c '(trap "" TERM HUP INT; sleep 1000; sleep 1000) & echo "pid	$!"; cat'`,
	} {
		t.Run(name, func(t *testing.T) {
			got, err := newBench(t, mapper, "cat").mapAll(true, object{"a", "x\n"})
			if err != nil || len(got) != 2 || got[1] != "x|" {
				t.Fatalf("%q, %v", got, err)
			}
			gone(t, pid(t, got))
		})
	}
}

// TestHostile: executables that do what they must not fail with the reason.
func TestHostile(t *testing.T) {
	much := strings.Repeat("line\n", 1000)
	for _, tt := range []struct {
		name, mapper, want string
		limits             Limits
	}{
		{"much memory", `awk 'BEGIN { s = "0123456789abcdef"; while (1) s = s s }'`, "", Limits{Memory: 64 << 20}},
		{"many processes", `sh -c 'while :; do sleep 1000 & done'`, "more than 20", Limits{Processes: 20}},
		{"a large file", `sh -c 'cat /dev/zero > file; exit $?'`, "exit code|its files have more than 4194304 bytes", Limits{Disk: 4 << 20}},
		{"many files", `sh -c 'i=0; while :; do head -c 1000000 /dev/zero > $i; i=$((i+1)); done'`, "killed: its files have more than 4194304 bytes", Limits{Disk: 4 << 20}},
		{"much output", `sh -c 'while :; do echo line; done'`, "it has written more than 1000000 bytes to its output", Limits{Output: 1_000_000}},
		{"a line without end", `cat /dev/zero`, "a line of more than 67108864 bytes", Limits{}},
		{"output closed", `sh -c 'exec >&-; cat >/dev/null; exit 5'`, "exit code 5", Limits{}},
		{"input closed", `sh -c 'exec <&-; exit 6'`, "exit code 6", Limits{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, tt.mapper, "cat")
			b.host.o.Limits = tt.limits
			_, err := b.mapAll(true, object{"a", much})
			if err == nil || !regexp.MustCompile(tt.want).MatchString(err.Error()) {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
	}
}

// TestMemory: what the processes of an attempt use together is bounded, with control
// groups and without, also where a mapper and its combiner run at the same time.
func TestMemory(t *testing.T) {
	const large = `awk 'BEGIN { s = "0123456789abcdef"; while (length(s) < 16000000) s = s s; a = s "a"; b = s "b"; t = substr(s, 1, 1000); for (i = 0; i < 9000; i++) print i "\t" t; fflush(); system("sleep 1000"); print a b }'`
	for _, grouped := range []bool{true, false} {
		for _, tt := range []struct{ name, mapper, combiner, want string }{
			{"one process", bomb, "", `bytes of memory.* \(exec-memory\)`},
			{"many processes", `sh -c 'for i in 1 2 3 4 5 6 7 8; do sh -c "$SMALL" & done; wait'`, "", `^killed: its processes use(d more than)? \d+ bytes of memory`},
			{"two commands", large, large, `^killed: its processes use \d+ bytes of memory, more than 94371840 \(exec-memory\)$`},
		} {
			t.Run(fmt.Sprintf("%s %v", tt.name, grouped), func(t *testing.T) {
				b := newBench(t, tt.mapper, "cat")
				b.host.o.Limits = Limits{Memory: 90 << 20}
				b.exec.Combiner, b.exec.Env = tt.combiner, map[string]string{"SMALL": small}
				if err := b.host.open(); err != nil {
					t.Fatal(err)
				}
				if !grouped {
					b.host.cgroups.close()
					b.host.cgroups = nil
				} else if b.host.cgroups == nil {
					t.Skip("no control group can be made here")
				}
				var exit *ExitError
				if _, err := b.mapAll(true, object{"a", "x\n"}); !errors.As(err, &exit) || !regexp.MustCompile(tt.want).MatchString(exit.How) {
					t.Errorf("%v, want %s", err, tt.want)
				}
			})
		}
	}
}

// TestGuard: when a host is killed, its guard kills the processes of the host, also
// those that have left their group, and removes its directory.
func TestGuard(t *testing.T) {
	start := func() (pid int, stop func()) {
		c := exec.Command("sleep", "1000")
		c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		return c.Process.Pid, func() { _ = c.Process.Kill(); _ = c.Wait() }
	}
	scope := newScope()
	marked := exec.Command("setsid", "sleep", "1000")
	marked.Env = append(os.Environ(), scopeVariable+"="+scope+"-1.")
	if err := marked.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = marked.Process.Kill(); _ = marked.Wait() }()
	group, stopGroup := start()
	defer stopGroup()
	other, stopOther := start()
	defer stopOther()
	dir := filepath.Join(t.TempDir(), "host")
	if err := os.MkdirAll(filepath.Join(dir, "attempt-1"), 0o700); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(guardVariable, "1")
	g, err := startGuard([]string{self}, scope, dir, "")
	if err != nil {
		t.Fatal(err)
	}
	g.add(group)
	g.add(other)
	g.remove(other)
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	gone(t, group)
	gone(t, marked.Process.Pid)
	if _, err := os.Stat(dir); err == nil {
		t.Error("the directory is still there")
	}
	if err := syscall.Kill(other, 0); err != nil {
		t.Errorf("a process that had ended for the host: %v", err)
	}
}

// archived is an archive of one kind.
func archived(t *testing.T, kind string, names map[string]string, link [2]string) string {
	t.Helper()
	var b bytes.Buffer
	check := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if kind == manifest.Zip {
		z := zip.NewWriter(&b)
		for name, text := range names {
			h := &zip.FileHeader{Name: name}
			h.SetMode(0o755)
			w, err := z.CreateHeader(h)
			check(err)
			_, err = io.WriteString(w, text)
			check(err)
		}
		check(z.Close())
		return b.String()
	}
	var out io.Writer = &b
	gz := gzip.NewWriter(&b)
	if kind == manifest.TarGz {
		out = gz
	}
	w := tar.NewWriter(out)
	if link[0] != "" {
		check(w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: link[0], Linkname: link[1]}))
	}
	for name, text := range names {
		check(w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o755, Size: int64(len(text))}))
		_, err := io.WriteString(w, text)
		check(err)
	}
	check(w.Close())
	if kind == manifest.TarGz {
		check(gz.Close())
	}
	return b.String()
}

// TestArchives: archives are unpacked into a folder of their name, and write
// nowhere else.
func TestArchives(t *testing.T) {
	for _, kind := range []string{manifest.Tar, manifest.TarGz, manifest.Zip} {
		b := newBench(t, "lib/bin/run.sh", "cat")
		f := b.host.o.Store.(code).add("lib", archived(t, kind, map[string]string{"bin/run.sh": "#!/bin/sh\ncat; cat lib/data\n", "data": "more\n"}, [2]string{}))
		f.Archive = kind
		b.exec.Files = []manifest.CodeFile{f}
		for range 2 {
			got, err := b.mapAll(true, object{"a", "x\n"})
			want(t, got, err, "x|", "more|")
		}
	}
	outside := filepath.Join(t.TempDir(), "outside")
	for name, a := range map[string]string{
		"above":      archived(t, manifest.Tar, map[string]string{"../../above": "x"}, [2]string{}),
		"absolute":   archived(t, manifest.Tar, map[string]string{outside: "x"}, [2]string{}),
		"by a link":  archived(t, manifest.Tar, map[string]string{"link/file": "x"}, [2]string{"link", filepath.Dir(outside)}),
		"no archive": "text",
	} {
		b := newBench(t, "cat", "cat")
		f := b.host.o.Store.(code).add("lib", a)
		f.Archive = manifest.Tar
		b.exec.Files = []manifest.CodeFile{f}
		if _, err := b.mapAll(true, object{"a", "x\n"}); err == nil || !strings.Contains(err.Error(), "unpack lib") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(outside); err == nil {
		t.Error("an archive has written outside of its folder")
	}
	b := newBench(t, "cat", "cat")
	f := b.host.o.Store.(code).add("lib", archived(t, manifest.TarGz, map[string]string{"zeros": strings.Repeat("\x00", 2<<20)}, [2]string{}))
	f.Archive, b.host.o.Limits.Disk = manifest.TarGz, 1<<20
	b.exec.Files = []manifest.CodeFile{f}
	if _, err := b.mapAll(true, object{"a", "x\n"}); err == nil || !strings.Contains(err.Error(), "more bytes than executables may use") {
		t.Errorf("a bomb: %v", err)
	}
}
