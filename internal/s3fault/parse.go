package s3fault

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Parse reads a script. Its error names the line and says what may stand in
// the place of what is wrong.
func Parse(r io.Reader) (*Script, error) {
	s := &Script{}
	in := bufio.NewScanner(r)
	for line := 1; in.Scan(); line++ {
		words := strings.Fields(in.Text())
		if i := slices.IndexFunc(words, func(w string) bool { return w[0] == '#' }); i >= 0 {
			words = words[:i]
		}
		if len(words) == 0 {
			continue
		}
		if !utf8.ValidString(in.Text()) {
			return nil, fmt.Errorf("line %d: not in UTF-8", line)
		}
		rule, err := parseRule(words)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		rule.Line = line
		s.Rules = append(s.Rules, rule)
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("read faults: %w", err)
	}
	return s, nil
}

// parseRule parses the words of one line.
func parseRule(words []string) (Rule, error) {
	const form = "OPERATION KEY-GLOB [nth=N|every=N|first=N|after=N|p=P|for=D]... FAULT [ARGUMENT]"
	r := Rule{Operation: words[0]}
	if ops := Operations(); r.Operation != "*" && !slices.Contains(ops, r.Operation) {
		return r, fmt.Errorf("unknown operation %q; allowed are * and %s", r.Operation, strings.Join(ops, ", "))
	}
	if len(words) < 3 {
		return r, fmt.Errorf("%d words are too few for %s", len(words), form)
	}
	r.Key = words[1]
	words = words[2:]
	for len(words) > 0 && strings.Contains(words[0], "=") {
		if err := r.When.parse(words[0]); err != nil {
			return r, err
		}
		words = words[1:]
	}
	if len(words) == 0 {
		return r, fmt.Errorf("no fault at the end; allowed are %s", names(kinds()))
	}
	return r, r.parseFault(words[0], words[1:])
}

// parse adds one condition.
func (w *When) parse(word string) error {
	name, value, _ := strings.Cut(word, "=")
	counts := map[string]*int64{"nth": &w.Nth, "every": &w.Every, "first": &w.First, "after": &w.After}
	switch to := counts[name]; {
	case to != nil && *to != 0, name == "p" && w.P != 0, name == "for" && w.For != 0:
		return fmt.Errorf("%s= stands twice", name)
	case to != nil:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 1 {
			return fmt.Errorf("%s=%q is no whole number from 1 on", name, value)
		}
		*to = n
	case name == "p":
		p, err := strconv.ParseFloat(value, 64)
		if err != nil || !(p > 0 && p <= 1) { // so that NaN is refused
			return fmt.Errorf("p=%q is no probability above 0 and up to 1, such as 0.3", value)
		}
		w.P = p
	case name == "for":
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 {
			return fmt.Errorf("for=%q is no length of time above 0, such as 60s", value)
		}
		w.For = d
	default:
		return fmt.Errorf("unknown condition %q; allowed are nth=N, every=N, first=N, after=N, p=P and for=D", name)
	}
	return nil
}

// parseFault parses the name of the fault and what follows it.
func (r *Rule) parseFault(name string, args []string) error {
	all := kinds()
	i := slices.IndexFunc(all, func(k kind) bool { return k.name == name })
	if i < 0 {
		return fmt.Errorf("unknown fault %q; allowed are %s", name, names(all))
	}
	k := all[i]
	r.Fault = Fault{Name: name, N: -1}
	if k.ops != nil && r.Operation != "*" && !slices.Contains(k.ops, r.Operation) {
		return fmt.Errorf("%s does not happen to %s; allowed are * and %s", name, r.Operation, strings.Join(k.ops, ", "))
	}
	most := 1
	if k.arg == noArgument {
		most = 0
	}
	if len(args) > most {
		return fmt.Errorf("%q behind %s is too much; at most %d arguments are allowed", args[most], name, most)
	}
	switch {
	case k.arg == someDuration && len(args) == 0:
		return fmt.Errorf("%s wants a length of time, such as 200ms", name)
	case len(args) == 0:
		return nil
	case k.arg == someDuration:
		d, err := time.ParseDuration(args[0])
		if err != nil || d <= 0 {
			return fmt.Errorf("%q behind %s is no length of time above 0, such as 200ms", args[0], name)
		}
		r.Fault.D = d
	default:
		n, err := strconv.ParseInt(args[0], 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("%q behind %s is no whole number from 0 on", args[0], name)
		}
		r.Fault.N = n
	}
	return nil
}

func names(of []kind) string {
	list := make([]string, len(of))
	for i, k := range of {
		list[i] = k.name
	}
	return strings.Join(list, ", ")
}
