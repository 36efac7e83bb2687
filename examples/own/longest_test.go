package main

import (
	"slices"
	"testing"

	"github.com/mraws/mraws/mr/mrtest"
)

func TestLongest(t *testing.T) {
	got := mrtest.Run(t, longest(), 2, map[string]string{"a": "one\nthree\n", "b": "\n"})
	if want := []string{"a 5", "b 0"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
