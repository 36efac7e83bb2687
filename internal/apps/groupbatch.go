package apps

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"math/bits"

	"github.com/mraws/mraws/mr"
)

// foldingMapper is a groupMapper that takes batches: it adds up the rows of a group in a
// table of its own, and emits a pair for each group when the table is full and at the
// end.
type foldingMapper struct {
	*groupMapper
	groups groupTable
	signs  []uint64 // the signatures of the rows that are looked for together
	hashes [together]uint64
	longs  [together]bool // they have long texts
	long   []byte         // those of a row
}

// together is how many rows are looked for in the table together. A core waits for the
// memory of many at once only if these follow each other closely.
const together = 32

func newFoldingMapper(m *groupMapper) *foldingMapper {
	t := newGroupTable(m.by, len(m.slots))
	return &foldingMapper{groupMapper: m, groups: t, signs: make([]uint64, together*t.sign)}
}

// MapBatch adds up the rows of a batch.
func (m *foldingMapper) MapBatch(b *mr.Batch, out mr.Emitter) (int, error) {
	for from := 0; from < b.Len(); from += together {
		n := min(together, b.Len()-from)
		m.signRows(b, from, n)
		m.groups.touch(m.hashes[:n])
		for i := range n {
			sign := m.signs[i*m.groups.sign:][:m.groups.sign]
			hash := uint32(m.hashes[i])
			g, next := m.groups.find(hash, hash, sign)
			for g >= 0 && m.longs[i] && !m.sameLong(g, b, from+i) {
				g, next = m.groups.find(next, hash, sign)
			}
			if g < 0 {
				g = m.add(b, from+i, hash, sign, out)
			}
			m.groups.rows(g)[0]++
			if err := m.addNumbers(b, from+i, g); err != nil {
				return from + i, err
			}
		}
	}
	return 0, nil
}

// add adds the group of a row to the table.
func (m *foldingMapper) add(b *mr.Batch, row int, hash uint32, sign []uint64, out mr.Emitter) int {
	m.long = m.long[:0]
	for c := range m.by {
		if v := &b.Columns[c]; isLong(v, row) {
			m.long = append(binary.AppendUvarint(m.long, uint64(len(v.Texts[row]))), v.Texts[row]...)
		}
	}
	m.key = appendGroup(m.key[:0], b.Record(row).Fields, m.by)
	if m.groups.full(len(m.long) + len(m.key)) {
		m.emitAll(out)
	}
	return m.groups.add(hash, sign, m.long, m.key)
}

// A signature is what a group is found by: rows with the same one are of one group, if
// their long texts are the same too. It has a byte for each column, which is the length of
// a text or one of the numbers below, and then two words for each: the number, or the first
// and the last bytes of the text. Rows with others may be of one group as well: the pairs
// that are emitted for them have the same key.
const (
	shortText   = 16 // bytes
	signLong    = shortText + 1
	signInteger = shortText + 2
	signFloat   = shortText + 3
)

// isLong says that a value is a text of which a signature has the first and last bytes
// only.
func isLong(v *mr.Vector, row int) bool {
	return v.Texts != nil && v.Kinds[row] != mr.NullField && len(v.Texts[row]) > shortText
}

// signRows makes the signatures and hashes of n rows.
func (m *foldingMapper) signRows(b *mr.Batch, from, n int) {
	t := &m.groups
	for i := range n {
		m.hashes[i], m.longs[i] = t.mix[0], false
	}
	var of columnSigns
	for c := range m.by {
		m.signColumn(&b.Columns[c], from, n, &of)
		word, shift, at := c/8, c%8*8, (m.by+7)/8+2*c
		for i, s := range of[:n] {
			sign := m.signs[i*t.sign:][:t.sign]
			if shift == 0 {
				sign[word] = s.kind
			} else {
				sign[word] |= s.kind << shift
			}
			sign[at], sign[at+1] = s.x, s.y
			high, low := bits.Mul64(m.hashes[i]^s.x, t.mix[1]^s.y^s.kind)
			m.hashes[i] = high ^ low
		}
	}
}

// columnSigns are what a column adds to the signatures of some rows. Those of a null are
// those of a text without a byte.
type columnSigns [together]struct{ kind, x, y uint64 }

// signColumn makes them. There is a loop for each form of a column.
func (m *foldingMapper) signColumn(v *mr.Vector, from, n int, to *columnSigns) {
	clear(to[:n])
	kinds := v.Kinds[from:][:n]
	switch {
	case v.Ints != nil:
		for i, x := range v.Ints[from:][:n] {
			if kinds[i] != mr.NullField {
				to[i].kind, to[i].x = signInteger, uint64(x)
			}
		}
	case v.Floats != nil:
		for i, x := range v.Floats[from:][:n] {
			if kinds[i] != mr.NullField {
				to[i].kind, to[i].x = signFloat, math.Float64bits(x)
			}
		}
	default:
		for i, text := range v.Texts[from:][:n] {
			if kinds[i] == mr.NullField {
				continue
			}
			s := &to[i]
			if s.kind, s.x, s.y = signText(text); s.kind == signLong {
				m.hashes[i], m.longs[i] = m.hashes[i]^maphash.Bytes(m.groups.seed, text), true
			}
		}
	}
}

// signText makes words of a text.
func signText(t []byte) (kind, x, y uint64) {
	switch n := len(t); {
	case n >= 8:
		return uint64(min(n, signLong)), binary.LittleEndian.Uint64(t), binary.LittleEndian.Uint64(t[n-8:])
	case n >= 4:
		return uint64(n), uint64(binary.LittleEndian.Uint32(t)) | uint64(binary.LittleEndian.Uint32(t[n-4:]))<<32, 0
	case n > 0:
		return uint64(n), uint64(t[0]) | uint64(t[n/2])<<8 | uint64(t[n-1])<<16, 0
	}
	return 0, 0, 0
}

// sameLong compares the long texts of a row with those of a group that has the same
// signature.
func (m *foldingMapper) sameLong(g int, b *mr.Batch, row int) bool {
	rest := m.groups.long(g)
	for c := range m.by {
		v := &b.Columns[c]
		if !isLong(v, row) {
			continue
		}
		n, k := binary.Uvarint(rest)
		if rest = rest[k:]; string(rest[:n]) != string(v.Texts[row]) {
			return false
		}
		rest = rest[n:]
	}
	return true
}

// addNumbers adds the numbers of a row to those of its group.
func (m *foldingMapper) addNumbers(b *mr.Batch, row, group int) error {
	for i, s := range m.slots {
		v := &b.Columns[s.column]
		if v.Kinds[row] == mr.NullField {
			continue
		}
		if v.Ints != nil && s.op <= opAvg {
			m.groups.sum(group, i).add(v.Ints[row])
			continue
		}
		n, ok := wholeNumber(v, row)
		if ok && s.op <= opAvg {
			m.groups.sum(group, i).add(n)
			continue
		}
		d := decimalOfInt(n)
		if !ok {
			var err error
			if d, err = m.otherNumber(b, row, s.column); err != nil {
				return err
			}
		}
		m.groups.sum(group, i)[0]++
		m.groups.other(group, i).add(s.op, d)
	}
	return nil
}

// Flush emits what the table holds.
func (m *foldingMapper) Flush(out mr.Emitter) error {
	m.emitAll(out)
	return nil
}

// otherNumber returns the number of a row that is no whole one of a few digits.
func (m *foldingMapper) otherNumber(b *mr.Batch, row, column int) (decimal, error) {
	if v := &b.Columns[column]; v.Texts != nil {
		if d, err := parseDecimal(v.Texts[row]); err == nil {
			return d, nil
		}
	}
	return m.number(b.Record(row).Fields, column)
}

// wholeNumber returns the number of a row that is a whole one of a few digits, which is
// what most are.
func wholeNumber(v *mr.Vector, row int) (n int64, ok bool) {
	if v.Ints != nil {
		return v.Ints[row], true
	}
	if v.Texts == nil {
		return 0, false
	}
	digits := v.Texts[row]
	if len(digits) == 0 || len(digits) > 18 {
		return 0, false
	}
	negative := digits[0] == '-'
	if negative {
		if digits = digits[1:]; len(digits) == 0 {
			return 0, false
		}
	}
	for _, c := range digits {
		if c -= '0'; c > 9 {
			return 0, false
		}
		n = 10*n + int64(c)
	}
	if negative {
		n = -n
	}
	return n, true
}

// emitAll emits a pair for each group, and empties the table.
func (m *foldingMapper) emitAll(out mr.Emitter) {
	t := &m.groups
	all := uint64(0)
	for g := range t.n {
		rows := t.rows(g)[0]
		all += rows
		binary.BigEndian.PutUint64(m.value, rows)
		for i, s := range m.slots {
			t.put(m.value[countSize+i*slotSize:][:slotSize], g, i, s.op)
		}
		mr.EmitFolded(out, t.key(g), m.value, int64(rows))
	}
	t.reset(all)
}
