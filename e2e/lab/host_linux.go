package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// mtu is the size of the largest packet, that of Ethernet.
const mtu = 1500

// ErrDenied means that this process may not make network namespaces or TUN
// devices.
var ErrDenied = errors.New("no right to make network namespaces: run it as root, or in front of it: unshare -Ur")

// Host is a place where processes run, with an address of its own.
type Host struct {
	Name string
	Addr netip.Addr

	net  *Network
	tun  *os.File
	jobs chan func() // run on the thread that is in the namespace
	gone sync.WaitGroup
}

// open makes the namespace. A thread enters it and stays there: whatever that
// thread starts is in it too, and with the last of them the namespace ends.
func (h *Host) open() error {
	h.jobs = make(chan func())
	opened := make(chan error)
	h.gone.Go(func() {
		runtime.LockOSThread() // and never unlock it: Go ends the thread with the goroutine
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			if errors.Is(err, unix.EPERM) {
				err = ErrDenied
			}
			opened <- err
			return
		}
		var err error
		h.tun, err = device("mraws0", h.Addr)
		opened <- err
		if err != nil {
			return
		}
		for job := range h.jobs {
			job()
		}
	})
	return <-opened
}

// start starts a process on the host. It is killed when the host is closed,
// and when this process dies.
func (h *Host) start(cmd *exec.Cmd) error {
	if h.jobs == nil {
		return cmd.Start()
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	h.jobs <- func() { started <- cmd.Start() }
	return <-started
}

func (h *Host) close() error {
	if h.jobs == nil {
		return nil
	}
	close(h.jobs)
	h.gone.Wait()
	return h.tun.Close()
}

// device makes a TUN device with an address in a /24 of its own and brings it
// and the loopback up, in the namespace of this thread. What the kernel sends
// to the network is read from the file, and what is written to it arrives.
func device(name string, addr netip.Addr) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("%w (/dev/net/tun: %w)", ErrDenied, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	req, err := unix.NewIfreq(name)
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		return nil, errors.Join(fmt.Errorf("make a TUN device: %w", err), unix.Close(fd))
	}
	if err := configure(name, addr); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), name), nil
}

// configure sets address, netmask and MTU, and brings the interfaces up.
func configure(name string, addr netip.Addr) error {
	sock, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("set up %s: %w", name, err)
	}
	defer func() { _ = unix.Close(sock) }()
	ip := addr.As4()
	for _, step := range []struct {
		device string
		op     uint
		set    func(*unix.Ifreq) error
	}{
		{name, unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(ip[:]) }},
		{name, unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr([]byte{255, 255, 255, 0}) }},
		{name, unix.SIOCSIFMTU, func(r *unix.Ifreq) error { r.SetUint32(mtu); return nil }},
		{name, unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil }},
		{"lo", unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil }},
	} {
		req, err := unix.NewIfreq(step.device)
		if err == nil {
			err = step.set(req)
		}
		if err == nil {
			err = unix.IoctlIfreq(sock, step.op, req)
		}
		if err != nil {
			return fmt.Errorf("set up %s (ioctl %#x): %w", step.device, step.op, err)
		}
	}
	return nil
}
