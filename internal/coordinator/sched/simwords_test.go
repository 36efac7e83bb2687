package sched

import (
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/mraws/mraws/mr"
)

// The job of the simulator: counting words, for real.

var vocabulary = strings.Fields(`call me ishmael some years ago never mind how long precisely
	having little or no money in my purse and nothing particular to interest me on shore`)

// randomInput makes one document per map task, some of them empty.
func randomInput(rng *rand.Rand, maps int) [][]string {
	docs := make([][]string, maps)
	for i := range docs {
		for range rng.IntN(14) {
			docs[i] = append(docs[i], vocabulary[rng.IntN(len(vocabulary))])
		}
	}
	return docs
}

// mapWords counts the words of one document into reduces partitions. A salt
// other than 0 makes it the nondeterministic map: which partition a word
// goes to then differs between executions, so that only the partitions of
// one execution hold every word once.
func mapWords(doc []string, reduces int, salt uint64) []pairs {
	counts := map[string]int{}
	for _, w := range doc {
		counts[w]++
	}
	out := make([]pairs, reduces)
	for _, w := range slices.Sorted(maps.Keys(counts)) {
		r := mr.Partition([]byte(w), reduces)
		if salt != 0 {
			h := fnv.New64a()
			fmt.Fprint(h, salt, w)
			r = int(h.Sum64() % uint64(reduces))
		}
		out[r] = append(out[r], pair{w, counts[w]})
	}
	return out
}

// hash tells contents apart; as the content is short it is the content.
func (p pairs) hash() string {
	var b strings.Builder
	for _, e := range p {
		b.WriteString(e.word)
		b.WriteByte(' ')
		b.WriteString(strconv.Itoa(e.n))
		b.WriteByte('\n')
	}
	return b.String()
}

// reduceWords merges the partitions of all maps into lines "word count".
func reduceWords(parts []pairs) string {
	counts := map[string]int{}
	for _, p := range parts {
		for _, e := range p {
			counts[e.word] += e.n
		}
	}
	merged := make(pairs, 0, len(counts))
	for _, w := range slices.Sorted(maps.Keys(counts)) {
		merged = append(merged, pair{w, counts[w]})
	}
	return merged.hash()
}

// sequential is the oracle: one process, one pass, no partitions on the way.
func sequential(docs [][]string, reduces int) []string {
	out := make([]map[string]int, reduces)
	for r := range out {
		out[r] = map[string]int{}
	}
	for _, doc := range docs {
		for _, w := range doc {
			out[mr.Partition([]byte(w), reduces)][w]++
		}
	}
	text := make([]string, reduces)
	for r, counts := range out {
		for _, w := range slices.Sorted(maps.Keys(counts)) {
			text[r] += w + " " + strconv.Itoa(counts[w]) + "\n"
		}
	}
	return text
}

// totals is all that the outputs of a nondeterministic map have in common.
func totals(outputs []string) string {
	counts := map[string]int{}
	for _, line := range strings.Split(strings.Join(outputs, ""), "\n") {
		if w, n, ok := strings.Cut(line, " "); ok {
			i, _ := strconv.Atoi(n)
			counts[w] += i
		}
	}
	return fmt.Sprint(counts)
}
