package manifest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// KeyOrder is in which order a job has its keys and values, and what a key's fields
// decide, whatever the kind of its application.
type KeyOrder struct {
	Fields    SortFields // nil is by the bytes of the key
	Separator string     // of the fields of a key
	Values    string     // [ByInput], or one of [ValueOrders]
	// From and To are the fields of the key, from 1 on, whose hash is the partition
	// with [ByFields]; 0 and 0 with another partitioner.
	From, To int
}

// KeyOrder returns the order. Validate has seen it.
func (s *Spec) KeyOrder() KeyOrder {
	o := KeyOrder{Separator: cmp.Or(s.Order.Separator, "\t"), Values: cmp.Or(s.Order.Values, ByInput)}
	sort := s.Order.Fields
	if e := s.App.Exec; e != nil && e.Sort != "" {
		sort = e.Sort
	}
	if e := s.App.Exec; e != nil && s.Order.Separator == "" {
		o.Separator = e.SeparatorInKey()
	}
	if sort != "" {
		o.Fields, _ = ParseSortFields(sort)
	}
	switch e := s.App.Exec; {
	case s.Partitioner.Name != ByFields:
	case len(s.Partitioner.Options) > 0:
		o.From, o.To, _ = s.Partitioner.fields()
	case e != nil:
		o.From, o.To = max(e.PartitionFrom, 1), e.PartitionFields
	}
	return o
}

// PartitionFields is the partitioner by the fields of a key from one to another.
func PartitionFields(from, to int) Choice {
	return Choice{Name: ByFields, Options: map[string]string{FirstField: strconv.Itoa(from), LastField: strconv.Itoa(to)}}
}

// fields are those of [PartitionFields].
func (c Choice) fields() (from, to int, err error) {
	from, ferr := strconv.Atoi(c.Options[FirstField])
	to, terr := strconv.Atoi(c.Options[LastField])
	if ferr != nil || terr != nil || from < 1 || to < from || to > mostKeyFields {
		return 0, 0, fmt.Errorf("partitions by the fields %.20q to %.20q of a key", c.Options[FirstField], c.Options[LastField])
	}
	return from, to, nil
}

// shown is the name, and the options that decide the output.
func (c Choice) shown() string {
	if c.Name == Range {
		return c.Name
	}
	return c.String()
}

// shown is the order of the keys.
func (o Order) shown() string {
	text := o.Keys
	if o.Fields != "" {
		text += fmt.Sprintf(" %q", o.Fields)
	}
	if o.Separator != "" {
		text += fmt.Sprintf(" separated by %q", o.Separator)
	}
	return text
}

// namesPartitioner says whether the partitioner is one that a job may name for any
// code with a reducer.
func (s *Spec) namesPartitioner() bool {
	e := s.App.Exec
	return e.Reducer != "" && (s.Partitioner.Name == Range || s.Partitioner.Name == ByFields && len(s.Partitioner.Options) > 0 && e.PartitionFields == 0)
}

// validateOrder returns an error unless this program knows the order of keys and
// values, and which fields decide the partition.
func (s *Spec) validateOrder() error {
	o := s.Order
	inExec := s.App.Exec != nil && s.App.Exec.Sort != ""
	switch {
	case o.Keys != ByBytes && o.Keys != ByFields || o.Values != ByInput && !slices.Contains(ValueOrders(), o.Values):
		return fmt.Errorf("unknown order of keys %.200q or of values %.200q", o.Keys, o.Values)
	case (o.Keys == ByFields) != (o.Fields != "" || inExec):
		return fmt.Errorf("keys by %s, and the order of their fields is %.200q", o.Keys, o.Fields)
	case len(o.Separator) > mostSeparator || !validValue(o.Separator) || strings.Contains(o.Separator, "\n"):
		return option("key_separator", "fields cannot be separated by %.200q, but by at most %d bytes of UTF-8 without a line break", o.Separator, mostSeparator)
	}
	if o.Fields != "" {
		fields, err := ParseSortFields(o.Fields)
		if err != nil {
			return fmt.Errorf("order of keys %.200q: %w", o.Fields, err)
		}
		if o.Fields != fields.String() {
			return fmt.Errorf("order of keys %.200q, which is written as %q", o.Fields, fields)
		}
	}
	if s.Partitioner.Name == ByFields && len(s.Partitioner.Options) > 0 {
		if _, _, err := s.Partitioner.fields(); err != nil {
			return err
		}
	} else if s.Partitioner.Name == ByFields && s.App.Exec == nil {
		return fmt.Errorf("app %s with the partitioner %s, and no fields", s.App.Name, ByFields)
	}
	return nil
}
