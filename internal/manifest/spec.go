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
	// [AppPartitioner], [ByTask] or [ByFields].
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
	Exec   *Exec             `json:"exec,omitempty"` // of [Executables] and [Wasm]
}

// Choice names one of several ways to do something, and its options.
type Choice struct {
	Name    string            `json:"name"`
	Options map[string]string `json:"options,omitempty"`
	// Given says of a format that the job names it, whatever format the
	// application declares. It does not decide the output.
	Given bool `json:"given,omitempty"`
}

// Order says in which order reduce gets keys and the values of a key.
type Order struct {
	Keys   string `json:"keys"`   // [ByBytes] or [ByFields]
	Values string `json:"values"` // [ByInput]
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
)

// The options of choices.
const (
	Numbered     = "numbered" // "true"
	PerTask      = "per-task" // lines of a map task: a number from 1 on
	SampleChunks = "sample-chunks"
	SampleBytes  = "sample-chunk-bytes"
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

// Validate returns an error unless this program can run what s says.
func (s *Spec) Validate() error {
	if err := s.App.validate(); err != nil {
		return err
	}
	if _, err := input.Resolve(s.Input.Name, s.Input.Options); err != nil {
		return err
	}
	if _, err := output.Resolve(s.Output.Name, s.Output.Options); err != nil {
		return err
	}
	may := map[string][]string{Hash: nil, Range: {SampleChunks, SampleBytes}, AppPartitioner: nil, ByTask: nil, ByFields: nil} // options by name
	options, ok := may[s.Partitioner.Name]
	if !ok {
		return fmt.Errorf("unknown partitioner %.200q", s.Partitioner.Name)
	}
	for name := range s.Partitioner.Options {
		if !slices.Contains(options, name) {
			return fmt.Errorf("partitioner %s with the unknown option %.200q", s.Partitioner.Name, name)
		}
	}
	if len(s.Partitioner.Options) > 0 {
		if _, _, err := s.Partitioner.sample(); err != nil {
			return fmt.Errorf("the sample for key ranges: %w", err)
		}
	}
	if s.Order.Keys != ByBytes && s.Order.Keys != ByFields || s.Order.Values != ByInput {
		return fmt.Errorf("unknown order of keys %.200q or of values %.200q", s.Order.Keys, s.Order.Values)
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
	size := 0
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
	lines.note("input", s.Input.String(), b.Input.String())
	lines.note("partitioner", s.Partitioner.Name, b.Partitioner.Name)
	lines.note("order of keys", s.Order.Keys, b.Order.Keys)
	lines.note("order of values", s.Order.Values, b.Order.Values)
	lines.note("output", s.Output.String(), b.Output.String())
	return lines
}

// AppDiff is Diff with what an application declares. A format that the job names
// itself is the job's own, so it may be another.
func (s *Spec) AppDiff(app *Spec) []string {
	declared := *app
	if s.Input.Given {
		declared.Input = s.Input
	}
	if s.Output.Given {
		declared.Output = s.Output
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
