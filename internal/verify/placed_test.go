package verify

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/keyorder"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/recordio"
	"github.com/mraws/mraws/mr"
)

// placedJob is a partition with an output, of a job with an order.
type placedJob struct {
	app    *mr.App
	order  manifest.Order
	output manifest.Choice
	keys   []string // as the mapper has them
	rows   [][2]string
}

// place looks for the keys of the rows, and returns what is wrong.
func (j placedJob) place(t *testing.T) (found []Finding) {
	t.Helper()
	job := &manifest.Job{Spec: manifest.Spec{Order: j.order}, NReduce: 1}
	job.Output = j.output
	opt := Options{Scratch: t.TempDir(), ParquetOutput: parquetOf}
	a := &audit{committed: committed{job: job}, app: j.app, order: newKeyOrder(job.KeyOrder()), opt: opt, outLines: opt.linesOf(j.output), outTable: tableOf(j.output)}
	var internal []string
	codes := keyorder.New(job.KeyOrder())
	for _, key := range j.keys {
		internal = append(internal, string(codes.Encode([]byte(key), nil)))
	}
	slices.Sort(internal)
	var pairs []pair
	for _, key := range internal {
		pairs = append(pairs, pair{[]byte(key), nil})
	}
	segment, _ := segmentOf(t, pairs)
	p := prover{a: a, merged: recordio.Merge([]recordio.Source{recordio.NewReader(bytes.NewReader(segment))}, nil), res: &proved{}}
	if err := p.advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	lines := newOutputReader(a.outLines, bytes.NewReader(written(t, j.output, j.rows)))
	defer lines.close()
	if err := p.placeAll(t.Context(), lines); err != nil || lines.malformed != nil {
		t.Fatal(err, lines.malformed)
	}
	return p.doubts.list
}

// TestPlacedRows: in a table of any order each row has its key, whatever the order of
// the rows' bytes is; a row that has none is found, and told once.
func TestPlacedRows(t *testing.T) {
	byNumber := manifest.Order{Keys: manifest.ByFields, Fields: "-k1,1nr", Separator: "\t"}
	byNote := manifest.Order{Keys: manifest.ByFields, Fields: "-k2,2", Separator: "\t"}
	values := manifest.Order{Keys: manifest.ByBytes, Values: manifest.ByNumber}
	pairs, lines := &mr.App{Name: "pairs"}, &mr.App{Name: "lines", Ordered: true}
	typed := map[string]string{"columns": "n:int,note"}
	for name, j := range map[string]placedJob{
		"numbers":          {pairs, byNumber, manifest.Choice{Options: typed}, []string{"9", "10", "-1", "007", "7"}, [][2]string{{"10", "a"}, {"9", "a"}, {"9", "b"}, {"007", "x"}, {"7", "x"}, {"-1", ""}}},
		"without the app":  {nil, byNumber, manifest.Choice{Options: typed}, []string{"9", "10", "-1"}, [][2]string{{"10", "a"}, {"-1", ""}}},
		"a tab in the key": {pairs, byNote, manifest.Choice{}, []string{"a\tz", "b\ty", "c\tx"}, [][2]string{{"c\tx", "1"}, {"a\tz", "1"}}},
		"lines":            {lines, byNote, manifest.Choice{}, []string{"a\tz", "b\ty", "c\tx"}, [][2]string{{"", "c\tx"}, {"", "b\tyes"}, {"", "a\tz"}}},
		"values":           {pairs, values, manifest.Choice{Options: map[string]string{"columns": "key,n:int"}}, []string{"a", "b", "c"}, [][2]string{{"a", "10"}, {"a", "9"}, {"c", "1"}}},
		"line breaks":      {pairs, manifest.Order{}, manifest.Choice{}, []string{"a\n\x7f", "a\r\nb", "a\r"}, [][2]string{{"a\n\x7f", "1"}, {"a\r", "1"}, {"a\r\nb", "1"}}},
	} {
		for _, format := range []string{"csv", "tsv", "json", "parquet"} {
			j := j
			j.output.Name = format
			if found := j.place(t); found != nil {
				t.Errorf("%s, %s: %v", name, format, found)
			}
			if j.order == (manifest.Order{}) || j.app == nil {
				continue
			}
			first := j.rows[0]
			foreign := [2]string{"5555", first[1]}
			if first[0] == "" {
				foreign = [2]string{"", "5555"}
			}
			j.rows = slices.Concat(j.rows[:1], [][2]string{foreign}, j.rows[1:])
			if found := j.place(t); len(found) != 1 || found[0].Kind != ForeignLine || !strings.HasPrefix(found[0].Detail, `line 2, "5555`) {
				t.Errorf("%s, %s, a row of no key: %v", name, format, found)
			}
			j.rows = slices.Concat(j.rows[2:], [][2]string{first})
			if found := j.place(t); len(found) != 1 {
				t.Errorf("%s, %s, out of order: %v", name, format, found)
			}
		}
	}
}
