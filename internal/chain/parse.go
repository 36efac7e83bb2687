package chain

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Key is a key that a step may have.
type Key struct {
	Name    string
	Help    string
	Kind    Kind
	Default string
	Choices []string // all values, where there are few
}

// Kind is what values a key has.
type Kind int

// The kinds of keys.
const (
	Text Kind = iota
	Number
	Switch // true or false
	List   // any number of texts, of which "name: value" is name=value
)

// keys of a step that the package knows itself, in the order in which they are written.
var ownKeys = []string{"name", "from", "input", "repeat", "steps"}

// parser reads one file.
type parser struct {
	*File
	keys []Key
}

// Parse reads the file, whose steps may have these keys beside those of the package.
// Steps whose input nothing names are refused, unless a setting has one of the keys of
// reads. path is how errors, which are [*Error], name the file.
func Parse(path string, data []byte, keys []Key, reads ...string) (*File, error) {
	p := &parser{&File{Path: path}, keys}
	for _, k := range keys {
		if slices.Contains(ownKeys, k.Name) {
			return nil, fmt.Errorf("key %s of steps has two meanings", k.Name)
		}
	}
	root, err := p.document(data)
	if err != nil {
		return nil, err
	}
	if err := p.file(root); err != nil {
		return nil, err
	}
	return p.File, p.checkInputs(p.Steps, reads)
}

// lineOf finds the line in an error of the library.
var lineOf = regexp.MustCompile(`^yaml: (?:line ([0-9]+): )?`)

// document reads the only document of a file.
func (p *parser) document(data []byte) (*yaml.Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	err := d.Decode(&doc)
	switch {
	case errors.Is(err, io.EOF):
		return nil, p.errorf(Pos{}, "", "the file is empty")
	case err != nil:
		m := lineOf.FindStringSubmatch(err.Error())
		line := 0
		if m != nil {
			line, _ = strconv.Atoi(m[1]) // digits, or none
		}
		return nil, p.errorf(Pos{Line: line}, "", "the file is no YAML: %s", lineOf.ReplaceAllString(err.Error(), ""))
	}
	if d.Decode(&more) == nil {
		return nil, p.errorf(pos(&more), "", "the file has a second document")
	}
	return doc.Content[0], nil
}

func pos(n *yaml.Node) Pos { return Pos{n.Line, n.Column} }

// pair is a key of a mapping with its value.
type pair struct {
	name string
	pos  Pos
	node *yaml.Node
}

// pairs are those of a mapping. Its keys are texts, each there once.
func (p *parser) pairs(n *yaml.Node, key string) (pairs []pair, err error) {
	if n = target(n); n.Kind != yaml.MappingNode {
		return nil, p.errorf(pos(n), key, "must be keys with values")
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if k.Kind != yaml.ScalarNode || k.Tag == "!!merge" {
			return nil, p.errorf(pos(k), key, "keys must be texts")
		}
		if slices.ContainsFunc(pairs, func(o pair) bool { return o.name == k.Value }) {
			return nil, p.errorf(pos(k), join(key, k.Value), "the key is there twice")
		}
		pairs = append(pairs, pair{k.Value, pos(k), n.Content[i+1]})
	}
	return pairs, nil
}

// target follows an alias.
func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// unknown is the error of a key that is none of names.
func (p *parser) unknown(k pair, path string, names []string) error {
	err := p.errorf(k.pos, join(path, k.name), "unknown key")
	err.Word, err.Names = k.name, names
	return err
}

// file reads the whole document.
func (p *parser) file(root *yaml.Node) error {
	pairs, err := p.pairs(root, "")
	if err != nil {
		return err
	}
	var defaults []Setting
	var steps *yaml.Node
	for _, k := range pairs {
		switch k.name {
		case "name":
			p.Name, err = p.scalar(k.node, "name")
		case "params":
			err = p.readParams(k.node)
		case "defaults":
			defaults, err = p.defaults(k.node)
		case "steps":
			steps = k.node
		default:
			err = p.unknown(k, "", []string{"name", "params", "defaults", "steps"})
		}
		if err != nil {
			return err
		}
	}
	if steps == nil {
		return p.errorf(pos(root), "steps", "the file has no steps")
	}
	p.Steps, err = p.steps(steps, nil, defaults)
	return err
}

// readParams reads the parameters and their defaults; one without a value has to be set.
func (p *parser) readParams(n *yaml.Node) error {
	pairs, err := p.pairs(n, "params")
	if err != nil {
		return err
	}
	for _, k := range pairs {
		if !validStep.MatchString(k.name) {
			return p.errorf(k.pos, "params."+k.name, "a name of a parameter has letters, digits, - and _, at most 64")
		}
		o := param{name: k.name, value: Value{Pos: k.pos}}
		if v := target(k.node); v.Kind == yaml.ScalarNode && v.Tag == "!!null" {
			o.required = true
		} else if o.value, err = p.scalar(k.node, "params."+k.name); err != nil {
			return err
		}
		p.params = append(p.params, o)
	}
	return nil
}

// defaults are settings of all steps that have no other.
func (p *parser) defaults(n *yaml.Node) (settings []Setting, err error) {
	pairs, err := p.pairs(n, "defaults")
	if err != nil {
		return nil, err
	}
	for _, k := range pairs {
		s, err := p.setting(k, "defaults", nil)
		if err != nil {
			return nil, err
		}
		settings = append(settings, s)
	}
	return settings, nil
}

// steps reads a list of steps.
func (p *parser) steps(n *yaml.Node, parent *Step, defaults []Setting) (steps []*Step, err error) {
	path := "steps"
	if parent != nil {
		path = parent.Key("steps")
	}
	if n = target(n); n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		return nil, p.errorf(pos(n), path, "must be a list of steps, each with a name: - name: count")
	}
	for _, item := range n.Content {
		s, err := p.step(item, path, parent, defaults)
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(steps, func(o *Step) bool { return o.Name == s.Name }); i >= 0 {
			return nil, p.errorf(s.Pos, s.Key("name"), "the step in line %d has this name too", steps[i].Pos.Line)
		}
		steps = append(steps, s)
	}
	return steps, nil
}

// step reads one step.
func (p *parser) step(n *yaml.Node, path string, parent *Step, defaults []Setting) (*Step, error) {
	pairs, err := p.pairs(n, path)
	if err != nil {
		return nil, err
	}
	s := &Step{Pos: pos(target(n)), parent: parent}
	i := slices.IndexFunc(pairs, func(k pair) bool { return k.name == "name" })
	if i < 0 {
		return nil, p.errorf(s.Pos, path, "the step has no name")
	}
	name, err := p.scalar(pairs[i].node, path+".name")
	if err != nil {
		return nil, err
	}
	if s.Name = name.Text; validName(s.Name) != "" {
		return nil, p.errorf(name.Pos, path, "%s", validName(s.Name))
	}
	var inner *yaml.Node
	for _, k := range pairs {
		switch k.name {
		case "name":
		case "from":
			s.From, err = p.list(k.node, s.Key("from"), false)
		case "input":
			s.Input, err = p.list(k.node, s.Key("input"), false)
		case "repeat":
			s.Repeat, err = p.repeat(k, s)
		case "steps":
			inner = k.node
		default:
			var set Setting
			set, err = p.setting(k, s.Key(""), ownKeys)
			s.Settings = append(s.Settings, set)
		}
		if err != nil {
			return nil, err
		}
	}
	if inner == nil {
		for _, d := range slices.Backward(defaults) {
			if s.Setting(d.Key) == nil {
				s.Settings = slices.Insert(s.Settings, 0, d)
			}
		}
		return s, nil
	}
	return s, p.group(s, inner, defaults)
}

// group reads the steps of a round.
func (p *parser) group(s *Step, inner *yaml.Node, defaults []Setting) (err error) {
	switch {
	case s.parent != nil:
		return p.errorf(pos(inner), s.Key("steps"), "a step of a round has no rounds of its own")
	case s.Repeat == nil:
		return p.errorf(pos(inner), s.Key("steps"), "only a step with repeat has steps of its own")
	case len(s.Settings) > 0:
		return p.errorf(s.Settings[0].Pos, s.Key(s.Settings[0].Key), "a step with steps of its own is no job: the key belongs to one of these")
	}
	s.Steps, err = p.steps(inner, s, defaults)
	return err
}

// repeat reads how often a step is repeated.
func (p *parser) repeat(k pair, s *Step) (*Repeat, error) {
	key := s.Key("repeat")
	if s.parent != nil {
		return nil, p.errorf(k.pos, key, "a step of a round has no rounds of its own")
	}
	pairs, err := p.pairs(k.node, key)
	if err != nil {
		return nil, err
	}
	r := &Repeat{Pos: k.pos}
	for _, k := range pairs {
		var v Value
		if v, err = p.scalar(k.node, key+"."+k.name); err != nil {
			return nil, err
		}
		switch k.name {
		case "until":
			r.until = v
		case "at-most":
			r.atMost = v
		case "keep":
			if r.KeepLast = v.Text == "last"; v.Text != "last" && v.Text != "all" {
				return nil, p.errorf(v.Pos, key+".keep", "%q is neither last nor all", v.Text)
			}
		default:
			return nil, p.unknown(k, key, []string{"until", "at-most", "keep"})
		}
	}
	if r.atMost.Text == "" {
		return nil, p.errorf(k.pos, key, "at-most, the largest number of rounds, is not given")
	}
	return r, nil
}

// setting reads a key of a step. Others are keys that the step may have besides.
func (p *parser) setting(k pair, path string, others []string) (s Setting, err error) {
	names := slices.Clone(others)
	for _, of := range p.keys {
		names = append(names, of.Name)
	}
	i := slices.IndexFunc(p.keys, func(of Key) bool { return of.Name == k.name })
	if i < 0 {
		return s, p.unknown(k, path, names)
	}
	s = Setting{Key: k.name, Pos: k.pos}
	if p.keys[i].Kind == List {
		s.Values, err = p.list(k.node, join(path, k.name), true)
		return s, err
	}
	v, err := p.scalar(k.node, join(path, k.name))
	s.Values = []Value{v}
	return s, err
}

// scalar reads a single value, as it is written.
func (p *parser) scalar(n *yaml.Node, key string) (Value, error) {
	at := pos(n)
	if n = target(n); n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return Value{}, p.errorf(at, key, "must be a single value")
	}
	return Value{n.Value, at}, nil
}

// list reads one value or a list of them, or name=value of keys with values.
func (p *parser) list(n *yaml.Node, key string, named bool) (values []Value, err error) {
	switch of := target(n); {
	case of.Kind == yaml.SequenceNode:
		for _, item := range of.Content {
			v, err := p.scalar(item, key)
			if err != nil {
				return nil, err
			}
			values = append(values, v)
		}
		return values, nil
	case of.Kind == yaml.MappingNode && named:
		pairs, err := p.pairs(of, key)
		for _, k := range pairs {
			v, err := p.scalar(k.node, join(key, k.name))
			if err != nil {
				return nil, err
			}
			values = append(values, Value{k.name + "=" + v.Text, v.Pos})
		}
		return values, err
	case of.Kind == yaml.ScalarNode && of.Tag != "!!null":
		v, err := p.scalar(n, key)
		return []Value{v}, err
	}
	return nil, p.errorf(pos(n), key, "must be a value or a list of values")
}

// checkInputs refuses steps whose input nothing names.
func (p *parser) checkInputs(steps []*Step, reads []string) error {
	for _, s := range steps {
		named := len(s.From)+len(s.Input) > 0
		for _, key := range reads {
			named = named || s.Setting(key) != nil
		}
		if !named {
			return p.errorf(s.Pos, s.Key(""), "the step names no input: from (earlier steps) or input (files)")
		}
		if s.parent == nil && slices.ContainsFunc(s.From, func(v Value) bool { return v.Text == Round }) {
			return p.errorf(s.Pos, s.Key("from"), "only a step of a round reads the input of the round")
		}
		if err := p.checkInputs(s.Steps, reads); err != nil {
			return err
		}
	}
	return nil
}
