//go:build wasip1

// Counts words, which are runs of Unicode letters:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o wc.wasm wc.go
//	mraws run --app wc.wasm --nreduce 2 book.txt
//
// A guest in Go takes about ten times as long as one in C.
package main

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"unicode"
	"unsafe"
)

var (
	in  []byte // the batch
	out []byte // the records that are returned
)

// buffer is where the host puts the next n bytes of input.
//
//go:wasmexport mraws_buffer
func buffer(n uint32) unsafe.Pointer {
	if cap(in) < int(n) {
		in = make([]byte, n, 2*n)
	}
	in = in[:n]
	return unsafe.Pointer(unsafe.SliceData(in))
}

// emit writes a pair; a reducer writes a line, as a value without a key.
func emit(key, value []byte) {
	out = binary.LittleEndian.AppendUint32(out, uint32(len(key)))
	out = binary.LittleEndian.AppendUint32(out, uint32(len(value)))
	out = append(append(out, key...), value...)
}

// done returns what was emitted, and begins anew.
func done() uint64 {
	r := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(out))))<<32 | uint64(len(out))
	out = out[:0]
	return r
}

//go:wasmimport mraws fail
func fail(text unsafe.Pointer, n uint32)

// must ends the attempt if there is an error.
func must(err error) {
	if err != nil {
		text := err.Error()
		fail(unsafe.Pointer(unsafe.StringData(text)), uint32(len(text)))
	}
}

//go:wasmexport mraws_map
func mapLines(n uint32) uint64 {
	for _, word := range bytes.FieldsFunc(in[:n], func(r rune) bool { return !unicode.IsLetter(r) }) {
		emit(word, []byte("1"))
	}
	return done()
}

// The word at hand, whose values may go on in the next batch, and their sum.
var (
	word []byte // nil before the first
	sum  uint64
)

// add adds up the values of each word, and calls tell for it. The call without bytes
// is the last.
func add(n uint32, tell func()) uint64 {
	for rest := in[:n]; len(rest) > 0; {
		k, v := binary.LittleEndian.Uint32(rest), binary.LittleEndian.Uint32(rest[4:])
		key, value := rest[8:8+k], rest[8+k:8+k+v]
		rest = rest[8+k+v:]
		if word == nil || !bytes.Equal(key, word) {
			if word != nil {
				tell()
			}
			word, sum = append(word[:0], key...), 0
		}
		count, err := strconv.ParseUint(string(value), 10, 64)
		must(err)
		sum += count
	}
	if n == 0 && word != nil {
		tell()
		word = nil
	}
	return done()
}

//go:wasmexport mraws_combine
func combine(n uint32) uint64 {
	return add(n, func() { emit(word, strconv.AppendUint(nil, sum, 10)) })
}

//go:wasmexport mraws_reduce
func reduce(n uint32) uint64 {
	return add(n, func() { emit(nil, strconv.AppendUint(append(word[:len(word):len(word)], ' '), sum, 10)) })
}

func main() {} // is not called
