package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
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

// scale is a factor on the sizes of inputs.
type scale float64

// size is n bytes, or files, by the scale.
func (s scale) size(n int64) int64 { return max(int64(float64(n)*float64(s)), 1000) }

// label is the size in megabytes.
func (s scale) label(n int64) string { return fmt.Sprintf("%gMB", float64(s.size(n))/mb) }

func (s scale) text(n int64, vocabulary int) input {
	return file(fmt.Sprintf("text-%s-%d.txt", s.label(n), vocabulary), func(w io.Writer) error { return gen.Text(w, s.size(n), vocabulary, 1) })
}

func (s scale) records(n int64, hot float64) input {
	return file(fmt.Sprintf("records-%s-hot%g.txt", s.label(n), hot), func(w io.Writer) error { return gen.Records(w, s.size(n)/gen.Record, hot, 2) })
}

func (s scale) needles(n int64) input {
	return file("needles-"+s.label(n)+".txt", func(w io.Writer) error { return gen.Needles(w, s.size(n)/gen.Record, 3) })
}

// bzip2 is text that bzip2(1) has compressed.
func (s scale) bzip2(n int64) input {
	return file(fmt.Sprintf("text-%s-30000.txt.bz2", s.label(n)), func(w io.Writer) error {
		c := exec.Command("bzip2")
		c.Stdout, c.Stderr = w, os.Stderr
		text, err := c.StdinPipe()
		if err != nil {
			return fmt.Errorf("make a pipe: %w", err)
		}
		if err := c.Start(); err != nil {
			return fmt.Errorf("compress text: %w", err)
		}
		return errors.Join(gen.Text(text, s.size(n), 30_000, 1), text.Close(), c.Wait())
	})
}

// table is a log of requests in a format.
func (s scale) table(n int64, format string, write func(io.Writer, int64, uint64) error) input {
	return file("log-"+s.label(n)+"."+format, func(w io.Writer) error { return write(w, s.size(n), 6) })
}

// small are 10,000 files.
func (s scale) small() input {
	n := int(s.size(10_000))
	return input{fmt.Sprintf("small-%d", n), func(path string) error { return gen.Small(path, n, 4) }}
}

// tiny is a file of 1 KB.
func tiny() input {
	return file("text-1KB.txt", func(w io.Writer) error { return gen.Text(w, 1000, 300, 1) })
}

// workloads are all.
func workloads(by float64) []workload {
	s := scale(by)
	return slices.Concat(s.ofText(), s.ofSmallFiles(), s.ofTables(), s.ofScripts())
}

// ofText are workloads over large files of lines.
func (s scale) ofText() []workload {
	return []workload{
		{
			name: "wc", what: "count the words of " + s.label(512*mb) + " of text, vocabulary 30,000", input: s.text(512*mb, 30_000),
			contestants: append(wordCounts(job("mraws", "--app wc", words)), rawGet, rawPut),
			targets:     []target{{wall, "mawk", 0.10}, {wall, "DuckDB", 0.18}, {wall, "tr|sort|uniq", 0.06}, {wall, "memory only", 2}, {perGB, "", 8}},
		}, {
			name: "wc-2m", what: "count the words of " + s.label(512*mb) + " of text, vocabulary 2,000,000", input: s.text(512*mb, 2_000_000),
			contestants: wordCounts(job("mraws", "--app wc", words)),
			targets:     []target{{wall, "DuckDB", 0.4}},
		}, {
			name: "sort", what: "sort " + s.label(500*mb) + " of 100-byte records", input: s.records(500*mb, 0),
			contestants: append(sorts(job("mraws", "--app sort", sorted)), rawGet, rawPut),
			targets:     []target{{wall, "sort", 1}, {cpu, "sort", 2}},
		}, {
			name: "sort-2gb", what: "sort " + s.label(2*gb) + " of 100-byte records; again in little memory", input: s.records(2*gb, 0),
			contestants: append(sorts(job("mraws", "--app sort", sorted)), job("mraws 256MiB", "--app sort --memory 256MiB", sorted)),
			targets:     []target{{wall, "sort", 1}, {cpu, "sort", 2}, {slower, "mraws 256MiB", 1.6}, {peakMiB, "mraws 256MiB", 400}},
		}, {
			name: "sort-hot", what: "sort " + s.label(500*mb) + " of 100-byte records, half of which have the same key", input: s.records(500*mb, 0.5),
			contestants: sorts(job("mraws", "--app sort", sorted)),
		}, {
			name: "grep", what: "find a pattern that is in one of 108,300 records of " + s.label(gb), input: s.needles(gb),
			contestants: []contestant{
				job("mraws", "--app grep --app-arg pattern="+gen.Needle, matches),
				rawGet,
				rawDirect,
				{name: "ripgrep", needs: "rg", command: `rg -n "` + gen.Needle + `" "$INPUT" >"$OUT/result"`, form: matches},
				{name: "grep", needs: "grep", command: `grep -n "` + gen.Needle + `" "$INPUT" >"$OUT/result"`, form: matches},
			},
			targets: []target{{wall, "raw S3 GET", 1.5}},
		}, {
			name: "filter", what: "keep the lines of " + s.label(gb) + " that have a pattern which is in one of 108,300, without a reduce task", input: s.needles(gb),
			contestants: []contestant{
				job("mraws", "--app grep --nreduce 0 --app-arg pattern="+gen.Needle, lines),
				rawGet,
				rawDirect,
				{name: "grep", needs: "grep", command: `grep "` + gen.Needle + `" "$INPUT" >"$OUT/result"`, form: lines},
			},
			targets: []target{{wall, "raw S3 GET", 1.3}},
		}, {
			name: "wc-bzip2", what: "count the words of " + s.label(500*mb) + " of text, compressed by bzip2", input: s.bzip2(500 * mb),
			contestants: []contestant{
				job("mraws", "--app wc", words),
				{name: "bzip2 | mawk", needs: "mawk", command: `bzip2 -dc "$INPUT" | mawk '` + countWords + `' >"$OUT/result"`, form: words},
				{name: "bzip2 alone", needs: "bzip2", command: `bzip2 -dc "$INPUT" >/dev/null`},
			},
			targets: []target{{idle, "", 0.15}, {wall, "bzip2 | mawk", 1}},
		},
	}
}

// ofSmallFiles are workloads over many small files, and over next to nothing.
func (s scale) ofSmallFiles() []workload {
	return []workload{
		{
			name: "index", what: "index the Go files of Go's source tree", input: input{name: goSource},
			contestants: indexes(unicodeIndex),
			targets:     []target{{wall, "DuckDB", 1}, {wall, "mawk", 1}},
		}, {
			name: "index-small", what: fmt.Sprintf("index %d small files", s.size(10_000)), input: s.small(),
			contestants: indexes(job("mraws", "--app indexer", postings)),
			targets:     []target{{wall, "DuckDB", 1}, {wall, "mawk", 1}},
		}, {
			name: "wc-small", what: fmt.Sprintf("count the words of %d small files", s.size(10_000)), input: s.small(),
			contestants: []contestant{
				job("mraws", "--app wc", words),
				{name: "mawk", needs: "mawk", command: `find "$INPUT" -type f -print0 | xargs -0 cat | mawk '` + countWords + `' >"$OUT/result"`, form: words},
			},
		}, {
			name: "start", what: "a whole job on one file of 1 KB", input: tiny(),
			contestants: wordCounts(job("mraws", "--app wc", words)),
			targets:     []target{{wallS, "", 0.3}},
		},
	}
}

// ofTables are workloads over tables.
func (s scale) ofTables() []workload {
	return []workload{
		{
			name: "group-json", what: "group " + s.label(500*mb) + " of JSON lines by two of twelve members", input: s.table(500*mb, "jsonl", gen.JSONLog),
			contestants: groups(job("mraws", grouping+"json", lines), "json"),
			targets:     []target{{wall, "ClickHouse", 1}, {wall, "DuckDB", 1}, {cpu, "ClickHouse", 1}, {cpu, "DuckDB", 1}},
		}, {
			name: "group-csv", what: "group " + s.label(500*mb) + " of CSV by two of twelve columns", input: s.table(500*mb, "csv", gen.CSVLog),
			contestants: groups(job("mraws", grouping+"csv", lines), "csv"),
			targets:     []target{{wall, "ClickHouse", 1}, {wall, "DuckDB", 1}, {cpu, "ClickHouse", 1}, {cpu, "DuckDB", 1}},
		}, {
			name: "group-parquet", what: fmt.Sprintf("group %d rows of Parquet by two of twelve columns", s.size(5*mb)), input: file(fmt.Sprintf("log-%d.parquet", s.size(5*mb)), func(w io.Writer) error { return gen.ParquetLog(w, uint64(s.size(5*mb)), 6) }),
			contestants: groups(job("mraws", grouping+"parquet", lines), "parquet"),
			targets:     []target{{wall, "ClickHouse", 1}, {wall, "DuckDB", 1}, {cpu, "ClickHouse", 1}, {cpu, "DuckDB", 1}},
		},
	}
}

// ofScripts are workloads of executables.
func (s scale) ofScripts() []workload {
	return []workload{
		{
			name: "exec-wc", what: "count the words of " + s.label(100*mb) + " of text by two Python scripts", input: s.text(100*mb, 30_000),
			contestants: scripts(scriptJob("mraws", byScript, words)),
			targets: []target{
				{wall, "Hadoop Streaming", 0.3}, {wall, onePipe, 1.15 / float64(runtime.NumCPU())}, {cpu, onePipe, 1.15},
			},
		}, {
			name: "exec-start", what: "a whole job of Python scripts on one file of 1 KB", input: tiny(),
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
