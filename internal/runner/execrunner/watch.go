package execrunner

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// watchEvery is how often the use of memory and of processes is compared with the
// limits, and that of files on every eighth of these times. Where a look at the
// processes of the machine takes long, there are watchShare times as long between
// two of them.
const (
	watchEvery = 250 * time.Millisecond
	watchShare = 20
)

// watch compares what the attempts of a host use with the limits, while there are
// any.
type watch struct {
	host *Host

	mu   sync.Mutex
	all  map[*watched]bool
	stop chan struct{} // ends the loop; nil while there is none
}

// watched is an attempt with the processes that it runs.
type watched struct {
	watch *watch
	dir   string
	mu    sync.Mutex
	runs  map[*process]bool
}

// add watches an attempt.
func (w *watch) add(dir string) *watched {
	a := &watched{watch: w, dir: dir, runs: map[*process]bool{}}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = map[*watched]bool{}
	}
	w.all[a] = true
	l := w.host.o.Limits
	if w.stop == nil && (l.Memory > 0 || l.Disk > 0 || l.Processes > 0) {
		w.stop = make(chan struct{})
		go w.loop(w.stop)
	}
	return a
}

// remove ends watching it.
func (w *watch) remove(a *watched) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, a)
	if len(w.all) == 0 && w.stop != nil {
		close(w.stop)
		w.stop = nil
	}
}

// follow watches a process of the attempt until the function that it returns is
// called.
func (a *watched) follow(p *process) func() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.runs[p] = true
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.runs, p)
	}
}

// kill kills the processes of the attempt.
func (a *watched) kill(reason error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for p := range a.runs {
		p.kill(reason)
	}
}

func (w *watch) loop(stop chan struct{}) {
	timer := time.NewTimer(watchEvery)
	defer timer.Stop()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-timer.C:
		}
		began := time.Now()
		used := sync.OnceValue(usages)
		for _, a := range w.attempts() {
			if err := w.judge(a, used, n%8 == 7); err != nil {
				a.kill(err)
			}
		}
		timer.Reset(max(watchEvery, watchShare*time.Since(began)))
	}
}

// attempts lists those that are watched.
func (w *watch) attempts() []*watched {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Keys(w.all))
}

// Usage is what the processes take that run now, each with all of its process group: the
// processor time since they started, also that of those which ended and were waited for
// by one of them, and their memory in bytes. It knows nothing of a process that has left
// its group, and where there is no /proc of nothing.
func (h *Host) Usage() (cpu time.Duration, memory int64) {
	used := sync.OnceValue(usages)
	for _, a := range h.watch.attempts() {
		a.mu.Lock()
		for p := range a.runs {
			u := used()[p.cmd.Process.Pid]
			cpu, memory = cpu+u.cpu, memory+u.memory
		}
		a.mu.Unlock()
	}
	return cpu, memory
}

// judge returns an error if an attempt uses more than the limits.
func (w *watch) judge(a *watched, used func() map[int]usage, files bool) error {
	l := w.host.o.Limits
	sum, err := a.usage(used)
	switch {
	case err != nil:
		return err
	case l.Memory > 0 && sum.memory > l.Memory:
		return fmt.Errorf("killed: its processes use %d bytes of memory, more than %d (exec-memory)", sum.memory, l.Memory)
	case l.Processes > 0 && sum.processes > l.Processes:
		return fmt.Errorf("killed: it runs %d processes, more than %d", sum.processes, l.Processes)
	case l.Disk > 0 && files:
		if size := sizeOf(a.dir, l.Disk); size > l.Disk {
			return fmt.Errorf("killed: its files have more than %d bytes", l.Disk)
		}
	}
	return nil
}

// usage is what the processes of the attempt use. The error says that the kernel has
// killed one of them: those that it has spared are of no use.
func (a *watched) usage(used func() map[int]usage) (sum usage, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for p := range a.runs {
		u := p.group.usage()
		if p.group == nil {
			u = used()[p.cmd.Process.Pid]
		}
		sum.memory += u.memory
		sum.processes += u.processes
		err = cmp.Or(err, p.group.killed())
	}
	return sum, err
}

// sizeOf is the size of the files in a folder, counted until it is more than
// enough. A folder has the size of a block.
func sizeOf(dir string, enough int64) (size int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // it has gone
		}
		if info, err := d.Info(); err == nil {
			size += max(info.Size(), 1<<12)
		}
		if size > enough {
			return fs.SkipAll
		}
		return nil
	})
	return size
}
