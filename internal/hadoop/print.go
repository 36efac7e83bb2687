package hadoop

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Log is a line of Hadoop's log. mrjob reads lines of this form, and takes lines of
// another form for part of the one before.
func Log(now time.Time, level, logger, text string) string {
	return fmt.Sprintf("%s %s %s: %s\n", now.Format("2006-01-02 15:04:05,000"), level, logger, text)
}

// Counter is a counter of a job.
type Counter struct {
	Group, Name string
	N           int64
}

// UserCounters makes counters of those that executables count, whose names are
// "GROUP,NAME".
func UserCounters(counts map[string]int64) []Counter {
	var all []Counter
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		group, name2, _ := strings.Cut(name, ",")
		all = append(all, Counter{group, name2, counts[name]})
	}
	return all
}

// Counters is the block in which Hadoop prints counters: each group once, in byte
// order, and its counters below it in the order in which they came.
func Counters(all []Counter) string {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b Counter) int { return cmp.Compare(a.Group, b.Group) })
	var b strings.Builder
	fmt.Fprintf(&b, "Counters: %d", len(all))
	for i, c := range all {
		if i == 0 || c.Group != all[i-1].Group {
			b.WriteString("\n\t" + c.Group)
		}
		fmt.Fprintf(&b, "\n\t\t%s=%d", c.Name, c.N)
	}
	return b.String()
}
