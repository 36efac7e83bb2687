package main

import (
	"slices"
	"testing"

	"github.com/mraws/mraws/mr"
	"github.com/mraws/mraws/mr/mrtest"
)

func TestLab(t *testing.T) {
	got := mrtest.Run(t, mr.Lab("labwc", Map, Reduce), 3, map[string]string{"a": "One two, two.", "b": "two 3"})
	if want := []string{"One 1", "two 3"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
