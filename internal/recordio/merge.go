package recordio

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// Source is a stream of records sorted by key: a [Reader], a [Merger], or a
// buffer in memory. Key and Value are valid until the next call of Next; Err
// says why Next returned false, nil for the end.
type Source interface {
	Next() bool
	Key() []byte
	Value() []byte
	Err() error
}

// Merger merges sorted sources into one. It is a Source itself.
//
// It is a loser tree (Knuth, The Art of Computer Programming, volume 3,
// section 5.4.1): log2 k comparisons for each record of k sources, most of
// them of one word.
type Merger struct {
	srcs    []Source
	hashers []Hasher // of srcs, nil for those that are none
	combine func(acc, next []byte) []byte

	// For each source its current key, and the word of that key.
	keys  [][]byte
	words []uint64
	// tree[0] is the source with the least key; tree[n] for n in 1..k-1 is
	// the loser of the match at inner node n, whose children are 2n and
	// 2n+1; source i is leaf k+i.
	tree    []int32
	started bool

	key, value []byte
	keyBuf     []byte // combine: memory for the key
	accBuf     []byte // combine: memory for the first value
	err        error
}

// Merge returns the merger of srcs, each sorted by the bytes of its keys.
// Records of equal keys come in the order of their sources, and of one source
// in its own order, so merging is stable. With combine, records of equal keys
// become one, their values folded in that order.
//
// It holds no more than one record of each source, so its memory is that of
// its sources, see [ReaderMemory]; with combine, one key and value more.
func Merge(srcs []Source, combine func(acc, next []byte) []byte) *Merger {
	hashers := make([]Hasher, len(srcs))
	for i, s := range srcs {
		hashers[i], _ = s.(Hasher)
	}
	return &Merger{
		srcs: srcs, hashers: hashers, combine: combine,
		keys: make([][]byte, len(srcs)), words: make([]uint64, len(srcs)), tree: make([]int32, max(1, len(srcs))),
	}
}

// exhausted is the word of a source that has ended; no key has it.
const exhausted = 1<<64 - 1

// longKey is the low byte of the words of keys that a word cannot hold.
const longKey = 8

// wordOf maps a key to a number: its first seven bytes, padded with zeros,
// and its length, at most 8. Numbers order as their keys do; equal numbers
// mean equal keys if the length is 7 or less.
func wordOf(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)&^0xff | longKey
	}
	return Prefix(key) | uint64(len(key))
}

// less orders sources by current key, then by index.
func (m *Merger) less(a, b int32) bool {
	wa, wb := m.words[a], m.words[b]
	if wa != wb {
		return wa < wb
	}
	if wa&0xff == longKey {
		if c := bytes.Compare(m.keys[a][7:], m.keys[b][7:]); c != 0 {
			return c < 0
		}
	}
	return a < b
}

// pull reads the next record of source i. It reports whether the record has the
// same short key as the last one, so that the tree does not change.
func (m *Merger) pull(i int32) (same bool) {
	s := m.srcs[i]
	if !s.Next() {
		if err := s.Err(); err != nil {
			m.err = fmt.Errorf("merge source %d of %d: %w", i, len(m.srcs), err)
		}
		m.keys[i], m.words[i] = nil, exhausted
		return false
	}
	key := s.Key()
	word := wordOf(key)
	same = word == m.words[i] && word&0xff < longKey
	m.keys[i], m.words[i] = key, word
	return same
}

// start reads the first record of each source and builds the tree.
func (m *Merger) start() {
	m.started = true
	for i := range m.srcs {
		if m.pull(int32(i)); m.err != nil {
			return
		}
	}
	m.tree[0] = m.play(1)
}

// play builds the tree below node n and returns its winner.
func (m *Merger) play(n int) int32 {
	if n >= len(m.srcs) {
		return int32(n - len(m.srcs))
	}
	winner, loser := m.play(2*n), m.play(2*n+1)
	if m.less(loser, winner) {
		winner, loser = loser, winner
	}
	m.tree[n] = loser
	return winner
}

// advance replaces the least record by the next one of its source.
func (m *Merger) advance() {
	winner := m.tree[0]
	if m.pull(winner) {
		return // the same key: still the least, since ties go by source
	}
	for n := (len(m.srcs) + int(winner)) / 2; n >= 1; n /= 2 {
		if m.less(m.tree[n], winner) {
			winner, m.tree[n] = m.tree[n], winner
		}
	}
	m.tree[0] = winner
}

// Next advances to the next record. It returns false at the end of all
// sources and when one has failed, which Err then tells.
func (m *Merger) Next() bool {
	m.key, m.value = nil, nil
	if m.err != nil || len(m.srcs) == 0 {
		return false
	}
	if !m.started {
		m.start()
	} else if m.combine == nil {
		m.advance()
	}
	if m.err != nil || m.words[m.tree[0]] == exhausted {
		return false
	}
	if m.combine != nil {
		return m.fold()
	}
	m.key = m.keys[m.tree[0]]
	m.value = m.srcs[m.tree[0]].Value()
	return true
}

// fold combines the records of the least key, and stops at the first record of
// the next key. It copies key and first value, which their source overwrites.
func (m *Merger) fold() bool {
	top := m.tree[0]
	word := m.words[top]
	m.key, m.value = nil, nil
	Copy(&m.keyBuf, m.keys[top])
	Copy(&m.accBuf, m.srcs[top].Value())
	acc := m.accBuf
	for {
		if m.advance(); m.err != nil {
			return false
		}
		top = m.tree[0]
		if m.words[top] != word || word&0xff == longKey && !bytes.Equal(m.keys[top], m.keyBuf) {
			break
		}
		acc = m.combine(acc, m.srcs[top].Value())
	}
	if len(acc) > cap(m.accBuf) && len(acc) <= DefaultBlockSize {
		// acc may be memory of the combiner's own, so it is not kept, but
		// the next value will find room to grow as much.
		m.accBuf = make([]byte, 0, 2*len(acc))
	}
	m.key, m.value = m.keyBuf, acc
	return true
}

// Key returns the key of the current record. It is valid until Next.
func (m *Merger) Key() []byte { return m.key }

// Value returns the value of the current record. It is valid until Next.
func (m *Merger) Value() []byte { return m.value }

// Hash returns [HashRecord] of the current record, if its source knows it and the
// merge does not combine.
func (m *Merger) Hash() (uint64, bool) {
	if m.combine != nil {
		return 0, false
	}
	h := m.hashers[m.tree[0]]
	if h == nil {
		return 0, false
	}
	return h.Hash()
}

// Err returns the error of the source that ended the merge, or nil.
func (m *Merger) Err() error { return m.err }
