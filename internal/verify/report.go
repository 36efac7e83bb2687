package verify

import (
	"fmt"
	"slices"
)

// ReportSchema names the JSON form of a [Report].
const ReportSchema = "mraws/verify/v1"

// keepFindings bounds how many findings a report keeps; all are counted.
const keepFindings = 100

// Kind says what sort of thing is wrong.
type Kind string

// The kinds of findings.
const (
	// BadJob: the job's spec contradicts itself or cannot be read.
	BadJob Kind = "job"
	// Missing: an object that must be there is not.
	Missing Kind = "missing"
	// Foreign: an object that no task of this job can have written.
	Foreign Kind = "foreign"
	// BadRecord: a commit or reduce record that cannot be read or belongs
	// elsewhere.
	BadRecord Kind = "record"
	// Replaced: an object differs in size or ETag from its record.
	Replaced Kind = "replaced"
	// InputChanged: an input is not the version that the job read, so that
	// no reference can be compared.
	InputChanged Kind = "input-changed"
	// Unread: an input that was there when the job was planned is not part
	// of the job.
	Unread Kind = "unread"
	// BadSummary: _SUCCESS is not the sum of the records, or not as it was
	// sealed.
	BadSummary Kind = "summary"
	// OtherSeal: the seal of the job is not the one that was asked for.
	OtherSeal Kind = "seal"
	// Corrupt: intermediate data or compressed input is damaged.
	Corrupt Kind = "corrupt"
	// BadSum: counts or checksums of records differ from what was recorded.
	BadSum Kind = "sum"
	// Unsorted: keys or lines are out of order.
	Unsorted Kind = "unsorted"
	// WrongPartition: a key lies in a partition where it does not belong.
	WrongPartition Kind = "partition"
	// ForeignLine: an output line that no shuffled key can have made.
	ForeignLine Kind = "line"
	// BadOutput: an output's bytes differ from its record.
	BadOutput Kind = "output"
	// Mismatch: an output differs from the reference, or fails the check
	// that the application brings instead.
	Mismatch Kind = "mismatch"
)

// Finding is one thing that is wrong.
type Finding struct {
	Kind   Kind   `json:"kind"`
	Key    string `json:"key"` // the object concerned: whole key, or [layout.Place] in another bucket
	Detail string `json:"detail"`
}

// String is the finding on one line.
func (f Finding) String() string { return fmt.Sprintf("%s: %s: %s", f.Kind, f.Key, f.Detail) }

// State says how a step went.
type State string

// The states of a step.
const (
	OK      State = "ok"
	Failed  State = "failed"
	Skipped State = "skipped"
)

// Structure is what the first step looked at.
type Structure struct {
	State   State `json:"state"`
	Commits int   `json:"commits"` // valid commit records
	// Partitions of map tasks, in objects found as recorded or without
	// records, and the bytes of these objects.
	Partitions  int   `json:"partitions"`
	PartBytes   int64 `json:"partition_bytes"`
	Outputs     int   `json:"outputs"` // with a valid reduce record
	OutputBytes int64 `json:"output_bytes"`
	// Named counts the objects of named outputs and of partitions, whose bytes are in OutputBytes.
	Named        int   `json:"named_outputs,omitempty"`
	Inputs       int   `json:"inputs"` // still the pinned version
	InputBytes   int64 `json:"input_bytes"`
	InputRecords int64 `json:"input_records"`
	Skipped      int64 `json:"skipped"` // input records that were left out as bad
}

// Proof is what the second step counted.
type Proof struct {
	State    State `json:"state"`
	Segments int   `json:"segments"` // partitions of map tasks read: those of which something is stored
	Emitted  int64 `json:"emitted"`  // pairs before combining, as recorded
	Records  int64 `json:"records"`  // pairs after combining, counted
	Bytes    int64 `json:"bytes"`    // of their keys and values
	Keys     int64 `json:"keys"`     // distinct
	Lines    int64 `json:"lines"`    // of output
}

// Reference is what the third step compared.
type Reference struct {
	State State  `json:"state"`
	Why   string `json:"why,omitempty"` // it was skipped
	App   string `json:"app,omitempty"` // the reference application
	Check bool   `json:"check,omitempty"`
	// Of the reference: input records read, pairs emitted, lines written.
	Records     int64       `json:"records"`
	Pairs       int64       `json:"pairs"`
	Lines       int64       `json:"lines"`
	Outputs     int         `json:"outputs"`              // that could be compared
	Partitions  []Compared  `json:"partitions,omitempty"` // that differ
	Differences []Different `json:"differences,omitempty"`
}

// Compared sets one output that differs beside the reference.
type Compared struct {
	Partition     int    `json:"partition"`
	ExpectedLines int64  `json:"expected_lines"`
	GotLines      int64  `json:"got_lines"`
	ExpectedHash  string `json:"expected_sha256"`
	GotHash       string `json:"got_sha256"`
	Different     int64  `json:"different"` // lines
}

// Different is one line that differs. Expected and Got are quoted and cut;
// "" means that there is no such line.
type Different struct {
	Partition int    `json:"partition"`
	Line      int64  `json:"line"` // in the output, from 1
	Expected  string `json:"expected,omitempty"`
	Got       string `json:"got,omitempty"`
}

// Report is the result of a verification.
type Report struct {
	Schema    string    `json:"schema"`
	Job       string    `json:"job"`
	App       string    `json:"app"`
	Maps      int       `json:"maps"`
	Reduces   int       `json:"reduces"`
	Finished  bool      `json:"finished"` // _SUCCESS is there
	Structure Structure `json:"structure"`
	Proof     Proof     `json:"proof"`
	Reference Reference `json:"reference"`
	// Seal is the job's, in hex; "" unless the job was found to be all that
	// was sealed.
	Seal string `json:"seal,omitempty"`
	// Findings holds the first hundred; Found counts them all.
	Findings []Finding `json:"findings"`
	Found    int       `json:"found"`
	Notes    []string  `json:"notes,omitempty"`
	Seconds  float64   `json:"seconds"`
}

func newReport() *Report {
	return &Report{
		Schema:    ReportSchema,
		Structure: Structure{State: OK},
		Proof:     Proof{State: Skipped},
		Reference: Reference{State: Skipped},
		Findings:  []Finding{},
	}
}

// OK says that nothing was found wrong.
func (r *Report) OK() bool { return r.Found == 0 }

// Unfinished says that all that is wrong is that something is missing.
func (r *Report) Unfinished() bool {
	return !r.Finished && r.Found > 0 &&
		!slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Kind != Missing })
}

// add counts a finding and keeps it while there is room.
func (r *Report) add(kind Kind, key, format string, args ...any) {
	var f finder
	f.add(kind, key, format, args...)
	r.take(&f)
}

// take appends what f found.
func (r *Report) take(f *finder) {
	all := finder{list: r.Findings, found: r.Found}
	all.merge(f)
	r.Findings, r.Found = all.list, all.found
}

func (r *Report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// finder gathers the findings of one of several goroutines.
type finder struct {
	list  []Finding // the first keepFindings
	found int
}

func (f *finder) add(kind Kind, key, format string, args ...any) {
	if f.found++; len(f.list) < keepFindings {
		f.list = append(f.list, Finding{kind, key, fmt.Sprintf(format, args...)})
	}
}

// merge appends what g found.
func (f *finder) merge(g *finder) {
	f.found += g.found
	f.list = append(f.list, g.list[:min(len(g.list), keepFindings-len(f.list))]...)
}

// state is Failed when there are more findings than before.
func (r *Report) state(before int) State {
	if r.Found > before {
		return Failed
	}
	return OK
}
