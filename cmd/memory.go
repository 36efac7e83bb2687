package cmd

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/task"
)

// memoryLimit is the limit given to Go's collector for a budget of buffers:
// a quarter more, and 32 MiB for what is no buffer.
func memoryLimit(budget int64) int64 { return budget + budget/4 + 32<<20 }

// setMemory decides on the budget of this process.
func (s *session) setMemory() (err error) {
	if s.memory = int64(s.conf.Memory); s.memory == 0 {
		s.memory, err = autoMemory(hostLimit())
	}
	if os.Getenv("GOGC") == "" {
		delayCollector(s.memory)
	}
	return err
}

// firstHeap is the size of the heap, in bytes, at which Go's collector runs
// for the first time, where a quarter of the budget is no less.
const firstHeap = 64 << 20

// delayCollector leaves the collector out until there is a heap worth it. From
// 4 MiB on it would run ten times while a process starts, which is a fifth of
// the CPU that a small job takes. From the first run on everything is as
// usual.
func delayCollector(budget int64) {
	const usual, least = 100, 4 << 20 // of GOGC, and the bytes that it begins with then
	heap := min(firstHeap, budget/4)
	if heap <= least {
		return
	}
	debug.SetGCPercent(int(usual * heap / least))
	// It is found unreachable by the first run. It is a pointer, so that it
	// shares its memory with nothing that lives on.
	runtime.AddCleanup(new(*int), func(percent int) { debug.SetGCPercent(percent) }, usual)
}

// autoMemory is the budget of a process that may use limit bytes in all, as
// file says, or an error if that is too little.
func autoMemory(limit int64, file string) (int64, error) {
	budget := defaultMemory(limit)
	if budget >= config.MinMemory {
		return budget, nil
	}
	least := limitFor(config.MinMemory)
	return 0, usagef(fmt.Sprintf("raise the limit, or set --memory to at least %v; the kernel may then kill the process", config.Size(config.MinMemory)),
		"too little memory: %s allows %v, --memory auto needs %v", file, config.Size(limit), config.Size(least))
}

// cores is how many tasks run at the same time where nobody has said: one for
// each core, if there is memory for them.
func (s *session) cores() int { return min(runtime.GOMAXPROCS(0), task.MostSlots(s.memory)) }
