package main

import (
	"slices"
	"testing"

	"github.com/mraws/mraws/mr/mrtest"
)

func TestWordlen(t *testing.T) {
	job := mrtest.Job{
		App: app(), NReduce: 3, Params: map[string]string{"least": "2"},
		Inputs: map[string]string{"a": "I am the\n\u00e9t\u00e9\n", "b": "to be a word\n"},
	}
	res, err := job.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"0002 3", "0003 2", "0004 1"}; !slices.Equal(res.Lines(), want) {
		t.Errorf("got %q, want %q", res.Lines(), want)
	}
	if n := res.Counters["words left out"]; n != 2 {
		t.Errorf("%d words left out, want 2", n)
	}
}
