package chain

import (
	"fmt"
	"regexp"
	"strconv"
)

// Condition compares a counter with a number.
type Condition struct {
	Counter string
	op      string
	number  int64
}

var conditionForm = regexp.MustCompile(`^\s*counter\s+(\S.*?)\s*(==|!=|<=|>=|<|>)\s*(-?[0-9]+)\s*$`)

// ParseCondition reads "counter NAME OPERATOR NUMBER". The name is that of a counter
// of the application and may contain spaces; the operator is ==, !=, <, <=, > or >=.
func ParseCondition(text string) (*Condition, error) {
	m := conditionForm.FindStringSubmatch(text)
	if m == nil {
		return nil, fmt.Errorf("%.200q is no condition, such as counter moved == 0", text)
	}
	n, err := strconv.ParseInt(m[3], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("%s is out of range", m[3])
	}
	return &Condition{m[1], m[2], n}, nil
}

// String returns the condition as it is written.
func (c *Condition) String() string {
	return fmt.Sprintf("counter %s %s %d", c.Counter, c.op, c.number)
}

// Holds compares the counter of the jobs of a round. A counter that no job has counted
// is 0, as for an application that adds to it only where something happens; counted
// tells these apart.
func (c *Condition) Holds(counters ...map[string]int64) (holds, counted bool) {
	var n int64
	for _, of := range counters {
		v, ok := of[c.Counter]
		n, counted = n+v, counted || ok
	}
	switch c.op {
	case "==":
		holds = n == c.number
	case "!=":
		holds = n != c.number
	case "<":
		holds = n < c.number
	case "<=":
		holds = n <= c.number
	case ">":
		holds = n > c.number
	case ">=":
		holds = n >= c.number
	}
	return holds, counted
}
