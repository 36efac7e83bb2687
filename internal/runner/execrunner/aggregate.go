package execrunner

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/mraws/mraws/internal/runner"
)

// aggregator adds up the values of one key.
type aggregator interface {
	add(value []byte) error
	result() string
}

// aggregators makes them by the name that stands before the key, in lower case, as
// in Hadoop's package aggregate.
var aggregators = map[string]func() aggregator{
	"longvaluesum":   func() aggregator { return &longs{fold: func(a, b int64) int64 { return a + b }} },
	"longvaluemax":   func() aggregator { return &longs{fold: func(a, b int64) int64 { return max(a, b) }} },
	"longvaluemin":   func() aggregator { return &longs{fold: func(a, b int64) int64 { return min(a, b) }} },
	"doublevaluesum": func() aggregator { return new(doubles) },
	"stringvaluemax": func() aggregator { return &texts{least: false} },
	"stringvaluemin": func() aggregator { return &texts{least: true} },
	"uniqvaluecount": func() aggregator { return uniques{} },
	"valuehistogram": func() aggregator { return histogram{} },
}

// aggregate is the reducer [manifest.Aggregate]: a key "LongValueSum:word" asks for
// the sum of its values, which is written as the line "word TAB sum".
func aggregate(in runner.Groups, out runner.Output) error {
	values := in.Values()
	for in.Next() {
		name, key, ok := bytes.Cut(in.Key(), []byte{':'})
		create := aggregators[strings.ToLower(string(name))]
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

func (d *doubles) result() string { return javaDouble(d.sum) }

// javaDouble is a number as Java prints it: with a point always, and with an exponent
// below a thousandth and from ten millions on.
func javaDouble(f float64) string {
	switch size := math.Abs(f); {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 0):
		return strings.TrimPrefix(strconv.FormatFloat(f, 'f', -1, 64), "+") + "inity"
	case size != 0 && (size < 1e-3 || size >= 1e7):
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
		if !strings.Contains(mantissa, ".") {
			mantissa += ".0"
		}
		n, _ := strconv.Atoi(exponent) // FormatFloat has made it
		return mantissa + "E" + strconv.Itoa(n)
	}
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
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

// histogram counts how often each value comes: a value "word TAB 3" comes three times.
type histogram map[string]int64

func (h histogram) add(value []byte) error {
	n := int64(1)
	if i := bytes.LastIndexByte(value, '\t'); i >= 0 {
		var err error
		if n, err = strconv.ParseInt(string(value[i+1:]), 10, 64); err != nil {
			return err
		}
		value = value[:i]
	}
	h[string(value)] += n
	return nil
}

// result has, with tabs between them, how many values differ, and of the numbers of
// times that each of them comes the least, the median, which is the larger of two, the
// most, the average and the standard deviation.
func (h histogram) result() string {
	counts := slices.Sorted(maps.Values(h)) // not empty: each key has a value
	sum := int64(0)
	for _, n := range counts {
		sum += n
	}
	average, squares := float64(sum)/float64(len(counts)), 0.0
	for _, n := range counts {
		off := float64(n) - average
		squares += off * off
	}
	return fmt.Sprintf("%d\t%d\t%d\t%d\t%s\t%s", len(counts), counts[0], counts[len(counts)/2], counts[len(counts)-1],
		javaDouble(average), javaDouble(math.Sqrt(squares/float64(len(counts)))))
}
