package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"

	"github.com/mraws/mraws/bench/gen"
)

// input is what a workload reads: one file, or a folder of files.
type input struct {
	name string // below the folder of inputs; tells generator, size and seed
	fill func(path string) error
}

// file is an input of one file.
func file(name string, fill func(io.Writer) error) input {
	return input{name, func(path string) error { return gen.File(path, fill) }}
}

// contestant is one way to do a workload's work. Its command is run by sh
// with INPUT, GLOB (which files of a folder), OUT (a folder, empty), CORES, MRAWS,
// BEFORE, BENCH, PYTHON, PYTHON3, SCRIPTS, HADOOP, PEERS and for mraws the settings of
// its store in the environment. What it prints, or writes to $OUT, is its result.
type contestant struct {
	name    string
	needs   string // a command, python:MODULE, or hadoop for its jars
	command string
	// before and result are not measured: what makes ready for a run, and
	// what fetches the result of one.
	before, result string
	ours           bool // works on the store
	// inner contestants print the seconds that count, since loading the
	// input is no part of their work.
	inner bool
	// form tells how to compare the result, see check.go; "" does not.
	form form
}

// target is a promise: a figure, against a contestant or of one (mraws if
// none is named), that is to be no more than most.
type target struct {
	figure  figure
	against string
	most    float64
}

// workload is some work and who does it. The first contestant is mraws.
type workload struct {
	name, what  string
	input       input
	contestants []contestant
	targets     []target
}

// goSource names an input that is no file of ours: see makeInput.
const goSource = "the Go source tree"

const (
	mb = 1_000_000
	gb = 1_000 * mb
)

// job is a run of mraws on what lies under input/ of its store already.
func job(name, args string, f form) contestant {
	return contestant{
		name: name, ours: true, form: f,
		before:  `"$MRAWS" reset --quiet --yes`,
		command: `"$MRAWS" run --quiet --head 0 ` + args,
		result:  `"$MRAWS" cat --quiet >"$OUT/result"`,
	}
}

// unicodeIndex is a run of mraws whose words are other than those of the peers,
// for which a letter is one of ASCII: a sequential run of its own is the check.
var unicodeIndex = contestant{
	name: "mraws", ours: true,
	before:  `"$MRAWS" reset --quiet --yes`,
	command: `"$MRAWS" run --quiet --head 0 --app indexer`,
	result:  `"$MRAWS" verify --quiet --app indexer`,
}

// workloads are all, with sizes multiplied by scale.
func workloads(scale float64) []workload {
	size := func(n int64) int64 { return max(int64(float64(n)*scale), 1000) }
	label := func(n int64) string { return fmt.Sprintf("%gMB", float64(size(n))/mb) }
	text := func(n int64, vocabulary int) input {
		return file(fmt.Sprintf("text-%s-%d.txt", label(n), vocabulary), func(w io.Writer) error { return gen.Text(w, size(n), vocabulary, 1) })
	}
	records := func(n int64, hot float64) input {
		return file(fmt.Sprintf("records-%s-hot%g.txt", label(n), hot), func(w io.Writer) error { return gen.Records(w, size(n)/gen.Record, hot, 2) })
	}
	small := input{fmt.Sprintf("small-%d", size(10_000)), func(path string) error { return gen.Small(path, int(size(10_000)), 4) }}
	return []workload{
		{
			name: "wc", what: "count the words of " + label(512*mb) + " of text, vocabulary 30,000", input: text(512*mb, 30_000),
			contestants: append(wordCounts(job("mraws", "--app wc", words)), rawGet, rawPut),
			targets:     []target{{wall, "mawk", 0.10}, {wall, "DuckDB", 0.18}, {wall, "tr|sort|uniq", 0.06}, {wall, "memory only", 2}, {perGB, "", 8}},
		}, {
			name: "wc-2m", what: "count the words of " + label(512*mb) + " of text, vocabulary 2,000,000", input: text(512*mb, 2_000_000),
			contestants: wordCounts(job("mraws", "--app wc", words)),
			targets:     []target{{wall, "DuckDB", 0.4}},
		}, {
			name: "sort", what: "sort " + label(500*mb) + " of 100-byte records", input: records(500*mb, 0),
			contestants: append(sorts(job("mraws", "--app sort", sorted)), rawGet, rawPut),
			targets:     []target{{wall, "sort", 1}, {cpu, "sort", 2}},
		}, {
			name: "sort-2gb", what: "sort " + label(2*gb) + " of 100-byte records; again in little memory", input: records(2*gb, 0),
			contestants: append(sorts(job("mraws", "--app sort", sorted)), job("mraws 256MiB", "--app sort --memory 256MiB", sorted)),
			targets:     []target{{wall, "sort", 1}, {cpu, "sort", 2}, {slower, "mraws 256MiB", 1.6}, {peakMiB, "mraws 256MiB", 400}},
		}, {
			name: "sort-hot", what: "sort " + label(500*mb) + " of 100-byte records, half of which have the same key", input: records(500*mb, 0.5),
			contestants: sorts(job("mraws", "--app sort", sorted)),
		}, {
			name: "grep", what: "find a pattern that is in one of 108,300 records of " + label(gb), input: file("needles-"+label(gb)+".txt", func(w io.Writer) error { return gen.Needles(w, size(gb)/gen.Record, 3) }),
			contestants: []contestant{
				job("mraws", "--app grep --app-arg pattern="+gen.Needle, matches),
				rawGet,
				rawDirect,
				{name: "ripgrep", needs: "rg", command: `rg -n "` + gen.Needle + `" "$INPUT" >"$OUT/result"`, form: matches},
				{name: "grep", needs: "grep", command: `grep -n "` + gen.Needle + `" "$INPUT" >"$OUT/result"`, form: matches},
			},
			targets: []target{{wall, "raw S3 GET", 1.5}},
		}, {
			name: "index", what: "index the Go files of Go's source tree", input: input{name: goSource},
			contestants: indexes(unicodeIndex),
			targets:     []target{{wall, "DuckDB", 1}, {wall, "mawk", 1}},
		}, {
			name: "index-small", what: fmt.Sprintf("index %d small files", size(10_000)), input: small,
			contestants: indexes(job("mraws", "--app indexer", postings)),
			targets:     []target{{wall, "DuckDB", 1}, {wall, "mawk", 1}},
		}, {
			name: "wc-small", what: fmt.Sprintf("count the words of %d small files", size(10_000)), input: small,
			contestants: []contestant{
				job("mraws", "--app wc", words),
				{name: "mawk", needs: "mawk", command: `find "$INPUT" -type f -print0 | xargs -0 cat | mawk '` + countWords + `' >"$OUT/result"`, form: words},
			},
		}, {
			name: "start", what: "a whole job on one file of 1 KB", input: file("text-1KB.txt", func(w io.Writer) error { return gen.Text(w, 1000, 300, 1) }),
			contestants: wordCounts(job("mraws", "--app wc", words)),
			targets:     []target{{wallS, "", 0.3}},
		}, {
			name: "exec-wc", what: "count the words of " + label(100*mb) + " of text by two Python scripts", input: text(100*mb, 30_000),
			contestants: scripts(scriptJob("mraws", byScript, words)),
			targets: []target{
				{wall, "Hadoop Streaming", 0.3}, {wall, onePipe, 1.15 / float64(runtime.NumCPU())}, {cpu, onePipe, 1.15},
			},
		}, {
			name: "exec-start", what: "a whole job of Python scripts on one file of 1 KB", input: file("text-1KB.txt", func(w io.Writer) error { return gen.Text(w, 1000, 300, 1) }),
			contestants: append(scripts(scriptJob("mraws", byScript, words)), scriptJob("mraws, mapper alone", "--reducer -", "")),
			targets:     []target{{wallS, "", 0.5}, {wallS, "mraws, mapper alone", 0.5}},
		},
	}
}

// workloads are those of the options. With an older mraws they are the work of
// mraws alone, each job followed by the same one of the older program.
func (o *options) workloads() []workload {
	all := workloads(o.scale)
	if o.before == "" {
		return all
	}
	for i, w := range all {
		all[i].contestants, all[i].targets = nil, nil
		for _, c := range w.contestants {
			if !strings.Contains(c.command, `"$MRAWS"`) {
				continue
			}
			older := func(command string) string { return strings.ReplaceAll(command, `"$MRAWS"`, `"$BEFORE"`) }
			before := c
			before.name += " before"
			before.before, before.command, before.result = older(c.before), older(c.command), older(c.result)
			all[i].contestants = append(all[i].contestants, c, before)
		}
	}
	return all
}

// rawGet and rawPut move the same bytes through the same client and server
// and do nothing with them. rawDirect reads them as a job does from the
// embedded server, in pieces that do not leave the processor's cache; nobody
// who has a use for the bytes is faster.
var (
	rawGet    = contestant{name: "raw S3 GET", command: `"$BENCH" -raw get`, ours: true, inner: true}
	rawDirect = contestant{name: "raw S3 GET, direct", command: `"$BENCH" -raw get-direct`, ours: true, inner: true}
	rawPut    = contestant{name: "raw S3 PUT", command: `"$BENCH" -raw put`, ours: true, inner: true}
)
