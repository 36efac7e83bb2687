package lab

import (
	"encoding/json"
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
	args := []string{"s3", "--data-dir", l.data(), "--address", fmt.Sprintf("%s:%d", l.S3.Addr, s3Port)}
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
		if endpoint := endpointOf(p.Stdout()); endpoint != "" {
			l.env, err = l.credentials(endpoint)
			return p, err
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

// endpointOf reads the address that a server has printed; "" until it is
// there.
func endpointOf(text string) string {
	for line := range strings.Lines(text) {
		if e, ok := strings.CutPrefix(line, "endpoint "); ok && strings.HasSuffix(line, "\n") {
			return strings.TrimSpace(e)
		}
	}
	return ""
}

// credentials are the variables for clients of the server at endpoint.
func (l *Lab) credentials(endpoint string) ([]string, error) {
	data, err := os.ReadFile(filepath.Join(l.data(), "credentials.json"))
	if err != nil {
		return nil, err
	}
	var keys struct{ AccessKey, SecretKey string }
	if err := json.Unmarshal(data, &keys); err != nil {
		return nil, err
	}
	return []string{
		"AWS_ENDPOINT_URL=" + endpoint, "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1",
		"AWS_ACCESS_KEY_ID=" + keys.AccessKey, "AWS_SECRET_ACCESS_KEY=" + keys.SecretKey,
	}, nil
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
