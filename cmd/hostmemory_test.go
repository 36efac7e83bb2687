package cmd

import (
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"
)

func TestHostLimit(t *testing.T) {
	const meminfo = "MemTotal:        2048 kB\nMemFree:          100 kB\n"
	for _, tc := range []struct {
		name  string
		files map[string]string
		want  int64
		file  string
	}{
		{"unknown", nil, 2 << 30, ""},
		{"machine", map[string]string{"proc/meminfo": meminfo}, 2 << 20, "/proc/meminfo"},
		{"v2", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max": "max\n", "sys/fs/cgroup/a/memory.max": "4096\n"}, 4096, "/sys/fs/cgroup/a/memory.max"},
		{"v2 in a container", map[string]string{"proc/self/cgroup": "0::/../host\n", "sys/fs/cgroup/memory.max": "8192\n"}, 8192, "/sys/fs/cgroup/memory.max"},
		{"v1", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "5:cpu:/x\n4:memory:/docker/1\n0::/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n", "sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes": "1000\n"},
			1000, "/sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes"},
		{"no limit", map[string]string{"proc/meminfo": meminfo, "proc/self/cgroup": "junk\n0::/\n", "sys/fs/cgroup/memory.max": "max\n"}, 2 << 20, "/proc/meminfo"},
	} {
		root := fstest.MapFS{}
		for name, text := range tc.files {
			root[name] = &fstest.MapFile{Data: []byte(text)}
		}
		if got, file := limitOf(root); got != tc.want || file != tc.file {
			t.Errorf("%s: %d of %s, want %d of %s", tc.name, got, file, tc.want, tc.file)
		}
	}
	if got, _ := hostLimit(); got < 16<<20 {
		t.Errorf("this machine: %d", got)
	}
}

// TestDefaultMemory: the promise of operations.md is kept within any limit.
func TestDefaultMemory(t *testing.T) {
	const mib = 1 << 20
	for _, tc := range []struct{ limit, want int64 }{
		{104 * mib, 32 * mib}, {144 * mib, 64 * mib}, {256 * mib, 128 * mib}, {2 << 30, 1 << 30},
	} {
		if got := defaultMemory(tc.limit); got < tc.want-4 || got > tc.want {
			t.Errorf("defaultMemory(%d MiB) = %d, want %d", tc.limit/mib, got, tc.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.Int64Range(65*mib, 1<<42).Draw(t, "limit")
		budget := defaultMemory(limit)
		if budget > limit/2 || budget/4*5+64*mib > limit {
			t.Errorf("defaultMemory(%d) = %d is too much", limit, budget)
		}
		if least := limitFor(budget); least > limit || least < limit-16 {
			t.Errorf("limitFor(defaultMemory(%d)) = %d", limit, least)
		}
	})
}
