package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// environment is where the contestants run.
type environment struct {
	o       *options
	mraws   string
	self    string
	root    string            // folder of the module
	python3 string            // interpreter of scripts; "" if there is none
	python  map[string]string // module to an interpreter that has it
}

// modules are the Python packages that peers need.
var modules = []string{"duckdb", "chdb", "pyspark"}

func newEnvironment(ctx context.Context, o *options) (*environment, error) {
	var err error
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return nil, fmt.Errorf("find %s: %w", o.dir, err)
	}
	if err := os.MkdirAll(o.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make a folder for inputs: %w", err)
	}
	if o.before != "" {
		if o.before, err = filepath.Abs(o.before); err != nil {
			return nil, fmt.Errorf("find the older mraws: %w", err)
		}
	}
	e := &environment{o: o, mraws: o.mraws, python: map[string]string{}}
	if e.self, err = os.Executable(); err != nil {
		return nil, fmt.Errorf("find myself: %w", err)
	}
	root, err := command(ctx, "go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return nil, fmt.Errorf("find the module: %w", err)
	}
	e.root = root
	// python3 may be a script that looks for an interpreter, at each start of one.
	if e.python3, err = command(ctx, "python3", "-c", "import sys; print(sys.executable)"); err != nil {
		e.python3 = ""
	}
	for _, m := range modules {
		for _, p := range []string{o.python, filepath.Join(o.dir, "python", "bin", "python"), "python3"} {
			if p == "" {
				continue
			}
			if _, err := command(ctx, p, "-c", "import "+m); err == nil {
				e.python[m] = p
				break
			}
		}
	}
	if e.mraws == "" {
		e.mraws = filepath.Join(o.dir, "mraws")
		if _, err := command(ctx, "go", "build", "-o", e.mraws, root); err != nil {
			return nil, fmt.Errorf("build mraws: %w", err)
		}
	}
	return e, nil
}

// command runs a program and returns what it printed, trimmed.
func command(ctx context.Context, name string, args ...string) (string, error) {
	c := exec.CommandContext(ctx, name, args...)
	var complaint bytes.Buffer
	c.Stderr = &complaint
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(complaint.Bytes()))
	}
	return strings.TrimSpace(string(out)), nil
}

// absent says why a contestant cannot take part, or "".
func (e *environment) absent(c contestant) string {
	here := true
	m, module := strings.CutPrefix(c.needs, "python:")
	switch {
	case module:
		here = e.python[m] != ""
	case c.needs == "hadoop":
		_, err := os.Stat(filepath.Join(e.hadoop(), "hadoop-streaming-3.4.2.jar"))
		_, none := exec.LookPath("java")
		here = err == nil && none == nil
	case c.needs == "python3":
		here = e.python3 != ""
	case c.needs != "":
		_, err := exec.LookPath(c.needs)
		here = err == nil
	}
	switch {
	case !here:
		return "missing: " + c.needs
	case e.o.absent != nil && !c.ours && e.o.absent.MatchString(c.name):
		return "left out"
	}
	return ""
}

// hadoop is the folder of the jars of Hadoop, see setup.sh.
func (e *environment) hadoop() string { return filepath.Join(e.o.dir, "hadoop") }

// missing names the contestants that cannot take part.
func (e *environment) missing() (names []string) {
	for _, w := range e.o.workloads() {
		for _, c := range w.contestants {
			why := e.absent(c)
			if n := fmt.Sprintf("%s (%s)", c.name, why); why != "" && !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	return names
}

// list prints all workloads.
func (e *environment) list(out io.Writer) error {
	for _, w := range e.o.workloads() {
		var names []string
		for _, c := range w.contestants {
			if why := e.absent(c); why != "" {
				names = append(names, fmt.Sprintf("%s (%s)", c.name, why))
			} else {
				names = append(names, c.name)
			}
		}
		if _, err := fmt.Fprintf(out, "%-12s %s\n%12s %s\n", w.name, w.what, "", strings.Join(names, ", ")); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out, "%-12s %s\n%-12s %s\n", pipeName, strings.TrimPrefix(pipeTitle, pipeName+": "), schedulerName, strings.TrimPrefix(schedulerTitle, schedulerName+": "))
	return err
}

// makeInput makes a workload's input unless it is there, and tells where.
func (e *environment) makeInput(ctx context.Context, in input) (string, error) {
	if in.name == goSource {
		root, err := command(ctx, "go", "env", "GOROOT")
		return filepath.Join(root, "src"), err
	}
	path := filepath.Join(e.o.dir, "input", in.name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("make a folder for inputs: %w", err)
	}
	fmt.Fprintln(os.Stderr, "making", path)
	return path, in.fill(path)
}

// store puts an input into a store of its own unless it is there, and
// returns the store's folder.
func (e *environment) store(ctx context.Context, path string) (string, error) {
	dir := filepath.Join(e.o.dir, "store", strings.ReplaceAll(strings.TrimPrefix(path, filepath.Join(e.o.dir, "input")+"/"), "/", "_"))
	whole := filepath.Join(dir, "uploaded")
	if _, err := os.Stat(whole); err == nil {
		return dir, nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("empty the store: %w", err)
	}
	fmt.Fprintln(os.Stderr, "uploading", path)
	args := []string{"upload-input", "--quiet", "--local", "--data-dir", dir, path}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		args = append(args, "--include", "**/"+e.glob(path))
	}
	if _, err := command(ctx, e.mraws, args...); err != nil {
		return "", fmt.Errorf("upload: %w", err)
	}
	return dir, os.WriteFile(whole, nil, 0o644)
}

// glob says which files of a folder are the input: all of one that we made,
// and of Go's source tree the Go files.
func (e *environment) glob(path string) string {
	if strings.HasPrefix(path, e.o.dir) {
		return "*"
	}
	return "*.go"
}

// environ is what a contestant's commands find in their environment.
func (e *environment) environ(c contestant, in, store, out string) []string {
	env := append(os.Environ(), "LC_ALL=C", "INPUT="+in, "GLOB="+e.glob(in), "OUT="+out, "MRAWS="+e.mraws, "BEFORE="+e.o.before, "BENCH="+e.self,
		"PEERS="+filepath.Join(e.root, "bench", "peers"), "SCRIPTS="+filepath.Join(e.root, "bench", "scripts"), "PYTHON3="+e.python3, "HADOOP="+e.hadoop(),
		"PYTHONUNBUFFERED=", // with it Python writes line by line, and mraws takes it away from executables
		"CORES="+strconv.Itoa(runtime.NumCPU()))
	if m, ok := strings.CutPrefix(c.needs, "python:"); ok {
		env = append(env, "PYTHON="+e.python[m])
	}
	if c.ours {
		env = append(env, "MRAWS_LOCAL=true", "MRAWS_DATA_DIR="+store, "MRAWS_SCRATCH="+out)
	}
	return env
}

// shell runs a part of a contestant that is not measured.
func shell(ctx context.Context, env []string, script string) error {
	if script == "" {
		return nil
	}
	c := exec.CommandContext(ctx, "sh", "-c", script)
	c.Env = env
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", script, err, bytes.TrimSpace(out))
	}
	return nil
}

// Machine says where figures come from.
type Machine struct {
	CPU      string            `json:"cpu"`
	Cores    int               `json:"cores"`
	Memory   string            `json:"memory"`
	Kernel   string            `json:"kernel"`
	Go       string            `json:"go"`
	Versions map[string]string `json:"versions"`
}

// machine describes this one.
func machine() Machine {
	m := Machine{Cores: runtime.NumCPU(), Go: runtime.Version(), Versions: map[string]string{}}
	first := func(file, prefix string) string {
		text, _ := os.ReadFile(file) // not Linux: empty
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				return strings.TrimSpace(strings.TrimLeft(rest, " \t:"))
			}
		}
		return ""
	}
	m.CPU, m.Memory = first("/proc/cpuinfo", "model name"), first("/proc/meminfo", "MemTotal")
	m.Kernel = first("/proc/sys/kernel/osrelease", "")
	for name, args := range map[string][]string{"sort": {"--version"}, "mawk": {"-W", "version"}, "rg": {"--version"}} {
		if out, err := command(context.Background(), name, args...); err == nil {
			m.Versions[name], _, _ = strings.Cut(out, "\n")
		}
	}
	return m
}

// seconds is what inner contestants print.
type seconds struct {
	Seconds float64 `json:"seconds"`
}

func parseSeconds(file string) (float64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, fmt.Errorf("read the time: %w", err)
	}
	var s seconds
	if err := json.Unmarshal(text, &s); err != nil {
		return 0, fmt.Errorf("read the time: %w", err)
	}
	return s.Seconds, nil
}
