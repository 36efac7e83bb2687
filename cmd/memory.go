package cmd

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

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

// firstHeap is the size of the heap in bytes at which Go's collector runs for the
// first time, if a quarter of the budget is at least as large.
const firstHeap = 64 << 20

// delayCollector delays the first run of the collector until the heap has
// firstHeap bytes. From 4 MiB on it would run ten times while a process starts,
// which is a fifth of the CPU time of a small job. After the first run the
// collector works as usual.
func delayCollector(budget int64) {
	const usual, least = 100, 4 << 20 // of GOGC, and the bytes that it begins with then
	heap := min(firstHeap, budget/4)
	if heap <= least {
		return
	}
	debug.SetGCPercent(int(usual * heap / least))
	// The first run finds it unreachable. It contains a pointer, so that the
	// allocator does not place it beside objects that stay reachable.
	runtime.AddCleanup(new(*int), func(percent int) { debug.SetGCPercent(percent) }, usual)
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
