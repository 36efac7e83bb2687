package s3fault

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Script is a list of rules, in the order of their lines.
type Script struct{ Rules []Rule }

// Rule is one line of a script: which calls it matches, which of them it
// picks, and what happens to those.
type Rule struct {
	Line      int    // in the script, from 1
	Operation string // one of Operations, or "*"
	Key       string // glob over the whole key
	When      When
	Fault     Fault
}

// When picks among the calls that a rule matches, which it counts from 1.
// All that is given must hold; a zero field is not given.
type When struct {
	Nth   int64         // this call
	Every int64         // each call whose number is a multiple
	First int64         // calls up to this one
	After int64         // calls after this one
	P     float64       // each call with this probability, in (0, 1]
	For   time.Duration // calls no later than this after the first one
}

// Fault is what happens to a call.
type Fault struct {
	Name string
	// N is the byte offset of stall, reset, short and flip, and the number
	// of entries that drop-page leaves; -1 is not given.
	N int64
	// D is the length of a delay, and what each byte of a slow body takes.
	D time.Duration
}

// String returns the rule as a line of a script.
func (r Rule) String() string {
	var b strings.Builder
	b.WriteString(r.Operation + " " + r.Key)
	for _, c := range []struct {
		name string
		n    int64
	}{{"nth", r.When.Nth}, {"every", r.When.Every}, {"first", r.When.First}, {"after", r.When.After}} {
		if c.n > 0 {
			fmt.Fprintf(&b, " %s=%d", c.name, c.n)
		}
	}
	if r.When.P > 0 {
		b.WriteString(" p=" + strconv.FormatFloat(r.When.P, 'g', -1, 64))
	}
	if r.When.For > 0 {
		b.WriteString(" for=" + r.When.For.String())
	}
	b.WriteString(" " + r.Fault.Name)
	switch {
	case r.Fault.D > 0:
		b.WriteString(" " + r.Fault.D.String())
	case r.Fault.N >= 0:
		b.WriteString(" " + strconv.FormatInt(r.Fault.N, 10))
	}
	return b.String()
}

// argument is what may stand behind the name of a fault.
type argument int

const (
	noArgument   argument = iota
	someBytes             // an offset, which may be left out
	someEntries           // a number of entries, which may be left out
	someDuration          // a length of time, which must be there
)

// kind is what the language knows of a fault.
type kind struct {
	name string
	arg  argument
	ops  []string // that it makes sense for; nil for all
}

// kinds are the faults, in the order in which errors list them.
func kinds() []kind {
	list := []string{"ListObjectsV2"}
	return []kind{
		{name: "503"}, {name: "500"}, {name: "502"}, {name: "504"}, {name: "409"}, {name: "403"}, {name: "expired"},
		{name: "bad-key"}, {name: "bad-secret"}, {name: "skewed"}, {name: "other-region"}, {name: "bad-region"},
		{name: "200", ops: []string{"CompleteMultipartUpload", "CopyObject"}},
		{name: "drop"}, {name: "no-headers"}, {name: "lost-reply"},
		{name: "stall", arg: someBytes}, {name: "reset", arg: someBytes}, {name: "short", arg: someBytes}, {name: "flip", arg: someBytes},
		{name: "slow", arg: someDuration},
		{name: "drop-page", arg: someEntries, ops: list}, {name: "fail-page", ops: list},
		{name: "ignore-condition", ops: []string{"PutObject", "CompleteMultipartUpload", "CopyObject", "GetObject", "HeadObject"}},
		{name: "no-checksum", ops: []string{"GetObject", "HeadObject"}}, {name: "delay", arg: someDuration},
	}
}
