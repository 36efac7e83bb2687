package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// readJobs reads jobs from what a Go benchmark prints.
func readJobs(out string) ([]Assigning, error) {
	results, err := parseGoBenchmark(out)
	if err != nil {
		return nil, err
	}
	return newJobs(results)
}

func TestJobs(t *testing.T) {
	got, err := readJobs(`goos: linux
BenchmarkJob/tasks=1000-2         	       3	2439996769 ns/op	       180.8 B/task	    336015 assignments/s	      2800 cpu-ns/assignment
BenchmarkJob/tasks=1000000        	       3	2333556375 ns/op	       113.5 B/task	    451311 assignments/s	      2200 cpu-ns/assignment
PASS
`)
	want := []Assigning{{1_000, 336015, 2800, 180.8}, {1_000_000, 451311, 2200, 113.5}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v, (-want +got):\n%s", err, diff)
	}
	for _, bad := range []string{"PASS", "BenchmarkJob/tasks=10-2 3 9 ns/op\n", "BenchmarkJob/tasks=x 3 9 ns/op\n", "BenchmarkJob/tasks=1 3 x ns/op\n"} {
		if got, err := readJobs(bad); err == nil {
			t.Errorf("%q is read as %v", bad, got)
		}
	}
}
