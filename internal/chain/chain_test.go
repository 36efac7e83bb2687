package chain

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// testKeys are keys of each kind.
var testKeys = []Key{
	{Name: "app"}, {Name: "nreduce", Kind: Number, Default: "10"}, {Name: "verify", Kind: Switch}, {Name: "app-arg", Kind: List},
	{Name: "in", Kind: List}, {Name: "pack", Choices: []string{"auto", "never"}, Default: "auto"},
}

// bind parses and binds a file.
func bind(text string, set map[string]string) (*File, error) {
	f, err := Parse("jobs.yaml", []byte(text), testKeys, "in")
	if err != nil {
		return nil, err
	}
	env := map[string]string{"DAY": "monday"}
	return f, f.Bind(set, func(name string) (string, bool) { v, ok := env[name]; return v, ok })
}

// TestFile: all that a file may have, in the order in which it runs.
func TestFile(t *testing.T) {
	f, err := bind(`
name: daily-${params.kind}
params: {kind: a, size: 007, need: null, both: '${params.kind}-${env.DAY}'}
defaults: &d
  nreduce: 2
  pack: never
steps:
  - name: last
    from: [loop, first]
    app: sort
    nreduce: ${params.size}
  - name: loop
    from: first
    repeat: {until: counter moved a bit <= -3, at-most: '${params.need}', keep: last}
    steps:
      - {name: b, from: [round, words], app: wc, app-arg: {x: '${round.number}', y: yes}}
      - name: c
        from: b
        app: grep
        app-arg: ['pattern=$${params.kind} ${HOME}', 'in=${steps.first.output}']
  - {name: words, input: "*.txt", app: wc, verify: true}
  - {name: first, in: s3://b/c/, app: wc}
`, map[string]string{"need": "12"})
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for _, s := range f.Jobs() {
		order = append(order, s.Key(""))
	}
	if diff := cmp.Diff([]string{"steps.first", "steps.words", "steps.loop.steps.b", "steps.loop.steps.c", "steps.last"}, order); diff != "" {
		t.Error(diff)
	}
	if f.Name.Text != "daily-a" || f.values["both"] != "a-monday" {
		t.Errorf("name %q, parameter %q", f.Name.Text, f.values["both"])
	}
	loop := f.Steps[2]
	if r := loop.Repeat; r.AtMost != 12 || r.Until.String() != "counter moved a bit <= -3" || !r.KeepLast {
		t.Errorf("repeat %+v, until %v", r, r.Until)
	}
	got := map[string][]string{}
	for _, s := range f.Jobs() {
		for _, set := range s.Settings {
			for _, v := range set.Values {
				text, err := f.Expand(s, set.Key, v, Scope{Number: 7, Output: func(step string) (string, error) { return "s3://" + step, nil }})
				if err != nil {
					t.Fatal(err)
				}
				got[s.Name+"."+set.Key] = append(got[s.Name+"."+set.Key], text)
			}
		}
	}
	want := map[string][]string{
		"first.app": {"wc"}, "first.in": {"s3://b/c/"}, "first.nreduce": {"2"}, "first.pack": {"never"},
		"words.app": {"wc"}, "words.verify": {"true"}, "words.nreduce": {"2"}, "words.pack": {"never"},
		"b.app": {"wc"}, "b.app-arg": {"x=7", "y=yes"}, "b.nreduce": {"2"}, "b.pack": {"never"},
		"c.app": {"grep"}, "c.app-arg": {"pattern=${params.kind} ${HOME}", "in=s3://first"}, "c.nreduce": {"2"}, "c.pack": {"never"},
		"last.app": {"sort"}, "last.nreduce": {"007"}, "last.pack": {"never"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestErrors: what is wrong with a file is said with line and key.
func TestErrors(t *testing.T) {
	const step = "steps:\n- {name: a, app: wc, input: x}\n"
	for name, c := range map[string]struct{ text, want string }{
		"empty":            {"", "jobs.yaml: the file is empty"},
		"no YAML":          {"steps:\n- a: b: c\n", "jobs.yaml:2: the file is no YAML: mapping values are not allowed in this context"},
		"two documents":    {step + "---\na: b\n", "jobs.yaml:3: the file has a second document"},
		"a list":           {"- a\n", "jobs.yaml:1: must be keys with values"},
		"no steps":         {"name: x\n", "jobs.yaml:1: steps: the file has no steps"},
		"steps of a map":   {"steps: {a: b}\n", "jobs.yaml:1: steps: must be a list of steps, each with a name: - name: count"},
		"key of a file":    {step + "step: 1\n", "jobs.yaml:3: step: unknown key"},
		"key of a step":    {"steps:\n- name: a\n  input: x\n  nreduces: 3\n", "jobs.yaml:4: steps.a.nreduces: unknown key"},
		"key of defaults":  {"defaults: {ap: wc}\n" + step, "jobs.yaml:1: defaults.ap: unknown key"},
		"key of repeat":    {"steps:\n- name: a\n  input: x\n  repeat: {at-most: 3, till: x}\n", "jobs.yaml:4: steps.a.repeat.till: unknown key"},
		"twice":            {"steps:\n- name: a\n  app: x\n  app: y\n", "jobs.yaml:4: steps.app: the key is there twice"},
		"merge":            {"defaults: &d {app: wc}\nsteps:\n- <<: *d\n  name: a\n", "jobs.yaml:3: steps: keys must be texts"},
		"no name":          {"steps:\n- app: wc\n", "jobs.yaml:2: steps: the step has no name"},
		"name":             {"steps:\n- name: a b\n", `jobs.yaml:2: steps: "a b" is no name of a step: letters, digits, - and _, at most 64`},
		"name of a folder": {"steps:\n- name: output\n", `jobs.yaml:2: steps: "output" cannot be the name of a step`},
		"name of a round":  {"steps:\n- name: round-0001\n", `jobs.yaml:2: steps: "round-0001" is the name of a round`},
		"same name":        {step + "- {name: a, app: wc, input: y}\n", "jobs.yaml:3: steps.a.name: the step in line 2 has this name too"},
		"no input":         {"steps:\n- name: a\n  app: wc\n", "jobs.yaml:2: steps.a: the step names no input: from (earlier steps) or input (files)"},
		"a list of one":    {"steps:\n- name: a\n  app: [wc]\n", "jobs.yaml:3: steps.a.app: must be a single value"},
		"nothing":          {"steps:\n- name: a\n  app:\n", "jobs.yaml:3: steps.a.app: must be a single value"},
		"no list":          {"steps:\n- name: a\n  input: {x: y}\n", "jobs.yaml:3: steps.a.input: must be a value or a list of values"},
		"nested list":      {"steps:\n- name: a\n  input: [[x]]\n", "jobs.yaml:3: steps.a.input: must be a single value"},
		"no such step":     {step + "- {name: b, app: wc, from: c}\n", `jobs.yaml:3: steps.b.from: there is no step "c"`},
		"no such output":   {step + "- {name: b, app: '${steps.aa.output}', input: x}\n", `jobs.yaml:3: steps.b.from: there is no step "aa"`},
		"own output":       {"steps:\n- {name: b, app: wc, from: b}\n", "jobs.yaml:2: steps.b.from: the step needs its own output: b from b"},
		"cycle":            {step + "- {name: b, app: wc, from: c}\n- {name: c, app: wc, from: [a, d]}\n- {name: d, app: wc, from: b}\n", "jobs.yaml:3: steps.b.from: the step needs its own output: b from c from d from b"},
		"round outside":    {"steps:\n- {name: b, app: wc, from: round}\n", "jobs.yaml:2: steps.b.from: only a step of a round reads the input of the round"},
		"round in one":     {"steps:\n- {name: b, app: '${round.number}', input: x}\n", "jobs.yaml:2: steps.b.app: ${round.number}: the step is not repeated"},
		"of a round":       {"steps:\n- {name: b, app: '${round.input}', input: x, repeat: {at-most: 2}}\n", "jobs.yaml:2: steps.b.app: ${round.input}: a round has a number and nothing else, as in ${round.number}"},
		"of a step":        {step + "- {name: b, app: '${steps.a.records}', input: x}\n", "jobs.yaml:3: steps.b.app: ${steps.a.records}: a step has an output and nothing else, as in ${steps.NAME.output}"},
		"of a parameter":   {"params: {a: '${steps.a.output}'}\n" + step, "jobs.yaml:1: params.a: ${steps.a.output}: outputs of steps are known to steps only"},
		"parameter":        {"params: {a: x}\nsteps:\n- {name: b, app: '${params.b}', input: x}\n", `jobs.yaml:3: steps.b.app: ${params.b}: the chain has no parameter "b" in front of it`},
		"later parameter":  {"params: {a: '${params.b}', b: x}\n" + step, `jobs.yaml:1: params.a: ${params.b}: the chain has no parameter "b" in front of it`},
		"not set":          {"params:\n  a:\n" + step, "jobs.yaml:2: params.a: the parameter has no default, and is not set"},
		"name of one":      {"params: {a b: x}\n" + step, "jobs.yaml:1: params.a b: a name of a parameter has letters, digits, - and _, at most 64"},
		"variable":         {"steps:\n- {name: b, app: '${env.NIGHT}', input: x}\n", "jobs.yaml:2: steps.b.app: ${env.NIGHT}: the environment has no variable NIGHT"},
		"reference":        {"steps:\n- {name: b, app: '${param.a}', input: x}\n", "jobs.yaml:2: steps.b.app: ${param.a}: unknown reference; there are params, env, steps and round"},
		"name of a chain":  {"name: a b\n" + step, `jobs.yaml:1: name: "a b" is no name of a chain: letters, digits, - and _, at most 64`},
		"no at-most":       {"steps:\n- {name: b, app: wc, input: x, repeat: {until: counter a == 0}}\n", "jobs.yaml:2: steps.b.repeat: at-most, the largest number of rounds, is not given"},
		"at-most":          {"steps:\n- {name: b, app: wc, input: x, repeat: {at-most: 0}}\n", `jobs.yaml:2: steps.b.repeat.at-most: "0" is no number of rounds from 1 to 1000000`},
		"until":            {"steps:\n- {name: b, app: wc, input: x, repeat: {at-most: 2, until: a == 0}}\n", `jobs.yaml:2: steps.b.repeat.until: "a == 0" is no condition, such as counter moved == 0`},
		"keep":             {"steps:\n- {name: b, app: wc, input: x, repeat: {at-most: 2, keep: first}}\n", `jobs.yaml:2: steps.b.repeat.keep: "first" is neither last nor all`},
		"steps of one":     {"steps:\n- {name: b, input: x, steps: [{name: c}]}\n", "jobs.yaml:2: steps.b.steps: only a step with repeat has steps of its own"},
		"job and steps":    {"steps:\n- {name: b, input: x, app: wc, repeat: {at-most: 2}, steps: [{name: c}]}\n", "jobs.yaml:2: steps.b.app: a step with steps of its own is no job: the key belongs to one of these"},
		"round of a round": {"steps:\n- {name: b, input: x, repeat: {at-most: 2}, steps: [{name: c, repeat: {at-most: 2}}]}\n", "jobs.yaml:2: steps.b.steps.c.repeat: a step of a round has no rounds of its own"},
		"last of a round":  {"steps:\n- {name: b, input: x, repeat: {at-most: 2}, steps: [{name: c, app: wc, from: d}, {name: d, app: wc, from: round}]}\n", "jobs.yaml:2: steps.b.steps.d: the last step of a round makes its output, and a step before it needs that"},
		"inner output":     {"steps:\n- {name: b, input: x, repeat: {at-most: 2}, steps: [{name: c, app: wc, from: round}]}\n- {name: d, app: wc, from: c}\n", `jobs.yaml:3: steps.d.from: there is no step "c"`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := bind(c.text, nil)
			var e *Error
			if !errors.As(err, &e) || err.Error() != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
	if _, err := bind(step, map[string]string{"a": "x"}); err == nil || err.Error() != `jobs.yaml: params: the chain has no parameter "a"` {
		t.Errorf("a parameter that there is not: %v", err)
	}
	if _, err := Parse("", nil, []Key{{Name: "from"}}); err == nil {
		t.Error("a key with two meanings was taken")
	}
}

// TestOrder: steps run behind those that they need, and else as they are written.
func TestOrder(t *testing.T) {
	for _, c := range []struct{ steps, want string }{
		{"a b c", "a b c"},
		{"a<c b c", "c a b"},
		{"a<b,c b<d c<d d", "d b c a"},
		{"a b<a c<b d<c", "a b c d"},
		{"d<c c<b b<a a", "a b c d"},
	} {
		text := "steps:\n"
		for _, s := range strings.Fields(c.steps) {
			name, from, _ := strings.Cut(s, "<")
			text += "- {name: " + name + ", app: wc, input: x, from: [" + from + "]}\n"
		}
		f, err := bind(text, nil)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range f.Steps {
			got = append(got, s.Name)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %v, want %s", c.steps, got, c.want)
		}
	}
}

// TestCondition: each operator against less, equal and more.
func TestCondition(t *testing.T) {
	for op, want := range map[string][3]bool{
		"==": {false, true, false}, "!=": {true, false, true}, "<": {true, false, false},
		"<=": {true, true, false}, ">": {false, false, true}, ">=": {false, true, true},
	} {
		c, err := ParseCondition(" counter lines left out " + op + " 5 ")
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range []int64{4, 5, 6} {
			holds, counted := c.Holds(map[string]int64{"lines left out": n - 1}, nil, map[string]int64{"lines left out": 1, "x": 9})
			if holds != want[i] || !counted {
				t.Errorf("%d %s: %v, %v", n, c, holds, counted)
			}
		}
	}
	zero, err := ParseCondition("counter group/moved==0")
	if err != nil {
		t.Fatal(err)
	}
	if holds, counted := zero.Holds(map[string]int64{"moved": 1}); !holds || counted {
		t.Errorf("a counter that is not there: %v, %v", holds, counted)
	}
	for _, text := range []string{"", "counter x", "counter x = 0", "counter == 0", "moved == 0", "counter x == 0.5", "counter x == 99999999999999999999", "counter x == y"} {
		if c, err := ParseCondition(text); err == nil {
			t.Errorf("%q was read as %v", text, c)
		}
	}
}

// TestRounds: names of rounds are read back, and nothing else is.
func TestRounds(t *testing.T) {
	for _, n := range []int{1, 42, 9999, 10000, 1_000_000} {
		if got, ok := ParseRound(RoundName(n)); !ok || got != n {
			t.Errorf("%s: %d, %v", RoundName(n), got, ok)
		}
	}
	for _, name := range []string{"round-1", "round-00001", "round-0000", "round-", "round-000x", "xround-0001"} {
		if n, ok := ParseRound(name); ok {
			t.Errorf("%s: %d", name, n)
		}
	}
}

// FuzzParse: a file is refused with an error of the package, or every value of it can be
// expanded.
func FuzzParse(f *testing.F) {
	f.Add("steps:\n- {name: a, app: wc, input: x, repeat: {at-most: 2, until: counter a == 0}}\n")
	f.Add("params: {a: 1}\ndefaults: &d {app: '${params.a}'}\nsteps:\n- {name: a, from: [b]}\n- {name: b, input: *d}\n")
	f.Add("steps: &s\n- {name: a, steps: *s, repeat: {at-most: 1}}\n")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := bind(text, nil)
		var e *Error
		if err != nil && !errors.As(err, &e) {
			t.Fatalf("%v", err)
		}
		if err != nil {
			return
		}
		for _, s := range file.Jobs() {
			for key, v := range s.values() {
				if _, err := file.Expand(s, key, v, Scope{Number: 1, Output: func(string) (string, error) { return "", nil }}); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
