package cmd

import (
	"fmt"

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
	if s.forMachines() {
		return s.printDoc(newJobJSON(s.target, success, again, st))
	}
	out, lay := s.outputs(st)
	return s.say("%s%s", successText(success, again, out.Bucket(), lay, s.width()), s.nextText(success))
}

// skipped is the error, or rather the warning, of a job that is done but for
// bad records.
func skipped(t *target, success *manifest.Success) error {
	if success.Skipped == 0 {
		return nil
	}
	lists := fmt.Sprintf("s3://%s/%s*", t.conf.Bucket, t.layout.BadDir())
	return &Error{Code: ExitSkipped, Warning: true, What: countText(success.Skipped, "bad record") + " skipped",
		Hint: "`mraws hadoop fs -cat " + shellQuote(lists) + "` prints them with object, offset and error, a list for each map task"}
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

// namedTotals are the lines and bytes of each named output, or partition, that has any.
func namedTotals(list []manifest.NamedOutput) (all []manifest.NamedOutput) {
	for _, n := range list { // in order of name
		if len(all) == 0 || all[len(all)-1].Name != n.Name {
			all = append(all, manifest.NamedOutput{Name: n.Name})
		}
		last := &all[len(all)-1]
		last.Lines, last.Size = last.Lines+n.Lines, last.Size+n.Size
	}
	return all
}
