package lease

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/mraws/mraws/internal/manifest"
)

// ThisProcess describes this process, which listens on listen; it is the zero
// value where the kernel does not tell (no /proc).
func ThisProcess(listen string) manifest.Process {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return manifest.Process{}
	}
	p := manifest.Process{Boot: strings.TrimSpace(string(boot)), PID: os.Getpid(), Listen: listen}
	for path, to := range map[string]*string{"/proc/self/ns/pid": &p.PIDNS, "/proc/self/ns/net": &p.NetNS} {
		if *to, err = os.Readlink(path); err != nil {
			return manifest.Process{}
		}
	}
	_, start, ok := stat(p.PID)
	if !ok {
		return manifest.Process{}
	}
	p.Start = start
	return p
}

// HasEnded says whether p is proved to serve nobody any more, as seen from
// this process, which listens on no address.
func HasEnded(p manifest.Process) bool { return hasEnded(p, ThisProcess("")) }

// hasEnded says whether p is proved to serve nobody any more, as seen from
// the process me. There are two proofs, and both need the same boot of the
// same machine: me holds the very address in the very network namespace on
// which p listened; or there is no such process in the namespace of me. An
// address alone proves nothing, since every machine has a 127.0.0.1 and
// containers of different machines share their addresses.
func hasEnded(p, me manifest.Process) bool {
	switch {
	case p.Boot == "" || p.Boot != me.Boot:
		return false
	case p.NetNS == me.NetNS && p.Listen == me.Listen && p.Listen != "":
		return true
	case p.PIDNS != me.PIDNS || p.PID <= 0:
		return false
	}
	// Other than /proc, which may be mounted with hidepid, this tells of the
	// processes of others.
	if errors.Is(syscall.Kill(p.PID, 0), syscall.ESRCH) {
		return true
	}
	state, start, ok := stat(p.PID)
	return ok && (start != p.Start || state == 'Z' || state == 'X')
}

// stat tells the state of a process and when it was started; proc_pid_stat(5).
func stat(pid int) (state byte, start uint64, ok bool) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, 0, false
	}
	// "pid (name) state …", where the name may hold anything. The state is
	// field 3, the start field 22.
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	if len(fields) < 20 {
		return 0, 0, false
	}
	start, err = strconv.ParseUint(fields[19], 10, 64)
	return fields[0][0], start, err == nil
}
