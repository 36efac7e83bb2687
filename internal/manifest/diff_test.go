package manifest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDiff(t *testing.T) {
	many := func(j *Job, n int) {
		for i := range n {
			j.Objects = append(j.Objects, Object{Name: fmt.Sprintf("x%02d", i), ETag: "e", Size: 1})
		}
	}
	tests := []struct {
		name   string
		change func(a, b *Job)
		want   []string
	}{
		{"same", func(a, b *Job) {}, nil},
		{"ignored", func(a, b *Job) {
			b.ID, b.Created, b.SplitSize, b.Tasks = "other", b.Created.Add(time.Hour), 1, nil
		}, nil},
		{"nil and empty params", func(a, b *Job) { a.App.Params, b.App.Params = nil, map[string]string{} }, nil},
		{"another build", func(a, b *Job) { b.App.SHA256 = zeroHash }, nil},
		{"another sample", func(a, b *Job) { a.Partitioner, b.Partitioner = RangesOf(1), RangesOf(1000) }, nil},
		{"choices", func(a, b *Job) {
			b.Input.Options, b.Partitioner, b.Output.Name, b.Order = map[string]string{Numbered: "true"}, RangesOf(1), "rows", Order{Keys: "numbers", Values: "values"}
		}, []string{
			"input: lines -> lines numbered=true", "partitioner: hash -> range", "order of keys: bytes -> numbers",
			"order of values: input -> values", "output: lines -> rows",
		}},
		{"app", func(a, b *Job) { b.App = App{Kind: "wasm", Name: "wc", Params: map[string]string{"z": "1"}} }, []string{
			"kind of app: go -> wasm",
			"app: grep -> wc",
			`app version: "1" -> ""`,
			`app parameter pattern: "<b>&" -> not set`,
			`app parameter z: not set -> "1"`,
		}},
		{"param", func(a, b *Job) { b.App.Params = map[string]string{"pattern": ""} }, []string{
			`app parameter pattern: "<b>&" -> ""`,
		}},
		{"nreduce", func(a, b *Job) { b.NReduce = 10 }, []string{"nreduce: 3 -> 10"}},
		{"budget", func(a, b *Job) { b.MaxBad = Budget{Records: 7} }, []string{"max-bad-records: 0.1% -> 7"}},
		{"objects", func(a, b *Job) {
			b.Objects = []Object{{Name: "b.txt", ETag: `"other"`, Size: 90 << 20}, {Name: "c\n.txt", ETag: "e", Size: 1}}
		}, []string{`input added: "c\n.txt"`, `input removed: "a.txt"`, `input changed: "b.txt"`}},
		{"compression", func(a, b *Job) {
			*a, *b = *packedJob(), *packedJob()
			b.Objects[1].Compression, b.Decompress.Ratio, b.Decompress.Limit = "", 9, 8
		}, []string{"decompress-ratio: 200 -> 9", "decompress-limit: 1099511627776 -> 8", `input read otherwise (decompress): "b.log.gz"`}},
		{"limits of nothing", func(a, b *Job) {
			*a = *packedJob()
			a.Decompress, a.Objects = Decompress{}, a.Objects[:1]
			*b = *a
			b.Decompress.Ratio = 7
		}, nil},
		{"size alone", func(a, b *Job) { b.Objects[0].Size++ }, []string{`input changed: "a.txt"`}},
		{"emptied", func(a, b *Job) { b.Objects[0].Size, b.Objects[0].ETag = 0, "e" }, []string{`input emptied: "a.txt"`}},
		{"five", func(a, b *Job) { many(b, 5) }, []string{`input added: "x00", "x01", "x02", "x03", "x04"`}},
		{"many", func(a, b *Job) { many(a, 1007) }, []string{
			`input removed: "x00", "x01", "x02", "x03", "x04" and 1002 more`,
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, b := samples()["job"].(*Job), samples()["job"].(*Job)
			tt.change(a, b)
			if diff := cmp.Diff(tt.want, Diff(a, b)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
