// Package mr is the vocabulary of mraws and the kit for writing map and
// reduce code: an application is one value of type [App], made of plain Go
// functions. The package imports the standard library only and knows nothing
// of S3, of the network or of the scheduler.
//
// The model is that of Dean and Ghemawat, "MapReduce: Simplified Data
// Processing on Large Clusters" (OSDI 2004), section 2: map turns an input
// record into intermediate key/value pairs, reduce turns a key and all its
// values into output.
package mr

import (
	"context"
	"io/fs"
	"iter"
)

// App is one MapReduce application. The zero value of every optional field
// is its default. An App is immutable once it has been handed to the engine
// and is shared by all attempts of a process, so its functions keep their
// state in the [Mapper] and [Reducer] values that they make, never in
// package variables.
type App struct {
	// Name is what --app takes: lower-case letters, digits, '-' and '_'.
	Name string
	// Help is one line for `mraws apps`.
	Help string
	// Version changes whenever the same input would give other output; a
	// coordinator refuses to resume a job of another version.
	Version string
	// Params are the --app-arg names that the app understands; any other
	// name is a usage error.
	Params []Param
	// Input says what one record is; the zero value is [Lines].
	Input Input
	// Columns, for an app with [Rows], names the columns that it reads, in the
	// order in which [Record.Fields] then has them. Nothing else is taken from an
	// object, which of Parquet saves most of the bytes. a.b is the member b of a.
	// nil leaves it to the command line, and else takes all columns.
	Columns func(params map[string]string) ([]string, error)

	// NewMapper is called once for each map attempt.
	NewMapper func(*Task) (Mapper, error)
	// NewReducer is called once for each reduce attempt. A job without reduce
	// tasks, as --nreduce 0 makes it, calls none: see [Task.MapOnly].
	NewReducer func(*Task) (Reducer, error)
	// Combine merges two values of one key; nil means no combining. [Sum] adds
	// up numbers, [CombinerFunc] makes one of a function.
	Combine Combiner
	// Partition maps a key to 0..n-1; nil means [Partition]. A job may name ranges
	// of keys, or fields of them, in its place.
	Partition func(key []byte, n int) int
	// SortValues says in which order Reduce gets the values of a key; "" is by
	// input. Pairs are then told apart by their values too while they are sorted,
	// so that each takes the bytes of its value twice, and Combine is not called.
	// A job may name another order.
	SortValues ValueOrder
	// Ordered asks for a total order: every key of partition r is less than
	// those of partition r+1, so that the outputs one after the other are
	// sorted. In place of Partition the engine cuts the keys into ranges of
	// about equal size, which it learns by mapping a sample of the input
	// with a [Mapper] of its own, not flushed. It needs [Lines], and an app
	// without SideEffects.
	Ordered bool

	// OutputColumns, where set, returns the columns of the rows that Reduce writes, for
	// jobs whose output is a table and that name no columns. A job without reduce tasks
	// does not call it: its columns are key and value. Params has every declared
	// parameter. The first column takes the key of a pair, the others what its value
	// has between tabs, and the last one the rest of it. Of a line that is written as
	// it is, all columns take what it has between tabs.
	OutputColumns func(params map[string]string) []Column

	// NamedOutputs declares the named outputs, which [Task.Named] writes to besides
	// the output: each a name such as "errors", or "errors=lines" for a format of its
	// own, see [ParseNamedOutput]. Records of task r for errors are in the object
	// _named/errors/mr-out-r below output/, which is not there if there are none. One in the
	// format of the job's output has its columns too, one with a format of its own has
	// the columns key and value.
	NamedOutputs []string

	// Check, where set, replaces the comparison with the sequential
	// reference in `mraws verify`: for apps whose output depends on time or
	// on the machines that ran it.
	Check func(lines iter.Seq2[Line, error], info CheckInfo) error
	// Reference, where set, is the app whose sequential run gives the
	// output that this one must have. It reads the same records, splits the
	// keys in the same way, and gets this app's parameters. One of the same
	// Name is this app without what makes it fast, so that a mistake in
	// that is found; it fails over the same records. One of another Name
	// stands in for an app that stalls or crashes, which would take the
	// verifier with it.
	Reference *App
	// SideEffects says that an attempt does more than its output shows, such
	// as writing side files that are counted, so that no task is to be run a
	// second time only because it lags. A task whose worker is lost is run
	// again all the same.
	SideEffects bool
	// ExactCounters says that what a task adds to its [Counters] depends on
	// its records and parameters alone, never on time, host, attempt or
	// order of goroutines. `mraws verify --app` then takes a counter that
	// differs from its own run for damage; otherwise it prints a note.
	ExactCounters bool
	// NeedsProcesses says that the app may end its process, so that workers
	// must not share one with the coordinator.
	NeedsProcesses bool
}

// Param is one parameter of an app, set with --app-arg name=value.
type Param struct {
	Name    string
	Help    string
	Default string
	// Required says that the parameter has to be given, if only as "".
	Required bool
	// Check, where set, refuses a value before the job starts; an error
	// says what is wrong with the value, not which parameter it is.
	Check func(value string) error
}

// Input says how the bytes of an object become records.
type Input int

const (
	// Lines makes one record of each line. A byte "\n" ends a line and
	// nothing else does; the record is the line without it. So a "\r" before
	// the "\n" belongs to the line, as for sort(1) and grep(1): an app that
	// does not want it takes it off. What follows the last "\n" of an object
	// is a line too unless it is empty; no line goes on in the next object.
	// Large objects are split at line ends, so Record.Line is 0.
	Lines Input = iota
	// NumberedLines is Lines on objects that are never split, so that
	// Record.Line counts from 1.
	NumberedLines
	// WholeObjects makes one record of each object, all of it in memory.
	WholeObjects
	// Rows makes one record of each row of a table, whose columns are in
	// [Record.Fields]. Whether the objects are CSV, TSV, JSON lines or Parquet, the
	// job says: with --format.
	Rows
)

// Record is one input record.
type Record struct {
	// Object is the name of the object below input/, such as "pg-grimm.txt", or
	// of one that lies elsewhere s3://bucket/key.
	// It may hold any byte, also a line break: see [EscapeName].
	Object string
	// Offset is the position of the record's first byte in its object; of a row of
	// Parquet a byte in the middle of its row group.
	Offset int64
	// Line is the 1-based line number with [NumberedLines], of a row of Parquet its
	// number in the object, else 0.
	Line int64
	// Lines is how many lines Data has, in a block for [BlockMapper], else 0.
	Lines int64
	// Data is the record, nil with [Rows]. It is valid during the call of Map only.
	Data []byte
	// Fields are the columns of the row with [Rows], else nil. They are valid during
	// the call of Map only.
	Fields *Fields
}

// Emitter takes intermediate pairs from a [Mapper].
type Emitter interface {
	// Emit copies key and value before it returns. A spill that fails ends
	// the attempt from within Emit; the mapper sees nothing of it.
	Emit(key, value []byte)
}

// SpanEmitter is an [Emitter] that takes many pairs at a time: the keys
// text[spans[0]:spans[1]], text[spans[2]:spans[3]] and so on, in that order,
// each with the same value. An engine's emitter may be one; [EmitSpans] looks.
type SpanEmitter interface {
	Emitter
	EmitSpans(text []byte, spans []uint32, value []byte)
}

// EmitSpans emits the keys that lie between pairs of offsets in text, as
// [SpanEmitter] says, one by one if out takes no more. An emitter that sees
// many keys can wait for all their places in memory at once.
func EmitSpans(out Emitter, text []byte, spans []uint32, value []byte) {
	if all, ok := out.(SpanEmitter); ok {
		all.EmitSpans(text, spans, value)
		return
	}
	for ; len(spans) >= 2; spans = spans[2:] {
		out.Emit(text[spans[0]:spans[1]], value)
	}
}

// Mapper turns records into pairs. One Mapper sees all records of one map
// attempt, in input order, from one goroutine. A Mapper that also has a
// method Flush(Emitter) error is flushed after its last record.
type Mapper interface {
	// Map may emit any number of pairs. An error fails the attempt.
	Map(rec Record, out Emitter) error
}

// BlockMapper is a [Mapper] of an app with [Lines] that can take many lines
// at a time, which saves a call for each. The engine decides which method it
// calls for which lines; both must emit the same pairs in the same order.
// `mraws verify` calls Map alone: keep it plain, and let it share as little as
// possible with MapBlock, so that a mistake in one of them is found.
type BlockMapper interface {
	Mapper
	// MapBlock maps all lines of block.Data, which start at block.Offset.
	// Each of the block.Lines lines ends with "\n"; the last line of an
	// object and a line that is a block alone may have no end. A failure is
	// blamed on the block as a whole, so this is for mappers that do not
	// fail.
	MapBlock(block Record, out Emitter) error
}

// Reducer turns a key with all its values into output lines. One Reducer
// sees all keys of one partition in byte order, unless the job names another order
// of keys, from one goroutine.
type Reducer interface {
	// Reduce is called once for each key. The values come in input order
	// (object, then offset), or as [App.SortValues] says, and each is valid until
	// the next is taken.
	// Values that are not taken are skipped. If reading them fails the
	// sequence ends early and the engine fails the attempt by itself.
	Reduce(key []byte, values iter.Seq[[]byte], out Output) error
}

// Output takes the output of a [Reducer].
type Output interface {
	// Write appends the line "key value\n" to the partition. A line break
	// in the key or the value fails the attempt: a reader could not tell
	// where the line ends.
	Write(value []byte)
	// WriteLine appends the line "line\n", which begins with the key, for
	// apps that are [App.Ordered]. Any other line, and one with a line break
	// in it, fails the attempt.
	WriteLine(line []byte)
}

// Combiner merges values of one key before they are shuffled.
type Combiner interface {
	// Combine merges next into acc, two values of one key that followed each
	// other in input order, and returns the merged value; it may reuse the
	// memory of acc but not keep next. It must be associative byte for byte,
	// since how values are grouped depends on splits and memory; it need not be
	// commutative. A first value becomes acc as it is. It may be called from
	// several goroutines.
	Combine(acc, next []byte) []byte
}

// CombinerTask is a [Combiner] that is made for each map attempt of a job with reduce
// tasks: the engine calls the function once, with its task, such as to read
// [Task.Files], and then combines with what that returns. It may not return another
// CombinerTask.
type CombinerTask func(*Task) (Combiner, error)

// Combine panics: only what the function returns combines.
func (f CombinerTask) Combine(_, _ []byte) []byte {
	panic("mr: a CombinerTask is made for a task before it combines")
}

// CombinerFunc makes a [Combiner] of a function.
type CombinerFunc func(acc, next []byte) []byte

// Combine calls f.
func (f CombinerFunc) Combine(acc, next []byte) []byte { return f(acc, next) }

// MapperFunc makes a [Mapper] of a function.
type MapperFunc func(rec Record, out Emitter) error

// Map calls f.
func (f MapperFunc) Map(rec Record, out Emitter) error { return f(rec, out) }

// ReducerFunc makes a [Reducer] of a function.
type ReducerFunc func(key []byte, values iter.Seq[[]byte], out Output) error

// Reduce calls f.
func (f ReducerFunc) Reduce(key []byte, values iter.Seq[[]byte], out Output) error {
	return f(key, values, out)
}

// Phase is map or reduce.
type Phase int

const (
	// MapPhase is the phase of map tasks.
	MapPhase Phase = iota
	// ReducePhase is the phase of reduce tasks.
	ReducePhase
)

// String returns "map" or "reduce".
func (p Phase) String() string {
	if p == ReducePhase {
		return "reduce"
	}
	return "map"
}

// Task is what one attempt knows of itself.
type Task struct {
	// Context ends when the attempt is revoked, its worker stops, or it made
	// no progress for the job's task-timeout. Code that may wait for long
	// heeds it. An attempt makes progress when it reads, emits, writes or
	// counts something.
	Context context.Context
	// Job is the job's id, Worker the worker's, Attempt this attempt's.
	Job, Worker, Attempt string
	// Phase and Index name the task: map 0..M-1 or reduce 0..R-1.
	Phase Phase
	Index int
	// MapOnly says that the job has no reduce tasks: each pair that the [Mapper]
	// emits is a line of output, "key value", or "key" if the value is empty. A
	// value for the combiner [Sum] is written as a decimal number. What cannot be a
	// line, since it has a line break in it, fails the attempt.
	MapOnly bool
	// Params holds every declared parameter, defaults filled in.
	Params map[string]string
	// Named takes records for the named outputs. It is for what writes the output: a
	// [Reducer], and the [Mapper] of a job without reduce tasks.
	Named Named
	// Objects returns the names of all input objects of the job, as
	// Record.Object has them, each once and in byte order. They are shared by
	// all attempts and must not be changed.
	Objects func() []string
	// Files are the files that the job ships: --file words.txt is "words.txt", and
	// --archive data.zip the folder "data.zip" with all that is in it. They are the
	// same in every task, wherever it runs, and cannot be changed. Without such flags
	// there are none. It is safe for concurrent use. Files are read from the disk of
	// the worker, so that a mapper best reads what it needs once, when it is made.
	Files fs.FS
	// Side is the job's side-file area, shared by all its tasks.
	Side SideFiles
	// Counters adds up named numbers. Those of committed attempts are
	// summed over the job and shown in _SUCCESS.
	Counters Counters
}

// Counters adds up named numbers for one attempt. It is safe for concurrent
// use. An attempt has at most 1,000 counters, with names of at most 256 bytes;
// the job fails over one that has more. The seal of a job covers its counters,
// so `mraws verify --seal` finds one that was changed later. `mraws verify
// --app` also counts again. A difference is a finding for an app with
// [App.ExactCounters], else a note: a counter may depend on time or host.
type Counters interface {
	// Add adds n to the counter name, which starts at 0.
	Add(name string, n int64)
}

// SideFiles is a small key-value area in the bucket that all attempts of one
// job share, on whatever machines they run: the place for what the lab's
// applications kept in the files of a working directory. Names are relative
// paths of letters, digits, and any of "-_./"; a name whose path.Clean
// differs is refused. Files are meant to be small (at most 1 MiB each) and
// are removed by `mraws reset`. They are outside the commit: an attempt that
// fails or loses leaves its side files behind.
type SideFiles interface {
	// Create writes a new file, atomically. It returns an error that wraps
	// fs.ErrExist when the name is taken, even by a concurrent Create.
	Create(ctx context.Context, name string, data []byte) error
	// Put writes or replaces a file, atomically.
	Put(ctx context.Context, name string, data []byte) error
	// Get returns a file's content, or an error wrapping fs.ErrNotExist.
	Get(ctx context.Context, name string) ([]byte, error)
	// List returns the names that start with prefix, in byte order.
	List(ctx context.Context, prefix string) ([]string, error)
}

// Line is one line of output, as a Check sees it.
type Line struct {
	// Partition is the r of the mr-out-r that holds the line.
	Partition int
	// Text is the whole line without its "\n".
	Text string
}

// CheckInfo is what a Check may know of the job besides its output.
type CheckInfo struct {
	// Maps and Reduces are the task counts M and R.
	Maps, Reduces int
	// Objects are the names of the input objects, as Record.Object has them.
	Objects []string
	// Params are the job's parameters, defaults filled in.
	Params map[string]string
}

// Partition is the partitioner of the MIT lab: the 32-bit FNV-1a hash of the
// key (http://www.isthe.com/chongo/tech/comp/fnv/), masked with 0x7fffffff,
// modulo n.
func Partition(key []byte, n int) int {
	h := uint32(2166136261)
	for _, c := range key {
		h = (h ^ uint32(c)) * 16777619
	}
	return int(h&0x7fffffff) % n
}
