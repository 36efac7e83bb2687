package cmd

import "testing"

func TestDollarsText(t *testing.T) {
	for d, want := range map[float64]string{0: "$0.00", 0.00007: "$0.000070", 0.0018: "$0.0018", 0.062: "$0.062", 0.99: "$0.99", 181.238: "$181.24"} {
		if got := dollarsText(d); got != want {
			t.Errorf("dollarsText(%g) = %q, want %q", d, got, want)
		}
	}
}
