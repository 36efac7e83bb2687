package execrunner

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// A guard is a process that outlives a host which is killed: it kills the
// processes that the host has started, and removes its directory and its control
// groups. It reads lines
// from its standard input, and the end of that is the end of the host.

// guard is what the host has of it. A nil guard does nothing.
type guard struct {
	cmd *exec.Cmd
	mu  sync.Mutex
	in  io.WriteCloser
}

// startGuard starts the guard with that command line, nil for none. groups is the
// beginning of the paths of control groups, "" for none.
func startGuard(line []string, scope, dir, groups string) (*guard, error) {
	if len(line) == 0 {
		return nil, nil
	}
	g := &guard{cmd: exec.Command(line[0], line[1:]...)}
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C is for the host
	in, err := g.cmd.StdinPipe()
	if err == nil {
		g.in, err = in, g.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start the guard of executables: %w", err)
	}
	g.say("scope " + scope)
	g.say("dir " + dir)
	if groups != "" {
		g.say("cgroups " + groups)
	}
	return g, nil
}

func (g *guard) say(line string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, _ = io.WriteString(g.in, line+"\n") // a guard that is gone guards nothing
}

// add tells of a process group, and remove that it has ended.
func (g *guard) add(pgid int) {
	if g != nil {
		g.say("+" + strconv.Itoa(pgid))
	}
}

func (g *guard) remove(pgid int) {
	if g != nil {
		g.say("-" + strconv.Itoa(pgid))
	}
}

// Close ends the guard. It removes what is left.
func (g *guard) Close() error {
	if g == nil {
		return nil
	}
	err := g.in.Close()
	return errors.Join(err, g.cmd.Wait())
}

// StandGuard is the guard's whole work: it reads what the host says, and clears up when
// that ends.
func StandGuard(in io.Reader) {
	scope, dir, cgroups := "", "", ""
	groups := map[int]bool{}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		line := lines.Text()
		switch name, value, _ := strings.Cut(line, " "); {
		case name == "scope":
			scope = value
		case name == "dir":
			dir = value
		case name == "cgroups":
			cgroups = value
		case strings.HasPrefix(line, "+"), strings.HasPrefix(line, "-"):
			if pgid, err := strconv.Atoi(line[1:]); err == nil && pgid > 1 {
				if groups[pgid] = line[0] == '+'; !groups[pgid] {
					delete(groups, pgid)
				}
			}
		}
	}
	for pgid := range groups {
		killGroup(pgid)
	}
	if scope != "" {
		sweep(scope)
	}
	if cgroups != "" {
		removeCgroups(cgroups)
	}
	if dir != "" {
		_ = os.RemoveAll(dir)
	}
}
