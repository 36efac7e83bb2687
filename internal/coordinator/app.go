package coordinator

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/input"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/output"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

// spec is what the coordinator knows of the application: never its code.
type spec struct {
	manifest.Spec
	from string // who said so, for messages
}

// learn fixes the app, or compares another worker's with it; nil is that of a
// worker that takes the job's. It returns a *wire.Refusal that says what differs.
func (l *loop) learn(a *wire.App, from string) error {
	switch {
	case a == nil && l.app == nil:
		return wire.Later("the app of the job is not known yet: neither the coordinator nor a worker has named one")
	case a == nil:
		return nil
	case l.app == nil:
		given := a.Params
		if l.o.Params != nil {
			given = l.o.Params
		}
		params, err := resolve(a, given)
		if err != nil {
			return err
		}
		declared := *a.Spec(params)
		declared.Input.Given, declared.Output.Given, declared.Partitioner.Given, declared.Order.Given = false, false, false, false // an app does not speak for the job
		if declared.Input.Name == manifest.Rows && l.o.Input == nil {
			return noRows(a.Name, from, "names no format of its input")
		}
		l.know(spec{declared, from})
	}
	return l.match(a, from)
}

// know fixes the app, as somebody has named it.
func (l *loop) know(s spec) {
	s.Spec = l.o.withFormats(s.Spec)
	l.app = &s
	l.log.Info().Str("app", s.App.Name).Str("from", s.from).Msg("app known")
	close(l.appKnown)
}

// learnApp waits until the app is known: from --app, from the spec of the job
// that this coordinator goes on with, or from the first worker. If the job is
// done it returns its summary.
func (c *Coordinator) learnApp(ctx context.Context) (over *manifest.Success, err error) {
	switch {
	case c.o.Exec != nil:
		if err := c.o.Exec.Validate(); err != nil {
			return nil, err
		}
		c.call(ctx, func() { c.loop.know(spec{*c.o.Exec, "the coordinator"}) })
		return nil, nil
	case c.o.App != nil:
		c.call(ctx, func() { err = c.loop.learn(wire.DescribeApp(*c.o.App, nil), "the coordinator") })
		return nil, err
	}
	stored, err := c.examine(ctx)
	if err != nil {
		return nil, err
	}
	if stored == nil {
		return nil, c.await(ctx, c.loop.appKnown)
	}
	if over, err := c.bucket.readSuccess(ctx, stored.ID); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			c.wasDone.Store(true)
			c.call(ctx, func() { c.loop.end(nil) })
		}
		return over, err
	}
	c.call(ctx, func() {
		if c.loop.app == nil {
			c.loop.know(spec{stored.Spec, "the job's spec"})
		}
	})
	return nil, nil
}

// match refuses another app than the job's.
func (l *loop) match(a *wire.App, from string) error {
	app := &l.app.App
	if a.Name != app.Name || a.Kind != app.Kind {
		about := app.Name
		if app.Apart() {
			about = ""
		}
		return &wire.Refusal{
			Reason: wire.ReasonApp,
			About:  about,
			What:   fmt.Sprintf("the job runs app %s (said %s), not %s", app.Name, l.app.from, a.Name),
		}
	}
	if diff := l.app.AppDiff(a.Spec(nil)); len(diff) > 0 {
		return &wire.Refusal{
			Reason: wire.ReasonBuild,
			What:   fmt.Sprintf("%s has another build of app %s than the job (said %s): %s", from, a.Name, l.app.from, strings.Join(diff, "; ")),
		}
	}
	if a.GetInput().GetName() == manifest.Rows && !input.IsTable(l.app.Input.Name) {
		return noRows(a.Name, from, "reads "+l.app.Input.String())
	}
	for name, v := range a.Params {
		if have, ok := app.Params[name]; !ok || have != v {
			return &wire.Refusal{
				Reason: wire.ReasonParams,
				What:   fmt.Sprintf("the job runs app %s with %s, not with %s=%s", a.Name, showParams(app.Params), name, v),
			}
		}
	}
	return nil
}

// noRows refuses an app that reads rows.
func noRows(app, from, job string) error {
	return &wire.Refusal{Reason: wire.ReasonRows, About: app, What: fmt.Sprintf("app %s (said %s) reads rows of a table, and the job %s", app, from, job)}
}

// resolve fills in defaults and refuses parameters that the app does not
// declare or that are missing.
func resolve(a *wire.App, given map[string]string) (map[string]string, error) {
	params := maps.Clone(a.Defaults)
	if params == nil {
		params = map[string]string{}
	}
	for name, v := range given {
		if _, ok := a.Defaults[name]; !ok && !slices.Contains(a.Required, name) {
			return nil, &wire.Refusal{Reason: wire.ReasonUnknownParam, About: name, What: fmt.Sprintf("app %s has no parameter %q", a.Name, name)}
		}
		params[name] = v
	}
	for _, name := range a.Required {
		if _, ok := params[name]; !ok {
			return nil, &wire.Refusal{Reason: wire.ReasonMissingParam, About: name, What: fmt.Sprintf("app %s needs its parameter %q", a.Name, name)}
		}
	}
	if len(params) == 0 {
		return nil, nil
	}
	return params, nil
}

// spec returns the app, once appKnown is closed.
func (c *Coordinator) spec(ctx context.Context) (s manifest.Spec) {
	c.call(ctx, func() { s = c.loop.app.Spec })
	return s
}

func (l *loop) appName() string {
	if l.app == nil {
		return ""
	}
	return l.app.App.Name
}

func showParams(p map[string]string) string {
	if len(p) == 0 {
		return "no parameters"
	}
	var b strings.Builder
	for i, k := range slices.Sorted(maps.Keys(p)) {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%s=%s", k, p[k])
	}
	return b.String()
}

// expected is the app of a stored job as this coordinator would have it: what
// it was told, and for the rest what is there.
func (c *Coordinator) expected(stored manifest.Spec) manifest.Spec {
	if c.o.Exec != nil {
		return c.o.withFormats(*c.o.Exec)
	}
	if c.o.App != nil {
		a := wire.DescribeApp(*c.o.App, nil)
		params, err := resolve(a, c.o.Params)
		if err != nil {
			params = c.o.Params // prepare will say what is wrong with them
		}
		return c.o.withFormats(*a.Spec(params))
	}
	if len(c.o.Params) > 0 {
		params := maps.Clone(c.o.Params)
		for name, v := range stored.App.Params {
			if _, given := params[name]; !given {
				params[name] = v
			}
		}
		stored.App.Params = params
	}
	return c.o.withFormats(stored)
}

// withFormats returns the spec with the formats, the files, the order and the partitioner
// that the job names itself.
func (o Options) withFormats(s manifest.Spec) manifest.Spec {
	if o.Input != nil {
		s.Input = *o.Input
		s.Input.Given = true
	}
	if len(o.Files) > 0 && !s.App.Apart() { // an application names none
		s.App.Files = o.Files
	}
	// The names of outputs depend on their format, so that of a stored job has to be
	// named again, as their place has to be. The code declares its named outputs.
	declared := s.Output
	s.Output = manifest.Choice{Name: manifest.Lines}
	if o.Output != nil {
		s.Output = *o.Output
		s.Output.Given = true
	}
	s.Output = s.Output.NamedAs(declared)
	if o.Partitioner != nil {
		s.Partitioner = *o.Partitioner
		s.Partitioner.Given = true
	}
	if o.Order != nil {
		if s.Order.Keys == manifest.ByFields && o.Order.Keys == manifest.ByBytes { // the code has an order of keys
			s.Order.Values = o.Order.Values
		} else {
			s.Order = *o.Order
		}
		s.Order.Given = true
	}
	return s
}

// check returns an error unless this program has the formats that the job names
// itself, and its output can lie where it is to.
func (o Options) check() error {
	if err := o.checkPlace(); err != nil {
		return err
	}
	if o.App != nil && o.App.Input == mr.Rows && (o.Input == nil || !input.IsTable(o.Input.Name)) {
		return fmt.Errorf("app %s reads rows of a table, and the job's input is not said to be one", o.App.Name)
	}
	if o.Input != nil {
		if _, err := input.Resolve(o.Input.Name, o.Input.Options); err != nil {
			return fmt.Errorf("format of the job's input: %w", err)
		}
	}
	if o.Output != nil {
		if _, err := output.Resolve(o.Output.Name, o.Output.Options); err != nil {
			return fmt.Errorf("format of the job's output: %w", err)
		}
	}
	return nil
}

func mapTask(m int) sched.TaskID    { return sched.TaskID{Phase: mr.MapPhase, Index: m} }
func reduceTask(r int) sched.TaskID { return sched.TaskID{Phase: mr.ReducePhase, Index: r} }

func wirePhase(p mr.Phase) wire.Phase {
	if p == mr.ReducePhase {
		return wire.Phase_PHASE_REDUCE
	}
	return wire.Phase_PHASE_MAP
}

func taskOf(a *wire.Attempt) sched.TaskID {
	if a.GetPhase() == wire.Phase_PHASE_REDUCE {
		return reduceTask(int(a.GetTask()))
	}
	return mapTask(int(a.GetTask()))
}
