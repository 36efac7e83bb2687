package cmd

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/mraws/mraws/internal/escape"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
)

const (
	// notableShare is the part of all bytes from which on a key is named.
	notableShare = 0.01
	// mostKeyText is how much of a key people are shown, in bytes.
	mostKeyText = 32
	// mostCounters is how many counters of an application people are shown.
	mostCounters = 20
	// notableWait is how long a job without workers is not worth a word, in seconds.
	notableWait = 1
)

// successText says in a few lines of about width columns what a job did, now or before.
func successText(s *manifest.Success, again bool, bucket string, lay layout.Layout, width int) string {
	var b strings.Builder
	took := secondsText(s.Seconds)
	if s.Waited >= notableWait {
		took += ", and " + secondsText(s.Waited) + " without workers"
	}
	if again {
		fmt.Fprintf(&b, "already done at %s: %s, in %s\n", s.Finished.Local().Format(time.DateTime), s.Job, took)
	} else {
		fmt.Fprintf(&b, "SUCCEEDED %s in %s\n", s.Job, took)
	}
	line := func(name string, parts ...string) { b.WriteString(summaryLine(name, parts, width)) }
	line("map", tasksText(s.Map, s.TakenOver)...)
	if s.NReduce > 0 {
		line("reduce", tasksText(s.Reduce, 0)...)
	}
	read := []string{bytesText(s.Input.Bytes) + " in " + countText(s.Input.Records, "record")}
	if s.Skipped > 0 {
		read = append(read, "skipped "+countText(s.Skipped, "record"))
	}
	line("read", read...)
	if s.NReduce > 0 {
		line("shuffle", bytesText(s.Shuffled.Bytes)+" in "+countText(s.Shuffled.Records, "pair"), countText(s.Keys, "key"))
	}
	if s.Skew != nil && s.Read.Bytes > 0 {
		line("skew", skewText(s.Skew, s.Read.Bytes, s.NReduce)...)
	}
	lines, wrote := s.Wrote()
	line("wrote", bytesText(wrote)+" in "+countText(lines, "line"))
	if len(s.Counters) > 0 {
		line("counted", countersText(s.Counters)...)
	}
	line("S3", requestsText(s.Requests, s.Receipt)...)
	parts := countText(int64(len(s.Outputs)), "part")
	if s.Partitioned() {
		parts = countText(int64(len(namedTotals(s.Partitions))), "partition") + ", " + countText(int64(len(s.Partitions)), "part")
	}
	fmt.Fprintf(&b, "  output  s3://%s/%s (%s)", bucket, lay.OutputDir(), parts)
	for _, n := range namedTotals(s.Named) {
		fmt.Fprintf(&b, "\n  named   s3://%s/%s%s/ (%s, %s)", bucket, lay.NamedDir(), n.Name, countText(n.Lines, "line"), bytesText(n.Size))
	}
	return b.String()
}

// summaryLine is a line of a summary.
func summaryLine(name string, parts []string, width int) string {
	return foldLine(head(name, defaultWidth), parts, width)
}

// foldLine is a line with this head, which goes on below where the next part would end
// behind width columns.
func foldLine(text string, parts []string, width int) string {
	indent := len(text)
	at := indent
	for i, part := range parts {
		if i < len(parts)-1 {
			part += ","
		}
		n := len([]rune(part))
		switch {
		case i == 0:
		case at+1+n > width:
			text += "\n" + strings.Repeat(" ", indent)
			at = indent
		default:
			text += " "
			at++
		}
		text += part
		at += n
	}
	return text + "\n"
}

// tasksText says how many attempts the tasks of a phase took.
func tasksText(a manifest.Attempts, takenOver int) []string {
	parts := []string{countText(int64(a.Tasks), "task")}
	if a.Reused > 0 {
		parts = append(parts, fmt.Sprintf("reused %d", a.Reused))
	}
	if takenOver > 0 {
		parts = append(parts, humanize.Comma(int64(takenOver))+" taken over")
	}
	if n := a.Granted + a.Adopted; n > 0 {
		parts = append(parts, countText(int64(n), "attempt"))
	}
	if more := strings.TrimPrefix(attemptsText(a), ", "); more != "" {
		parts = append(parts, strings.Split(more, ", ")...)
	}
	return parts
}

// skewText compares the largest partition with the mean of all, and names the keys
// that have a notable part of the bytes of all.
func skewText(s *manifest.Skew, bytes int64, partitions int) []string {
	parts := []string{fmt.Sprintf("partition %d has %.1f times the mean", s.Partition, float64(s.Bytes)*float64(partitions)/float64(bytes))}
	for _, k := range s.Heaviest {
		if share := float64(k.Bytes) / float64(bytes); share >= notableShare {
			parts = append(parts, fmt.Sprintf("key %s %.0f%%", escape.Short(k.Text, mostKeyText), 100*share))
		}
	}
	if len(parts) == 1 {
		parts = append(parts, fmt.Sprintf("no key has %.0f%% of the bytes", 100*notableShare))
	}
	return parts
}

// countersText lists counters of an application by name.
func countersText(counters map[string]int64) []string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counters)) {
		if len(parts) == mostCounters {
			return append(parts, fmt.Sprintf("and %d more", len(counters)-mostCounters))
		}
		parts = append(parts, name+" "+humanize.Comma(counters[name]))
	}
	return parts
}

// requestsText lists requests by operation, most first, after their number, their price
// and their bytes.
func requestsText(requests map[string]int64, r *manifest.Receipt) []string {
	var all int64
	for _, n := range requests {
		all += n
	}
	parts := []string{countText(all, "request")}
	if r != nil {
		parts[0] += " (" + receiptText(r) + ")"
		parts = append(parts, bytesText(r.Received)+" received", bytesText(r.Sent)+" sent")
	}
	return append(parts, operationsText(requests)...)
}

// nextText is the lines to paste that check, show and remove a job that is done.
func (s *session) nextText(success *manifest.Success) string {
	check := []string{"verify"}
	if success.App.Kind == manifest.Go && s.apps.lookup(success.App.Name) != nil {
		check = append(check, "--app", success.App.Name)
	}
	remove := []string{"reset", "--yes"}
	if s.ownPrefix {
		remove = append(remove, "--input")
	}
	return fmt.Sprintf("\n  check   %s\n  show    %s\n  remove  %s", s.line(check...), s.line("cat", "--head", "20"), s.line(remove...))
}
