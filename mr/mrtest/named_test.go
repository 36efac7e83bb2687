package mrtest_test

import (
	"iter"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/mr"
	"github.com/mraws/mraws/mr/mrtest"
)

// splitting counts words, and puts those of one letter elsewhere.
func splitting(named ...string) mr.App {
	pairs := mr.PairsOf(mr.Text{}, mr.Int64{})
	return mr.App{
		Name: "splitting", NamedOutputs: named,
		NewMapper: pairs.Map(func(line string, out *mr.Out[string, int64]) error {
			for word := range strings.FieldsSeq(line) {
				if word == "map" {
					out.EmitNamed("short", word, "")
				}
				out.Emit(word, 1)
			}
			return nil
		}),
		NewReducer: pairs.Reduce(func(key string, counts iter.Seq[int64], out *mr.Printer) error {
			var sum int64
			for n := range counts {
				sum += n
			}
			if len(key) == 1 {
				out.PrintNamed("short", key, "")
				return nil
			}
			out.PrintInt(sum)
			return nil
		}),
		Combine: mr.Sum{},
	}
}

func TestNamedOutputs(t *testing.T) {
	job := mrtest.Job{App: splitting("short"), Inputs: map[string]string{"a": "a cat a dog\nb cat\n"}}
	res, err := job.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := mrtest.Result{Partitions: []string{"cat 2\ndog 1\n"}, Named: map[string][]string{"short": {"a\nb\n"}}}
	if d := cmp.Diff(want, mrtest.Result{Partitions: res.Partitions, Named: res.Named}); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	job.App = splitting()
	if _, err := job.Run(t.Context()); err == nil || !strings.Contains(err.Error(), `the app declares no named output "short"`) {
		t.Error(err)
	}
}

func TestNamedOutputOfAMapTask(t *testing.T) {
	_, err := mrtest.Job{App: splitting("short"), Inputs: map[string]string{"a": "map"}}.Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "the named output short in a map task") {
		t.Error(err)
	}
}
