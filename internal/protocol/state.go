package protocol

// The limits of what a state can hold. A configuration uses a part of it.
const (
	maxMaps     = 2
	maxParts    = 2 // partitions, R
	maxAttempts = 4 // of a map task; the last is for the drain
	maxReduces  = 2
	maxTries    = 3 // attempts of a reduce task; the last is for the drain
	maxCoords   = 2
)

// object is what lies under a key: nothing, or the record stream that an
// execution of a map task made for the partition. Objects that differ have
// different ETags, even if the same attempt's bytes lie in both: a copy need
// not have the ETag of its source.
type object uint8

const (
	copied   object = 1 << 3
	restored object = 1 << 5 // lost, and made again by who read it
	nothing  object = 1 << 6 // seen in the place of something that is lost
	stale    object = 1 << 7 // an attempt of an earlier job has written it late
	maker    object = 1<<3 - 1
)

func made(attempt int) object { return object(attempt + 1) }
func (o object) attempt() int { return int(o&maker) - 1 }
func (o object) exists() bool { return o != 0 }

// part is one line of a commit record: an object, pinned by its ETag, and
// where it lies.
type part uint8

const displaced part = 1 << 4 // below _attempts/, else under the plain name

func (p part) object() object    { return object(p &^ displaced) }
func (p part) isDisplaced() bool { return p&displaced != 0 }

// state is the bucket and what every process has in memory. It is comparable,
// has no padding, and everything that no longer matters is zero in it, so
// that states with the same future are equal.
type state struct {
	contents uint8 // index into model.contents: what the executions emit
	failed   uint8 // a coordinator gave up: sumsDisagree, notAgain or otherRecord
	losses   uint8 // committed objects that somebody deleted
	late     uint8 // objects that attempts of an earlier job wrote
	removals uint8 // outputs and commit records that somebody deleted
	maps     [maxMaps]mapTask
	reduces  [maxReduces]reduceTask
	success  success
	coords   [maxCoords]coord
}

const (
	sumsDisagree uint8 = 1
	notAgain     uint8 = 2 // what is lost cannot be made again
	otherRecord  uint8 = 3 // in the place of a record that was deleted lies one of other records
)

// mapTask is what the bucket holds of a map task, and its attempts.
type mapTask struct {
	plain     [maxParts]object              // mr-<m>-<r>
	displaced [maxAttempts][maxParts]object // _attempts/map-<m>/<id>/<r>
	record    uint8                         // _commit/map-<m>: 1 + attempt; its parts are those of the attempt
	first     uint8                         // the record that was there first: history, for the check
	stale     uint8                         // an earlier job's record lies there
	attempts  [maxAttempts]mapAttempt
}

// mapAttempt is an execution of a map task, from the moment on at which all
// its partitions lie in its spool.
type mapAttempt struct {
	at     uint8 // mapIdle ...
	looked uint8 // there was no commit record when it looked
	puts   [maxParts]uint8
	parts  [maxParts]part // of the record that it is to write
}

const (
	mapIdle uint8 = iota
	mapWriting
	mapRecording
	mapOverwriting // mutant: the lease was found to be valid
	mapReplacing   // an earlier job's record was seen
	mapCleaning    // mutants
	mapOver
)

// Where the upload of one partition stands. All of an attempt's uploads go on
// side by side.
const (
	putPlain     uint8 = iota
	putUnsure          // the plain name: no success was reported, so look
	putFound           // another attempt's object is there
	putDisplaced       // other bytes are there: go below _attempts/
	putDisplacedUnsure
	putDone
)

// reduceTask is what the bucket holds of a reduce task, and its attempts.
type reduceTask struct {
	output   uint8           // mr-out-<r>: 1 + attempt; its content is what that attempt read
	first    uint8           // the output that was there first: history
	stale    uint8           // an earlier job's output lies there
	records  [maxTries]uint8 // _attempts/reduce-<r>/<id>: 1 + attempt
	attempts [maxTries]reduceAttempt
}

// reduceAttempt is one attempt of a reduce task. It reads the records of all
// map tasks, then the partitions that they name, then writes.
type reduceAttempt struct {
	at    uint8  // reduceIdle, reduceGranted + reads done ...
	saw   object // while it restores: what lies in the place of what it is to read, or nothing
	parts [maxMaps][maxParts]part
}

const (
	reduceIdle      uint8 = 0
	reduceGranted   uint8 = 1 // plus the number of reads done
	reduceRecording uint8 = 32
	reduceWriting   uint8 = 33
	reduceReplacing uint8 = 34 // an earlier job's output was seen, and what was read is reduced again
	reduceOver      uint8 = 35
)

// success is output/_SUCCESS: the commits that its sums were made of.
type success struct {
	there   uint8
	maps    [maxMaps]uint8
	reduces [maxReduces]uint8
}

// coord is the memory of a coordinator; zero is one that has just started.
type coord struct {
	maps     [maxMaps]uint8    // 1 + the attempt whose record was read
	promoted [maxMaps]uint8    // bit r: the copy onto the plain name was made
	reduces  [maxReduces]uint8 // 1 + the attempt whose output and record were read
	sweep    uint8             // mutants: bit m: seen to be uncommitted, will be swept
}
