package apps

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/mr/mrtest"
)

func TestSort(t *testing.T) {
	inputs := map[string]string{
		"a": "pear\napple\n\nzoo \x00\xff\nfig\n",
		"b": "apple\nfig 2\nfi\nApple\r\nApple\nlast",
	}
	run := func(n int, params map[string]string) string {
		t.Helper()
		res, err := mrtest.Job{App: sortLines(), NReduce: n, Params: params, Inputs: inputs}.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(res.Partitions, "")
	}
	want := strings.Split("pear|apple||zoo \x00\xff|fig|apple|fig 2|fi|Apple\r|Apple|last", "|")
	slices.Sort(want)
	for _, n := range []int{1, 2, 3, 10} {
		if diff := cmp.Diff(strings.Join(want, "\n")+"\n", run(n, nil)); diff != "" {
			t.Errorf("%d partitions (-want +got):\n%s", n, diff)
		}
	}
	if diff := cmp.Diff(strings.Join(slices.Compact(want), "\n")+"\n", run(3, map[string]string{"unique": "true"})); diff != "" {
		t.Errorf("unique (-want +got):\n%s", diff)
	}
	stable := []string{"", "Apple\r", "Apple", "apple", "apple", "fi", "fig", "fig 2", "last", "pear", "zoo \x00\xff"}
	if diff := cmp.Diff(strings.Join(stable, "\n")+"\n", run(2, map[string]string{"key-bytes": "3"})); diff != "" {
		t.Errorf("by three bytes (-want +got):\n%s", diff)
	}
	if err := (mrtest.Job{App: sortLines(), Params: map[string]string{"key-bytes": "-1"}, Inputs: inputs}); err.App.Validate() != nil {
		t.Error("sort is no valid app")
	} else if _, rerr := err.Run(t.Context()); rerr == nil || !strings.Contains(rerr.Error(), "not a number of bytes") {
		t.Errorf("%v: want the parameter refused", rerr)
	}
}
