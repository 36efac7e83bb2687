package coordinator

import (
	"fmt"
	"math"
	"strings"

	"github.com/oklog/ulid/v2"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/manifest"
)

// Pack says whether small objects share map tasks.
type Pack string

const (
	// PackAuto packs when there are more than PackAbove objects.
	PackAuto Pack = "auto"
	// PackNever gives every object a task of its own.
	PackNever Pack = "never"
)

// Shuffle says whether a map task stores its partitions in one object.
type Shuffle string

const (
	// ShuffleAuto packs partitions when there are more than
	// shufflePackedAbove of all map tasks together.
	ShuffleAuto Shuffle = "auto"
	// ShufflePlain gives every partition of a map task an object.
	ShufflePlain Shuffle = "plain"
	// ShufflePacked gives a map task one object.
	ShufflePacked Shuffle = "packed"
)

// shufflePackedAbove is the number of map tasks times reduce tasks up to which
// each partition is an object of its own, as in the lab.
const shufflePackedAbove = 10_000

// of is how a job of so many tasks stores its partitions.
func (s Shuffle) of(maps, reduces int) manifest.Shuffle {
	if s == ShufflePacked || s == ShuffleAuto && int64(maps)*int64(reduces) > shufflePackedAbove {
		return manifest.ShufflePacked
	}
	return ""
}

// PackAbove is the number of objects up to which each is a task of its own,
// as in the lab.
const PackAbove = 256

// Plan cuts objects, in the order given, into map tasks.
//
// An object that weighs more than splitSize bytes is cut into pieces of nearly equal
// length, each a task, at the places where the format may be cut; a compressed one
// anywhere, if its kind splits and the format may be read from there on. Other objects are one task each, or, when packed, share a task as
// long as its pieces weigh no more than splitSize; compressed ones weigh what
// they are likely to become. Tasks and pieces read in order give the input in
// input order. The plan depends on nothing else; that of [Coordinator.plan] depends
// on slots and footers too.
func Plan(objects []manifest.Object, format input.Format, splitSize int64, pack Pack) ([][]manifest.Piece, error) {
	return cutAll(objects, format, splitting{splitSize, 1}, pack == PackAuto && len(objects) > PackAbove, nil)
}

// cutAll is Plan, with or without packing. whole has the names of objects that are
// not cut.
func cutAll(objects []manifest.Object, format input.Format, by splitting, packing bool, whole map[string]bool) ([][]manifest.Piece, error) {
	splitSize := by.size
	if splitSize <= 0 {
		return nil, fmt.Errorf("plan splits: split size %d is not positive", splitSize)
	}
	var tasks [][]manifest.Piece
	var open []manifest.Piece // pieces of the task being packed
	var openBytes int64
	flush := func() {
		if len(open) > 0 {
			tasks = append(tasks, open)
			open, openBytes = nil, 0
		}
	}
	for i, o := range objects {
		weight := by.weight(format, o)
		if weight > splitSize && !whole[o.Name] {
			at := format.Cut
			if o.Compression != "" {
				at = between
			}
			if o.Compression == "" || o.Compression.Splits() && format.Resumes() {
				flush()
				tasks = cut(tasks, at, i, o.Size, (weight-1)/splitSize+1)
				continue
			}
		}
		if !packing || weight > splitSize-openBytes {
			flush()
		}
		open = append(open, manifest.Piece{Object: i, Length: o.Size})
		openBytes += weight
		if !packing {
			flush()
		}
	}
	flush()
	if len(tasks) > math.MaxInt32 {
		return nil, fmt.Errorf("%w: %d in splits of %d bytes", ErrManyTasks, len(tasks), splitSize)
	}
	return tasks, nil
}

// NewJobID is the app's name and a lower-case ULID: it sorts by time.
func NewJobID(app string) string { return app + "-" + strings.ToLower(ulid.Make().String()) }

// between is where a compressed object may be cut: its readers look for the next
// block.
func between(_, at int64) int64 { return at }

// cut appends the tasks of an object that is divided into n pieces, or fewer if
// there are not enough places to cut it. They are as equal as can be, so that no
// task is a small remainder.
func cut(tasks [][]manifest.Piece, place func(size, at int64) int64, object int, size, n int64) [][]manifest.Piece {
	var offset int64
	for i := range n {
		end := place(size, size/n*(i+1)+size%n*(i+1)/n)
		if end > offset {
			tasks = append(tasks, []manifest.Piece{{Object: object, Offset: offset, Length: end - offset}})
			offset = end
		}
	}
	return tasks
}
