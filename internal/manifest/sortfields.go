package manifest

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// SortField is a part of a key by which keys are ordered, as sort(1) and Hadoop's
// KeyFieldBasedComparator have it: from a character of one field to a character of
// another. Fields and characters, which are bytes, count from 1. A position beyond
// the end of its field lies in what follows.
type SortField struct {
	Field, Char int // of the first byte
	// EndField and EndChar are of the last byte. EndField 0 is the end of the key,
	// EndChar 0 that of the field.
	EndField, EndChar int
	Numeric           bool // by the number that it begins with, not by its bytes
	Reverse           bool // the largest first
}

// String is the option of sort(1), such as -k2,2nr.
func (f SortField) String() string {
	text := "-k" + position(f.Field, f.Char, 1)
	if f.EndField > 0 {
		text += "," + position(f.EndField, f.EndChar, 0)
	}
	if f.Numeric {
		text += "n"
	}
	if f.Reverse {
		text += "r"
	}
	return text
}

// position is F or F.C; C is left out if it is usual.
func position(field, char, usual int) string {
	if char == usual {
		return strconv.Itoa(field)
	}
	return fmt.Sprintf("%d.%d", field, char)
}

// SortFields is an order of keys: by the first field, where that is equal by the
// next, and at last by the bytes of the whole key.
type SortFields []SortField

// String is the options of sort(1) in the one form in which a spec has them.
func (s SortFields) String() string {
	words := make([]string, len(s))
	for i, f := range s {
		words[i] = f.String()
	}
	return strings.Join(words, " ")
}

const (
	// mostSortFields bounds the fields of an order.
	mostSortFields = 100
	// mostSortNumber bounds the numbers of fields and characters.
	mostSortNumber = 1 << 20
)

var (
	sortField = regexp.MustCompile(`^([0-9]+)(?:\.([0-9]+))?([nr]*)(?:,([0-9]+)(?:\.([0-9]+))?([nr]*))?$`)
	sortWhole = regexp.MustCompile(`^-[nr]+$`)
)

// ParseSortFields reads options of sort(1): -kF[.C][nr][,F[.C][nr]], with a space
// behind -k or without, and -n, -r and -nr, which count for each -k without options
// of its own, or without any -k for the whole key. It returns an error for anything
// else, and for a text without options.
func ParseSortFields(text string) (SortFields, error) {
	var fields SortFields
	var all SortField
	words := strings.Fields(text)
	for i := 0; i < len(words); i++ {
		word := words[i]
		if sortWhole.MatchString(word) {
			all.Numeric = all.Numeric || strings.Contains(word, "n")
			all.Reverse = all.Reverse || strings.Contains(word, "r")
			continue
		}
		key, ok := strings.CutPrefix(word, "-k")
		if ok && key == "" && i+1 < len(words) {
			i++
			key = words[i]
		}
		m := sortField.FindStringSubmatch(key)
		if !ok || m == nil {
			return nil, fmt.Errorf("%.200q is none of -kF[.C][nr][,F[.C][nr]], -n, -r and -nr", word)
		}
		f, err := newSortField(m)
		if err != nil {
			return nil, fmt.Errorf("-k%.200s: %w", key, err)
		}
		fields = append(fields, f)
	}
	for i := range fields {
		if f := &fields[i]; !f.Numeric && !f.Reverse {
			f.Numeric, f.Reverse = all.Numeric, all.Reverse
		}
	}
	switch {
	case len(words) == 0:
		return nil, fmt.Errorf("it has no options, such as -k1,1n")
	case len(fields) > mostSortFields:
		return nil, fmt.Errorf("%d fields, more than %d", len(fields), mostSortFields)
	case len(fields) == 0:
		all.Field, all.Char = 1, 1
		fields = SortFields{all}
	}
	return fields, nil
}

// newSortField makes a field of what sortField has matched.
func newSortField(m []string) (SortField, error) {
	f := SortField{Char: 1}
	for _, n := range []struct {
		text  string
		least int
		to    *int
	}{{m[1], 1, &f.Field}, {m[2], 1, &f.Char}, {m[4], 1, &f.EndField}, {m[5], 0, &f.EndChar}} {
		if n.text == "" {
			continue
		}
		v, err := strconv.Atoi(n.text)
		if err != nil || v < n.least || v > mostSortNumber {
			return f, fmt.Errorf("%s is no number of %d to %d", n.text, n.least, mostSortNumber)
		}
		*n.to = v
	}
	options := m[3] + m[6]
	f.Numeric, f.Reverse = strings.Contains(options, "n"), strings.Contains(options, "r")
	return f, nil
}
