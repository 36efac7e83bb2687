package cmd

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/escape"
	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/findings"
	"github.com/mraws/mraws/internal/manifest"
)

func (f *frame) explainCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "explain",
		Short: "Say what cost a job most time, and what would help",
		Long: "Say which three things cost a job most time, each with the figures behind it and the setting that\n" +
			"would help: one large partition, a slow worker, many small objects, a store that throttles, missing\n" +
			"workers, too little memory, slots without tasks, attempts that failed. It reads the event log in the\n" +
			"bucket, during the job or after it; no coordinator is needed.",
		Example: "  " + f.name + " explain --prefix runs/42\n  " + f.name + " explain last -o json",
		RunE: f.run(func(ctx context.Context, s *session, _ []string) error {
			return s.withStore(ctx, func(st *store) error {
				l, err := s.openLog(ctx, st)
				if err != nil {
					return err
				}
				state, err := l.replay(ctx)
				if err != nil {
					return err
				}
				return l.explain(state)
			})
		}),
	}
	f.takesJob(c, 0)
	return c
}

// mostFindings is how many findings people are shown.
const mostFindings = 3

// findingJSON is a finding as a machine reads it.
type findingJSON struct {
	findings.Finding
	Text   string `json:"text"`
	Advice string `json:"advice"`
}

// explainJSON is what cost a job most time, as a machine reads it.
type explainJSON struct {
	Schema   string        `json:"schema"`
	Job      string        `json:"job"`
	App      string        `json:"app"`
	Over     bool          `json:"over"`
	Seconds  float64       `json:"seconds"`
	Until    events.Time   `json:"until"`
	Blind    float64       `json:"blind_seconds,omitempty"`
	Findings []findingJSON `json:"findings"`
}

// explained says what cost a job most time. paste makes lines of the commands in advice.
func explained(state *events.State, job *manifest.Job, paste func(string) string) explainJSON {
	r := findings.Of(state, job)
	list := make([]findingJSON, len(r.Findings))
	for i, f := range r.Findings {
		list[i] = findingJSON{f, findingText(f), paste(adviceOn(f, job))}
	}
	return explainJSON{"mraws/explain/v1", job.ID, job.App.Name, r.Over, r.Seconds, r.Until, r.Blind, list}
}

// explain prints what cost the job most time.
func (l *jobLog) explain(state *events.State) error {
	r := explained(state, l.job, l.paste)
	list := r.Findings
	if l.forMachines() {
		return printList(l.printer, r, list)
	}
	what := "done"
	if !r.Over {
		what = "not done at " + r.Until.Time().Format("2006-01-02 15:04:05.000")
	}
	text := fmt.Sprintf("%s, app %s: %s from the first event to the last, %s\n", l.job.ID, l.job.App.Name, secondsText(r.Seconds), what)
	for i, f := range list[:min(len(list), mostFindings)] {
		text += fmt.Sprintf("\n%d. %s: about %s of it, %.0f%% (%s)\n", i+1, causeText(f.Cause), secondsText(f.Seconds), 100*f.Share, strings.Join(f.Phases, " and ")) +
			indented("   ", f.Text) + indented("   try: ", f.Advice)
	}
	if len(list) == 0 {
		text += "\nNothing that this command knows cost much of that.\n"
	}
	if r.Blind > 0 {
		text += fmt.Sprintf("\nOf %s between two coordinators the log says nothing.\n", secondsText(r.Blind))
	}
	return l.say("%s", strings.TrimSuffix(text, "\n"))
}

// indented is text as lines that begin with this.
func indented(with, text string) string {
	return with + escape.Line(text) + "\n"
}

func causeText(c findings.Cause) string {
	return map[findings.Cause]string{
		findings.Skew: "skewed key", findings.Straggler: "straggling host", findings.SmallObjects: "too many small objects",
		findings.Throttling: "throttling by the store", findings.NoWorkers: "waiting for workers", findings.Spills: "too little memory",
		findings.IdleSlots: "idle slots", findings.FailedAttempts: "attempts in vain",
	}[c]
}

// findingText is the figures of a finding, as sentences.
func findingText(f findings.Finding) string {
	part := fmt.Sprintf("%s of %s of all attempts", secondsText(f.Held), secondsText(f.All))
	switch f.Cause {
	case findings.Skew:
		return tookText(f) + fmt.Sprintf(" and has %s to read; the mean of %s is %s and %s.", bytesText(f.Bytes), countText(int64(f.Tasks), "reduce task"), secondsText(f.Usual), bytesText(f.Mean)) + keyText(f)
	case findings.Straggler:
		return tookText(f) + fmt.Sprintf(" on worker %s%s, where %s is usual for its size. %s", f.Worker, onText(f.Host), secondsText(f.Usual), workerText(f))
	case findings.SmallObjects:
		return fmt.Sprintf("The input is %s in %s, of %s in the mean. Reading, uploading and asking took %s each: %s.",
			countText(int64(f.Objects), "object"), countText(int64(f.Pieces), "piece"), bytesText(f.Mean), milliText(f.Each), part)
	case findings.Throttling:
		return fmt.Sprintf("The store asked for fewer requests %s, in %s, which waited for it %s.", timesText(f.Replies), countText(int64(f.Attempts), "attempt"), part)
	case findings.NoWorkers:
		text := fmt.Sprintf("Tasks were ready and not all of the %s that the job had later were there", countText(int64(f.Slots), "slot"))
		if f.Slots == 0 {
			text = "Tasks are ready and no worker has joined"
		}
		if f.Idle > 0 {
			text += fmt.Sprintf("; for %s there was no slot at all", secondsText(f.Idle))
		}
		return text + "."
	case findings.Spills:
		return fmt.Sprintf("The pairs of %s did not fit in memory: %s with %s were written to scratch, which took %s.",
			countText(int64(f.Attempts), "attempt"), countText(f.Spills, "run"), bytesText(f.Spilled), part)
	case findings.IdleSlots:
		return idleText(f)
	case findings.FailedAttempts:
		text := fmt.Sprintf("%s failed, %d lost with their workers, %d released: %s.", countText(int64(f.Failed), "attempt"), f.Lost, f.Released, part)
		if f.Lost > 0 {
			text += " When a lost attempt really stopped the log does not know."
		}
		if f.Error != "" {
			text += " The first error: " + escape.Short(f.Error, 200)
		}
		return text
	}
	return ""
}

// tookText says how long the attempt of a finding took.
func tookText(f findings.Finding) string {
	if f.Running {
		return fmt.Sprintf("%s has run for %s", f.Task, secondsText(f.Took))
	}
	return fmt.Sprintf("%s took %s", f.Task, secondsText(f.Took))
}

func onText(host string) string {
	if host == "" {
		return ""
	}
	return " on host " + host
}

func keyText(f findings.Finding) string {
	switch {
	case f.Running:
		return " Which keys it has is known when it is done."
	case f.Key != "":
		return fmt.Sprintf(" Key %s has %.0f%% of that.", f.Key, 100*float64(f.KeyBytes)/float64(max(f.Bytes, 1)))
	}
	return " No key has 10% of that."
}

func workerText(f findings.Finding) string {
	if f.Factor >= 2 {
		return fmt.Sprintf("The attempts of that worker took %.1f times as long as usual.", f.Factor)
	}
	return "Other attempts of that worker were not slow, so it may be the data of this task."
}

func idleText(f findings.Finding) string {
	text := fmt.Sprintf("For %s no task was ready and %.1f of %s had nothing to do; ", secondsText(f.Idle), f.IdleSlots, countText(int64(f.Slots), "slot")) + tookText(f)
	if f.Object != "" && f.Bytes > 2*f.Mean {
		text += fmt.Sprintf(" and reads all of %s, %s where %s is the mean", f.Object, bytesText(f.Bytes), bytesText(f.Mean))
	}
	return text + fmt.Sprintf(". The phase has %s.", countText(int64(f.Tasks), "task"))
}

func timesText(n int64) string {
	if n == 1 {
		return "once"
	}
	return countText(n, "time")
}

func milliText(seconds float64) string { return strconv.FormatFloat(1000*seconds, 'f', 1, 64) + " ms" }

// adviceOn says which setting would help.
func adviceOn(f findings.Finding, job *manifest.Job) string {
	switch f.Cause {
	case findings.Skew:
		if 2*f.KeyBytes >= f.Bytes {
			return "a combiner, which makes one pair of many with the same key in each map task (`--combiner` of executables, Combine of an app in Go), or several keys in place of this one: one reduce task reads all of a key"
		}
		return fmt.Sprintf("--nreduce %d, or a key by which the pairs spread better", 2*max(job.NReduce, 1))
	case findings.Straggler:
		if f.Factor < 2 {
			return "`mraws logs " + f.Task + "` shows its attempts; a smaller --split-size makes such a task shorter"
		}
		if job.SideEffects {
			return "stop that worker by SIGTERM. This app has side effects, so its tasks get no second attempt beside the first"
		}
		return "stop that worker by SIGTERM, and leave --speculation at auto, which runs its last tasks again on others"
	case findings.SmallObjects:
		return smallAdvice(f, job)
	case findings.Throttling:
		if job.Shuffle != manifest.ShufflePacked && !job.MapOnly() {
			return fmt.Sprintf("--shuffle packed: the map tasks then write %s in place of up to %s. Or fewer requests at a time: --s3-concurrency 16 for each worker",
				countText(int64(len(job.Tasks)), "object"), countText(int64(len(job.Tasks))*int64(job.NReduce), "object"))
		}
		return "fewer requests at a time: --s3-concurrency 16 for each worker. S3 takes more once a prefix has been busy for some minutes"
	case findings.NoWorkers:
		return "start workers before the job, or at once: `mraws worker`"
	case findings.Spills:
		if f.Pairs == 0 {
			return "more --memory for each worker, or fewer --slots with the same"
		}
		return fmt.Sprintf("--memory %s for each worker of %s, or fewer --slots with the same, or a smaller --split-size", memoryFor(f.Pairs, f.Slots), countText(int64(f.Slots), "slot"))
	case findings.IdleSlots:
		return idleAdvice(f, job)
	case findings.FailedAttempts:
		return "`mraws logs failed` shows each of them with its error"
	}
	return ""
}

// memoryFor is the value of --memory with which pairs of so many bytes fit into the half
// of a slot's memory that is for pairs, beside what the process needs.
func memoryFor(pairs int64, slots int) string {
	const step = 64 << 20
	bytes := int64(max(slots, 1))*5*pairs/2 + step
	return strconv.FormatInt((bytes+step-1)/step*step>>20, 10) + "MiB"
}

func smallAdvice(f findings.Finding, job *manifest.Job) string {
	switch {
	case f.Pieces > 2*f.Objects:
		return "--split-size 64MiB, the default"
	case f.Tasks < f.Pieces: // they are packed
		return "fewer and larger objects, put together before the job: each is a request of its own, also where they share a task"
	case f.Objects > 256 && job.Input.Options[manifest.PerTask] == "":
		return "--pack auto, the default, so that small objects share a task"
	}
	return "fewer and larger objects, put together before the job: up to 256 are a task each"
}

func idleAdvice(f findings.Finding, job *manifest.Job) string {
	reduce := len(f.Phases) == 1 && f.Phases[0] == "reduce"
	switch {
	case reduce:
		return fmt.Sprintf("--nreduce %d, so that each slot has several tasks", 4*max(f.Slots, 1))
	case f.Whole == "" && perSlot(f, job) < leastSplit:
		return "fewer workers: the input is small for so many slots"
	case f.Whole == "":
		return fmt.Sprintf("--split-size %s, so that each slot has several tasks", splitFor(f, job))
	case f.Whole == string(manifest.Gzip):
		return "bgzip or zstd in frames in place of gzip, or several objects: an object of gzip is one task, whatever its size"
	case f.Whole == job.Input.Name:
		return "several objects in place of one: those of the format " + f.Whole + " are not cut"
	}
	return "several objects in place of one: that of " + f.Whole + " was not cut"
}

// leastSplit is the least value of --split-size that is advised, in bytes.
const leastSplit = 64 << 10

// perSlot is the size of pieces that make four tasks for each slot, in bytes.
func perSlot(f findings.Finding, job *manifest.Job) int64 {
	total := int64(0)
	for _, o := range job.Objects {
		total += o.Size
	}
	return min(cmp.Or(job.SplitSize, 64<<20), total/int64(4*max(f.Slots, 1)))
}

// splitFor is the value of --split-size that makes such pieces.
func splitFor(f findings.Finding, job *manifest.Job) string {
	size := perSlot(f, job)
	if size >= 1<<20 {
		return strconv.FormatInt(size>>20, 10) + "MiB"
	}
	return strconv.FormatInt(size>>10, 10) + "KiB"
}
