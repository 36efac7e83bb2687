package task

import (
	"slices"

	"github.com/mraws/mraws/internal/manifest"
)

// heaviest are the keys with the most bytes of those that were added, heaviest first.
type heaviest struct {
	keys  [manifest.MostHeavyKeys]heavyKey
	n     int
	least int64 // bytes that a key must have more of to be one of them
}

type heavyKey struct {
	head           []byte // of the key
	size           int    // of the key
	records, bytes int64
}

// add adds a key whose records have more than least bytes. It keeps no part of key.
func (h *heaviest) add(key []byte, records, bytes int64) {
	if h.n < len(h.keys) {
		h.n++
	}
	at := h.n - 1
	head := append(h.keys[at].head[:0], key[:min(len(key), mostOfKey)]...)
	for ; at > 0 && h.keys[at-1].bytes < bytes; at-- {
		h.keys[at] = h.keys[at-1]
	}
	h.keys[at] = heavyKey{head, len(key), records, bytes}
	if h.n == len(h.keys) {
		h.least = h.keys[h.n-1].bytes
	}
}

// list is what a record says of them.
func (h *heaviest) list() []manifest.HeavyKey {
	var out []manifest.HeavyKey
	for _, k := range h.keys[:h.n] {
		out = append(out, manifest.HeavyKey{Text: keyText(k.head, k.size), Records: k.records, Bytes: k.bytes})
	}
	slices.SortFunc(out, manifest.Heavier)
	return out
}
