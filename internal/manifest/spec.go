package manifest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/output"
)

// Spec is what the application decides of its job.
type Spec struct {
	App App `json:"app"`
	// Input says how the bytes of an object become records: [Lines], [Objects]
	// or another of [input.Formats].
	Input Choice `json:"input"`
	// Partitioner says which partition a key belongs to: [Hash], [Range],
	// [AppPartitioner], [ByTask] or [ByFields]. A job may name it itself: [Range]
	// for any application, [ByFields] for one without [Exec].
	Partitioner Choice `json:"partitioner"`
	Order       Order  `json:"order"`
	// Output says how what a reduce task writes becomes bytes: [Lines] or another
	// of [output.Formats].
	Output Choice `json:"output"`
	// SideEffects keeps a task from having a speculative attempt. It does not
	// decide the output.
	SideEffects bool `json:"side_effects,omitempty"`
}

// App names the code of an application and its parameters.
type App struct {
	Kind    string `json:"kind,omitempty"` // [Go], [Executables] or [Wasm]
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	// SHA256 tells builds of one version apart, in hex. Nothing is refused
	// for it: builds for two machines differ.
	SHA256 string            `json:"sha256,omitempty"`
	Params map[string]string `json:"params,omitempty"`
	// Files are those that a job of kind [Go] ships, in byte order of name. They are
	// the job's: the application does not name them. They decide the output.
	Files []CodeFile `json:"files,omitempty"`
	Exec  *Exec      `json:"exec,omitempty"` // of [Executables] and [Wasm]
}

// Choice names one of several ways to do something, and its options.
type Choice struct {
	Name    string            `json:"name"`
	Options map[string]string `json:"options,omitempty"`
	// Given says of a format or a partitioner that the job names it, whatever the
	// application declares. It does not decide the output.
	Given bool `json:"given,omitempty"`
}

// Order says in which order reduce gets keys and the values of a key.
type Order struct {
	Keys string `json:"keys"` // [ByBytes] or [ByFields]
	// Values is [ByInput], or one of [ValueOrders].
	Values string `json:"values"`
	// Fields is the order of keys by their fields, as [SortFields] writes it, and
	// Separator what ends a field of a key; "" is a tab. Those of an application
	// whose commands write lines are in its [Exec].
	Fields    string `json:"fields,omitempty"`
	Separator string `json:"separator,omitempty"`
	// Given says that the job names the order, whatever the application declares.
	// It does not decide the output.
	Given bool `json:"given,omitempty"`
}

// Go is the kind of code that is linked into the program. SHA256 is that of
// the build's description then, as `go version -m` shows it.
const Go = "go"

// The choices that there are.
const (
	// Lines is a record for each line. With the option [Numbered] objects are
	// not cut, with [PerTask] they are cut behind each so many lines.
	Lines = "lines"
	// Objects is a record for each object.
	Objects = "objects"
	// Rows is what an application declares that reads rows of any format: the job
	// names it.
	Rows = input.RowsOf

	// Hash is the 32-bit FNV-1a hash of the key, modulo the partitions.
	Hash = "hash"
	// Range gives each partition a range of the keys, which a sample of the
	// input decides: [SampleChunks] of [SampleBytes] each.
	Range = "range"
	// AppPartitioner is a function of the application.
	AppPartitioner = "app"

	// ByBytes orders keys by their bytes, and ByInput values by where the
	// record lies in the input that they come from.
	ByBytes = "bytes"
	ByInput = "input"
	// ByNumber orders values by the number that they begin with, as sort -n does,
	// equal ones by input. [Reversed] behind it or behind [ByBytes] puts the largest
	// first.
	ByNumber = "numeric"
	Reversed = "-reverse"
)

// ValueOrders are the orders of values besides [ByInput].
func ValueOrders() []string {
	return []string{ByBytes, ByBytes + Reversed, ByNumber, ByNumber + Reversed}
}

// The options of choices.
const (
	Numbered     = "numbered" // "true"
	PerTask      = "per-task" // lines of a map task: a number from 1 on
	SampleChunks = "sample-chunks"
	SampleBytes  = "sample-chunk-bytes"
	// FirstField and LastField are the fields of the key that [ByFields] hashes,
	// from 1 on.
	FirstField = "first"
	LastField  = "last"
)

// mostSample bounds the bytes of a sample.
const mostSample = 1 << 30

// RangesOf returns the partitioner of a job with n partitions by key ranges.
// A thousand records of 100 bytes for a partition make ranges equal within a
// few percent.
func RangesOf(n int) Choice {
	return Choice{Name: Range, Options: map[string]string{SampleChunks: strconv.Itoa(min(max(2*n, 32), 1024)), SampleBytes: strconv.Itoa(32 << 10)}}
}

// Sample returns in how many chunks of how many bytes the input is sampled for
// [Range].
func (j *Job) Sample() (chunks, size int64) {
	chunks, size, _ = j.Partitioner.sample() // Validate has read them
	return chunks, size
}

func (c Choice) sample() (chunks, size int64, err error) {
	chunks, err = strconv.ParseInt(c.Options[SampleChunks], 10, 32)
	size, serr := strconv.ParseInt(c.Options[SampleBytes], 10, 32)
	if err = errors.Join(err, serr); err == nil && (chunks < 1 || size < 1 || chunks > mostSample/size) {
		err = fmt.Errorf("%d chunks of %d bytes", chunks, size)
	}
	return chunks, size, err
}

// InputFormat is how bytes of objects become records, nil if this program does not
// know; Validate says so.
func (s *Spec) InputFormat() input.Format {
	f, err := input.Resolve(s.Input.Name, s.Input.Options)
	if err != nil {
		return nil
	}
	return f
}

// LinesPerTask is how many lines a map task has, but for the last ones of an object;
// 0 is any number.
func (s *Spec) LinesPerTask() int64 {
	if s.Input.Name != Lines {
		return 0
	}
	n, _ := strconv.ParseInt(s.Input.Options[PerTask], 10, 64) // Validate has read it
	return n
}

// OutputFormat is how what a reduce task writes becomes bytes, nil if this
// program does not know; Validate says so.
func (s *Spec) OutputFormat() output.Format {
	f, err := output.Resolve(s.Output.Name, s.Output.Options)
	if err != nil {
		return nil
	}
	return f
}

// Layout returns lay with the names that outputs of this format have; lay itself of one
// that this program does not know.
func (c Choice) Layout(lay layout.Layout) layout.Layout {
	f, err := output.Resolve(c.Name, c.Options)
	if err != nil {
		return lay
	}
	if c.Partitioned() {
		lay = lay.Partitioned()
	}
	return lay.WithEnding(f.Ending())
}

// Validate returns an error unless this program can run what s says.
func (s *Spec) Validate() error {
	if err := s.App.validate(); err != nil {
		return err
	}
	if _, err := input.Resolve(s.Input.Name, s.Input.Options); err != nil && s.Input.Name != Rows {
		return err
	}
	if _, err := output.Resolve(s.Output.Name, s.Output.Options); err != nil {
		return err
	}
	may := map[string][]string{Hash: nil, Range: {SampleChunks, SampleBytes}, AppPartitioner: nil, ByTask: nil, ByFields: {FirstField, LastField}} // options by name
	options, ok := may[s.Partitioner.Name]
	if !ok {
		return fmt.Errorf("unknown partitioner %.200q", s.Partitioner.Name)
	}
	for name := range s.Partitioner.Options {
		if !slices.Contains(options, name) {
			return fmt.Errorf("partitioner %s with the unknown option %.200q", s.Partitioner.Name, name)
		}
	}
	if s.Partitioner.Name == Range && len(s.Partitioner.Options) > 0 {
		if _, _, err := s.Partitioner.sample(); err != nil {
			return fmt.Errorf("the sample for key ranges: %w", err)
		}
	}
	if s.Partitioner.Name == Range && s.SideEffects {
		return fmt.Errorf("app %s has side effects, and key ranges take a sample of what it emits", s.App.Name)
	}
	if err := s.validateOrder(); err != nil {
		return err
	}
	return s.validateExec()
}

// validate returns an error unless a can be an application with parameters.
func (a *App) validate() error {
	switch {
	case a.Kind != Go && !a.Apart():
		return fmt.Errorf("unknown kind of app %.200q", a.Kind)
	case !layout.ValidName(a.Name) || !validText(a.Version):
		return fmt.Errorf("app %.200q in version %.200q", a.Name, a.Version)
	case a.SHA256 != "" && !validHash(a.SHA256):
		return fmt.Errorf("app with the SHA-256 %.200q", a.SHA256)
	case a.Apart():
		return a.validateExec()
	case a.Exec != nil:
		return fmt.Errorf("app of kind %s with executables", a.Kind)
	}
	size, err := validateFiles(a.Files)
	if err != nil {
		return err
	}
	if size > mostExec {
		return fmt.Errorf("names of files of %d bytes, more than %d", size, mostExec)
	}
	size = 0
	for name, value := range a.Params {
		if !layout.ValidName(name) {
			return fmt.Errorf("app parameter %.200q", name)
		}
		size += len(name) + len(value)
	}
	if size > mostParams {
		return fmt.Errorf("app parameters of %d bytes, more than %d", size, mostParams)
	}
	return nil
}

// Diff says in one line each how the code of b differs from that of s, and what
// it makes of input and output. Parameters are left out, so are builds of one
// version and how a sample is taken: the job's counts. Executables and modules
// have no builds: every difference counts.
func (s *Spec) Diff(b *Spec) []string {
	var lines changes
	lines.note("kind of app", s.App.Kind, b.App.Kind)
	lines.note("app", s.App.Name, b.App.Name)
	lines.note("app version", quote(s.App.Version), quote(b.App.Version))
	lines.diffExec(s.App.Exec, b.App.Exec)
	lines.diffFiles(s.App.Files, b.App.Files)
	lines.note("input", s.Input.String(), b.Input.String())
	lines.note("partitioner", s.Partitioner.shown(), b.Partitioner.shown())
	lines.note("order of keys", s.Order.shown(), b.Order.shown())
	lines.note("order of values", s.Order.Values, b.Order.Values)
	lines.note("output", s.Output.String(), b.Output.String())
	return lines
}

// AppDiff is Diff with what an application declares. A format that the job names
// itself is the job's own, so it may be another, and so are the files that it ships.
func (s *Spec) AppDiff(app *Spec) []string {
	declared := *app
	declared.App.Files = s.App.Files
	if s.Input.Given {
		declared.Input = s.Input
	}
	if s.Output.Given {
		declared.Output = s.Output.NamedAs(app.Output)
	}
	if s.Partitioner.Given {
		declared.Partitioner = s.Partitioner
	}
	if s.Order.Given {
		declared.Order = s.Order
	}
	return s.Diff(&declared)
}

// String is the name, and the options as name=value.
func (c Choice) String() string {
	text := c.Name
	for _, name := range slices.Sorted(maps.Keys(c.Options)) {
		text += " " + name + "=" + c.Options[name]
	}
	return text
}
