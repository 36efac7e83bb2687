package coordinator

import (
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/mr"
)

// TestAdvice: numbers of tasks that make large jobs slow are told of, with a
// split-size that makes them better if there is one, and no others.
func TestAdvice(t *testing.T) {
	const mib, tb = 1 << 20, 1_000_000_000_000
	for _, tt := range []struct {
		name    string
		sizes   []int64
		input   mr.Input
		split   int64
		reduces int
		want    []string // "" is no advice
	}{
		{"a laptop", []int64{500 * mib}, mr.Lines, 64 * mib, 10, nil},
		{"many reduces", []int64{500 * mib}, mr.Lines, 64 * mib, 10_000, nil},
		{"1 TB", []int64{tb}, mr.Lines, 64 * mib, 233, []string{"14,902 map tasks times 233 reduce tasks give 3,472,166 ranges of 281 KiB", "a split size of 1.0 GiB would make 932"}},
		{"1 TB as proposed", []int64{tb}, mr.Lines, 1024 * mib, 233, nil},
		{"100 TB, tuned", []int64{100 * tb}, mr.Lines, 16384 * mib, 1455, nil},
		{"100 TB", []int64{100 * tb}, mr.Lines, 64 * mib, 1455, []string{"323 GiB of memory in every worker", "a split size of 8.0 GiB would make 11,642"}},
		{"whole objects", slicesOf(200_000, mib), mr.WholeObjects, mib, 100, []string{"20,000,000 ranges of 10 KiB", "a split size of 512 MiB would make 391"}},
		{"large whole objects", slicesOf(200, 640*mib), mr.WholeObjects, 64 * mib, 100_000, []string{"ranges of 6.6 KiB", "3.0 GiB of memory in every worker", "fewer reduce tasks"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			job := &manifest.Job{Spec: *wire.DescribeApp(mr.App{Input: tt.input}, nil).Spec(nil), NReduce: tt.reduces, SplitSize: tt.split, Objects: objects(tt.sizes...)}
			var err error
			if job.Tasks, err = Plan(job.Objects, job.InputFormat(), tt.split, PackAuto); err != nil {
				t.Fatal(err)
			}
			got := advice(job, PackAuto)
			if (got != "") != (tt.want != nil) {
				t.Errorf("advice is %q", got)
			}
			for _, want := range tt.want {
				if !strings.Contains(got, want) {
					t.Errorf("advice is %q, want %q", got, want)
				}
			}
		})
	}
}

func slicesOf(n int, size int64) []int64 {
	all := make([]int64, n)
	for i := range all {
		all[i] = size
	}
	return all
}
