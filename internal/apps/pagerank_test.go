package apps

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/mraws/mraws/mr/mrtest"
)

// ranks computes ranks of edges with floating point numbers, by the formula alone.
func ranks(edges [][2]string, damping, tolerance float64) (rank map[string]float64, rounds int) {
	links := map[string]map[string]bool{}
	for _, e := range edges {
		for _, n := range e {
			if links[n] == nil {
				links[n] = map[string]bool{}
			}
		}
		links[e[0]][e[1]] = true
	}
	rank = map[string]float64{}
	for n := range links {
		rank[n] = 1
	}
	for moves := 1; moves > 0; rounds++ {
		next := map[string]float64{}
		for n := range links {
			next[n] = 1 - damping
		}
		for n, to := range links {
			for t := range to {
				next[t] += damping * rank[n] / float64(len(to))
			}
		}
		moves = 0
		for n := range links {
			if math.Abs(next[n]-rank[n]) > tolerance {
				moves++
			}
		}
		rank = next
	}
	return rank, rounds
}

// TestPagerank: rounds end where those of the formula do, with the same ranks.
func TestPagerank(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var edges [][2]string
	text := "# from to\n\n"
	for range 400 {
		e := [2]string{fmt.Sprintf("n%d", rng.IntN(80)), fmt.Sprintf("n%d", int(80*rng.Float64()*rng.Float64()))}
		edges = append(edges, e)
		text += e[0] + "\t" + e[1] + "\n"
	}
	half := strings.Index(text[len(text)/2:], "\n") + len(text)/2 + 1
	run := func(params map[string]string, inputs map[string]string) mrtest.Result {
		t.Helper()
		job := mrtest.Job{App: pagerank(), Params: params, NReduce: 3, Inputs: inputs}
		res, err := job.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	res := run(map[string]string{"step": "links"}, map[string]string{"a": text[:half], "b": text[half:]})
	rounds := 0
	for moves := int64(1); moves > 0; rounds++ {
		inputs := map[string]string{}
		for i, part := range res.Partitions {
			inputs[strconv.Itoa(i)] = part
		}
		res = run(map[string]string{"step": "round", "damping": "0.8", "tolerance": "0.0001"}, inputs)
		moves = res.Counters[moved]
	}
	want, wantRounds := ranks(edges, 0.8, 0.0001)
	if rounds != wantRounds || rounds < 5 {
		t.Errorf("%d rounds, want %d", rounds, wantRounds)
	}
	lines := res.Lines()
	for _, line := range lines {
		f := strings.Fields(line)
		got, err := strconv.ParseFloat(f[1], 64)
		if err != nil || math.Abs(got-want[f[0]]) > 1e-6 {
			t.Errorf("%s: %v, want %.9f", line, err, want[f[0]])
		}
		if links := f[2:]; !slices.IsSorted(links) || len(slices.Compact(links)) != len(links) {
			t.Errorf("%s: links out of order", line)
		}
	}
	if len(lines) != len(want) {
		t.Errorf("%d nodes, want %d", len(lines), len(want))
	}
}

// TestPagerankErrors: lines that are no edges and no nodes are refused.
func TestPagerankErrors(t *testing.T) {
	for text, want := range map[string]string{
		"links:a b c":           "an edge of 3 fields, not 2",
		"round:a b":             "no line of a node",
		"round:a 1.0 b":         "no line of a node",
		"round:a 1000000000":    "no line of a node",
		"round:a 1.x00000000":   "no line of a node",
		"round:a 1.000000000 b": `nodes link to "b", which has no line of its own`,
	} {
		step, input, _ := strings.Cut(text, ":")
		_, err := mrtest.Job{App: pagerank(), Params: map[string]string{"step": step}, NReduce: 1, Inputs: map[string]string{"a": input + "\n"}}.Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, params := range []map[string]string{{}, {"step": "x"}, {"step": "links", "damping": "1.5"}, {"step": "links", "tolerance": "NaN"}} {
		app := pagerank()
		if _, err := app.Resolve(params); err == nil {
			t.Errorf("%v was taken", params)
		}
	}
}

// TestRankText: ranks are read back from what is written.
func TestRankText(t *testing.T) {
	for rank, want := range map[uint64]string{0: "0.000000000", 1: "0.000000001", one: "1.000000000", 12*one + 345: "12.000000345"} {
		text := appendRank(nil, rank)
		got, err := parseRank(text)
		if string(text) != want || err != nil || got != rank {
			t.Errorf("%d: %s, %d, %v", rank, text, got, err)
		}
	}
}
