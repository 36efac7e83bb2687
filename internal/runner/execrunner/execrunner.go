// Package execrunner runs applications that consist of executables: programs and
// scripts that read lines from their standard input and write lines to their
// standard output, by the contract of Hadoop Streaming (docs/own-code.md). It also
// runs those that are a WebAssembly module (docs/own-wasm.md): its processes are
// this program, and get an [Order] (module.go).
//
// A mapper is one process for each piece of input of a map attempt, a reducer one
// for a reduce attempt, a combiner one for each full buffer of pairs. Each of them
// runs in a process group of its own (child.go), in a working directory of the
// attempt (workdir.go) with the files that the job ships (code.go). What a process
// leaves behind is killed (sweep.go), also if this process is killed (guard.go).
package execrunner

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/runner"
	"github.com/mraws/mraws/internal/shipped"
	"github.com/mraws/mraws/mr"
)

// Options are all that a host is told.
type Options struct {
	Store  shipped.Source
	Bucket string // of Store
	// Scratch is an existing directory. The host makes one of its own in it when
	// the first attempt runs.
	Scratch string
	Log     zerolog.Logger
	Limits  Limits
	// Guard is the command line of a process that calls [StandGuard], so that nothing
	// is left behind if this process is killed; nil is none.
	Guard []string
	// Module is the command line of a process that runs modules: it reads an
	// [Order], and then its input. nil says that there is none.
	Module []string
}

// Limits bound what the executables of one attempt use. 0 is no bound.
type Limits struct {
	Memory    int64 // bytes, of all its processes together
	Disk      int64 // bytes of its files, and of each of them
	Output    int64 // bytes that a process writes to its standard output
	Processes int   // at the same time

	room int64 // bytes of data that a process may have besides twice Memory
}

// ModuleRoom is what the process of a module may have of data for itself, in bytes: the
// Go runtime asks for 64 MiB at a time and uses a part of it, and a module has to be
// compiled. Stacks of threads count too where a program is linked with a C library.
const ModuleRoom = 512 << 20

// data is what a process may have of data, in bytes, where it has no control group.
func (l Limits) data() int64 { return 2*l.Memory + l.room }

// Host runs the executables of any number of jobs on this machine. It implements
// worker.Executor. Close removes all that it has made.
type Host struct {
	o       Options
	start   sync.Once
	err     error  // of start
	dir     string // of this host alone; "" before start
	scope   string // marks the processes of this host
	guard   *guard
	cgroups *cgroups // bound memory; nil where there are none
	cache   cache
	watch   watch

	mu   sync.Mutex
	next int // number of the next attempt
}

// NewHost returns a host. It makes nothing before it is used.
func NewHost(o Options) *Host {
	h := &Host{o: o}
	h.cache.host, h.watch.host = h, h
	return h
}

// open makes the directory of the host, and starts its guard.
func (h *Host) open() error {
	h.start.Do(func() {
		if h.dir, h.err = os.MkdirTemp(h.o.Scratch, "mraws-exec-"); h.err != nil {
			h.err = fmt.Errorf("make a directory for executables: %w", h.err)
			return
		}
		h.scope = newScope()
		if h.o.Limits.Memory > 0 {
			var none error
			if h.cgroups, none = findCgroups(h.scope, h.o.Limits); none != nil {
				h.o.Log.Debug().Err(none).Msg("executables get no control group")
			}
			h.o.Log.Info().Msg("memory of executables is bounded by: " + h.cgroups.kind())
		}
		h.guard, h.err = startGuard(h.o.Guard, h.scope, h.dir, h.cgroups.at())
	})
	return h.err
}

// Close removes the directory of the host. Its attempts must have ended.
func (h *Host) Close() error {
	h.start.Do(func() { h.err = errors.New("the host of executables is closed") })
	if h.dir == "" {
		return nil
	}
	err := errors.Join(removeAll(h.dir), h.guard.Close())
	h.cgroups.close() // the guard has gone from the group of this process
	return err
}

// Check returns an error if a command of e cannot be started on this machine, or if
// this program runs no modules and e is one.
func (h *Host) Check(e *manifest.Exec) error {
	if e.Module != nil && len(h.o.Module) == 0 {
		return &NotFoundError{Name: e.Module.File, Why: "it is a WebAssembly module, and this program runs none"}
	}
	return Check(e)
}

// Runner returns what runs the executables of a job.
func (h *Host) Runner(job *manifest.Job, lay layout.Layout) runner.Runner {
	return &execRunner{host: h, job: job, layout: lay, exec: job.App.Exec}
}

// execRunner runs the executables of one job.
type execRunner struct {
	host   *Host
	job    *manifest.Job
	layout layout.Layout
	exec   *manifest.Exec
}

// Properties implements runner.Runner.
func (r *execRunner) Properties() runner.Properties {
	p := runner.Properties{Concurrent: true, Lines: r.exec.Whole == "" && r.exec.Records != manifest.BinaryRecords}
	if r.exec.Reducer == "" {
		p.Partition = func(key []byte, n int) int { return partitionOfTask(key, len(r.job.Tasks), n) }
	}
	return p
}

// binary says whether commands write records in place of lines, and read them but
// for the mapper of a module, which reads lines or the bytes of an object.
func (r *execRunner) binary() bool {
	return r.exec.Records == manifest.BinaryRecords || r.exec.Module != nil
}

// Guard implements runner.Runner.
func (r *execRunner) Guard(f func() error) error { return f() }

// attempt is what the processes of one attempt share.
type attempt struct {
	*execRunner
	task  *mr.Task
	beat  func()
	dir   *workdir
	log   *stderrLog
	watch *watched
}

// begin makes the working directory of an attempt.
func (r *execRunner) begin(t *mr.Task) (*attempt, error) {
	if err := r.host.open(); err != nil {
		return nil, err
	}
	a := &attempt{execRunner: r, task: t, beat: func() {}}
	if b, ok := t.Counters.(runner.Beater); ok {
		a.beat = b.Beat
	}
	var err error
	if a.dir, err = r.host.newWorkdir(t.Context, r.layout, r.exec.Files, a.beat); err != nil {
		return nil, err
	}
	a.log = newStderrLog(a)
	a.watch = r.host.watch.add(a.dir.root)
	return a, nil
}

// end removes what the attempt has made, and keeps what it wrote to its standard
// error.
func (a *attempt) end(err error) error {
	a.host.watch.remove(a.watch)
	if a.task.Context.Err() == nil {
		a.log.keep(a.task.Context)
	}
	if rerr := a.dir.Close(); err == nil && rerr != nil {
		err = rerr
	}
	return err
}

// Map implements runner.Runner.
func (r *execRunner) Map(t *mr.Task, in runner.Records, out runner.Emitter) (err error) {
	a, err := r.begin(t)
	if err != nil {
		return err
	}
	defer func() { err = a.end(err) }()
	sink := newSink(a, out)
	feed := &feeder{in: in, blocks: in.Blocks(), offsets: r.exec.Offsets, binary: r.binary() && r.exec.Module == nil, whole: r.exec.Whole, dir: a.dir.work}
	for piece := 0; feed.open(); piece++ {
		p := &process{attempt: a, role: "mapper", commandLine: r.exec.Mapper, env: a.mapEnv(feed.object, feed.offset)}
		err := p.run(feed.copy, sink.parser())
		if err = firstOf(in.Err(), sink.failed, err); err != nil {
			return err
		}
	}
	if in.Err() != nil {
		return in.Err()
	}
	return sink.close()
}

// Reduce implements runner.Runner.
func (r *execRunner) Reduce(t *mr.Task, in runner.Groups, out runner.Output) (err error) {
	switch r.exec.Reducer {
	case "":
		return copyValues(in, out)
	case manifest.Aggregate:
		return aggregate(in, out)
	}
	a, err := r.begin(t)
	if err != nil {
		return err
	}
	defer func() { err = a.end(err) }()
	var failed error
	p := &process{attempt: a, role: "reducer", commandLine: r.exec.Reducer}
	line := func(line []byte) error {
		failed = out.WriteLine(line)
		return failed
	}
	parse := lineParser(line)
	if r.binary() {
		parse = recordParser(func(key, value []byte) error {
			if len(key) > 0 {
				return errors.New("a reducer writes records without a key: the value is the line")
			}
			return line(value)
		})
	}
	err = p.run(func(w io.Writer) error { return feedGroups(in, gather{w: w, binary: r.binary()}) }, parse)
	return firstOf(in.Err(), failed, err)
}

// copyValues writes each value as a line.
func copyValues(in runner.Groups, out runner.Output) error {
	values := in.Values()
	for in.Next() {
		for v := range values {
			if err := out.WriteLine(v); err != nil {
				return err
			}
		}
	}
	return in.Err()
}

// firstOf is the first error, if there is one.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
