package cmd

import (
	"bufio"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
)

// overhead is the maximum memory in bytes that a process takes besides 1.25 times
// its budget: the program, shared state, and garbage. TestMemoryBudget and
// TestMemoryLimit of package e2e measure it.
const overhead = 64 << 20

// defaultMemory is the budget in bytes of a process with a memory limit: half of
// the limit, or less if the process could exceed the limit. It may be negative or
// too small for any work.
func defaultMemory(limit int64) int64 { return min(limit/2, (limit-overhead)/5*4) }

// limitFor is the minimum memory limit in bytes for which defaultMemory returns
// budget.
func limitFor(budget int64) int64 { return max(2*budget, budget/4*5+overhead) }

// hostLimit returns the memory limit of the process in bytes, and the file that has
// it: the minimum of the machine's memory and of the limits of the process's
// cgroup (v2 or v1) and its parents. If none can be read it is 2 GiB, and file is
// "".
func hostLimit() (bytes int64, file string) { return limitOf(os.DirFS("/")) }

func limitOf(root fs.FS) (limit int64, file string) {
	note := func(n int64, from string) {
		if n > 0 && (limit == 0 || n < limit) {
			limit, file = n, "/"+from
		}
	}
	note(memTotal(root), meminfo)
	for _, line := range linesOf(root, "proc/self/cgroup") {
		// "0::/user.slice" (v2) or "4:memory:/docker/1234" (v1), see
		// cgroups(7).
		f := strings.SplitN(line, ":", 3)
		if len(f) != 3 {
			continue
		}
		dir, name := "sys/fs/cgroup", "memory.max"
		if f[0] != "0" || f[1] != "" {
			if !strings.Contains(","+f[1]+",", ",memory,") {
				continue
			}
			dir, name = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		}
		// In a container the path may be that of the host, of which only
		// the last directory is mounted: the walk up ends there too.
		for sub := path.Clean("/" + f[2]); ; sub = path.Dir(sub) {
			from := path.Join(dir, sub, name)
			for _, line := range linesOf(root, from) {
				if n, err := strconv.ParseInt(line, 10, 64); err == nil {
					note(n, from)
				}
			}
			if sub == "/" {
				break
			}
		}
	}
	if limit == 0 {
		return 2 << 30, ""
	}
	return limit, file
}

const meminfo = "proc/meminfo"

// memTotal reads the machine's memory from proc/meminfo, 0 if unknown.
func memTotal(root fs.FS) int64 {
	for _, line := range linesOf(root, meminfo) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "MemTotal:" {
			kib, _ := strconv.ParseInt(f[1], 10, 64)
			return kib << 10
		}
	}
	return 0
}

// linesOf returns the lines of a file, none if it cannot be read.
func linesOf(root fs.FS, name string) []string {
	f, err := root.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	var all []string
	for s := bufio.NewScanner(f); s.Scan(); {
		all = append(all, s.Text())
	}
	return all
}
