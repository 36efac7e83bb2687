package execrunner

import "testing"

// TestSort: mapper, combiner and runner have the keys as they were written, and a
// combiner reads them in the order of the fields.
func TestSort(t *testing.T) {
	b := newBench(t, "cat", "cat")
	b.exec.KeyFields, b.exec.Sort = 2, "-k2,2nr"
	const input = "a\t9\tu\nb\t-10\tv\nc\t10\tw\na\t9\tx\nd\t9.0\ty\ne\n"
	pairs, err := b.mapAll(true, object{"a", input})
	want(t, pairs, err, "a\t9|u", "b\t-10|v", "c\t10|w", "a\t9|x", "d\t9.0|y", "e|")
	b.exec.Combiner = `awk -F '\t' '{ print NR "\t" $1 "\t" $2 "\t" $3 }'`
	pairs, err = b.mapAll(true, object{"a", input})
	want(t, pairs, err, "1\tc|10\tw", "2\ta|9\tu", "3\ta|9\tx", "4\td|9.0\ty", "5\tb|-10\tv", "6\te|\t")
}
