// Package bill says how many requests to S3 a job makes to which nothing
// happens, and what S3 charges for requests. The formula stands in words in
// docs/operations.md; e2e holds it to what whole jobs were counted to make.
package bill

// Sizes at which the store cuts what it writes, in bytes.
const (
	part       = 8 << 20  // of a multipart upload, at least
	mostPart   = 64 << 20 // of that of a file, unless it would have too many
	fileParts  = 64       // parts of a file before they grow
	onePut     = 64 << 20 // most of a file that goes in one request
	mostParts  = 10_000
	sameLength = 1000 // parts of a stream, before they grow by the first one's size
)

// Job is what the number of its requests depends on. A job that is taken up
// again, one of whose requests or attempts fails, whose tasks lag and are run
// twice, or that stands by for another makes others besides.
type Job struct {
	// Listed is how many objects lie below input/, the placeholders of
	// folders among them.
	Listed        int64
	Maps, Reduces int64 // tasks
	// Workers is how many workers join. Busy is how many processes get a task
	// at all, Reducers how many a reduce task: the workers of one process share
	// what they read.
	Workers, Busy, Reducers int64
	// InputReads is, for each piece of input, Reads of its length, and of a
	// byte more if it does not begin at the start of its object; and one for
	// each piece that ends within a line.
	InputReads int64
	// SegmentReads is Reads of each partition of a map task that has records.
	SegmentReads int64
	// Segments are the writes of what map tasks hand on: [File] of each
	// partition that has records, or, where they are packed, of each map task
	// that has such a partition.
	Segments Writes
	// Outputs are those of [Stream] of each output.
	Outputs Writes
	// What depends on time: how often the coordinator announced itself anew,
	// which it does once in a third of the lease, and 100 ms after workers
	// have come or gone; and how often the announcement was read again, by a
	// standby once in a tenth of the lease, or since the end of the job called
	// a renewal off.
	Renewals, Looks int64
}

// Reads is how many requests read size bytes in chunks. Those of an attempt
// depend on its memory and on all that it reads ([worker.Chunk]). Of nothing it
// is none.
func Reads(size, chunk int64) int64 { return (size + chunk - 1) / chunk }

// Writes counts the requests of writing objects.
type Writes struct{ Put, Create, Part, Complete int64 }

// Add adds the requests of other objects.
func (w *Writes) Add(v Writes) {
	w.Put += v.Put
	w.Create += v.Create
	w.Part += v.Part
	w.Complete += v.Complete
}

// File is how an object of size bytes is written that is there as a whole: a
// segment.
func File(size int64) Writes {
	if size <= onePut {
		return Writes{Put: 1}
	}
	return Writes{Create: 1, Part: Reads(size, max(part, min(size/fileParts, mostPart), Reads(size, mostParts))), Complete: 1}
}

// Stream is how an object of size bytes is written that comes piece by piece:
// an output. The store says how many bytes its parts have and up to how many
// are one request ([s3fs.Store.Cut]).
func Stream(size, part, whole int64) Writes {
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

// Requests is how many requests the job makes, by the name of the operation.
// What a command does besides (a listing of one key at its start; upload, verify) is
// not among them, nor what an application does with side files, lists of bad
// records or ordered output.
func (j Job) Requests() map[string]int64 {
	// The preflight: four contenders for each of three keys, two with uploads
	// for a fourth, of which the one that loses goes, which is looked after.
	n := map[string]int64{
		"PutObject": 12, "CreateMultipartUpload": 2, "UploadPart": 2, "CompleteMultipartUpload": 2,
		"AbortMultipartUpload": 1, "ListParts": 1, "DeleteObjects": 1,
	}
	// The coordinator. It looks for another one, announces itself and, in the
	// end, that it is gone; lists input, commit records and outputs; writes
	// the spec and _SUCCESS; reads the record of each task and, where keys may
	// have been cut into ranges, looks for these; and before _SUCCESS lists the
	// control objects (a record of each task, the spec, the announcement) and
	// the outputs.
	n["GetObject"] += 1 + j.Looks + j.Maps + j.Reduces
	if j.Reduces > 1 {
		n["GetObject"]++
	}
	n["HeadObject"] += 1 + j.Reduces
	n["ListObjectsV2"] += max(Reads(j.Listed, 1000), 1) + 2 + Reads(j.Maps+j.Reduces+2, 1000) + Reads(j.Reduces, 1000)
	n["PutObject"] += 4 + j.Renewals
	// Workers: who coordinates. Their processes: what the job is, and those
	// that reduce what the maps have committed.
	n["GetObject"] += j.Workers + j.Busy + j.Reducers*j.Maps
	// Map tasks, with a record each, and reduce tasks, with one each.
	n["GetObject"] += j.InputReads + j.SegmentReads
	n["PutObject"] += j.Maps + j.Reduces
	for _, w := range []Writes{j.Segments, j.Outputs} {
		n["PutObject"] += w.Put
		n["CreateMultipartUpload"] += w.Create
		n["UploadPart"] += w.Part
		n["CompleteMultipartUpload"] += w.Complete
	}
	return n
}

// List prices of S3 Standard in us-east-1, in dollars for a request
// (https://aws.amazon.com/s3/pricing, 2025). DELETE and the end of an upload
// that comes to nothing are free.
const (
	priceWrite = 0.005 / 1000  // PUT, COPY, POST, LIST
	priceRead  = 0.0004 / 1000 // GET and all others
)

// Dollars is what S3 charges for requests, by the name of the operation: not
// for bytes that are stored or leave the region.
func Dollars(requests map[string]int64) float64 {
	sum := 0.0
	for name, n := range requests {
		switch name {
		case "DeleteObject", "DeleteObjects", "AbortMultipartUpload":
		case "PutObject", "CopyObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "ListObjectsV2", "ListMultipartUploads", "ListParts", "CreateBucket":
			sum += float64(n) * priceWrite
		default:
			sum += float64(n) * priceRead
		}
	}
	return sum
}
