// Package wat writes WebAssembly modules for tests, instruction by instruction: no
// compiler is needed, and no binary file.
package wat

import "slices"

// Module is a WebAssembly module as tests write it, by hand.
type Module struct {
	Imports   []Func // Of and Name say whence
	Functions []Func // numbered behind the imports
	Pages     int    // of its memory, 64 KiB each
	Start     int    // number of the function that runs first; 0 is none
	Data      map[int]string
	// NoMemory leaves out the memory.
	NoMemory bool
}

// Func is a function.
type Func struct {
	Of, Name string // Name is that of the export, "" for none
	// Params and Results are types: [I32] and [I64].
	Params, Results []byte
	Locals          int    // of type I32, behind the parameters
	Code            []byte // without the end
}

// The types of values.
const (
	I32 = 0x7f
	I64 = 0x7e
)

// Opcodes.
const (
	Unreachable = 0x00
	Loop        = 0x03
	If          = 0x04
	End         = 0x0b
	Br          = 0x0c
	BrIf        = 0x0d
	Return      = 0x0f
	Call        = 0x10
	Drop        = 0x1a
	LocalGet    = 0x20
	LocalSet    = 0x21
	LocalTee    = 0x22
	I32Load     = 0x28
	I32Load8U   = 0x2d
	I32Store    = 0x36
	MemoryGrow  = 0x40
	I32Eqz      = 0x45
	I32Eq       = 0x46
	I32LtU      = 0x49
	I32Add      = 0x6a
	I32Sub      = 0x6b
	I64Or       = 0x84
	I64ExtendU  = 0xad // of an I32
	NoValue     = 0x40 // the type of a block
)

// I32Const and I64Const put a number on the stack.
func I32Const(n int32) []byte { return append([]byte{0x41}, sleb(int64(n))...) }

// I64Const is that of 64 bits.
func I64Const(n int64) []byte { return append([]byte{0x42}, sleb(n)...) }

// Code joins instructions: numbers are single bytes.
func Code(parts ...any) []byte {
	var code []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			code = append(code, byte(p))
		case []byte:
			code = append(code, p...)
		default:
			panic("neither a byte nor bytes")
		}
	}
	return code
}

// Word reads or writes an I32 at the address on the stack.
func Word(op int) []byte { return []byte{byte(op), 2, 0} }

// Span is the address and the length of bytes as a module returns them.
func Span(at, n uint32) []byte { return I64Const(int64(uint64(at)<<32 | uint64(n))) }

// Echo is the code of a function of one parameter, the size of the batch at
// [EchoBuffer], which returns that batch as one record with an empty key, and nothing
// for an empty batch.
func Echo() []byte {
	return Code(
		LocalGet, 0, I32Eqz, If, NoValue, I64Const(0), Return, End,
		I32Const(EchoBuffer-8), I32Const(0), Word(I32Store),
		I32Const(EchoBuffer-4), LocalGet, 0, Word(I32Store),
		LocalGet, 0, I32Const(8), I32Add, I64ExtendU, Span(EchoBuffer-8, 0), I64Or,
	)
}

// memoryCopy copies bytes: to, from and number are on the stack.
func memoryCopy() []byte { return []byte{0xfc, 0x0a, 0, 0} }

// outBuffer is where [Sorter] writes records.
const outBuffer = 1 << 19

// The locals of Sorter: parameter, address in the input, start of the line, address in
// the output, length.
const (
	paramN = iota
	localP
	localQ
	localO
	localL
)

// each is the code of a function that calls step, from localP on, until that is at the
// end of the batch, and returns what lies between outBuffer and localO.
func each(step ...any) []byte {
	return Code(
		LocalGet, paramN, I32Eqz, If, NoValue, I64Const(0), Return, End,
		I32Const(EchoBuffer), LocalTee, localP, LocalSet, localQ, I32Const(outBuffer), LocalSet, localO,
		Loop, NoValue, Code(step...),
		LocalGet, localP, LocalGet, paramN, I32Const(EchoBuffer), I32Add, I32LtU, BrIf, 0, End,
		LocalGet, localO, I32Const(outBuffer), I32Sub, I64ExtendU, Span(outBuffer, 0), I64Or,
	)
}

// emit writes a record with localL bytes at localQ, as key or as value.
func emit(asKey bool) []byte {
	k, v := Code(LocalGet, localL), I32Const(0)
	if !asKey {
		k, v = v, k
	}
	return Code(
		LocalGet, localO, k, Word(I32Store),
		LocalGet, localO, I32Const(4), I32Add, v, Word(I32Store),
		LocalGet, localO, I32Const(8), I32Add, LocalGet, localQ, LocalGet, localL, memoryCopy(),
		LocalGet, localO, I32Const(8), I32Add, LocalGet, localL, I32Add, LocalSet, localO,
	)
}

// Sorter is a module that sorts lines: its mapper writes each as a key, its reducer
// each key as a line. Without a reducer the mapper writes each as a line. Lines have
// less than 64 KiB.
func Sorter(reducer bool) *Module {
	m := Guest(each(
		LocalGet, localP, []byte{I32Load8U, 0, 0}, LocalGet, localP, I32Const(1), I32Add, LocalSet, localP,
		I32Const('\n'), I32Eq, If, NoValue,
		LocalGet, localP, LocalGet, localQ, I32Sub, I32Const(1), I32Sub, LocalSet, localL,
		emit(reducer), LocalGet, localP, LocalSet, localQ, End,
	))
	m.Functions[2].Code = each(
		LocalGet, localP, Word(I32Load), LocalSet, localL,
		LocalGet, localP, I32Const(8), I32Add, LocalSet, localQ,
		emit(false),
		LocalGet, localQ, LocalGet, localL, I32Add, LocalGet, localP, I32Const(4), I32Add, Word(I32Load), I32Add, LocalSet, localP,
	)
	m.Pages = 20
	if !reducer {
		m.Functions = m.Functions[:2]
	}
	return m
}

// EchoBuffer is where [Guest] lets batches be written.
const EchoBuffer = 1 << 17

// Guest is a module for jobs, with this mapper and [Echo] as reducer.
func Guest(mapper []byte) *Module {
	work := Func{Params: []byte{I32}, Results: []byte{I64}}
	m, r := work, work
	m.Name, m.Code, m.Locals = "mraws_map", mapper, 4
	r.Name, r.Code, r.Locals = "mraws_reduce", Echo(), 4
	return &Module{Pages: 8, Functions: []Func{{Name: "mraws_buffer", Params: []byte{I32}, Results: []byte{I32}, Code: I32Const(EchoBuffer)}, m, r}}
}

// Bytes is the module in the binary format.
func (m *Module) Bytes() []byte {
	b := []byte("\x00asm\x01\x00\x00\x00")
	section := func(id byte, items [][]byte) {
		if len(items) > 0 {
			body := append(uleb(len(items)), slices.Concat(items...)...)
			b = append(append(append(b, id), uleb(len(body))...), body...)
		}
	}
	var types, imports, functions, exports, codes, data [][]byte
	for _, f := range slices.Concat(m.Imports, m.Functions) {
		types = append(types, slices.Concat([]byte{0x60}, text(string(f.Params)), text(string(f.Results))))
	}
	for i, f := range m.Imports {
		imports = append(imports, slices.Concat(text(f.Of), text(f.Name), []byte{0}, uleb(i)))
	}
	for i, f := range m.Functions {
		n := uleb(len(m.Imports) + i)
		functions = append(functions, n)
		if f.Name != "" {
			exports = append(exports, slices.Concat(text(f.Name), []byte{0}, n))
		}
		body := []byte{0}
		if f.Locals > 0 {
			body = slices.Concat([]byte{1}, uleb(f.Locals), []byte{I32})
		}
		body = append(append(body, f.Code...), End)
		codes = append(codes, append(uleb(len(body)), body...))
	}
	for at, s := range m.Data {
		data = append(data, slices.Concat([]byte{0}, I32Const(int32(at)), []byte{End}, text(s)))
	}
	section(1, types)
	section(2, imports)
	section(3, functions)
	if !m.NoMemory {
		section(5, [][]byte{append([]byte{0}, uleb(m.Pages)...)})
		exports = append(exports, append(text("memory"), 2, 0))
	}
	section(7, exports)
	if m.Start > 0 {
		n := uleb(m.Start)
		b = append(append(append(b, 8), uleb(len(n))...), n...)
	}
	section(10, codes)
	section(11, data)
	return b
}

// text is bytes with their length in front.
func text(s string) []byte { return append(uleb(len(s)), s...) }

// uleb is n in the format of unsigned numbers, LEB128.
func uleb(n int) []byte {
	var b []byte
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// sleb is n in the format of signed numbers.
func sleb(n int64) []byte {
	var b []byte
	for {
		low := byte(n) & 0x7f
		n >>= 7
		if n == 0 && low&0x40 == 0 || n == -1 && low&0x40 != 0 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}
