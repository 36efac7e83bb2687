package cmd

import (
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/mraws/mraws/internal/findings"
	"github.com/mraws/mraws/internal/manifest"
)

// TestExplainTexts: each finding has a name, a text and advice, and the advice names flags
// and commands that there are.
func TestExplainTexts(t *testing.T) {
	flags, commands := map[string]bool{}, map[string]bool{}
	everyCommand(func(words string, c *cobra.Command) {
		commands[words] = true
		if words == "run" || words == "worker" {
			c.Flags().VisitAll(func(f *pflag.Flag) { flags["--"+f.Name] = true })
		}
	})
	job := func(change func(*manifest.Job)) *manifest.Job {
		j := &manifest.Job{NReduce: 4, SplitSize: 64 << 20, Objects: []manifest.Object{{Name: "a", Size: 100 << 20}}, Tasks: make([][]manifest.Piece, 8)}
		j.Input.Name = "lines"
		if change != nil {
			change(j)
		}
		return j
	}
	packed := func(j *manifest.Job) { j.Shuffle = manifest.ShufflePacked }
	for _, tt := range []struct {
		cause  findings.Cause
		facts  findings.Facts
		job    *manifest.Job
		text   string
		advice string
	}{
		{findings.Skew, findings.Facts{Task: "reduce-1", Took: 31, Usual: 8, Bytes: 90, Mean: 9, Tasks: 4, Key: `"the"`, KeyBytes: 81}, job(nil), `reduce-1 took 31s and has 90 B to read; the mean of 4 reduce tasks is 8.0s and 9 B. Key "the" has 90% of that.`, "a combiner"},
		{findings.Skew, findings.Facts{Task: "reduce-1", Took: 31, Bytes: 90}, job(nil), "No key has 10% of that.", "--nreduce 8"},
		{findings.Skew, findings.Facts{Task: "reduce-1", Running: true, Took: 31, Bytes: 90}, job(nil), "reduce-1 has run for 31s", "--nreduce 8"},
		{findings.Straggler, findings.Facts{Task: "map-1", Worker: "w", Host: "h", Took: 31, Usual: 2, Factor: 9}, job(nil), "on worker w on host h, where 2.0s is usual for its size. The attempts of that worker took 9.0 times", "--speculation at auto"},
		{findings.Straggler, findings.Facts{Task: "map-1", Worker: "w", Factor: 9}, job(func(j *manifest.Job) { j.SideEffects = true }), "on worker w, where", "side effects"},
		{findings.Straggler, findings.Facts{Task: "map-1", Worker: "w", Factor: 1}, job(nil), "it may be the data of this task", "`mraws logs map-1`"},
		{findings.SmallObjects, findings.Facts{Objects: 300, Pieces: 300, Tasks: 300, Each: 0.008}, job(nil), "300 objects in 300 pieces, of 0 B in the mean. Reading, uploading and asking took 8.0 ms each", "--pack auto"},
		{findings.SmallObjects, findings.Facts{Objects: 200, Pieces: 200, Tasks: 200}, job(nil), "200 objects", "up to 256 are a task each"},
		{findings.SmallObjects, findings.Facts{Objects: 900, Pieces: 900, Tasks: 2}, job(nil), "900 objects", "also where they share a task"},
		{findings.SmallObjects, findings.Facts{Objects: 1, Pieces: 900, Tasks: 900}, job(nil), "1 object in 900 pieces", "--split-size 64MiB"},
		{findings.Throttling, findings.Facts{Replies: 1, Attempts: 1, Held: 3, All: 9}, job(nil), "once, in 1 attempt, which waited for it 3.0s of 9.0s", "8 objects in place of up to 32 objects"},
		{findings.Throttling, findings.Facts{Replies: 2, Attempts: 1}, job(packed), "2 times", "--s3-concurrency 16"},
		{findings.NoWorkers, findings.Facts{Slots: 2, Idle: 9}, job(nil), "the 2 slots that the job had later were there; for 9.0s there was no slot", "`mraws worker`"},
		{findings.NoWorkers, findings.Facts{}, job(nil), "no worker has joined", "`mraws worker`"},
		{findings.Spills, findings.Facts{Attempts: 2, Spills: 9, Spilled: 1 << 20, Pairs: 100 << 20, Slots: 2}, job(nil), "2 attempts did not fit in memory: 9 runs with 1.0 MiB", "--memory 576MiB for each worker of 2 slots"},
		{findings.Spills, findings.Facts{Attempts: 2, Spills: 9}, job(nil), "9 runs", "more --memory"},
		{findings.IdleSlots, findings.Facts{Task: "map-0", Took: 9, Bytes: 90, Mean: 9, Object: "a.gz", Whole: "gzip", Slots: 2, IdleSlots: 1, Idle: 8, Tasks: 3}, job(nil), "For 8.0s no task was ready and 1.0 of 2 slots had nothing to do; map-0 took 9.0s and reads all of a.gz, 90 B where 9 B is the mean. The phase has 3 tasks.", "bgzip"},
		{findings.IdleSlots, findings.Facts{Task: "map-0", Object: "a", Whole: "xz", Slots: 2}, job(nil), "map-0 took", "that of xz was not cut"},
		{findings.IdleSlots, findings.Facts{Task: "map-0", Object: "a", Whole: "lines", Slots: 2}, job(nil), "map-0 took", "the format lines are not cut"},
		{findings.IdleSlots, findings.Facts{Task: "map-0", Slots: 5}, job(nil), "map-0 took", "--split-size 5MiB"},
		{findings.IdleSlots, findings.Facts{Task: "map-0", Slots: 50}, job(nil), "map-0 took", "--split-size 512KiB"},
		{findings.IdleSlots, findings.Facts{Task: "map-0", Slots: 5000}, job(nil), "map-0 took", "fewer workers"},
		{findings.FailedAttempts, findings.Facts{Failed: 1, Lost: 2, Error: "boom"}, job(nil), "1 attempt failed, 2 lost with their workers, 0 released: 0.0s of 0.0s of all attempts. When a lost attempt really stopped the log does not know. The first error: boom", "`mraws logs failed`"},
	} {
		f := findings.Finding{Cause: tt.cause, Phases: []string{"map"}, Facts: tt.facts}
		text, advice := findingText(f), adviceOn(f, tt.job)
		if !strings.Contains(text, tt.text) || !strings.Contains(advice, tt.advice) || causeText(tt.cause) == "" {
			t.Errorf("%s %+v:\n%s\n%s", tt.cause, tt.facts, text, advice)
		}
		for _, flag := range regexp.MustCompile(`--[a-z0-9-]+`).FindAllString(advice, -1) {
			if !flags[flag] {
				t.Errorf("there is no %s: %s", flag, advice)
			}
		}
		for _, m := range regexp.MustCompile("`mraws ([a-z]+)").FindAllStringSubmatch(advice, -1) {
			if !commands[m[1]] {
				t.Errorf("there is no command %s: %s", m[1], advice)
			}
		}
	}
	reduce := findings.Finding{Cause: findings.IdleSlots, Phases: []string{"reduce"}, Facts: findings.Facts{Slots: 3}}
	if advice := adviceOn(reduce, job(nil)); !strings.Contains(advice, "--nreduce 12") {
		t.Error(advice)
	}
}
