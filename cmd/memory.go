package cmd

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/task"
)

// memoryLimit is Go's memory limit for a budget of buffers: 1.25 times the budget,
// and 32 MiB for all other memory.
func memoryLimit(budget int64) int64 { return budget + budget/4 + 32<<20 }

// budget is what this process may take of its machine.
type budget struct {
	memory int64 // bytes for the buffers of all tasks
	slots  int   // tasks at a time; 0 of commands that run none

	// What the limit of file descriptors allows, known once the store is open.
	requests    int // S3 requests in flight, at most s3-concurrency
	connections int // that a coordinator may take
}

// setMemory sets the memory to the configured bytes. It chooses them by the machine if
// they are 0.
func (b *budget) setMemory(configured config.AutoSize) (err error) {
	if b.memory = int64(configured); b.memory == 0 {
		b.memory, err = autoMemory(hostLimit())
	}
	if os.Getenv("GOGC") == "" {
		delayCollector(b.memory)
	}
	return err
}

// leastHeap is the size of the heap in bytes below which Go's collector does not run,
// if a quarter of the budget is at least as large.
const leastHeap = 64 << 20

// delayCollector delays runs of the collector until the heap has leastHeap bytes. From
// 4 MiB on it would run ten times while a process starts, which is a fifth of the CPU
// time of a small job, and later each time that the heap has twice the 10 MiB that most
// jobs keep. A larger heap is collected as usual.
func delayCollector(budget int64) {
	const least = 4 << 20 // bytes that it begins with if GOGC is 100
	if heap := min(leastHeap, budget/4); heap > least {
		debug.SetGCPercent(int(usualGC * heap / least))
		delayNext(heap, int(usualGC*heap/least))
	}
}

const usualGC = 100 // percent

// delayNext sets GOGC after the next run of the collector so that the one behind it waits
// for a heap of so many bytes, and goes on so until something else has changed GOGC from
// percent, which it was set to.
func delayNext(heap int64, percent int) {
	// The next run finds it unreachable. It contains a pointer, so that the
	// allocator does not place it beside objects that stay reachable.
	runtime.AddCleanup(new(*int), func(heap int64) {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		next := int(max(usualGC, usualGC*heap/max(int64(live[0].Value.Uint64()), 1)-usualGC))
		if was := debug.SetGCPercent(next); was != percent {
			debug.SetGCPercent(was)
			return
		}
		delayNext(heap, next)
	}, heap)
}

// autoMemory is the budget of a process whose memory limit is limit bytes, by file.
// It returns an error if that is too little.
func autoMemory(limit int64, file string) (int64, error) {
	budget := defaultMemory(limit)
	if budget >= config.MinMemory {
		return budget, nil
	}
	least := limitFor(config.MinMemory)
	return 0, usagef(fmt.Sprintf("raise the limit, or set --memory to at least %v; the kernel may then kill the process", config.Size(config.MinMemory)),
		"too little memory: %s allows %v, --memory auto needs %v", file, config.Size(limit), config.Size(least))
}

// cores is the default number of tasks at the same time: one for each core, if
// there is memory for them.
func (b *budget) cores() int { return min(runtime.GOMAXPROCS(0), task.MostSlots(b.memory)) }
