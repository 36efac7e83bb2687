package cmd

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/mraws/mraws/internal/config"
)

// oneOf is a flag with few values. "" among them is that the flag is not given.
type oneOf struct {
	value   *string
	choices []string
}

func (o *oneOf) String() string { return *o.value }
func (o *oneOf) Type() string   { return strings.Join(o.words(), "|") }
func (o *oneOf) Set(s string) error {
	if !slices.Contains(o.choices, s) {
		return config.NoneOf(s, o.words())
	}
	*o.value = s
	return nil
}

// words are the values to be named.
func (o *oneOf) words() []string {
	return slices.DeleteFunc(slices.Clone(o.choices), func(s string) bool { return s == "" })
}

// few adds a flag with few values, of which the first is its default.
func few(f *pflag.FlagSet, value *string, name, help string, choices ...string) {
	*value = choices[0]
	f.Var(&oneOf{value, choices}, name, help)
}

// severalOf is a flag with several of few values, with commas between.
type severalOf struct {
	values  *[]string
	choices []string
}

func (o *severalOf) String() string {
	if o.values == nil {
		return ""
	}
	return strings.Join(*o.values, ",")
}
func (o *severalOf) Type() string { return "list" }

// Set adds values.
func (o *severalOf) Set(s string) error {
	for word := range strings.SplitSeq(s, ",") {
		if !slices.Contains(o.choices, word) {
			return config.NoneOf(word, o.choices)
		}
		*o.values = append(*o.values, word)
	}
	return nil
}

// days is a flag for an age: a duration, which may have days or weeks, such as 7d, 2w
// or 12h.
type days struct {
	age time.Duration
	set bool
}

func (d *days) String() string {
	if !d.set {
		return ""
	}
	return d.age.String()
}
func (d *days) Type() string { return "age" }

// Set reads an age.
func (d *days) Set(s string) error {
	var unit time.Duration
	switch {
	case strings.HasSuffix(s, "d"):
		unit = 24 * time.Hour
	case strings.HasSuffix(s, "w"):
		unit = 7 * 24 * time.Hour
	}
	age, err := time.ParseDuration(s)
	if unit > 0 {
		var n float64
		n, err = strconv.ParseFloat(s[:len(s)-1], 64)
		if n *= float64(unit); err == nil && !(n >= 0 && n < 1<<62) {
			err = errors.New("out of range")
		}
		age = time.Duration(n)
	}
	if err != nil || age < 0 {
		return fmt.Errorf("%q is no age: such as 7d, 2w or 12h", s)
	}
	d.age, d.set = age, true
	return nil
}
