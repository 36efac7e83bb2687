package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/layout"
)

// chainOutputs are the bytes of the outputs of steps, by key below the chain.
func (b *fixture) chainOutputs(prefix string, steps ...string) map[string]string {
	b.t.Helper()
	out := map[string]string{}
	for _, step := range steps {
		lay := layout.New(prefix + "/" + step)
		for _, key := range b.keys(lay.OutputDir()) {
			if _, ok := lay.ParseOutput(key); ok {
				data, _, err := b.store.Get(b.t.Context(), key)
				if err != nil {
					b.t.Fatal(err)
				}
				out[strings.TrimPrefix(key, prefix)] = string(data)
			}
		}
	}
	return out
}

// gatedChain writes a chain of three steps whose commands write to runs/ that they run,
// and wait for a file in gates/ that is named after step and phase. runs counts for each
// of these how often a command has begun.
func (b *fixture) gatedChain() (file string, steps []string, runs func() map[string]int) {
	b.t.Helper()
	steps = []string{"count", "swap", "sorted"}
	text := "defaults: {env: [\"DIR=" + b.dir + "\"], nreduce: 2}\nsteps:\n"
	command := func(step, phase, code string) string {
		return fmt.Sprintf(`sh -c 'echo x >> "$DIR/runs/%s.%s"; until [ -e "$DIR/gates/%s.%s" ]; do sleep 0.02; done; %s'`, step, phase, step, phase, code)
	}
	for i, s := range steps {
		from := "input: [a.txt, b.txt]"
		if i > 0 {
			from = "from: " + steps[i-1]
		}
		code := [][2]string{{`tr " " "\n"`, "uniq -c"}, {`sed "s/^ *\([0-9]*\) \(.*\)/\2\t\1/"`, "cat"}, {"cat", "cat"}}[i]
		text += fmt.Sprintf("- name: %s\n  %s\n  mapper: >-\n    %s\n  reducer: >-\n    %s\n", s, from, command(s, "map", code[0]), command(s, "reduce", code[1]))
	}
	file = b.write("chain.yaml", text, 0o644)
	b.write("a.txt", "the cat saw the dog\nand the cow\n", 0o644)
	b.write("b.txt", "a dog\n", 0o644)
	for _, dir := range []string{"runs", "gates"} {
		if err := os.Mkdir(filepath.Join(b.dir, dir), 0o755); err != nil {
			b.t.Fatal(err)
		}
	}
	runs = func() map[string]int {
		n := map[string]int{}
		files, err := filepath.Glob(filepath.Join(b.dir, "runs", "*"))
		if err != nil {
			b.t.Fatal(err)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				b.t.Fatal(err)
			}
			n[filepath.Base(f)] = strings.Count(string(data), "\n")
		}
		return n
	}
	return file, steps, runs
}

// TestChainKilled: a chain of three steps that is killed in the map phase and in the
// reduce phase of each step goes on with that step, runs no step again that is done, and
// has the output of one that nobody killed.
func TestChainKilled(t *testing.T) {
	b := newFixture(t)
	file, steps, runs := b.gatedChain()
	line := []string{"run", "-f", file, "--processes", "--workers", "2", "--prefix", b.layout.Prefix() + "/killed"}
	done := map[string]int{}
	for _, step := range steps {
		for _, phase := range []string{"map", "reduce"} {
			at := step + "." + phase
			before := runs()[at]
			p := b.start(line...)
			b.until(at+" runs", func() bool {
				if p.ended() {
					t.Fatalf("the chain ended in front of %s:\n%s", at, p.errout.String())
				}
				return runs()[at] > before
			})
			b.kill(p) // its workers and their commands end with it
			b.write("gates/"+at, "", 0o644)
			now := runs()
			for name, n := range done {
				if now[name] != n {
					t.Errorf("killed in %s: %s has run %d times, and %d before", at, name, now[name], n)
				}
			}
		}
		done[step+".map"] = runs()[step+".map"]
	}
	out, _ := b.run(0, append(line, "--verify", "-o", "json")...)
	var doc struct {
		Steps []struct {
			Step string
			Jobs []struct {
				Done bool `json:"already_done"`
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatal(err)
	}
	for i, s := range doc.Steps {
		if s.Step != steps[i] || s.Jobs[0].Done != (i < 2) {
			t.Errorf("step %d: %+v", i, s)
		}
	}
	b.run(0, "run", "-f", file, "--prefix", b.layout.Prefix()+"/whole")
	want := b.chainOutputs(b.layout.Prefix()+"/whole/chain", steps...)
	got := b.chainOutputs(b.layout.Prefix()+"/killed/chain", steps...)
	if diff := cmp.Diff(want, got); diff != "" || len(got) != 6 {
		t.Errorf("%d outputs: %s", len(got), diff)
	}
}

// TestChainRoundsKilled: rounds that are killed go on with the one in which they were,
// with and without the rounds before it.
func TestChainRoundsKilled(t *testing.T) {
	b := newFixture(t)
	file := b.write("loop.yaml", `
defaults: {nreduce: 2}
steps:
- name: loop
  input: a.txt
  repeat: {until: "counter loop,left == 0", at-most: 20, keep: KEEP}
  mapper: >-
    sh -c 'echo ${round.number} >> "$DIR/runs"; until [ ! -e "$DIR/stop-${round.number}" ]; do sleep 0.02; done;
    while read n w; do n=$((n / 2)); [ $n = 0 ] || echo reporter:counter:loop,left,1 >&2; echo "$n $w"; done'
  env: DIR=`+b.dir+"\n", 0o644)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b.write("a.txt", "100 x\n33 y\n", 0o644)
	ran := func() []string {
		data, _ := os.ReadFile(filepath.Join(b.dir, "runs")) // none yet
		return strings.Fields(string(data))
	}
	for _, keep := range []string{"all", "last"} {
		file := b.write(keep+".yaml", strings.ReplaceAll(string(text), "KEEP", keep), 0o644)
		b.write("runs", "", 0o644)
		line := []string{"run", "-f", file, "--workers", "1"}
		for _, round := range []string{"1", "4"} {
			b.write("stop-"+round, "", 0o644)
			p := b.start(line...)
			b.until("round "+round, func() bool { return slices.Contains(ran(), round) })
			b.kill(p)
			if err := os.Remove(filepath.Join(b.dir, "stop-"+round)); err != nil {
				t.Fatal(err)
			}
		}
		before := len(ran())
		b.run(0, line...)
		for _, round := range ran()[before:] {
			if round < "4" {
				t.Errorf("keep: %s: round %s ran again", keep, round)
			}
		}
		got := ""
		for _, text := range b.chainOutputs(b.layout.Prefix()+"/"+keep, "loop/round-0007") {
			got += text
		}
		if got != "0 x\n0 y\n" {
			t.Errorf("keep: %s: %q", keep, got)
		}
		all := len(ran())
		if _, errout := b.run(0, append(line, "--rerun")...); strings.Contains(errout, "has changed") || len(ran()) != all {
			t.Errorf("keep: %s: the chain ran again:\n%s", keep, errout)
		}
	}
}

// TestExampleChains: the chains of examples/chain on the data that are made there, with
// results computed by other means.
func TestExampleChains(t *testing.T) {
	b := newFixture(t)
	examples, err := filepath.Abs("../examples/chain")
	if err != nil {
		t.Fatal(err)
	}
	data := func(what, n string) string {
		out, err := exec.Command(filepath.Join(examples, "make.sh"), what, n).Output()
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	visits := data("visits", "3000")
	counts, users := map[string]int{}, map[string][]string{}
	for line := range strings.Lines(visits) {
		f := strings.Fields(line)
		counts[f[1]]++
		if !slices.Contains(users[f[1]], f[0]) {
			users[f[1]] = append(users[f[1]], f[0])
		}
	}
	top := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})[:4]
	var want []string
	for _, p := range top {
		want = append(want, fmt.Sprintf("%s %d %s", p, counts[p], strings.Join(users[p], ",")))
	}
	slices.Sort(want)
	b.run(0, "run", "-f", filepath.Join(examples, "visits.yaml"), "--set", "visits="+b.write("v.txt", visits, 0o644), "--set", "top=4")
	var got []string
	for _, text := range b.chainOutputs(b.layout.Prefix()+"/visits", "visitors") {
		got = append(got, strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })...)
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	edges := data("edges", "2000")
	b.run(0, "run", "-f", filepath.Join(examples, "pagerank.yaml"), "--set", "edges="+b.write("e.txt", edges, 0o644), "--set", "tolerance=0.0001", "--verify")
	ranks := pageRanks(edges, 0.85, 100)
	last := 0.0
	n := 0
	for _, text := range b.chainOutputs(b.layout.Prefix()+"/pagerank", "top") {
		for line := range strings.Lines(text) {
			var rank float64
			var node string
			if _, err := fmt.Sscanf(line, "%f\t%s", &rank, &node); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if d := rank - ranks[node]; d > 1e-3 || d < -1e-3 || n > 0 && rank > last {
				t.Errorf("%q: the rank is %.9f, that of the line before %.9f", line, ranks[node], last)
			}
			last, n = rank, n+1
		}
	}
	if n != len(ranks) {
		t.Errorf("%d nodes, want %d", n, len(ranks))
	}
}

// pageRanks computes the ranks of a graph in so many rounds.
func pageRanks(edges string, damping float64, rounds int) map[string]float64 {
	links, rank := map[string]map[string]bool{}, map[string]float64{}
	for line := range strings.Lines(edges) {
		f := strings.Fields(line)
		for _, n := range f {
			if rank[n] = 1; links[n] == nil {
				links[n] = map[string]bool{}
			}
		}
		links[f[0]][f[1]] = true
	}
	for range rounds {
		next := map[string]float64{}
		for n, to := range links {
			next[n] += 1 - damping
			for t := range to {
				next[t] += damping * rank[n] / float64(len(to))
			}
		}
		rank = next
	}
	return rank
}
