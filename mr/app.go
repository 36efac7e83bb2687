package mr

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Validate returns an error that names every mistake in the declaration of
// an app: what is missing, and what two things share a name.
func (a App) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !validName(a.Name) {
		bad("the name %q is not made of lower-case letters, digits, '-' and '_'", a.Name)
	}
	if a.NewMapper == nil {
		bad("NewMapper is missing")
	}
	if a.NewReducer == nil {
		bad("NewReducer is missing")
	}
	if a.Input < Lines || a.Input > Rows {
		bad("Input is %d, which is none of Lines, NumberedLines, WholeObjects and Rows", a.Input)
	}
	if a.Columns != nil && a.Input != Rows {
		bad("Columns needs Rows as Input")
	}
	switch {
	case !a.Ordered:
	case a.Partition != nil:
		bad("Ordered takes the place of Partition")
	case a.Input != Lines:
		bad("Ordered needs Lines as Input")
	case a.SideEffects:
		bad("Ordered maps some of the input twice, which SideEffects forbids")
	}
	if !slices.Contains([]ValueOrder{byInput, ByBytes, ByBytesDown, ByNumber, ByNumberDown}, a.SortValues) {
		bad("SortValues is %q, which is no order of values", a.SortValues)
	}
	if err := CheckNamedOutputs(a.NamedOutputs); err != nil {
		bad("NamedOutputs: %w", err)
	}
	seen := map[string]bool{}
	for _, p := range a.Params {
		switch {
		case !validName(p.Name):
			bad("the parameter name %q is not made of lower-case letters, digits, '-' and '_'", p.Name)
		case seen[p.Name]:
			bad("parameter %s is declared twice", p.Name)
		case p.Required && p.Default != "":
			bad("parameter %s is required and has a default", p.Name)
		case p.Check != nil && !p.Required && p.Check(p.Default) != nil:
			bad("parameter %s: default %q: %w", p.Name, p.Default, p.Check(p.Default))
		}
		seen[p.Name] = true
	}
	if ref := a.Reference; ref != nil {
		if ref.Input != a.Input {
			bad("the reference %s reads other records", ref.Name)
		}
		if !slices.Equal(ref.NamedOutputs, a.NamedOutputs) {
			bad("the reference %s has other named outputs", ref.Name)
		}
		if ref.Reference != nil {
			bad("the reference %s has a reference itself", ref.Name)
		}
		if err := ref.Validate(); err != nil {
			bad("reference: %w", err)
		}
	}
	if len(errs) > 0 {
		return fmt.Errorf("app %s: %w", a.Name, errors.Join(errs...))
	}
	return nil
}

// validName says whether s can be typed as the name of an app or parameter.
func validName(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return s != "" && s[0] != '-'
}

// Resolve returns the value of every declared parameter: those of params,
// and the defaults of the others. It refuses names that the app does not
// declare, required ones that are missing, and values that [Param.Check]
// refuses. An empty value is a value.
func (a App) Resolve(params map[string]string) (map[string]string, error) {
	var errs []error
	all := make(map[string]string, len(a.Params))
	for _, p := range a.Params {
		v, given := params[p.Name]
		if !given {
			v = p.Default
		}
		all[p.Name] = v
		if p.Required && !given {
			errs = append(errs, fmt.Errorf("app %s needs parameter %s (%s)", a.Name, p.Name, p.Help))
		} else if p.Check != nil {
			if err := p.Check(v); err != nil {
				errs = append(errs, fmt.Errorf("app %s: parameter %s=%s: %w", a.Name, p.Name, v, err))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if _, ok := all[name]; !ok {
			errs = append(errs, fmt.Errorf("app %s has no parameter %s (%s)", a.Name, name, a.known()))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return all, nil
}

// known lists the declared parameters for an error message.
func (a App) known() string {
	if len(a.Params) == 0 {
		return "it takes none"
	}
	names := make([]string, len(a.Params))
	for i, p := range a.Params {
		names[i] = p.Name
	}
	return "known: " + strings.Join(names, ", ")
}
