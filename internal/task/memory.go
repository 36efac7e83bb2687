package task

import (
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/mr"
)

// How the budget B of a slot is shared out. The shares of one column are
// held at the same time, at most.
//
//	map attempt           reading  merging  uploading
//	  pairs and cells       1/2      1/2       -
//	  fetched input         1/8       -        -
//	  pairs of one record   1/8       -        -    if bad ones may be skipped
//	  readers of runs       1/8      1/8       -    while some are merged
//	  segments, ready       1/8      1/8      1/8   reading: what those of the attempt before have left,
//	                                                unless bad ones may be skipped
//	reduce attempt        fetching  reducing
//	  segments              3/8      3/8
//	  bodies on their way   1/8       -
//	  readers of segments    -       1/4
//	  output parts, or all   -       1/4
//
// An attempt of a map-only job holds fetched input, the pairs of one record and
// output parts. Of a partitioned output a quarter of the share of output parts holds rows,
// one more objects, and at the end one more the rows that are encoded.
//
// Of a map task with compressed objects, what decompressing takes
// (decompress.Memory: 640 KiB for gzip, up to 9.6 MiB for zstd) is off the budget
// before it is shared out, up to half of it.
//
// What is left is for the garbage collector, one line of input, a block or
// two of a codec and the bodies of uploads. Three things may exceed the
// budget, as they cannot be had in pieces: a line or whole object of input,
// one pair, and the application's own memory. So may a row group of Parquet (16 MiB)
// or a frame of zstd (4 MiB) of an output. Of pairs that are larger than any share
// two are held by readers, however many there are, each decoded and as stored, and
// one by a writer; operations.md promises at most five.
// What does not fit into its share goes to scratch files.

const (
	// minSlotMemory is the least budget of a slot in bytes.
	minSlotMemory = 8 << 20
	// maxChunk is the most bytes of a ranged read of an attempt that makes up
	// to manyReads of them. One that reads more makes them larger, up to
	// maxWide, if the window has room for eight of those: each is paid for and
	// counts as a GET, but the first record waits for all of the first one.
	maxChunk  = 8 << 20
	maxWide   = 64 << 20
	manyReads = 64
	// windowChunks is how many chunks the window has room for, at least.
	windowChunks = 4
	// minChunk keeps small budgets from making a request for every few
	// bytes.
	minChunk = 64 << 10
	// requests bounds the requests that an attempt has in flight.
	requests = 16
	// perObject is what a small object on its way is taken to weigh at
	// least: its request has a cost too.
	perObject = 8 << 10
)

// shares is the budget of a slot, shared out. All in bytes.
type shares struct {
	pairs    int64 // buffer of a map attempt
	window   int64 // bodies on their way
	chunk    int64 // of them, one request
	wide     int64 // the same of an attempt that makes many, at most
	held     int64 // pairs of one record; a quarter of it for the list of bad ones
	spool    int64 // finished segments held in memory
	readers  int64 // of the sources of one merge
	segments int64 // fetched segments held in memory
	block    int   // of spill files
	output   int64 // what the writer of the output holds
}

// shareOut shares a budget out as the table above says.
func shareOut(phase mr.Phase, budget int64) shares {
	s := shares{
		pairs:    budget / 2,
		window:   max(budget/8, minChunk),
		held:     budget / 8,
		spool:    budget / 8,
		readers:  budget / 8,
		segments: 3 * budget / 8,
		block:    recordio.DefaultBlockSize,
		output:   budget / 4,
	}
	if phase == mr.ReducePhase {
		s.readers = budget / 4
	}
	s.chunk = min(max(s.window/windowChunks, minChunk), maxChunk)
	s.wide = min(s.window/8, maxWide)
	return s
}

// chunkOf returns how many bytes one request of an attempt asks for that reads
// total bytes. Large ones are whole mebibytes, or nearly all would have a last
// one of a few bytes.
func (s shares) chunkOf(total int64) int64 {
	const mib = 1 << 20
	return max(s.chunk, min((total/manyReads+mib-1)/mib*mib, s.wide))
}

// SlotMemory is the budget of one of slots slots of a process that is to
// stay within total bytes: a quarter, at most 64 MiB, is left to the runtime
// and to what the slots share.
func SlotMemory(total int64, slots int) int64 {
	return max((total-min(total/4, 64<<20))/int64(max(slots, 1)), minSlotMemory)
}

// MostSlots is how many slots a process has memory for.
func MostSlots(total int64) int {
	return max(1, int(SlotMemory(total, 1)/minSlotMemory))
}

// Chunk is how many bytes a ranged read of an attempt asks for that reads so
// many bytes in all, in a process that has total bytes for slots slots. For
// compressed input it may be less.
func Chunk(total int64, slots int, bytes int64) int64 {
	return shareOut(mr.MapPhase, SlotMemory(total, slots)).chunkOf(bytes)
}

// OutputMemory is how many bytes the writer of an output may hold; total and
// slots are as for [Chunk].
func OutputMemory(total int64, slots int) int64 {
	return shareOut(mr.ReducePhase, SlotMemory(total, slots)).output
}
