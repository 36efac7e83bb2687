package lease

import (
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/manifest"
)

// TestHasEnded: only what the kernel of the same boot says is a proof.
func TestHasEnded(t *testing.T) {
	me := ThisProcess("10.0.0.7:1234")
	if me.Boot == "" || me.PID == 0 || me.Start == 0 || me.PIDNS == "" || me.NetNS == "" {
		t.Fatalf("this process is %+v", me)
	}
	child := exec.Command("true")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	dead := child.Process.Pid
	if err := child.Wait(); err != nil {
		t.Fatal(err)
	}
	// A child that nobody has waited for yet is there, and dead.
	zombie := exec.Command("sh", "-c", "read x")
	in, err := zombie.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := zombie.Start(); err != nil {
		t.Fatal(err)
	}
	pid := zombie.Process.Pid
	_, start, _ := stat(pid)
	other := func(change func(*manifest.Process)) manifest.Process {
		p := me
		p.Listen = "10.0.0.7:4321"
		change(&p)
		return p
	}
	tests := []struct {
		name string
		p    manifest.Process
		want bool
	}{
		{"nothing is known", manifest.Process{}, false},
		{"alive", other(func(*manifest.Process) {}), false},
		{"no such process", other(func(p *manifest.Process) { p.PID = dead }), true},
		{"another process has its id", other(func(p *manifest.Process) { p.Start-- }), true},
		{"no id", other(func(p *manifest.Process) { p.PID = 0 }), false},
		{"the same address here", other(func(p *manifest.Process) { p.Listen, p.PIDNS = me.Listen, "pid:[1]" }), true},
		{"the same address in another container", other(func(p *manifest.Process) { p.Listen, p.NetNS, p.PIDNS = me.Listen, "net:[1]", "pid:[1]" }), false},
		{"the same address on another machine", other(func(p *manifest.Process) { p.Listen, p.Boot = me.Listen, "other" }), false},
		{"another machine", other(func(p *manifest.Process) { p.PID, p.Boot = dead, "other" }), false},
		{"another container", other(func(p *manifest.Process) { p.PID, p.PIDNS = dead, "pid:[1]" }), false},
		{"a child at work", other(func(p *manifest.Process) { p.PID, p.Start = pid, start }), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := hasEnded(tt.p, me); got != tt.want {
				t.Errorf("%+v has ended: %v", tt.p, got)
			}
		})
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(20 * time.Second)
	for state := byte(0); state != 'Z' && time.Now().Before(deadline); state, _, _ = stat(pid) {
		runtime.Gosched()
	}
	if !hasEnded(other(func(p *manifest.Process) { p.PID, p.Start = pid, start }), me) {
		t.Error("a process that nobody waits for counts as alive")
	}
	if err := zombie.Wait(); err == nil {
		t.Error("read of nothing succeeded")
	}
}
