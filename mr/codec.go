package mr

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Codec turns values of type T into bytes and back. Package mr has [Text],
// [Bytes], [Int64], [Decimal], [Hex64] and [Tuple]; a type with these two
// methods is one for a struct.
//
// The engine compares keys by their bytes: keys are sorted as their encodings
// are, and each of these codecs says which order that is. Two keys are one if
// their encodings are equal, so a value has one encoding. A line of output
// begins with the encoding of its key, so that must have no line break.
type Codec[T any] interface {
	// Append appends the encoding of v to b and returns the longer slice. It
	// panics on a value that it cannot encode, which fails the attempt over the
	// record. It must not keep v or b.
	Append(b []byte, v T) []byte
	// Parse decodes what Append has appended to an empty slice. The value must
	// not refer to b. An error fails the attempt.
	Parse(b []byte) (T, error)
}

// Text is the [Codec] of strings: their bytes, in byte order.
type Text struct{}

// Append implements [Codec].
func (Text) Append(b []byte, v string) []byte { return append(b, v...) }

// Parse implements [Codec].
func (Text) Parse(b []byte) (string, error) { return string(b), nil }

func (Text) forAttempt() Codec[string] { return new(texts) }

// Bytes is the [Codec] of byte slices, in byte order.
type Bytes struct{}

// Append implements [Codec].
func (Bytes) Append(b, v []byte) []byte { return append(b, v...) }

// Parse implements [Codec].
func (Bytes) Parse(b []byte) ([]byte, error) { return append([]byte{}, b...), nil }

// Int64 is the [Codec] of numbers that are values: the form of [AppendInt64],
// which [Sum] adds up and [SumReducer] prints. It has no order and no form for
// a line of output; for keys there are [Decimal] and [Hex64].
type Int64 struct{}

// Append implements [Codec].
func (Int64) Append(b []byte, v int64) []byte { return AppendInt64(b, v) }

// Parse implements [Codec].
func (Int64) Parse(b []byte) (int64, error) {
	if len(b) != 8 {
		return 0, fmt.Errorf("%d bytes are no number of mr.Int64", len(b))
	}
	return ParseInt64(b), nil
}

// Decimal is the [Codec] of whole numbers from 0 on that are keys: so many
// digits, with zeros in front, in the order of the numbers. Append panics on a
// number below 0 or of more digits.
type Decimal int

// Append implements [Codec].
func (width Decimal) Append(b []byte, v int64) []byte {
	var digits [20]byte
	text := strconv.AppendInt(digits[:0], v, 10)
	if v < 0 || len(text) > int(width) {
		panic(fmt.Sprintf("mr: %d is no number of at most %d digits", v, int(width)))
	}
	for range int(width) - len(text) {
		b = append(b, '0')
	}
	return append(b, text...)
}

// Parse implements [Codec].
func (width Decimal) Parse(b []byte) (int64, error) {
	n, err := strconv.ParseUint(string(b), 10, 63)
	if err != nil || len(b) != int(width) {
		return 0, fmt.Errorf("%.40q is no number of mr.Decimal(%d)", b, int(width))
	}
	return int64(n), nil
}

// Hex64 is the [Codec] of whole numbers of either sign that are keys: 16
// hexadecimal digits of the number plus 2^63, in the order of the numbers.
type Hex64 struct{}

// Append implements [Codec].
func (Hex64) Append(b []byte, v int64) []byte {
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], uint64(v)^(1<<63))
	return hex.AppendEncode(b, raw[:])
}

// Parse implements [Codec].
func (Hex64) Parse(b []byte) (int64, error) {
	var raw [8]byte
	if len(b) != 16 {
		return 0, fmt.Errorf("%.40q is no number of mr.Hex64", b)
	}
	if _, err := hex.Decode(raw[:], b); err != nil {
		return 0, fmt.Errorf("%q is no number of mr.Hex64: %w", b, err)
	}
	return int64(binary.BigEndian.Uint64(raw[:]) ^ (1 << 63)), nil
}

// Tuple is a key of two parts, for a secondary sort: keys come in the order of
// A, and those of one A in the order of B. [TupleOf] makes its codec, and
// [PartitionFirst] brings all keys of one A to the same reduce task.
type Tuple[A, B any] struct {
	A A
	B B
}

// TupleOf is the [Codec] of tuples whose parts have these codecs: the parts with
// a tab between them, in the order of a and then of b. Append panics if the
// first part has a byte up to that of the tab (9), which would break the order.
func TupleOf[A, B any](a Codec[A], b Codec[B]) Codec[Tuple[A, B]] { return tuples[A, B]{a, b} }

type tuples[A, B any] struct {
	a Codec[A]
	b Codec[B]
}

func (c tuples[A, B]) forAttempt() Codec[Tuple[A, B]] {
	return tuples[A, B]{forAttempt(c.a), forAttempt(c.b)}
}

// Append implements [Codec].
func (c tuples[A, B]) Append(b []byte, v Tuple[A, B]) []byte {
	start := len(b)
	b = c.a.Append(b, v.A)
	for _, x := range b[start:] {
		if x <= '\t' {
			panic(fmt.Sprintf("mr: the first part of a tuple, %.100q, has a byte up to that of a tab", b[start:]))
		}
	}
	return c.b.Append(append(b, '\t'), v.B)
}

// Parse implements [Codec].
func (c tuples[A, B]) Parse(b []byte) (v Tuple[A, B], err error) {
	end := firstPart(b)
	if end == len(b) {
		return v, errors.New("a tuple without a tab")
	}
	if v.A, err = c.a.Parse(b[:end]); err == nil {
		v.B, err = c.b.Parse(b[end+1:])
	}
	return v, err
}

// firstPart is the length of the first part of a tuple.
func firstPart(key []byte) int {
	for i, c := range key {
		if c == '\t' {
			return i
		}
	}
	return len(key)
}

// PartitionFirst is an [App.Partition] for keys of [TupleOf]: [Partition] of
// the first part.
func PartitionFirst(key []byte, n int) int { return Partition(key[:firstPart(key)], n) }

// forAttempt returns a codec that one attempt has for itself, and which may
// keep something from value to value.
func forAttempt[T any](c Codec[T]) Codec[T] {
	if own, ok := c.(interface{ forAttempt() Codec[T] }); ok {
		return own.forAttempt()
	}
	return c
}

// texts is [Text] for one attempt. The strings lie one behind the other in
// blocks, so that few of them need an allocation.
type texts struct {
	Text
	block strings.Builder
}

// textBlock is the length of a block, bytes.
const textBlock = 16 << 10

// Parse implements [Codec].
func (t *texts) Parse(b []byte) (string, error) {
	if len(b) > textBlock/4 {
		return string(b), nil
	}
	if t.block.Cap()-t.block.Len() < len(b) {
		t.block = strings.Builder{}
		t.block.Grow(textBlock)
	}
	start := t.block.Len()
	t.block.Write(b)
	return t.block.String()[start:], nil
}
