package cmd

import (
	"math"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/runner/execrunner"
	"github.com/mraws/mraws/internal/s3fs"
)

// sampler measures what this process takes, for the heartbeats of its worker. Of several
// workers in a process one has it: the figures are those of the process.
type sampler struct {
	host    *execrunner.Host // whose executables count too
	store   *s3fs.Store
	scratch string // folder

	mu      sync.Mutex
	at      time.Time // of last
	last    *object.Sample
	latency s3fs.Latency // at that time
}

// newSampler returns what samples this process, beginning now.
func newSampler(st *store, host *execrunner.Host, scratch string) func() *object.Sample {
	m := &sampler{host: host, store: st.Store, scratch: scratch}
	m.sample()
	return m.sample
}

// leastSampled is the least time between two samples: figures of a shorter time say little.
const leastSampled = time.Second

// sample returns what the process takes now. The caller does not change it.
func (m *sampler) sample() *object.Sample {
	m.mu.Lock()
	defer m.mu.Unlock()
	past := time.Since(m.at)
	if m.last != nil && past < leastSampled {
		return m.last
	}
	// Children that have ended are counted first: one that ends meanwhile is missed this
	// time, and no one is counted twice.
	cpu := processorTime(syscall.RUSAGE_CHILDREN) + processorTime(syscall.RUSAGE_SELF)
	running, memory := m.host.Usage()
	a := m.store.Activity()
	s := &object.Sample{
		CPUSeconds: (cpu + running).Round(time.Millisecond).Seconds(), Cores: runtime.GOMAXPROCS(0), MemoryBytes: memoryUsed() + memory,
		S3Requests: object.Traffic{Requests: m.store.Requests()}.Count(), S3Throttled: a.Throttled(),
	}
	var disk syscall.Statfs_t
	if syscall.Statfs(m.scratch, &disk) == nil {
		free := int64(disk.Bavail) * disk.Bsize
		s.ScratchFreeBytes = &free
	}
	milliseconds := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	recent := a.Latency.Since(m.latency)
	s.S3P50, s.S3P95 = milliseconds(recent.Quantile(0.5)), milliseconds(recent.Quantile(0.95))
	if m.last != nil {
		s.CPUSeconds = max(s.CPUSeconds, m.last.CPUSeconds)
		// What a process had started counts at once when that has ended outside its group.
		percent := min(100*(s.CPUSeconds-m.last.CPUSeconds)/past.Seconds(), 100*float64(s.Cores))
		s.CPUPercent = math.Round(10*percent) / 10
	}
	m.at, m.last, m.latency = time.Now(), s, a.Latency
	return s
}

// processorTime is what getrusage(2) says of this process, or of those that it has started
// and waited for.
func processorTime(who int) time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(who, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
