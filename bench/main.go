// Command bench measures mraws against what a user would pick instead: the
// same work on the same input, in turn, several times, and prints medians
// and ratios. `make bench` runs it; docs/benchmarks.md says what it found.
//
// On mraws's side the input lies in the embedded S3 server, and all its
// processes, the server among them, are counted; on the other side it lies
// on the local disk, in the page cache.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"time"
)

// options are the command's flags.
type options struct {
	dir    string  // inputs and stores are kept here between runs
	runs   int     // counted runs of each contestant
	scale  float64 // of the sizes
	only   *regexp.Regexp
	absent *regexp.Regexp // peers not to run; nil is none
	json   string
	md     string
	mraws  string // binary; "" builds one
	before string // binary of an older mraws, in place of the peers; "" is none
	python string // interpreter that may have DuckDB and PySpark
	limit  time.Duration
	list   bool
	// What the benchmark runs of itself, as processes of their own.
	raw   string
	words string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	o, err := flags(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	switch {
	case err != nil:
	case o.raw != "":
		err = raw(ctx, o.raw)
	case o.words != "":
		err = countFile(o.words)
	default:
		err = bench(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench: error:", err)
		os.Exit(1)
	}
}

func flags(args []string) (*options, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("find a folder for the inputs: %w", err)
	}
	o := &options{}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.dir, "dir", filepath.Join(cache, "mraws-bench"), "folder for inputs and stores, kept between runs")
	f.IntVar(&o.runs, "runs", 5, "counted runs of each contestant, after one that is not")
	f.Float64Var(&o.scale, "scale", 1, "factor on the size of every input")
	only := f.String("only", "", "workloads that match this regular expression")
	without := f.String("without", "", "leave out the peers that match this regular expression")
	f.StringVar(&o.json, "json", "", "write the results to this file as JSON")
	f.StringVar(&o.md, "markdown", "", "write the results to this file as Markdown")
	f.StringVar(&o.mraws, "mraws", "", "binary to measure instead of building one")
	f.StringVar(&o.before, "before", "", "binary of an older mraws, to measure in place of the peers")
	f.StringVar(&o.python, "python", "", "python to look in for DuckDB and PySpark, besides bench/setup.sh's and python3")
	f.DurationVar(&o.limit, "limit", 5*time.Minute, "longest that one run may take; a contestant that takes longer is out")
	f.BoolVar(&o.list, "list", false, "list workloads and contestants, and which are missing here")
	f.StringVar(&o.raw, "raw", "", "used by the benchmark: get, get-direct or put the input of the store MRAWS_DATA_DIR")
	f.StringVar(&o.words, "words", "", "used by the benchmark: count the words of this file in memory")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if o.only, err = regexp.Compile(*only); err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	if *without != "" {
		if o.absent, err = regexp.Compile(*without); err != nil {
			return nil, fmt.Errorf("-without: %w", err)
		}
	}
	if o.runs < 1 || o.scale <= 0 {
		return nil, errors.New("-runs and -scale must be above zero")
	}
	return o, nil
}

// bench runs everything.
func bench(ctx context.Context, o *options) error {
	env, err := newEnvironment(ctx, o)
	if err != nil {
		return err
	}
	report := &Report{Machine: machine(), Date: time.Now().UTC().Format(time.DateOnly), Runs: o.runs, Scale: o.scale, Missing: env.missing()}
	if o.list {
		return env.list(os.Stdout)
	}
	for _, m := range report.Missing {
		fmt.Fprintln(os.Stderr, "not here:", m)
	}
	for _, w := range o.workloads() {
		if !o.only.MatchString(w.name) {
			continue
		}
		result, err := env.measure(ctx, w)
		if err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		report.Workloads = append(report.Workloads, result)
		result.print(os.Stdout)
	}
	if o.only.MatchString(pipeName) {
		if report.Pipe, err = measurePipe(ctx); err != nil {
			return fmt.Errorf("%s: %w", pipeName, err)
		}
		report.Pipe.print(os.Stdout)
	}
	if o.only.MatchString(schedulerName) {
		if report.Scheduler, err = measureScheduler(ctx); err != nil {
			return fmt.Errorf("%s: %w", schedulerName, err)
		}
		report.Scheduler.print(os.Stdout)
	}
	return report.write(o)
}
