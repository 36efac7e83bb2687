package config

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func toText(v any) string { return fmt.Sprint(v) }

func TestParseSize(t *testing.T) {
	for s, want := range map[string]Size{
		"0": 0, "1B": 1, "64MiB": 64 << 20, "64MB": 64e6, "1.5GiB": 3 << 29, "1kib": 1024, "2 TB": 2e12, "1TiB": 1 << 40,
	} {
		if got, err := ParseSize(s); got != want || err != nil {
			t.Errorf("ParseSize(%q) = %d, %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "64", "64M", "64Mi", "-1MiB", "1,000MiB", "1.MiB", "MiB", "1e3B", "9000000TiB", "1PiB", "0x1B"} {
		if got, err := ParseSize(s); err == nil {
			t.Errorf("ParseSize(%q) = %d, want an error", s, got)
		}
	}
}

func TestSizeTextIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// The float of humanize holds 53 bits.
		want := Size(rapid.Int64Range(0, 1<<53).Draw(t, "n"))
		if got, err := ParseSize(want.String()); got != want || err != nil {
			t.Fatalf("%d -> %s -> %d, %v", want, want, got, err)
		}
	})
	if got := Size(math.MaxInt64).String(); got != "9223372036854775807B" {
		t.Error(got)
	}
}

func TestAutoSize(t *testing.T) {
	var a AutoSize
	for s, want := range map[string]AutoSize{"auto": 0, "256MiB": 256 << 20} {
		if err := a.UnmarshalText([]byte(s)); a != want || err != nil || a.String() != s {
			t.Errorf("%s: %v, %v", s, a, err)
		}
	}
	if err := a.UnmarshalText([]byte("much")); err == nil {
		t.Error("no error")
	}
}
