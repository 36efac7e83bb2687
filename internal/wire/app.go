package wire

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"runtime/debug"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// DescribeApp says of an app what a coordinator must know that does not have
// its code, with the parameters given on the caller's command line.
func DescribeApp(a mr.App, params map[string]string) *App {
	w := &App{
		Kind: manifest.Go, Name: a.Name, Version: a.Version, Sha256: build(), Input: &Choice{Name: manifest.Lines},
		Partitioner: &Choice{Name: manifest.Hash}, Output: &Choice{Name: manifest.Lines},
		SideEffects: a.SideEffects, Params: params, Defaults: map[string]string{}, OrderValues: string(a.SortValues),
	}
	switch a.Input {
	case mr.NumberedLines:
		w.Input.Options = map[string]string{manifest.Numbered: "true"}
	case mr.WholeObjects:
		w.Input.Name = manifest.Objects
	case mr.Rows:
		w.Input.Name = manifest.Rows
	}
	switch {
	case a.Ordered:
		w.Partitioner.Name = manifest.Range
	case a.Partition != nil:
		w.Partitioner.Name = manifest.AppPartitioner
	}
	w.Output.Options = manifest.Choice{}.WithNamed(a.NamedOutputs).Options
	for _, p := range a.Params {
		if p.Required {
			w.Required = append(w.Required, p.Name)
		} else {
			w.Defaults[p.Name] = p.Default
		}
	}
	return w
}

// build is the SHA-256 of what `go version -m` shows of this program: sources,
// modules and settings. It is "" where nothing is known of them.
func build() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	sum := sha256.Sum256([]byte(info.String()))
	return hex.EncodeToString(sum[:])
}

// NewApp is the app of a job.
func NewApp(s *manifest.Spec) *App {
	choice := func(c manifest.Choice) *Choice { return &Choice{Name: c.Name, Options: c.Options, Given: c.Given} }
	return &App{
		Kind: s.App.Kind, Name: s.App.Name, Version: s.App.Version, Sha256: s.App.SHA256, Params: s.App.Params,
		Input: choice(s.Input), Partitioner: choice(s.Partitioner), Output: choice(s.Output), SideEffects: s.SideEffects,
		Exec: encodeExec(s.App.Exec),
	}
}

// encodeExec returns e as JSON, "" for nil.
func encodeExec(e *manifest.Exec) string {
	if e == nil {
		return ""
	}
	text, err := json.Marshal(e)
	if err != nil {
		panic(err) // it is plain data
	}
	return string(text)
}

// decodeExec is the inverse of encodeExec. Of what is no JSON it returns an empty
// value, which Validate refuses.
func decodeExec(text string) *manifest.Exec {
	if text == "" {
		return nil
	}
	e := new(manifest.Exec)
	if json.Unmarshal([]byte(text), e) != nil {
		return new(manifest.Exec)
	}
	return e
}

// Spec is what the app decides of its job, with these parameters.
func (a *App) Spec(params map[string]string) *manifest.Spec {
	choice := func(c *Choice) manifest.Choice {
		return manifest.Choice{Name: c.GetName(), Options: c.GetOptions(), Given: c.GetGiven()}
	}
	exec := decodeExec(a.GetExec())
	order := exec.Order()
	order.Values = cmp.Or(a.GetOrderValues(), order.Values)
	return &manifest.Spec{
		App: manifest.App{
			Kind: a.GetKind(), Name: a.GetName(), Version: a.GetVersion(), SHA256: a.GetSha256(), Params: params, Exec: exec,
		},
		Input: choice(a.GetInput()), Partitioner: choice(a.GetPartitioner()), Output: choice(a.GetOutput()),
		Order: order, SideEffects: a.GetSideEffects(),
	}
}
