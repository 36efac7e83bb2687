//go:build !linux || (!amd64 && !arm64)

package wasm

import "github.com/tetratelabs/wazero/experimental"

// memories returns nil: the memories of guests are slices.
func memories() experimental.MemoryAllocator { return nil }
