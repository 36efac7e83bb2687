// Package runner is the seam between the engine (package task) and what runs
// the code of an application: Go code in this process (package gorunner), or
// code elsewhere.
//
// Whatever the code does wrong comes back as an error. An error of the engine,
// which its own methods return to a [Runner], ends the call that met it; whether
// and how it comes back does not matter, since the engine keeps it.
package runner

import (
	"fmt"
	"iter"

	"github.com/mraws/mraws/mr"
)

// Runner runs the code of one application for any number of attempts at the
// same time. Each method returns soon after the context of its task has ended.
type Runner interface {
	// Properties says what the engine has to know of the application.
	Properties() Properties
	// Map hands the records of one attempt to the application, and to out what
	// that emits. After the last record it flushes the application, unless the
	// records are a sample. When the application fails over a record, Map asks
	// [Records.SkipOrFail] whether to go on with the next.
	Map(t *mr.Task, in Records, out Emitter) error
	// Reduce hands each key with its values to the application, and to out what
	// that writes.
	Reduce(t *mr.Task, in Groups, out Output) error
	// Guard calls f, which may call the functions of Properties, and returns its
	// error, or how such a function failed.
	Guard(f func() error) error
}

// Properties are what the engine has to know of an application.
type Properties struct {
	// Ordered is as [mr.App] has it.
	Ordered bool
	// Combine is the combiner, nil for none. That of [mr.Sum] the engine does
	// not call: it adds up by itself.
	Combine mr.Combiner
	// Partition is the partitioner, nil for [mr.Partition].
	Partition func(key []byte, n int) int
	// Rows says that the application reads the columns of rows: [mr.Rows].
	Rows bool
	// Columns are those that it reads, with these parameters; nil leaves it to the
	// job.
	Columns func(params map[string]string) ([]string, error)
	// Defaults are the parameters that the job need not set.
	Defaults map[string]string
	// Concurrent says that the records and the emitter of Map, and the groups and
	// the output of Reduce, are used side by side, each by one goroutine. What the
	// application emits or writes belongs to no record or key then, no record that
	// it was given is skipped, and Output.WriteLine takes any line.
	Concurrent bool
	// Lines says that the application gets each record as a line: one with a line
	// break in it is bad.
	Lines bool
}

// Beater is an [mr.Counters] that takes signs of life.
type Beater interface {
	// Beat says that the attempt makes progress.
	Beat()
}

// Records are the input of a map attempt, or a sample of it, in order.
type Records interface {
	// Next returns the next record, until there is none or Err says why. Its
	// Data is valid until the next call.
	Next() (mr.Record, bool)
	// Blocks says that NextBlock may be called in place of Next.
	Blocks() bool
	// NextBlock is Next of many lines at a time, as [mr.BlockMapper] has it.
	NextBlock() (mr.Record, bool)
	// SkipOrFail says that the application has failed with err over the record
	// that Next returned last. It returns nil if the record is skipped, with all
	// that was emitted for it, and otherwise the error with which Map has to end.
	SkipOrFail(err error) error
	// Sample says that the records are a sample: the application is not flushed.
	Sample() bool
	// Err is why Next has ended before the end of the input.
	Err() error
}

// BatchRecords are [Records] of rows that come many at a time.
type BatchRecords interface {
	Records
	// Batches says that NextBatch may be called in place of Next.
	Batches() bool
	// NextBatch is Next of many rows at a time, as [mr.BatchMapper] has it.
	NextBatch() (*mr.Batch, bool)
	// FailedAt says over which row of the batch the application has failed, before
	// SkipOrFail.
	FailedAt(row int)
}

// Emitter takes the pairs that the application emits. After an error it takes
// no more.
type Emitter interface {
	// Emit takes a copy of a pair.
	Emit(key, value []byte) error
	// EmitSpans takes many pairs of one value, as [mr.SpanEmitter] has it.
	EmitSpans(text []byte, spans []uint32, value []byte) error
}

// FoldEmitter is an [Emitter] that counts a pair as several, as [mr.FoldEmitter] has it.
type FoldEmitter interface {
	Emitter
	EmitFolded(key, value []byte, pairs int64) error
}

// Groups are the input of a reduce attempt: keys in byte order.
type Groups interface {
	// Next moves to the next key, past values that were not taken.
	Next() bool
	// Key returns the key. It is valid until the next Next, and not to be changed.
	Key() []byte
	// Values returns the values of each key in its turn, in input order, each of
	// them valid until the next.
	Values() iter.Seq[[]byte]
	// Err is why Next or Values have ended before the end of the input.
	Err() error
}

// Output takes the output of the application for the key at hand. After an
// error it takes no more.
type Output interface {
	// Write is as [mr.Output] has it.
	Write(value []byte) error
	// WriteLine is as [mr.Output] has it; see [Properties.Concurrent].
	WriteLine(line []byte) error
}

// Named is an [Emitter] or an [Output] that takes records for named outputs. Those of
// what writes the output of its job are.
type Named interface {
	// EmitNamed takes a copy of a record, as [mr.Named] has it.
	EmitNamed(name string, key, value []byte) error
}

// PanicError says that the code has ended a call in the way in which Go code
// panics.
type PanicError struct {
	Value any
	Stack string // of the code
}

// Error returns the value.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// AttemptLabel is the label of profiles that all goroutines of an attempt have.
const AttemptLabel = "mraws-attempt"
