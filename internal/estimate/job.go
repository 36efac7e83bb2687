package estimate

import (
	"math"
	"slices"
	"time"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
)

// Setup is what the requests of a job depend on besides its spec.
type Setup struct {
	Workers, Processes int64 // workers that join, and the processes that they are in
	// Chunk is how many bytes a ranged read of an attempt asks for that reads so many,
	// Reach how many of the next n bytes one request reads where there is memory for
	// chunk bytes, and Cut how an output is sent of which about so many pairs are read.
	Chunk func(total int64) int64
	Reach func(n, chunk int64) int64
	Cut   func(pairs int64) (part, whole int64)
	// Trusted says that the store needs no preflight.
	Trusted bool
	Lease   time.Duration
	Events  bool // the event log is written
	Usual
}

// Usual is what a job makes of each byte of its input as it is stored. It comes from a
// job before, or is assumed.
type Usual struct {
	Segments float64 // bytes of segments as they are stored
	Pairs    float64 // bytes of the pairs in them
	Output   float64 // bytes of output
	Filled   float64 // part of the partitions of map tasks that have records
	Seconds  float64 // time; 0 is unknown
}

// Assumed is Usual where nothing is known.
func Assumed() Usual { return Usual{Segments: 0.5, Pairs: 1, Output: 0.5, Filled: 1} }

// Job is what a job is going to ask of S3.
type Job struct {
	Model
	Objects        int
	Bytes          int64 // of input
	Sent, Received int64 // bytes of bodies
	Time           time.Duration
}

// Of estimates what a planned job asks of S3.
func Of(job *manifest.Job, s Setup) Job {
	e := Job{Objects: len(job.Objects)}
	for _, o := range job.Objects {
		e.Bytes += o.Size
	}
	e.Time = time.Duration(s.Seconds * float64(e.Bytes) * float64(time.Second))
	e.Model = Model{
		Listed: int64(len(job.Objects)), Maps: int64(job.Maps()), Reduces: int64(job.Outputs()), Workers: s.Workers, Busy: s.Processes,
		Reducers: min(s.Processes, int64(job.Outputs())), Trusted: s.Trusted, Renewals: 1,
	}
	if s.Lease > 0 {
		e.Renewals += int64(e.Time / (s.Lease / 3))
	}
	if s.Events {
		e.LogSegments = 1 + logSegments(e.Time)
	}
	for _, pieces := range job.Tasks {
		e.InputReads += inputReads(job, pieces, s)
	}
	segments, written := e.shuffle(job, s)
	e.Sent = segments + written
	e.Received = e.Bytes + segments
	return e
}

// inputReads is the number of requests by which a task reads its pieces.
func inputReads(job *manifest.Job, pieces []manifest.Piece, s Setup) (n int64) {
	format := job.InputFormat()
	extended := func(p manifest.Piece) int64 {
		if _, n := format.First(p.Offset, p.Length); n > 0 {
			return n
		}
		return p.Length
	}
	total := int64(0)
	for _, p := range pieces {
		total += extended(p)
	}
	chunk := s.Chunk(total)
	for _, p := range pieces {
		if length := extended(p); length > 0 {
			n += Reads(length, max(1, s.Reach(length, chunk)))
		}
		if p.Offset+p.Length < job.Objects[p.Object].Size && crosses(format, p.Offset+p.Length) {
			n++
		}
	}
	return n
}

// crosses tells whether a record may begin before a place where input is cut and end
// behind it: any place can be cut then.
func crosses(f input.Format, at int64) bool {
	return f.Cut(math.MaxInt64, at) == at && f.Cut(math.MaxInt64, at+1) == at+1
}

// shuffle adds the requests for segments and outputs, and returns the bytes of both.
func (e *Job) shuffle(job *manifest.Job, s Setup) (segments, written int64) {
	written = int64(s.Output * float64(e.Bytes))
	pairs := int64(s.Pairs * float64(e.Bytes))
	if n := int64(job.Outputs()); n > 0 {
		part, whole := s.Cut(pairs / n)
		each := StreamWrites(written/n, part, whole)
		e.Outputs = each.times(n)
	}
	if job.MapOnly() || len(job.Tasks) == 0 {
		return 0, written
	}
	segments = int64(s.Segments * float64(e.Bytes))
	filled := int64(math.Round(s.Filled * float64(len(job.Tasks)) * float64(job.NReduce)))
	if filled == 0 {
		return 0, written
	}
	size := segments / filled
	e.SegmentReads = filled * max(1, Reads(size, s.Chunk(segments/int64(job.NReduce))))
	if job.Shuffle == manifest.ShufflePacked {
		e.Segments = FileWrites(segments / int64(len(job.Tasks))).times(int64(len(job.Tasks)))
	} else {
		e.Segments = FileWrites(size).times(filled)
	}
	return segments, written
}

func (w Writes) times(n int64) Writes {
	return Writes{Put: n * w.Put, Create: n * w.Create, Part: n * w.Part, Complete: n * w.Complete}
}

// logSegments is how many segments the event log has besides its last: one when an event
// is 2 s old, or a hundredth of the age of the job if that is more, but at most 15 s.
func logSegments(lasts time.Duration) (n int64) {
	for at := 2 * time.Second; at < lasts; n++ {
		at += min(max(2*time.Second, at/100), 15*time.Second)
	}
	return n
}

// UsualOf is what a finished job made of its input, of which so many bytes were stored.
func UsualOf(s *manifest.Success, stored int64) Usual {
	u := Assumed()
	if stored == 0 {
		return u
	}
	of := func(n int64) float64 { return float64(n) / float64(stored) }
	u.Pairs, u.Segments, u.Seconds = of(s.Shuffled.Bytes), of(s.Shuffled.Bytes)/2, s.Seconds/float64(stored)
	written := int64(0)
	for _, o := range s.Outputs {
		written += o.Size
	}
	u.Output = of(written)
	if s.NReduce == 0 {
		u.Pairs, u.Segments = of(written), 0
		return u
	}
	if s.Receipt == nil || slices.Contains([]int{s.Map.Tasks, s.NReduce}, 0) {
		return u
	}
	// Before a map attempt writes its record it has written its segments, and a reduce
	// attempt parts of its output at most.
	c := s.Receipt.Committed
	u.Segments = of(c.Sent)
	if c.Requests["UploadPart"] > 0 { // outputs in parts
		u.Segments = min(of(c.Sent), of(s.Shuffled.Bytes))
	}
	if n := c.Requests["PutObject"]; n > int64(s.Map.Tasks) { // else packed, or hardly any
		u.Filled = min(1, float64(n)/(float64(s.Map.Tasks)*float64(s.NReduce)))
	}
	return u
}

// Commit is what an attempt asks of S3 after it has written its record, with its record and
// the coordinator's look at both.
func Commit() object.Traffic {
	return object.Traffic{Requests: map[string]int64{"PutObject": 2, "GetObject": 2, "HeadObject": 1}}
}

// Attempt is what an attempt may ask of S3 at most, as far as the plan tells: reads are taken
// to be of 8 MiB, and an output to be one object.
func Attempt(job *manifest.Job) object.Traffic {
	const chunk = 8 << 20
	var reads, puts int64
	for _, pieces := range job.Tasks {
		n := int64(0)
		for _, p := range pieces {
			n += Reads(p.Length, chunk) + 1
		}
		reads = max(reads, n)
	}
	if !job.MapOnly() {
		reads = max(reads, 2*int64(job.Maps())) // the records and the segments
		if puts = int64(job.NReduce); job.Shuffle == manifest.ShufflePacked {
			puts = 1
		}
	}
	t := Commit()
	t.Requests["GetObject"] += reads + 2 // the announcement and the spec
	t.Requests["PutObject"] += puts
	return t
}

// End is what a coordinator asks of S3 after the last commit.
func End(job *manifest.Job) object.Traffic {
	pages := 2 + Reads(int64(job.Maps()+job.Outputs()), 1000) + Reads(int64(job.Outputs()), 1000)
	return object.Traffic{Requests: map[string]int64{"PutObject": 4, "ListObjectsV2": pages}}
}
