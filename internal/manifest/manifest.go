// Package manifest is what the control objects of a job say: plain data,
// written as JSON, with the questions one can ask of it. It does no I/O.
package manifest

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/recordio"
)

// The schemas: one for each kind of control object, and the only one of its
// kind that this program writes or reads. From the first release on a change
// that an older program must not overlook raises the number by one.
const (
	JobSchema         = "mraws/job/v1"
	MapSchema         = "mraws/map/v1"
	ReduceSchema      = "mraws/reduce/v1"
	SuccessSchema     = "mraws/success/v1"
	CoordinatorSchema = "mraws/coordinator/v1"
	RangesSchema      = "mraws/ranges/v1"
	OwnerSchema       = "mraws/owner/v1"
)

// Keys of S3 user metadata on partitions and outputs (sent by S3 as
// x-amz-meta-<key>).
const (
	MetaJob     = "mraws-job"
	MetaAttempt = "mraws-attempt"
	MetaHash    = "mraws-hash"
	// MetaRestored is on what a map task committed, was lost, and was made
	// again: the attempt that did so.
	MetaRestored = "mraws-restored"
)

// Object is one input object, pinned.
type Object struct {
	// Name is what applications see: the name below input/, or for an object
	// that lies elsewhere its [layout.Place].
	Name string `json:"name"`
	// Bucket and Key say where an object lies that is not below the job's own
	// input/; else both are "".
	Bucket string `json:"bucket,omitempty"`
	Key    string `json:"key,omitempty"`
	ETag   string `json:"etag"`
	Size   int64  `json:"size"` // bytes
	// Compression of those bytes: records and their offsets are those of the
	// decompressed stream.
	Compression Compression `json:"compression,omitempty"`
}

// At is what messages and claims call the object, and where it lies unless it has
// a bucket: the whole key of one below input/, else its name.
func (o Object) At(lay layout.Layout) string {
	if o.Bucket != "" {
		return o.Name
	}
	return lay.Input(o.Name)
}

// In is the whole key of the object in its bucket.
func (o Object) In(lay layout.Layout) string {
	if o.Bucket != "" {
		return o.Key
	}
	return lay.Input(o.Name)
}

// Piece is a byte range of an input object: [object index, offset, length].
// A piece of a line-splittable object owns the lines that start in it; a
// compressed object is one piece.
type Piece struct {
	Object int
	Offset int64
	Length int64
}

// MarshalJSON writes the piece as an array of three numbers.
func (p Piece) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "[%d,%d,%d]", p.Object, p.Offset, p.Length), nil
}

// UnmarshalJSON reads an array of exactly three numbers.
func (p *Piece) UnmarshalJSON(b []byte) error {
	var a []int64
	if err := json.Unmarshal(b, &a); err != nil {
		return fmt.Errorf("read piece: %w", err)
	}
	if len(a) != 3 {
		return fmt.Errorf("read piece %s: want [object, offset, length]", b)
	}
	p.Object, p.Offset, p.Length = int(a[0]), a[1], a[2]
	return nil
}

// Job is _job.json: what the job is, fixed by the first coordinator.
type Job struct {
	Schema  string    `json:"schema"`
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Spec
	NReduce   int    `json:"nreduce"`
	SplitSize int64  `json:"split_size"` // bytes
	MaxBad    Budget `json:"max_bad_records,omitzero"`
	// Decompress bounds compressed objects; zero if there are none.
	Decompress Decompress `json:"decompress,omitzero"`
	Shuffle    Shuffle    `json:"shuffle,omitempty"`
	// OutputAt is where outputs and summary lie; zero is output/ of the job.
	OutputAt Place `json:"output_at,omitzero"`
	// Named says that the job reads these objects since its line names them,
	// whatever else lies below input/.
	Named   bool     `json:"named,omitempty"`
	Objects []Object `json:"objects"` // in byte order of name
	// Tasks lists the pieces of each map task. Read in order, tasks and
	// pieces give the whole input in input order (object, then offset).
	Tasks [][]Piece `json:"tasks"`
	// Digest is that of the object which it was read from, for the seal.
	Digest Digest `json:"-"`
}

// Names returns the names of the input objects, in byte order.
func (j *Job) Names() []string {
	names := make([]string, len(j.Objects))
	for i, o := range j.Objects {
		names[i] = o.Name
	}
	return names
}

// Part is one partition in the commit record of a map task.
type Part struct {
	// Key (whole, prefix included) and ETag are those of its object; "" if
	// it is packed, or if there is none.
	Key  string `json:"key,omitempty"`
	ETag string `json:"etag,omitempty"`
	// Offset is where it begins in the packed object, else 0.
	Offset int64 `json:"offset,omitempty"`
	// Size is the bytes of the partition as it is stored: 0 if it has no
	// records, since then nothing is.
	Size int64        `json:"size"`
	Hash string       `json:"hash"` // hex SHA-256 of the hashes of the records
	Sum  recordio.Sum `json:"sum"`
	// Largest is the size in bytes, key and value, of the largest record, if
	// it is too large for a block with others: a reader needs memory for it.
	Largest int64 `json:"largest,omitempty"`
}

// Map is the commit record of a map task. Parts[r] is partition r.
type Map struct {
	Schema   string           `json:"schema"`
	Job      string           `json:"job"`
	Task     int              `json:"task"`
	Attempt  string           `json:"attempt"`
	Worker   string           `json:"worker"`
	Started  time.Time        `json:"started"`
	Seconds  float64          `json:"seconds"`
	Input    Input            `json:"input"`
	Emitted  int64            `json:"emitted"`          // pairs before combining
	Packed   *Packed          `json:"packed,omitempty"` // what holds all of Parts, if anything does
	Parts    []Part           `json:"parts"`
	Bad      *Quarantine      `json:"bad,omitempty"` // what was skipped, if anything
	Counters map[string]int64 `json:"counters,omitempty"`
	// Digest is that of the object which it was read from, for the seal.
	Digest Digest `json:"-"`
}

// Input counts what a map attempt read.
type Input struct {
	Records int64 `json:"records"`
	Bytes   int64 `json:"bytes"`
}

// Reduce is what a reduce attempt writes under _attempts/ before it commits
// its output; the output's metadata names the attempt.
type Reduce struct {
	Schema   string           `json:"schema"`
	Job      string           `json:"job"`
	Task     int              `json:"task"`
	Attempt  string           `json:"attempt"`
	Worker   string           `json:"worker"`
	Started  time.Time        `json:"started"`
	Seconds  float64          `json:"seconds"`
	Read     recordio.Sum     `json:"read"` // what the merge handed to reduce
	Keys     int64            `json:"keys"`
	Output   Output           `json:"output"`
	Counters map[string]int64 `json:"counters,omitempty"`
	// Digest is that of the object which it was read from, for the seal.
	Digest Digest `json:"-"`
}

// Output describes one mr-out-<r>.
type Output struct {
	Key   string `json:"key"`
	Size  int64  `json:"size"`
	Lines int64  `json:"lines"`
	Hash  string `json:"hash"` // hex SHA-256 of the object's bytes
	// Attempt is, in a [Success], the one that wrote it and whose record
	// counts.
	Attempt string `json:"attempt,omitempty"`
}

// Attempts counts attempts of one phase under one coordinator.
type Attempts struct {
	Tasks      int `json:"tasks"`
	Reused     int `json:"reused"` // committed before this coordinator started
	Granted    int `json:"granted"`
	Failed     int `json:"failed"`     // reported an error
	Lost       int `json:"lost"`       // their leases expired
	Released   int `json:"released"`   // given back unfinished by a worker that ended, or never taken
	Superseded int `json:"superseded"` // another attempt committed the task
	// Speculative counts those of Granted that began beside another attempt
	// of a task that lagged, and SpeculativeCommitted those of them that
	// committed the task.
	Speculative          int `json:"speculative"`
	SpeculativeCommitted int `json:"speculative_committed"`
	// CommittedRerun counts attempts granted although a commit record
	// existed at that time; 0 unless something is wrong.
	CommittedRerun int `json:"committed_rerun"`
}

// Success is output/_SUCCESS.
type Success struct {
	Schema   string           `json:"schema"`
	Job      string           `json:"job"`
	App      App              `json:"app"`
	NReduce  int              `json:"nreduce"`
	Finished time.Time        `json:"finished"`
	Seconds  float64          `json:"seconds"` // of the coordinator that finished the job
	Map      Attempts         `json:"map"`
	Reduce   Attempts         `json:"reduce"`
	Input    Input            `json:"input"`
	Emitted  int64            `json:"emitted"`
	Skipped  int64            `json:"skipped"`  // of the records read
	Shuffled recordio.Sum     `json:"shuffled"` // summed over commit records
	Read     recordio.Sum     `json:"read"`     // summed over reduce records
	Keys     int64            `json:"keys"`
	Outputs  []Output         `json:"outputs"` // [r]
	Counters map[string]int64 `json:"counters,omitempty"`
	// Requests counts the S3 requests of the coordinator and of every
	// worker that reported, by operation.
	Requests map[string]int64 `json:"s3_requests,omitempty"`
	Sealed   Sealed           `json:"sealed"`
	// Seal is the hex SHA-256 of all bytes of the object before it, and so
	// comes last ([EncodeSealed]).
	Seal string `json:"seal"`
}

// Coordinator is _coordinator.json: where the coordinator listens and what
// opens its door. Whoever may read this object may join the job. It is a
// lease as well: a standby takes over once it has stayed as it is for
// LeaseMS, by the standby's own clock, or is Released.
type Coordinator struct {
	Schema    string    `json:"schema"`
	Version   string    `json:"version"`
	Epoch     string    `json:"epoch"` // new for each start of a coordinator
	Addresses []string  `json:"addresses"`
	Insecure  bool      `json:"insecure,omitempty"` // no TLS
	CertPEM   string    `json:"cert_pem,omitempty"`
	Token     string    `json:"token,omitempty"`
	App       string    `json:"app,omitempty"` // "" until known
	Started   time.Time `json:"started"`
	Renewed   time.Time `json:"renewed"`
	LeaseMS   int64     `json:"lease_ms"`
	// Workers is how many workers it had, to be waited for by the next one.
	Workers int `json:"workers,omitempty"`
	// Released means that the coordinator has ended and serves nobody.
	Released bool `json:"released,omitempty"`
	// Failure is why the job failed, if that is why it has ended.
	Failure string  `json:"failure,omitempty"`
	Process Process `json:"process,omitzero"`
}

// Process says which process announced itself, so that another one on the
// same machine can tell that it is gone. Every field is as the kernel names
// it; the zero value tells nothing.
type Process struct {
	Boot   string `json:"boot"`   // id of the machine's boot
	PIDNS  string `json:"pid_ns"` // namespace of PID
	PID    int    `json:"pid"`
	Start  uint64 `json:"start"`  // of the process, in clock ticks since the boot
	NetNS  string `json:"net_ns"` // namespace of Listen
	Listen string `json:"listen"` // the address that it listens on
}
