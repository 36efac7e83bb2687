package cmd

import (
	"fmt"
	"strings"
	"time"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/verify"
)

// jobJSON is a finished job as one document: its summary, where it is, and what
// the command has done besides.
type jobJSON struct {
	Schema  string `json:"schema"`
	Bucket  string `json:"bucket"`
	Prefix  string `json:"prefix"`
	Output  string `json:"output"`
	DataDir string `json:"data_dir,omitempty"` // of the embedded server
	*manifest.Success
	Counters    map[string]int64 `json:"counters"`
	AlreadyDone bool             `json:"already_done,omitempty"`
	Fetched     string           `json:"fetched,omitempty"` // the folder
	Verify      *verify.Report   `json:"verify,omitempty"`
}

func newJobJSON(t *target, success *manifest.Success, again bool, st *store) jobJSON {
	out, lay := t.outputs(st)
	j := jobJSON{
		Schema: "mraws/run/v1", Bucket: st.Bucket(), Prefix: t.layout.Prefix(), Output: layout.Place(out.Bucket(), lay.OutputDir()),
		DataDir: st.DataDir, Success: success, Counters: success.Counters, AlreadyDone: again,
	}
	if j.Counters == nil {
		j.Counters = map[string]int64{}
	}
	return j
}

// printSuccess writes the summary of a job to stdout.
func (s *session) printSuccess(success *manifest.Success, again bool, st *store) error {
	if s.output == "json" {
		return s.printJSON(newJobJSON(s.target, success, again, st))
	}
	out, lay := s.outputs(st)
	return s.say("%s", successText(success, again, out.Bucket(), lay))
}

// skipped is the error, or rather the warning, of a job that is done but for
// bad records.
func skipped(t *target, success *manifest.Success) error {
	if success.Skipped == 0 {
		return nil
	}
	where := fmt.Sprintf("s3://%s/%s", t.conf.Bucket, t.layout.BadDir())
	return &Error{Code: ExitSkipped, Warning: true, What: countText(success.Skipped, "bad record") + " skipped",
		Hint: where + " lists them with object, offset and error; `mraws replay map-N` runs a task again under a debugger"}
}

// attemptsText says what went on besides one attempt for each task; "" if
// nothing did.
func attemptsText(a manifest.Attempts) string {
	text := ""
	if a.Failed+a.Lost > 0 {
		text += fmt.Sprintf(", %s failed, %d lost", countText(int64(a.Failed), "attempt"), a.Lost)
	}
	if a.Released > 0 {
		text += fmt.Sprintf(", %d released", a.Released)
	}
	if a.Speculative > 0 {
		text += fmt.Sprintf(", %d speculative (%d committed)", a.Speculative, a.SpeculativeCommitted)
	}
	return text
}

// successText says in a few lines what a job did, now or before.
func successText(s *manifest.Success, again bool, bucket string, lay layout.Layout) string {
	var b strings.Builder
	if again {
		fmt.Fprintf(&b, "already done at %s: %s, in %.1fs\n", s.Finished.Local().Format(time.DateTime), s.Job, s.Seconds)
	} else {
		fmt.Fprintf(&b, "SUCCEEDED %s in %.1fs\n", s.Job, s.Seconds)
	}
	for _, p := range []struct {
		name string
		a    manifest.Attempts
	}{{"map", s.Map}, {"reduce", s.Reduce}} {
		fmt.Fprintf(&b, "  %-7s %s", p.name, countText(int64(p.a.Tasks), "task"))
		if p.a.Reused > 0 {
			fmt.Fprintf(&b, ", reused %d", p.a.Reused)
		}
		b.WriteString(attemptsText(p.a) + "\n")
	}
	var wrote, lines int64
	for _, o := range s.Outputs {
		wrote += o.Size
		lines += o.Lines
	}
	var requests int64
	for _, n := range s.Requests {
		requests += n
	}
	skipped := ""
	if s.Skipped > 0 {
		skipped = ", skipped " + countText(s.Skipped, "record")
	}
	fmt.Fprintf(&b, "  read %s in %s%s, shuffled %s, wrote %s in %s, %s (%s on S3)\n", bytesText(s.Input.Bytes), countText(s.Input.Records, "record"), skipped,
		countText(s.Shuffled.Records, "pair"), bytesText(wrote), countText(lines, "line"), countText(requests, "S3 request"), dollarsText(requestDollars(s.Requests)))
	fmt.Fprintf(&b, "  output  s3://%s/%s (%s)", bucket, lay.OutputDir(), countText(int64(len(s.Outputs)), "part"))
	return b.String()
}
