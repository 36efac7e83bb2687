package mr

import (
	"encoding/binary"
	"fmt"
	"iter"
	"strconv"
	"unsafe"
)

// Pairs are the codecs of the intermediate pairs of an app, and turn functions
// of typed keys and values into what an [App] is made of:
//
//	pairs := mr.PairsOf(mr.Text{}, mr.Int64{})
//	app := mr.App{
//		Name: "wordcount",
//		NewMapper: pairs.Map(func(line string, out *mr.Out[string, int64]) error {
//			for word := range strings.FieldsSeq(line) {
//				out.Emit(word, 1)
//			}
//			return nil
//		}),
//		NewReducer: mr.SumReducer,
//		Combine:    mr.Sum{},
//	}
//
// Numbers of [Int64] are what [Sum] and [SumReducer] add up. Typed functions and
// those of bytes may be mixed in one app. What a typed function is given it may
// keep; a string that is kept holds up to 16 KiB of its neighbours in memory.
type Pairs[K, V any] struct {
	key   Codec[K]
	value Codec[V]
}

// PairsOf returns pairs of these codecs.
func PairsOf[K, V any](key Codec[K], value Codec[V]) Pairs[K, V] { return Pairs[K, V]{key, value} }

// MapFunc maps a record, which text is: with [Lines] and [NumberedLines] a line
// without its "\n", with [WholeObjects] an object. An error fails the attempt.
type MapFunc[K, V any] func(text string, out *Out[K, V]) error

// Map makes the [App.NewMapper] of a function.
func (p Pairs[K, V]) Map(f MapFunc[K, V]) func(*Task) (Mapper, error) {
	return p.MapTask(func(*Task) (MapFunc[K, V], error) { return f, nil })
}

// MapTask is Map for a function that is made for each attempt, from its
// parameters or with state of its own.
func (p Pairs[K, V]) MapTask(newFunc func(*Task) (MapFunc[K, V], error)) func(*Task) (Mapper, error) {
	return func(t *Task) (Mapper, error) {
		f, err := newFunc(t)
		if err != nil {
			return nil, err
		}
		_, isText := any(p.key).(Text)
		_, isInt64 := any(p.value).(Int64)
		return &typedMapper[K, V]{f: f, out: Out[K, V]{Task: t, pairs: p, isText: isText, isInt64: isInt64}}, nil
	}
}

// RowFunc maps a row of an app with [Rows]. An error fails the attempt.
type RowFunc[K, V any] func(row *Fields, out *Out[K, V]) error

// MapRows makes the [App.NewMapper] of a function.
func (p Pairs[K, V]) MapRows(f RowFunc[K, V]) func(*Task) (Mapper, error) {
	return p.MapTask(func(*Task) (MapFunc[K, V], error) {
		return func(_ string, out *Out[K, V]) error { return f(out.Record.Fields, out) }, nil
	})
}

type typedMapper[K, V any] struct {
	f     MapFunc[K, V]
	out   Out[K, V]
	texts texts
}

// Map implements [Mapper].
func (m *typedMapper[K, V]) Map(rec Record, out Emitter) error {
	m.out.Record, m.out.to = rec, out
	text, err := m.texts.Parse(rec.Data)
	if err != nil {
		return err
	}
	return m.f(text, &m.out)
}

// Out takes the pairs of a [MapFunc]. It is valid during the call.
type Out[K, V any] struct {
	// Task is the attempt.
	Task *Task
	// Record is the record that is mapped.
	Record Record

	pairs      Pairs[K, V]
	to         Emitter
	key, value []byte  // buffers of the codecs
	number     [8]byte // of a value

	// The codecs are Text and Int64: Emit does their work by itself, which
	// takes about a third off its time.
	isText, isInt64 bool
}

// Emit emits a pair.
func (o *Out[K, V]) Emit(key K, value V) {
	var k []byte
	if text, ok := any(key).(string); ok && o.isText {
		k = unsafe.Slice(unsafe.StringData(text), len(text)) // an Emitter copies and does not write
	} else {
		o.key = o.pairs.key.Append(o.key[:0], key)
		k = o.key
	}
	if n, ok := any(value).(int64); ok && o.isInt64 {
		binary.BigEndian.PutUint64(o.number[:], uint64(n))
		o.to.Emit(k, o.number[:])
		return
	}
	o.value = o.pairs.value.Append(o.value[:0], value)
	o.to.Emit(k, o.value)
}

// EmitNamed writes a record to a named output, in a job without reduce tasks, as
// [Named] does.
func (o *Out[K, V]) EmitNamed(name, key, value string) {
	o.Task.Named.Emit(name, []byte(key), []byte(value))
}

// ReduceFunc reduces a key with its values, which come in input order. Values
// that are not taken are skipped. An error fails the attempt.
type ReduceFunc[K, V any] func(key K, values iter.Seq[V], out *Printer) error

// Reduce makes the [App.NewReducer] of a function.
func (p Pairs[K, V]) Reduce(f ReduceFunc[K, V]) func(*Task) (Reducer, error) {
	return p.ReduceTask(func(*Task) (ReduceFunc[K, V], error) { return f, nil })
}

// ReduceTask is Reduce for a function that is made for each attempt. It is
// called for the keys of a partition in byte order, so it may compare a key
// with the one before.
func (p Pairs[K, V]) ReduceTask(newFunc func(*Task) (ReduceFunc[K, V], error)) func(*Task) (Reducer, error) {
	return func(t *Task) (Reducer, error) {
		f, err := newFunc(t)
		if err != nil {
			return nil, err
		}
		r := &typedReducer[K, V]{f: f, key: forAttempt(p.key), value: forAttempt(p.value), out: Printer{Task: t}}
		// They are made once, since each of them is an allocation.
		r.typed, r.each = r.values, r.take
		return r, nil
	}
}

type typedReducer[K, V any] struct {
	f     ReduceFunc[K, V]
	key   Codec[K]
	value Codec[V]
	out   Printer

	raw   iter.Seq[[]byte]  // of the key at hand
	typed iter.Seq[V]       // is values
	each  func([]byte) bool // is take
	yield func(V) bool      // of the range over typed
	err   error             // of a value
}

// Reduce implements [Reducer].
func (r *typedReducer[K, V]) Reduce(key []byte, values iter.Seq[[]byte], out Output) error {
	k, err := r.key.Parse(key)
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	r.raw, r.out.to, r.err = values, out, nil
	if err := r.f(k, r.typed, &r.out); err != nil && r.err == nil {
		return err
	}
	return r.err
}

// values is the sequence of typed values.
func (r *typedReducer[K, V]) values(yield func(V) bool) {
	r.yield = yield
	r.raw(r.each)
}

// take hands a value on, and says whether another one is wanted.
func (r *typedReducer[K, V]) take(value []byte) bool {
	v, err := r.value.Parse(value)
	if err != nil {
		r.err = fmt.Errorf("value: %w", err)
		return false
	}
	return r.yield(v)
}

// Printer takes the output of a [ReduceFunc]. It is valid during the call. Each
// call of a method is a line.
type Printer struct {
	// Task is the attempt.
	Task *Task

	to  Output
	buf []byte
}

// Print writes the line "key value", as [Output.Write] does.
func (p *Printer) Print(value string) {
	p.buf = append(p.buf[:0], value...)
	p.to.Write(p.buf)
}

// PrintInt writes the line of the key and a decimal number.
func (p *Printer) PrintInt(n int64) {
	p.buf = strconv.AppendInt(p.buf[:0], n, 10)
	p.to.Write(p.buf)
}

// Printf writes the line of the key and what [fmt.Sprintf] returns.
func (p *Printer) Printf(format string, args ...any) {
	p.buf = fmt.Appendf(p.buf[:0], format, args...)
	p.to.Write(p.buf)
}

// PrintLine writes a line that begins with the key, as [Output.WriteLine] does.
func (p *Printer) PrintLine(line string) {
	p.buf = append(p.buf[:0], line...)
	p.to.WriteLine(p.buf)
}

// PrintNamed writes a record to a named output, as [Named] does: the line "key value",
// or "key" if the value is empty.
func (p *Printer) PrintNamed(name, key, value string) {
	p.Task.Named.Emit(name, []byte(key), []byte(value))
}

// Combine makes the [App.Combine] of a function, which must be associative, as
// [Combiner] has it. Sums of [Int64] are [Sum], which the engine adds up by
// itself.
func (p Pairs[K, V]) Combine(f func(acc, next V) V) Combiner {
	return CombinerFunc(func(acc, next []byte) []byte {
		a, err := p.value.Parse(acc)
		if err != nil {
			panic(fmt.Sprintf("mr: combine: value: %v", err))
		}
		b, err := p.value.Parse(next)
		if err != nil {
			panic(fmt.Sprintf("mr: combine: value: %v", err))
		}
		return p.value.Append(acc[:0], f(a, b))
	})
}
