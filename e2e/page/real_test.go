package page

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// program is mraws with a data folder of its own.
type program struct {
	*testing.T
	bin, dir string
	env      []string
}

// newProgram builds the program, or takes that of MRAWS_BIN, and starts the embedded server.
func newProgram(t *testing.T) *program {
	t.Helper()
	m := &program{T: t, bin: os.Getenv("MRAWS_BIN"), dir: t.TempDir()}
	if m.bin == "" {
		m.bin = filepath.Join(m.dir, "mraws")
		build := exec.Command("go", "build", "-o", m.bin, ".")
		build.Dir = filepath.Join("..", "..")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
	}
	m.env = append(os.Environ(), "MRAWS_DATA_DIR="+filepath.Join(m.dir, "data"), "MRAWS_LOCAL=true", "MRAWS_PREFIX=lab", "MRAWS_LEASE=3s", "MRAWS_SCRATCH="+m.dir)
	m.start("s3")
	m.until("the server listens", func() bool { _, err := os.Stat(filepath.Join(m.dir, "data", "endpoint.json")); return err == nil })
	script := "if grep -q hold; then until [ -e \"$DIR/go\" ]; do sleep 0.1; done; fi\nprintf '" + markup + "\\t%s\\n' $(seq 400)\nprintf 'reporter:counter:" + markup + ",<b>lines</b>,3\\n' >&2\nsleep 0.4\n"
	m.write("m.sh", script)
	for i := range 40 {
		m.write(fmt.Sprintf("input-%02d.txt", i), map[bool]string{true: "hold\n", false: "a line\n"}[i == 5])
	}
	return m
}

// code are the flags of the job: 40 map tasks that take half a second, with a key of markup. One
// of them waits until goOn.
func (m *program) code() []string {
	return []string{"--mapper", "sh m.sh", "--reducer", "cat", "--file", "m.sh", "--env", "DIR=" + m.dir, "--nreduce", "2"}
}

func (m *program) goOn() { m.write("go", "") }

func (m *program) inputs() []string {
	files, err := filepath.Glob(filepath.Join(m.dir, "input-*.txt"))
	if err != nil || len(files) == 0 {
		m.Fatal("no input: ", err)
	}
	return files
}

func (m *program) write(name, text string) {
	m.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, name), []byte(text), 0o644); err != nil {
		m.Fatal(err)
	}
}

func (m *program) until(what string, is func() bool) {
	m.Helper()
	end := time.Now().Add(patience)
	for again := time.NewTicker(20 * time.Millisecond); !is(); <-again.C {
		if time.Now().After(end) {
			m.Fatalf("it does not come to pass that %s", what)
		}
	}
}

// said is what a process has written.
type said struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// process is a run of the program. It is killed when the test ends.
type process struct {
	*exec.Cmd
	said said
	done chan struct{}
	err  error
}

func (m *program) start(args ...string) *process {
	m.Helper()
	p := &process{Cmd: exec.Command(m.bin, args...), done: make(chan struct{})}
	p.Dir, p.Env, p.Stdout, p.Stderr = m.dir, m.env, &p.said, &p.said
	if err := p.Start(); err != nil {
		m.Fatal(err)
	}
	go func() { p.err = p.Wait(); close(p.done) }()
	m.Cleanup(func() {
		p.kill()
		if m.Failed() {
			m.Logf("%s:\n%.4000s", strings.Join(args, " "), p.said.String())
		}
	})
	return p
}

// kill ends a process without a chance to say so.
func (p *process) kill() {
	_ = p.Process.Signal(syscall.SIGKILL)
	<-p.done
}

// link is the address that a process has printed.
func (m *program) link(p *process) (link string) {
	m.Helper()
	m.until("the link is printed", func() bool {
		link = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+/[^\s"]*`).FindString(p.said.String())
		return link != ""
	})
	return link
}

// TestTakeover: a page of a whole job shows how a coordinator that is killed is followed by
// another, outlives a restart of its own server, and ends with the seal.
func TestTakeover(t *testing.T) {
	in := browser(t)
	m := newProgram(t)
	upload := m.start(append([]string{"upload-input"}, m.inputs()...)...)
	<-upload.done
	if upload.err != nil {
		t.Fatal(upload.err, upload.said.String())
	}
	line := append([]string{"coordinator", "--port", "0", "--listen", "127.0.0.1"}, m.code()...)
	leader := m.start(line...)
	m.until("the coordinator listens", func() bool { return strings.Contains(leader.said.String(), `"addr":"`) })
	m.start(line...)
	for range 2 {
		m.start("worker", "--slots", "1")
	}
	ui := m.start("ui", "--http", "127.0.0.1:0")
	link := m.link(ui)
	p := open(t, in, link+"job/lab", light, "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET")
	p.until(`document.querySelector("#job-state").textContent.includes("running") && document.querySelector("#stage").dataset.attempts > 3`)
	p.until(`document.querySelector("#phases").innerText.includes("of 40 tasks")`)
	p.until(`document.querySelector("#link").textContent.includes("live")`)

	leader.kill()
	p.until(`document.querySelector("#coordinators-table tbody")?.rows.length == 2`)
	p.until(`document.querySelector("#announce").textContent.includes("Another coordinator leads")`)

	ui.kill()
	p.until(`document.querySelector("#link").textContent.includes("reconnecting")`)
	address := strings.TrimSuffix(strings.TrimPrefix(link, "http://"), "/")
	m.start("ui", "--http", address)
	p.until(`document.querySelector("#link").textContent.includes("live")`)

	m.goOn()
	p.until(`document.querySelector("#job-state").textContent.includes("done")`)
	p.until(`document.querySelector("#link").textContent.includes("complete")`)
	p.until(`document.querySelector("#seal-text").innerText.length > 20`)
	p.has("#phases", "40 of 40 tasks")
	p.has("#largest-table", markup)
	p.has("#counters-table", markup)
	p.has("#requests-table", "PutObject")
	if n := value[int](p, `document.images.length + document.querySelectorAll("td b").length`); n != 0 {
		t.Errorf("text of the job made %d elements", n)
	}
	if n := value[int](p, `+document.querySelector("#stage").dataset.attempts`); n < 42 {
		t.Errorf("the page has %d attempts", n)
	}
	p.accessible()
}

// TestRun: the page that run serves is live during the job, and shows its end.
func TestRun(t *testing.T) {
	in := browser(t)
	m := newProgram(t)
	args := append([]string{"run", "--http", "127.0.0.1:0", "--workers", "2"}, m.code()...)
	run := m.start(append(args, m.inputs()...)...)
	p := open(t, in, m.link(run), light, "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET")
	p.until(`document.querySelector("#job-state").textContent.includes("running") && document.querySelector("#stage").dataset.attempts > 3`)
	before := value[float64](p, `document.querySelector("#phases progress").value`)
	p.until(fmt.Sprintf(`document.querySelector("#phases progress").value > %g`, before))
	m.goOn()
	<-run.done
	if run.err != nil {
		t.Error(run.err)
	}
	p.until(`document.querySelector("#job-state").textContent.includes("done")`)
	p.has("#phases", "40 of 40 tasks")
	p.has("#workers-table", "MiB")
}
