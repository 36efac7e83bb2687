package execrunner

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/mraws/mraws/internal/runner"
)

// aggregator adds up the values of one key.
type aggregator interface {
	add(value []byte) error
	result() string
}

// aggregators makes them by the name that stands before the key, as in Hadoop's
// package aggregate.
var aggregators = map[string]func() aggregator{
	"LongValueSum":   func() aggregator { return &longs{fold: func(a, b int64) int64 { return a + b }} },
	"LongValueMax":   func() aggregator { return &longs{fold: func(a, b int64) int64 { return max(a, b) }} },
	"LongValueMin":   func() aggregator { return &longs{fold: func(a, b int64) int64 { return min(a, b) }} },
	"DoubleValueSum": func() aggregator { return new(doubles) },
	"StringValueMax": func() aggregator { return &texts{least: false} },
	"StringValueMin": func() aggregator { return &texts{least: true} },
	"UniqValueCount": func() aggregator { return uniques{} },
}

// aggregate is the reducer [manifest.Aggregate]: a key "LongValueSum:word" asks for
// the sum of its values, which is written as the line "word TAB sum".
func aggregate(in runner.Groups, out runner.Output) error {
	values := in.Values()
	for in.Next() {
		name, key, ok := bytes.Cut(in.Key(), []byte{':'})
		create := aggregators[string(name)]
		if !ok || create == nil {
			return fmt.Errorf("key %q asks for none of the functions of aggregate, as LongValueSum:word does", short(string(in.Key())))
		}
		a := create()
		for v := range values {
			if err := a.add(v); err != nil {
				return fmt.Errorf("key %q: %w", short(string(in.Key())), err)
			}
		}
		if in.Err() != nil {
			break
		}
		if err := out.WriteLine(fmt.Appendf(nil, "%s\t%s", key, a.result())); err != nil {
			return err
		}
	}
	return in.Err()
}

// longs folds whole numbers.
type longs struct {
	fold func(a, b int64) int64
	n    int64
	has  bool
}

func (l *longs) add(value []byte) error {
	n, err := strconv.ParseInt(strings.TrimSpace(string(value)), 10, 64)
	if err != nil {
		return err
	}
	if l.has {
		n = l.fold(l.n, n)
	}
	l.n, l.has = n, true
	return nil
}

func (l *longs) result() string { return strconv.FormatInt(l.n, 10) }

// doubles adds up numbers.
type doubles struct{ sum float64 }

func (d *doubles) add(value []byte) error {
	n, err := strconv.ParseFloat(strings.TrimSpace(string(value)), 64)
	d.sum += n
	return err
}

// result has a decimal point or an exponent.
func (d *doubles) result() string {
	text := strconv.FormatFloat(d.sum, 'g', -1, 64)
	if strings.Trim(text, "-0123456789") == "" {
		text += ".0"
	}
	return text
}

// texts keeps the first or the last value by bytes.
type texts struct {
	least bool
	text  string
	has   bool
}

func (t *texts) add(value []byte) error {
	if s := string(value); !t.has || (s < t.text) == t.least && s != t.text {
		t.text, t.has = s, true
	}
	return nil
}

func (t *texts) result() string { return t.text }

// uniques counts the values that differ.
type uniques map[string]struct{}

func (u uniques) add(value []byte) error { u[string(value)] = struct{}{}; return nil }

func (u uniques) result() string { return strconv.Itoa(len(u)) }
