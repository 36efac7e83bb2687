package chain

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// reference is a reference in a value, or what stands for the text of one.
var reference = regexp.MustCompile(`\$?\$\{([A-Za-z]+)\.([^}]*)\}`)

// Scope is what references mean in a step.
type Scope struct {
	// Output returns where the output of a step lies that has run.
	Output func(step string) (string, error)
	// Number is that of the round, from 1 on; 0 for a step that runs once.
	Number int
}

// Bind sets the parameters of the file, and checks every reference. Env returns a
// variable of the environment. A parameter that is not set has its default. Errors are
// [*Error].
func (f *File) Bind(set map[string]string, env func(string) (string, bool)) error {
	f.values, f.env = map[string]string{}, env
	names := make([]string, len(f.params))
	for i, p := range f.params {
		names[i] = p.name
		value, given := set[p.name]
		switch {
		case given:
			f.values[p.name] = value
		case p.required:
			return f.errorf(p.value.Pos, "params."+p.name, "the parameter has no default, and is not set")
		default:
			text, err := f.expand(p.value, "params."+p.name, nil)
			if err != nil {
				return err
			}
			f.values[p.name] = text
		}
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if !slices.Contains(names, name) {
			return &Error{Path: f.Path, Key: "params", What: "the chain has no parameter " + strconv.Quote(name), Word: name, Names: names}
		}
	}
	if name, err := f.expand(f.Name, "name", nil); err != nil {
		return err
	} else if f.Name.Text = name; name != "" {
		if err := CheckName(name); err != nil {
			return f.errorf(f.Name.Pos, "name", "%v", err)
		}
	}
	if err := f.bindSteps(f.Steps); err != nil {
		return err
	}
	steps, err := f.order(f.Steps, nil)
	if err != nil {
		return err
	}
	f.Steps = steps
	return nil
}

// bindSteps checks the references of steps, and sets what is known of them.
func (f *File) bindSteps(steps []*Step) error {
	// Outputs are known to exist once the steps are in order.
	some := func(string) (string, error) { return "", nil }
	for _, s := range steps {
		scope := &Scope{Output: some}
		if s.Repeated() {
			scope.Number = 1
		}
		for key, v := range s.values() {
			if _, err := f.expand(v, s.Key(key), scope); err != nil {
				return err
			}
		}
		if err := f.bindRepeat(s); err != nil {
			return err
		}
		if err := f.bindSteps(s.Steps); err != nil {
			return err
		}
	}
	return nil
}

// bindRepeat reads how often a step is repeated.
func (f *File) bindRepeat(s *Step) error {
	r := s.Repeat
	if r == nil {
		return nil
	}
	text, err := f.expand(r.atMost, s.Key("repeat.at-most"), nil)
	if err != nil {
		return err
	}
	const most = 1_000_000
	if r.AtMost, err = strconv.Atoi(text); err != nil || r.AtMost < 1 || r.AtMost > most {
		return f.errorf(r.atMost.Pos, s.Key("repeat.at-most"), "%q is no number of rounds from 1 to %d", text, most)
	}
	if r.until.Text == "" {
		return nil
	}
	if text, err = f.expand(r.until, s.Key("repeat.until"), nil); err != nil {
		return err
	}
	if r.Until, err = ParseCondition(text); err != nil {
		return f.errorf(r.until.Pos, s.Key("repeat.until"), "%v", err)
	}
	return nil
}

// Expand replaces the references of a value of the step, whose key is key. Errors are
// [*Error].
func (f *File) Expand(s *Step, key string, v Value, scope Scope) (string, error) {
	return f.expand(v, s.Key(key), &scope)
}

// expand is Expand for any value. Without a scope there are only parameters and
// variables.
func (f *File) expand(v Value, key string, scope *Scope) (string, error) {
	var wrong error
	text := reference.ReplaceAllStringFunc(v.Text, func(found string) string {
		if strings.HasPrefix(found, "$$") {
			return found[1:]
		}
		m := reference.FindStringSubmatch(found)
		value, err := f.value(m[1], m[2], v.Pos, key, scope)
		if err != nil && wrong == nil {
			wrong = err
		}
		return value
	})
	return text, wrong
}

// value is what a reference stands for.
func (f *File) value(space, name string, pos Pos, key string, scope *Scope) (string, error) {
	ref := "${" + space + "." + name + "}"
	switch space {
	case "params":
		if value, ok := f.values[name]; ok {
			return value, nil
		}
		err := f.errorf(pos, key, "%s: the chain has no parameter %q in front of it", ref, name)
		err.Word, err.Names = name, slices.Sorted(maps.Keys(f.values))
		return "", err
	case "env":
		if value, ok := f.env(name); ok {
			return value, nil
		}
		return "", f.errorf(pos, key, "%s: the environment has no variable %s", ref, name)
	case "steps":
		step, of, _ := strings.Cut(name, ".")
		switch {
		case of != "output":
			return "", f.errorf(pos, key, "%s: a step has an output and nothing else, as in ${steps.NAME.output}", ref)
		case scope == nil:
			return "", f.errorf(pos, key, "%s: outputs of steps are known to steps only", ref)
		}
		return scope.Output(step)
	case Round:
		switch {
		case scope == nil || scope.Number == 0:
			return "", f.errorf(pos, key, "%s: the step is not repeated", ref)
		case name == "number":
			return strconv.Itoa(scope.Number), nil
		}
		return "", f.errorf(pos, key, "%s: a round has a number and nothing else, as in ${round.number}", ref)
	}
	err := f.errorf(pos, key, "%s: unknown reference; there are params, env, steps and round", ref)
	err.Word, err.Names = space, []string{"params", "env", "steps", Round}
	return "", err
}

// needs are the steps whose outputs the step reads or names, but for [Round].
func (s *Step) needs() (names []Value) {
	for _, v := range s.From {
		if v.Text != Round {
			names = append(names, v)
		}
	}
	for _, v := range s.values() {
		for _, m := range reference.FindAllStringSubmatch(v.Text, -1) {
			if step, _, ok := strings.Cut(m[2], "."); ok && m[1] == "steps" && !strings.HasPrefix(m[0], "$$") {
				names = append(names, Value{step, v.Pos})
			}
		}
	}
	for _, inner := range s.Steps {
		for _, v := range inner.needs() {
			if !slices.ContainsFunc(s.Steps, func(o *Step) bool { return o.Name == v.Text }) {
				names = append(names, v)
			}
		}
	}
	return names
}

// values yields the values of the step with their keys, but for those of From.
func (s *Step) values() func(yield func(string, Value) bool) {
	return func(yield func(string, Value) bool) {
		for _, v := range s.Input {
			if !yield("input", v) {
				return
			}
		}
		for _, set := range s.Settings {
			for _, v := range set.Values {
				if !yield(set.Key, v) {
					return
				}
			}
		}
	}
}
