package parquet

import (
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/mraws/mraws/mr"
)

// node is a column with all that lies below it, as JSON is made of it.
type node struct {
	name     string
	optional bool
	repeated bool
	form     form    // of a leaf
	kids     []*node // of a group; none for a leaf
	leaves   int     // columns below, at least 1
	list     bool    // a group whose only kid has the elements of a list
	isMap    bool    // a group whose only kid has keys and values
	element  bool    // the repeated kid of a list, which has the element as its only kid
}

func newNode(c *parquet.Column) *node {
	n := &node{name: c.Name(), optional: c.Optional(), repeated: c.Repeated()}
	if c.Leaf() {
		n.form, n.leaves = formOf(c), 1
		return n
	}
	for _, kid := range c.Columns() {
		k := newNode(kid)
		n.kids, n.leaves = append(n.kids, k), n.leaves+k.leaves
	}
	var logical format.LogicalTypeValue
	if l := c.Type().LogicalType(); l != nil {
		logical = l.Value
	}
	if len(n.kids) != 1 || !n.kids[0].repeated {
		return n
	}
	kid := n.kids[0]
	switch logical.(type) {
	case *format.ListType:
		// https://github.com/apache/parquet-format/blob/master/LogicalTypes.md#lists
		n.list = true
		kid.element = len(kid.kids) == 1 && kid.name != "array" && kid.name != n.name+"_tuple"
	case *format.MapType:
		n.isMap = len(kid.kids) == 2 && len(kid.kids[0].kids) == 0
	}
	return n
}

// above is the definition level of what a column lies in.
func above(c *parquet.Column) int {
	if c.Required() {
		return c.MaxDefinitionLevel()
	}
	return c.MaxDefinitionLevel() - 1
}

// appendBelow appends the value of a node that lies in groups, which may be null.
func (n *node) appendBelow(b []byte, values [][]parquet.Value, above int) []byte {
	if values[0][0].DefinitionLevel() < above {
		return append(b, "null"...)
	}
	return n.append(b, values, above, 0)
}

// append appends the value of a node as JSON. values are those of each column below
// it, all of which lie in that value; def and rep are the levels above it.
func (n *node) append(b []byte, values [][]parquet.Value, def, rep int) []byte {
	switch {
	case n.optional:
		if def++; values[0][0].DefinitionLevel() < def {
			return append(b, "null"...)
		}
	case n.repeated:
		return n.appendList(b, values, def, rep, false)
	}
	return n.inner(b, values, def, rep)
}

// appendList appends the values of a repeated node.
func (n *node) appendList(b []byte, values [][]parquet.Value, def, rep int, pairs bool) []byte {
	ends := [2]byte{'[', ']'}
	if pairs {
		ends = [2]byte{'{', '}'}
	}
	b = append(b, ends[0])
	rep++
	if def++; values[0][0].DefinitionLevel() < def {
		return append(b, ends[1])
	}
	rest := append([][]parquet.Value{}, values...)
	one := make([][]parquet.Value, len(values))
	for first := true; len(rest[0]) > 0; first = false {
		if !first {
			b = append(b, ',')
		}
		for i, r := range rest {
			k := min(1, len(r))
			for k < len(r) && r[k].RepetitionLevel() > rep {
				k++
			}
			one[i], rest[i] = r[:k], r[k:]
		}
		switch {
		case pairs:
			key, value := n.kids[0], n.kids[1]
			keyDef := def
			if key.optional {
				keyDef++
			}
			if one[0][0].DefinitionLevel() < keyDef {
				b = append(b, `"null"`...)
			} else {
				b = mr.AppendJSONText(b, key.form.append(nil, one[0][0]))
			}
			b = value.append(append(b, ':'), one[1:], def, rep)
		case n.element:
			b = n.kids[0].append(b, one, def, rep)
		default:
			b = n.inner(b, one, def, rep)
		}
	}
	return append(b, ends[1])
}

// inner is append of a node that is there.
func (n *node) inner(b []byte, values [][]parquet.Value, def, rep int) []byte {
	switch {
	case len(n.kids) == 0:
		return n.form.appendJSON(b, values[0][0])
	case n.list:
		return n.kids[0].append(b, values, def, rep)
	case n.isMap:
		return n.kids[0].appendList(b, values, def, rep, true)
	}
	b = append(b, '{')
	for i, k := range n.kids {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(mr.AppendJSONText(b, k.name), ':')
		b = k.append(b, values[:k.leaves], def, rep)
		values = values[k.leaves:]
	}
	return append(b, '}')
}
