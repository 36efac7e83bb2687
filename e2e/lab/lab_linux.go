package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Lab is a folder, a binary, a network and the processes of one job.
type Lab struct {
	Dir string
	Net *Network
	// User is where what is no fault happens: uploads and checks.
	User *Host
	// S3 is where the embedded server runs.
	S3 *Host

	bin       string
	env       []string // by which processes find the store
	processes []*Process
	servers   int
}

// Port is the one of every coordinator, and s3Port that of the store.
const (
	Port   = 1234
	s3Port = 9000
)

// patience bounds the start of the embedded server.
const patience = 30 * time.Second

// New makes a lab in dir, which must exist, around a binary of mraws.
func New(dir, bin string, net *Network) (*Lab, error) {
	l := &Lab{Dir: dir, Net: net, bin: bin}
	var err error
	if l.User, err = net.Host("user", 2); err != nil {
		return nil, err
	}
	if l.S3, err = net.Host("s3", 3); err != nil {
		return nil, err
	}
	return l, nil
}

// Build builds mraws, with extra flags for go build, and returns its path.
func Build(dir string, flags ...string) (string, error) {
	path := filepath.Join(dir, "mraws")
	args := append(append([]string{"build", "-o", path}, flags...), "github.com/mraws/mraws")
	if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("build mraws: %w\n%s", err, out)
	}
	return path, nil
}

// environment is that of every process: nothing of ours or of AWS comes from
// outside.
func (l *Lab) environment() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "MRAWS_") && !strings.HasPrefix(e, "AWS_") {
			env = append(env, e)
		}
	}
	return append(append(env, "HOME="+l.Dir), l.env...)
}

// data is the data folder of the embedded server.
func (l *Lab) data() string { return filepath.Join(l.Dir, "data") }

// StartS3 starts the embedded server, with a script of faults unless it is
// empty, and returns when it answers. Every later process finds it.
func (l *Lab) StartS3(faults []string, seed uint64) (*Process, error) {
	l.servers++
	name := fmt.Sprintf("s3-%d", l.servers)
	args := []string{"s3", "--data-dir", l.data(), "--address", fmt.Sprintf("%s:%d", l.S3.Addr, s3Port), "--show-credentials"}
	if len(faults) > 0 {
		script := filepath.Join(l.Dir, name+".faults")
		if err := os.WriteFile(script, []byte(strings.Join(faults, "\n")+"\n"), 0o600); err != nil {
			return nil, err
		}
		args = append(args, "--faults", script, "--fault-seed", fmt.Sprint(seed))
	}
	p, err := l.Start(l.S3, name, args...)
	if err != nil {
		return nil, err
	}
	for deadline := time.Now().Add(patience); ; {
		if env := exports(p.Stdout()); env != nil {
			l.env = env
			return p, nil
		}
		select {
		case <-p.Done():
			return nil, fmt.Errorf("the embedded server has ended: %s", p.Stderr())
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return nil, errors.Join(fmt.Errorf("the embedded server does not start: %s", p.Stderr()), p.Kill())
		}
	}
}

// exports reads the lines of `mraws s3 --show-credentials`; nil until they
// are there.
func exports(text string) (env []string) {
	for line := range strings.Lines(text) {
		if e, ok := strings.CutPrefix(strings.TrimSpace(line), "export "); ok && strings.HasSuffix(line, "\n") {
			env = append(env, e)
		}
	}
	if len(env) < 5 {
		return nil
	}
	return env
}

// Close ends every process and takes the network away.
func (l *Lab) Close() error {
	var err error
	for _, p := range l.processes {
		err = errors.Join(err, p.Signal(syscall.SIGCONT), p.Kill())
	}
	return errors.Join(err, l.Net.Close())
}

// Autopsy is that of every process that has ended.
func (l *Lab) Autopsy() error {
	var err error
	for _, p := range l.processes {
		if _, ended := p.Code(); ended {
			err = errors.Join(err, p.Autopsy())
		}
	}
	return err
}
