// Package manifest is what the control objects of a job say: plain data,
// written as JSON, with the questions one can ask of it. It does no I/O.
package manifest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/output"
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
	// NReduce is how many reduce tasks there are. With none the job is map-only:
	// see [Job.MapOnly].
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
	Named bool `json:"named,omitempty"`
	// Reuse names the job from which map tasks are taken over that read the same; zero
	// is none. It does not decide the output.
	Reuse   Reuse    `json:"reuse,omitzero"`
	Objects []Object `json:"objects"` // in byte order of name
	// Buckets says of buckets that input lies in how they are asked, unless it is as
	// the job's own. It does not decide the output.
	Buckets map[string]Access `json:"buckets,omitempty"`
	// Tasks lists the pieces of each map task. Read in order, tasks and
	// pieces give the whole input in input order (object, then offset).
	Tasks [][]Piece `json:"tasks"`
	// Digest is that of the object which it was read from, for the seal.
	Digest Digest `json:"-"`
}

// Reuse names a job of the same bucket.
type Reuse struct {
	Job    string `json:"job"`    // its id
	Prefix string `json:"prefix"` // without slashes at its ends; "" is the root
}

// TaskKey tells map tasks of jobs apart by what they read: two tasks with equal keys
// read the same bytes, in the same pieces, of objects with the same names.
func (j *Job) TaskKey(m int) string {
	type piece struct {
		Object         Object
		Offset, Length int64
	}
	var read []piece
	for _, p := range j.Tasks[m] {
		read = append(read, piece{j.Objects[p.Object], p.Offset, p.Length})
	}
	key, err := json.Marshal(read)
	if err != nil {
		return "" // it is plain data
	}
	return string(key)
}

// Names returns the names of the input objects, in byte order.
func (j *Job) Names() []string {
	names := make([]string, len(j.Objects))
	for i, o := range j.Objects {
		names[i] = o.Name
	}
	return names
}

// TaskBytes is how many bytes of input objects the map task of this number reads, as they
// are stored; 0 for one that the job does not have.
func (j *Job) TaskBytes(m int) (n int64) {
	if m < 0 || m >= len(j.Tasks) {
		return 0
	}
	for _, p := range j.Tasks[m] {
		n += p.Length
	}
	return n
}

// MapOnly says that nothing is shuffled: each of the Tasks writes what its mapper
// emits into an output of its own. Such a task is granted, committed and recorded
// as a reduce task is, except that it reads a split of the input.
func (j *Job) MapOnly() bool { return j.NReduce == 0 }

// Maps is how many tasks commit segments by a [Map] record.
func (j *Job) Maps() int {
	if j.MapOnly() {
		return 0
	}
	return len(j.Tasks)
}

// Outputs is how many tasks commit an output, which a [Reduce] record describes.
func (j *Job) Outputs() int {
	if j.MapOnly() {
		return len(j.Tasks)
	}
	return j.NReduce
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
	Schema  string    `json:"schema"`
	Job     string    `json:"job"`
	Task    int       `json:"task"`
	Attempt string    `json:"attempt"`
	Worker  string    `json:"worker"`
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"`
	Delays
	Input   Input   `json:"input"`
	Emitted int64   `json:"emitted"`          // pairs before combining
	Packed  *Packed `json:"packed,omitempty"` // what holds all of Parts, if anything does
	Parts   []Part  `json:"parts"`
	// Extents has one for each guessed piece of the task, in order.
	Extents  []Extent         `json:"extents,omitempty"`
	Bad      *Quarantine      `json:"bad,omitempty"` // what was skipped, if anything
	Counters map[string]int64 `json:"counters,omitempty"`
	// S3 is what the attempt had asked of S3 before it wrote this record.
	S3 object.Traffic `json:"s3,omitzero"`
	// TakenOver is the id of the job whose segments these are, "" if the attempt has
	// read the input.
	TakenOver string `json:"taken_over,omitempty"`
	// Digest is that of the object which it was read from, for the seal.
	Digest Digest `json:"-"`
}

// Delays are what held up an attempt until it wrote its record, by the clock of its
// worker.
type Delays struct {
	// WaitSeconds is how long a map attempt had nothing to read since its input was on
	// its way.
	WaitSeconds float64 `json:"wait_seconds,omitempty"`
	// UploadSeconds is how long it uploaded what it had made, its record left out.
	UploadSeconds float64 `json:"upload_seconds,omitempty"`
	// Throttled counts replies by which the store asked for fewer requests, and
	// ThrottledSeconds is how long a request or several waited because of one.
	Throttled        int64   `json:"throttled,omitempty"`
	ThrottledSeconds float64 `json:"throttled_seconds,omitempty"`
	// Spills counts sorted runs that were written to scratch, those of merges included,
	// SpilledBytes are their bytes, and SpillSeconds is how long that took.
	Spills       int64   `json:"spills,omitempty"`
	SpilledBytes int64   `json:"spilled_bytes,omitempty"`
	SpillSeconds float64 `json:"spill_seconds,omitempty"`
}

// Input counts what a map attempt read.
type Input struct {
	Records int64 `json:"records"`
	Bytes   int64 `json:"bytes"`
}

// Reduce is what a reduce attempt writes under _attempts/ before it commits
// its output; the output's metadata names the attempt.
type Reduce struct {
	Schema  string    `json:"schema"`
	Job     string    `json:"job"`
	Task    int       `json:"task"`
	Attempt string    `json:"attempt"`
	Worker  string    `json:"worker"`
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"`
	Delays
	Read   recordio.Sum `json:"read"` // what the merge handed to reduce
	Keys   int64        `json:"keys"`
	Output Output       `json:"output"`
	// Named is what it has written to named outputs, in byte order of name.
	Named []NamedOutput `json:"named,omitempty"`
	// Partitions is what it has in partitions of the output, in byte order of name. Output
	// is then the list of them, with the lines of all.
	Partitions []NamedOutput `json:"partitions,omitempty"`
	// Input, Extents and Bad are those of a task of a map-only job ([Job.MapOnly]),
	// which has read no pairs, as [Map] has them.
	Input    *Input           `json:"input,omitempty"`
	Extents  []Extent         `json:"extents,omitempty"`
	Bad      *Quarantine      `json:"bad,omitempty"`
	Counters map[string]int64 `json:"counters,omitempty"`
	// S3 is what the attempt had asked of S3 before it wrote this record.
	S3 object.Traffic `json:"s3,omitzero"`
	// Heaviest are the keys with the most bytes, at most [MostHeavyKeys], heaviest first.
	Heaviest []HeavyKey `json:"heaviest,omitempty"`
	// TakenOver is, in a map-only job, the id of the job whose output this is, "" if the
	// attempt has read the input.
	TakenOver string `json:"taken_over,omitempty"`
	// Digest is that of the object which it was read from, for the seal.
	Digest Digest `json:"-"`
}

// HeavyKey is a key that many of the bytes belong to which reduce tasks read.
type HeavyKey struct {
	Text    string `json:"key"`     // quoted, as in Go; a long one only its beginning
	Records int64  `json:"records"` // read with this key
	Bytes   int64  `json:"bytes"`   // of their keys and values
}

const (
	// MostHeavyKeys bounds the keys that a record or a summary names.
	MostHeavyKeys = 3
	// MostHeavyKey bounds [HeavyKey.Text], in bytes.
	MostHeavyKey = 512
)

// Skew is the partition with the most bytes, and the keys with the most bytes of all
// partitions.
type Skew struct {
	Partition int        `json:"partition"`
	Records   int64      `json:"records"`
	Bytes     int64      `json:"bytes"`              // of keys and values
	Heaviest  []HeavyKey `json:"heaviest,omitempty"` // heaviest first
}

// Take takes the next partition into account.
func (s *Skew) Take(partition int, read recordio.Sum, heaviest []HeavyKey) {
	if read.Bytes > s.Bytes || s.Records == 0 && read.Records > 0 {
		s.Partition, s.Records, s.Bytes = partition, read.Records, read.Bytes
	}
	s.Heaviest = append(s.Heaviest, heaviest...)
	slices.SortFunc(s.Heaviest, Heavier)
	s.Heaviest = s.Heaviest[:min(len(s.Heaviest), MostHeavyKeys)]
}

// Of is s of so many partitions, nil for less than two and for no records.
func (s *Skew) Of(partitions int) *Skew {
	if partitions < 2 || s.Records == 0 {
		return nil
	}
	return s
}

// Heavier orders keys, heaviest first.
func Heavier(a, b HeavyKey) int {
	return cmp.Or(cmp.Compare(b.Bytes, a.Bytes), cmp.Compare(b.Records, a.Records), cmp.Compare(a.Text, b.Text))
}

// Reading is what r says of the input that a task of a map-only job has read, in the
// form in which a map task says it.
func (r *Reduce) Reading() *Map {
	return &Map{Task: r.Task, Attempt: r.Attempt, Input: *r.Input, Extents: r.Extents, Bad: r.Bad}
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
	Adopted    int `json:"adopted,omitempty"` // granted by an earlier coordinator, and went on under this one
	Failed     int `json:"failed"`            // reported an error
	Lost       int `json:"lost"`              // their leases expired
	Released   int `json:"released"`          // given back unfinished by a worker that ended, or never taken
	Superseded int `json:"superseded"`        // another attempt committed the task
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
	Schema   string       `json:"schema"`
	Job      string       `json:"job"`
	App      App          `json:"app"`
	NReduce  int          `json:"nreduce"`
	Finished time.Time    `json:"finished"`
	Seconds  float64      `json:"seconds"` // of work, under all coordinators
	Map      Attempts     `json:"map"`
	Reduce   Attempts     `json:"reduce"`
	Input    Input        `json:"input"`
	Emitted  int64        `json:"emitted"`
	Skipped  int64        `json:"skipped"`  // of the records read
	Shuffled recordio.Sum `json:"shuffled"` // summed over commit records
	Read     recordio.Sum `json:"read"`     // summed over reduce records
	Keys     int64        `json:"keys"`
	// Format is that of the outputs, nil for lines as they are. Columns are those of
	// a table, in order.
	Format  *Choice         `json:"format,omitempty"`
	Columns []output.Column `json:"columns,omitempty"`
	Outputs []Output        `json:"outputs"` // [r]
	// Named lists the objects of named outputs, in byte order of name, then by task.
	Named []NamedOutput `json:"named_outputs,omitempty"`
	// Partitions lists those of the partitions of the output, in the same order. Outputs
	// are then lists of them.
	Partitions []NamedOutput    `json:"partitions,omitempty"`
	Counters   map[string]int64 `json:"counters,omitempty"`
	// Requests counts the S3 requests of the job, by operation: those of all
	// coordinators, of every worker that reported, and of all attempts.
	Requests map[string]int64 `json:"s3_requests,omitempty"`
	// Receipt has what they cost, nil if that is not known.
	Receipt *Receipt `json:"receipt,omitempty"`
	// Waited is for how long the coordinator that finished the job had no worker; it
	// is no part of Seconds.
	Waited float64 `json:"waited_seconds,omitempty"`
	// Skew is nil for a job of less than two partitions, and of no records.
	Skew *Skew `json:"skew,omitempty"`
	// TakenOver counts the map tasks whose segments, or outputs in a map-only job, are
	// those of another job.
	TakenOver int    `json:"taken_over,omitempty"`
	Sealed    Sealed `json:"sealed"`
	// Seal is the hex SHA-256 of all bytes of the object before it, and so
	// comes last ([EncodeSealed]).
	Seal string `json:"seal"`
}

// Receipt is what a job asked of S3 and what that costs by a table of prices, without
// storage. Its requests stand beside it.
type Receipt struct {
	Sent     int64   `json:"sent"`     // bytes of request bodies
	Received int64   `json:"received"` // bytes of reply bodies
	USD      float64 `json:"usd"`
	Region   string  `json:"region"` // whose prices these are
	Prices   string  `json:"prices"` // date of the table
	// Committed is the part of it which the committed attempts had spent when they wrote
	// their commit records.
	Committed object.Traffic `json:"committed,omitzero"`
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
	Failure string `json:"failure,omitempty"`
	// S3 is what was asked of S3 for the job so far, by all coordinators and workers, but
	// for what its commit records say. Receipt has what it costs with those.
	S3      object.Traffic `json:"s3,omitzero"`
	Receipt *Receipt       `json:"receipt,omitempty"`
	// Cancelled says who has asked for the end of the job, if somebody has. Anybody
	// who may write the announcement can set it; a coordinator keeps it until it ends,
	// and the next one begins without it.
	Cancelled *Cancel `json:"cancelled,omitempty"`
	Process   Process `json:"process,omitzero"`
}

// Cancel says who has cancelled a job, and when, by the clock of that machine.
type Cancel struct {
	At time.Time `json:"at"`
	By string    `json:"by"` // one line, for people
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
