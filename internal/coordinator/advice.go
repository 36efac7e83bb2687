package coordinator

import (
	"fmt"

	"github.com/dustin/go-humanize"

	"github.com/mraws/mraws/internal/manifest"
)

// Every reduce task reads a range of what every map task made, and the commit
// records have an entry for each. docs/scale.md says what comes of too many.
const (
	// manyPairs is the number of these from which on there is a warning, and
	// recordMemory what each takes of a worker, bytes (task/commits.go).
	manyPairs    = 10_000_000
	recordMemory = 160
	// manyRanges is the number from which on a hint is worth while if they are
	// below smallRange bytes on average; fineRange is what is proposed.
	manyRanges = 1_000_000
	smallRange = 1 << 20
	fineRange  = 4 << 20
	// maxSplit is the most that is proposed: more than that costs too much
	// when it has to be done again.
	maxSplit = 16 << 30
)

// advice says what is wrong with the numbers of tasks of a job, and which
// split-size would be better, if one would: at most half as many map tasks. It
// is "" where nothing is wrong. Bytes of a range are taken to be as many as
// those of its input.
func advice(job *manifest.Job, pack Pack) string {
	format := job.InputFormat()
	maps, reduces := int64(job.Maps()), int64(job.NReduce)
	pairs, bytes := maps*reduces, int64(0)
	for _, o := range job.Objects {
		bytes += o.Weight(format, o.Size)
	}
	if pairs == 0 { // a map-only job, or no input
		return ""
	}
	many := pairs > manyPairs
	if !many && (pairs <= manyRanges || bytes/pairs >= smallRange) {
		return ""
	}
	text := fmt.Sprintf("%s map tasks times %s reduce tasks give %s ranges of %s on average",
		humanize.Comma(maps), humanize.Comma(reduces), humanize.Comma(pairs), humanize.IBytes(uint64(bytes/pairs)))
	if many {
		text += fmt.Sprintf(", which need %s of memory in every worker and twice as much in the coordinator", humanize.IBytes(uint64(pairs)*recordMemory))
	}
	if job.LinesPerTask() > 0 {
		return text + "; more lines a map task would make fewer ranges"
	}
	split := int64(1 << 20)
	for split < fineRange*reduces && split < maxSplit {
		split *= 2
	}
	if better, err := Plan(job.Objects, format, split, pack); err == nil && int64(len(better)) <= maps/2 {
		return text + fmt.Sprintf("; a split size of %s would make %s map tasks", humanize.IBytes(uint64(split)), humanize.Comma(int64(len(better))))
	}
	return text + "; fewer reduce tasks would make fewer ranges"
}
