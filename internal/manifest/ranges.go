package manifest

import (
	"bytes"
	"fmt"
	"sort"

	"github.com/mraws/mraws/internal/recordio"
)

// Ranges is _ranges.json: which keys go to which partition where the output
// is ordered. It is created once, before the first pair of the job is put
// into a partition.
type Ranges struct {
	Schema string `json:"schema"`
	Job    string `json:"job"`
	// Bounds[i] is the least key of partition i+1; in ascending order, at
	// most one less than there are partitions. JSON carries them in base64.
	Bounds [][]byte `json:"bounds"`
}

// MostBound is the most bytes of a bound: longer keys are cut.
const MostBound = 1 << 10

// Validate returns an error unless r can cut the keys of job into n ranges.
func (r *Ranges) Validate(job string, n int) error {
	if r.Job != job {
		return &OtherJobError{Got: r.Job, Want: job}
	}
	if len(r.Bounds) >= n {
		return fmt.Errorf("%d bounds for %d partitions", len(r.Bounds), n)
	}
	for i := range r.Bounds {
		if n := len(r.Bounds[i]); n > MostBound {
			return fmt.Errorf("bound %d has %d bytes, more than %d", i, n, MostBound)
		}
		if i > 0 && bytes.Compare(r.Bounds[i-1], r.Bounds[i]) > 0 {
			return fmt.Errorf("bound %d is less than the one before it", i)
		}
	}
	return nil
}

// Partitioner returns the partitioner of the ranges: the number of bounds
// that a key is not less than. It is safe for concurrent use.
func (r *Ranges) Partitioner() func(key []byte, n int) int {
	words := make([]uint64, len(r.Bounds)) // most comparisons are of these
	for i, b := range r.Bounds {
		words[i] = recordio.Prefix(b)
	}
	return func(key []byte, _ int) int {
		w := recordio.Prefix(key)
		lo := sort.Search(len(words), func(i int) bool { return words[i] >= w })
		for lo < len(words) && words[lo] == w && bytes.Compare(r.Bounds[lo], key) <= 0 {
			lo++
		}
		return lo
	}
}
