//go:build linux && (amd64 || arm64)

package wasm

import (
	"fmt"

	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

// memories makes the memories of guests: all of the addresses at once, and the bytes
// as the memory grows. So it never moves, and it takes what the guest has asked for
// and not, as a growing slice does, more than twice that.
func memories() experimental.MemoryAllocator {
	return experimental.MemoryAllocatorFunc(func(_, most uint64) experimental.LinearMemory {
		all, err := unix.Mmap(-1, 0, int(max(most, 1)), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			panic(fmt.Errorf("reserve %d bytes of addresses for the memory of the module: %w", most, err))
		}
		return &mapped{all: all}
	})
}

// mapped is a memory.
type mapped struct {
	all  []byte // of which the first size bytes can be used
	size uint64
}

// Reallocate implements experimental.LinearMemory.
func (m *mapped) Reallocate(size uint64) []byte {
	if size > m.size {
		if unix.Mprotect(m.all[m.size:size], unix.PROT_READ|unix.PROT_WRITE) != nil {
			return nil
		}
		m.size = size
	}
	return m.all[:size:len(m.all)]
}

// Free implements experimental.LinearMemory.
func (m *mapped) Free() { _ = unix.Munmap(m.all) }
