package cmd

import (
	"math"
	"testing"
)

func TestRequestDollars(t *testing.T) {
	got := requestDollars(map[string]int64{"PutObject": 900, "ListObjectsV2": 100, "GetObject": 500, "HeadObject": 500, "DeleteObjects": 10, "AbortMultipartUpload": 10})
	if math.Abs(got-0.0054) > 1e-9 {
		t.Errorf("$%v", got)
	}
}

func TestDollarsText(t *testing.T) {
	for d, want := range map[float64]string{0: "$0.00", 0.00007: "$0.000070", 0.0018: "$0.0018", 0.062: "$0.062", 0.99: "$0.99", 181.238: "$181.24"} {
		if got := dollarsText(d); got != want {
			t.Errorf("dollarsText(%g) = %q, want %q", d, got, want)
		}
	}
}
