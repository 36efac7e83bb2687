// Package estimate says beforehand how many requests to S3 a job makes: by a formula
// (docs/operations.md says it in words), and by a plan with what is known, or assumed, of
// the bytes that the job will write.
package estimate

// Sizes at which the store cuts what it writes, in bytes.
const (
	part       = 8 << 20  // minimum part of a multipart upload
	maxPart    = 64 << 20 // maximum part of a file that has at most maxParts parts
	fileParts  = 64       // number of parts of a file from which on its parts grow
	onePut     = 64 << 20 // maximum size of a file that is written by one PUT
	maxParts   = 10_000   // maximum number of parts of an upload
	sameLength = 1000     // number of parts of a stream after which the part grows by the first one's size
)

// Model is what the number of requests of a job depends on. It does not
// cover resumed jobs, failed requests, failed or speculative attempts, and
// standby coordinators.
type Model struct {
	// Listed is the number of objects below input/, including the
	// placeholders of folders.
	Listed        int64
	Maps, Reduces int64 // tasks
	// Workers is the number of workers that join. Busy is the number of
	// processes that run a task, Reducers of those that run a reduce task.
	// The workers of one process share what they read.
	Workers, Busy, Reducers int64
	// InputReads is the sum of Reads over the pieces of input. A piece that
	// does not start at the start of its object reads one byte more. A piece
	// that ends within a line makes one request more.
	InputReads int64
	// SegmentReads is the sum of Reads over the segments that have records.
	SegmentReads int64
	// Segments is the sum of FileWrites over the segments that have records.
	// A packed job writes one object for each map task with records instead.
	Segments Writes
	// Outputs is the sum of StreamWrites over the outputs.
	Outputs Writes
	// Renewals is how often the coordinator renewed its announcement: in each
	// third of the lease, and 100 ms after workers joined or left. Looks is
	// how often the announcement was read again: by a standby in each tenth
	// of the lease, or after the end of the job cancelled a renewal. Both
	// depend on time.
	Renewals, Looks int64
	// LogSegments is how many segments the event log has. A job of less than 2 s
	// has one. Else it depends on time.
	LogSegments int64
	// Trusted says that the store needs no preflight.
	Trusted bool
}

// Reads is the number of requests that read size bytes in chunks. The chunk of
// an attempt comes from task.Chunk.
func Reads(size, chunk int64) int64 { return (size + chunk - 1) / chunk }

// Writes is the number of requests that write objects, by operation.
type Writes struct{ Put, Create, Part, Complete int64 }

// Add adds v.
func (w *Writes) Add(v Writes) {
	w.Put += v.Put
	w.Create += v.Create
	w.Part += v.Part
	w.Complete += v.Complete
}

// FileWrites is the number of requests that write a segment, whose size in
// bytes is known at the start.
func FileWrites(size int64) Writes {
	if size <= onePut {
		return Writes{Put: 1}
	}
	return Writes{Create: 1, Part: Reads(size, max(part, min(size/fileParts, maxPart), Reads(size, maxParts))), Complete: 1}
}

// StreamWrites is the number of requests that write an output, whose size in
// bytes is known at its end only. s3fs.Store.Cut returns the size of a part,
// and the maximum size that is written by one PUT.
func StreamWrites(size, part, whole int64) Writes {
	if size <= whole {
		return Writes{Put: 1}
	}
	w := Writes{Create: 1, Complete: 1}
	for length := part; size > 0; length += part {
		n := min(Reads(size, length), sameLength)
		w.Part += n
		size -= n * length
	}
	return w
}

// Requests is the number of requests of the job by the name of the operation.
// It does not count the listing of one key at the start of each process, upload
// and verify, and side files, lists of bad records and ordered output.
func (m Model) Requests() map[string]int64 {
	// The preflight. Four PUTs race for each of three keys. Two multipart
	// uploads race for a fourth key. The losing upload is aborted, and its
	// absence is checked.
	n := map[string]int64{}
	if !m.Trusted {
		n = map[string]int64{
			"PutObject": 12, "CreateMultipartUpload": 2, "UploadPart": 2, "CompleteMultipartUpload": 2,
			"AbortMultipartUpload": 1, "ListParts": 1, "DeleteObjects": 1,
		}
	}
	// The coordinator reads the announcement, writes its own, and releases it
	// at the end. It lists input, commit records and outputs. It writes the
	// spec and _SUCCESS. It reads the record of each task. Before _SUCCESS it
	// lists the control objects (task records, spec and announcement) and the
	// outputs.
	n["GetObject"] += 1 + m.Looks + m.Maps + m.Reduces
	n["HeadObject"] += 1 + m.Reduces
	n["ListObjectsV2"] += max(Reads(m.Listed, 1000), 1) + 2 + Reads(m.Maps+m.Reduces+2, 1000) + Reads(m.Reduces, 1000)
	n["PutObject"] += 4 + m.Renewals + m.LogSegments
	// Each worker reads the announcement. Each process with a task reads the
	// spec. Each process with a reduce task reads all map records.
	n["GetObject"] += m.Workers + m.Busy + m.Reducers*m.Maps
	// Each map task reads its input, each reduce task its segments. Each task
	// writes a record.
	n["GetObject"] += m.InputReads + m.SegmentReads
	n["PutObject"] += m.Maps + m.Reduces
	for _, w := range []Writes{m.Segments, m.Outputs} {
		n["PutObject"] += w.Put
		n["CreateMultipartUpload"] += w.Create
		n["UploadPart"] += w.Part
		n["CompleteMultipartUpload"] += w.Complete
	}
	return n
}
