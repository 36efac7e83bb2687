//go:build !interop

package e2e

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// This file computes how many requests to S3 a job without faults makes.
// docs/operations.md says the same formula in words. TestRequests compares it
// with the requests that whole jobs were counted to make.

// Sizes at which the store cuts what it writes, in bytes.
const (
	part       = 8 << 20  // minimum part of a multipart upload
	maxPart    = 64 << 20 // maximum part of a file that has at most maxParts parts
	fileParts  = 64       // number of parts of a file from which on its parts grow
	onePut     = 64 << 20 // maximum size of a file that is written by one PUT
	maxParts   = 10_000   // maximum number of parts of an upload
	sameLength = 1000     // number of parts of a stream after which the part grows by the first one's size
)

// requestModel is what the number of requests of a job depends on. It does not
// cover resumed jobs, failed requests, failed or speculative attempts, and
// standby coordinators.
type requestModel struct {
	// Listed is the number of objects below input/, including the
	// placeholders of folders.
	Listed        int64
	Maps, Reduces int64 // tasks
	// Workers is the number of workers that join. Busy is the number of
	// processes that run a task, Reducers of those that run a reduce task.
	// The workers of one process share what they read.
	Workers, Busy, Reducers int64
	// InputReads is the sum of reads over the pieces of input. A piece that
	// does not start at the start of its object reads one byte more. A piece
	// that ends within a line makes one request more.
	InputReads int64
	// SegmentReads is the sum of reads over the segments that have records.
	SegmentReads int64
	// Segments is the sum of fileWrites over the segments that have records.
	// A packed job writes one object for each map task with records instead.
	Segments writes
	// Outputs is the sum of streamWrites over the outputs.
	Outputs writes
	// Renewals is how often the coordinator renewed its announcement: in each
	// third of the lease, and 100 ms after workers joined or left. Looks is
	// how often the announcement was read again: by a standby in each tenth
	// of the lease, or after the end of the job cancelled a renewal. Both
	// depend on time.
	Renewals, Looks int64
}

// reads is the number of requests that read size bytes in chunks. The chunk of
// an attempt comes from task.Chunk.
func reads(size, chunk int64) int64 { return (size + chunk - 1) / chunk }

// writes is the number of requests that write objects, by operation.
type writes struct{ Put, Create, Part, Complete int64 }

func (w *writes) add(v writes) {
	w.Put += v.Put
	w.Create += v.Create
	w.Part += v.Part
	w.Complete += v.Complete
}

// fileWrites is the number of requests that write a segment, whose size in
// bytes is known at the start.
func fileWrites(size int64) writes {
	if size <= onePut {
		return writes{Put: 1}
	}
	return writes{Create: 1, Part: reads(size, max(part, min(size/fileParts, maxPart), reads(size, maxParts))), Complete: 1}
}

// streamWrites is the number of requests that write an output, whose size in
// bytes is known at its end only. s3fs.Store.Cut returns the size of a part,
// and the maximum size that is written by one PUT.
func streamWrites(size, part, whole int64) writes {
	if size <= whole {
		return writes{Put: 1}
	}
	w := writes{Create: 1, Complete: 1}
	for length := part; size > 0; length += part {
		n := min(reads(size, length), sameLength)
		w.Part += n
		size -= n * length
	}
	return w
}

// requests is the number of requests of the job by the name of the operation.
// It does not count the listing of one key at the start of each process, upload
// and verify, and side files, lists of bad records and ordered output.
func (j requestModel) requests() map[string]int64 {
	// The preflight. Four PUTs race for each of three keys. Two multipart
	// uploads race for a fourth key. The losing upload is aborted, and its
	// absence is checked.
	n := map[string]int64{
		"PutObject": 12, "CreateMultipartUpload": 2, "UploadPart": 2, "CompleteMultipartUpload": 2,
		"AbortMultipartUpload": 1, "ListParts": 1, "DeleteObjects": 1,
	}
	// The coordinator reads the announcement, writes its own, and releases it
	// at the end. It lists input, commit records and outputs. It writes the
	// spec and _SUCCESS. It reads the record of each task. Before _SUCCESS it
	// lists the control objects (task records, spec and announcement) and the
	// outputs.
	n["GetObject"] += 1 + j.Looks + j.Maps + j.Reduces
	n["HeadObject"] += 1 + j.Reduces
	n["ListObjectsV2"] += max(reads(j.Listed, 1000), 1) + 2 + reads(j.Maps+j.Reduces+2, 1000) + reads(j.Reduces, 1000)
	n["PutObject"] += 4 + j.Renewals
	// Each worker reads the announcement. Each process with a task reads the
	// spec. Each process with a reduce task reads all map records.
	n["GetObject"] += j.Workers + j.Busy + j.Reducers*j.Maps
	// Each map task reads its input, each reduce task its segments. Each task
	// writes a record.
	n["GetObject"] += j.InputReads + j.SegmentReads
	n["PutObject"] += j.Maps + j.Reduces
	for _, w := range []writes{j.Segments, j.Outputs} {
		n["PutObject"] += w.Put
		n["CreateMultipartUpload"] += w.Create
		n["UploadPart"] += w.Part
		n["CompleteMultipartUpload"] += w.Complete
	}
	return n
}

func TestFileAndStreamWrites(t *testing.T) {
	for _, tt := range []struct {
		size         int64
		file, stream writes
	}{
		{0, writes{Put: 1}, writes{Put: 1}},
		{8 << 20, writes{Put: 1}, writes{Put: 1}},
		{8<<20 + 1, writes{Put: 1}, writes{Create: 1, Part: 2, Complete: 1}},
		{64 << 20, writes{Put: 1}, writes{Create: 1, Part: 8, Complete: 1}},
		{64<<20 + 1, writes{Create: 1, Part: 9, Complete: 1}, writes{Create: 1, Part: 9, Complete: 1}},
		{512 << 20, writes{Create: 1, Part: 64, Complete: 1}, writes{Create: 1, Part: 64, Complete: 1}},
		{1024 << 20, writes{Create: 1, Part: 64, Complete: 1}, writes{Create: 1, Part: 128, Complete: 1}},
		{8000 << 20, writes{Create: 1, Part: 125, Complete: 1}, writes{Create: 1, Part: 1000, Complete: 1}},
		{8016 << 20, writes{Create: 1, Part: 126, Complete: 1}, writes{Create: 1, Part: 1001, Complete: 1}},
		{160_000 << 20, writes{Create: 1, Part: 2500, Complete: 1}, writes{Create: 1, Part: 5834, Complete: 1}},
	} {
		if d := cmp.Diff(tt.file, fileWrites(tt.size)); d != "" {
			t.Errorf("a file of %d bytes (-want +got):\n%s", tt.size, d)
		}
		if d := cmp.Diff(tt.stream, streamWrites(tt.size, part, part)); d != "" {
			t.Errorf("a stream of %d bytes (-want +got):\n%s", tt.size, d)
		}
	}
}

// TestStreamPartSize: a stream whose parts are larger.
func TestStreamPartSize(t *testing.T) {
	for size, want := range map[int64]writes{
		8 << 20: {Create: 1, Part: 8, Complete: 1}, 16 << 20: {Create: 1, Part: 4, Complete: 1}, 64 << 20: {Put: 1},
	} {
		if d := cmp.Diff(want, streamWrites(64<<20, size, size)); d != "" {
			t.Errorf("parts of %d bytes (-want +got):\n%s", size, d)
		}
	}
}

// TestStreamInOneRequest: a stream up to the given size is one request.
func TestStreamInOneRequest(t *testing.T) {
	for whole, want := range map[int64]writes{
		8 << 20: {Create: 1, Part: 8, Complete: 1}, 64<<20 - 1: {Create: 1, Part: 8, Complete: 1}, 64 << 20: {Put: 1},
	} {
		if d := cmp.Diff(want, streamWrites(64<<20, part, whole)); d != "" {
			t.Errorf("up to %d bytes in one (-want +got):\n%s", whole, d)
		}
	}
}
