// Command scale plays sorts of 1 TB and 100 TB on 10, 100 and 1,000 machines:
// the real scheduler in simulated time, against models of workers and of S3
// whose figures are published or measured (machine.go). It prints what they
// would take, what they would cost and what they would wait for, next to
// what others have published. docs/scale.md says what was learned from it.
//
//	go run ./bench/scale            # all cells, a minute
//	go run ./bench/scale -only 100TB/100 -machine i4i.8xlarge
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

func main() {
	if err := run(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "scale: error:", err)
		os.Exit(1)
	}
}

// options are the command's flags.
type options struct {
	only     *regexp.Regexp
	machine  Machine
	costs    Costs
	s3       S3
	jitter   float64
	seed     uint64
	markdown bool
}

func flags(args []string) (*options, error) {
	o := &options{costs: measured(), s3: standard()}
	f := flag.NewFlagSet("scale", flag.ContinueOnError)
	only := f.String("only", "", "cells that match this regular expression, such as 100TB/10$")
	name := f.String("machine", "i4i.4xlarge", "type of machine")
	f.Float64Var(&o.costs.Map, "map", o.costs.Map, "CPU seconds of a map task for a byte")
	f.Float64Var(&o.costs.Reduce, "reduce", o.costs.Reduce, "CPU seconds of a reduce task for a byte")
	f.Float64Var(&o.costs.Ratio, "ratio", o.costs.Ratio, "shuffled bytes for a byte of input")
	f.Float64Var(&o.s3.Latency, "latency", o.s3.Latency, "seconds to the first byte of S3")
	f.Float64Var(&o.jitter, "jitter", 0.1, "deviation of the logarithm of CPU times")
	f.Uint64Var(&o.seed, "seed", 1, "seed of these")
	slots := f.Float64("slots", 1, "attempts at the same time for each vCPU")
	f.BoolVar(&o.markdown, "markdown", false, "print Markdown")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	i := slices.IndexFunc(machines(), func(m Machine) bool { return m.Name == *name })
	if i < 0 {
		return nil, fmt.Errorf("-machine: there is no %s here", *name)
	}
	o.machine = machines()[i]
	if o.machine.Slots = int(*slots * float64(o.machine.VCPUs)); o.machine.Slots < 1 {
		return nil, fmt.Errorf("-slots: %g for each vCPU are none", *slots)
	}
	return o, nil
}

const tb = 1e12

// run plays all cells that are wanted.
func run(args []string) error {
	o, err := flags(args)
	if err != nil {
		return err
	}
	var rows []row
	var g errgroup.Group
	g.SetLimit(runtime.NumCPU())
	start := time.Now()
	for _, bytes := range []float64{tb, 100 * tb} {
		for _, k := range []int{10, 100, 1000} {
			cell := fmt.Sprintf("%.0fTB/%d", bytes/tb, k)
			if !o.only.MatchString(cell) {
				continue
			}
			for _, d := range designs() {
				rows = append(rows, row{cell: cell, design: d.name, sim: o.sim(d.job(o, bytes, k))})
			}
		}
	}
	for i := range rows {
		g.Go(rows[i].play)
	}
	if err := g.Wait(); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "simulated in %s\n", time.Since(start).Round(time.Millisecond))
	o.print(os.Stdout, rows)
	return nil
}

// row is a line of the table.
type row struct {
	cell, design string
	sim          *Sim
	result       *Result // nil if it was not played
}

// longest is how many seconds a job may take to be worth playing.
const longest = 7 * 86400

// play plays a job, unless it is plain that it would not end well.
func (r *row) play() (err error) {
	if r.sim.estimate() > longest || len(r.sim.walls()) > 0 {
		return nil
	}
	if r.result, err = r.sim.Run(); err != nil {
		return fmt.Errorf("%s %s: %w", r.cell, r.design, err)
	}
	return nil
}

func (o *options) sim(j Job) *Sim {
	return &Sim{Job: j, Machine: o.machine, S3: o.s3, Costs: o.costs, Jitter: o.jitter, Seed: o.seed}
}

// design is a way to lay a job out.
type design struct {
	name string
	job  func(o *options, bytes float64, machines int) Job
}

// designs are those that are compared: "and" is what was above it, and more.
// The numbers of tasks of the first two are what they are if nobody chooses a
// split-size, those of the others are tuned. Parts of uploads and ranged reads
// were made large, and packed objects spread over prefixes, since this showed
// what that saves.
func designs() []design {
	return []design{
		untuned("64 MiB, plain", Plain),
		untuned("64 MiB, packed", Packed),
		tuned("tuned, plain", Job{Shuffle: Plain, Read: least, Part: least}),
		tuned("tuned, packed", Job{Shuffle: Packed, Read: least, Part: least}),
		tuned("and large parts", Job{Shuffle: Packed, Read: least, Part: 64 * mib}),
		tuned("and large reads", Job{Shuffle: Packed, Read: 64 * mib, Part: 64 * mib}),
		tuned("and 256 prefixes", Job{Shuffle: Packed, Read: 64 * mib, Part: 64 * mib, Shards: 256}),
		tuned("and records by column", Job{Shuffle: Packed, Read: 64 * mib, Part: 64 * mib, Shards: 256, Direct: true}),
	}
}

// untuned is a design with splits of the default size.
func untuned(name string, how Shuffle) design {
	shards := 1
	if how == Packed {
		shards = 256
	}
	return design{name: name, job: func(_ *options, bytes float64, k int) Job {
		return Job{Bytes: bytes, Machines: k, Shuffle: how, Shards: shards, Read: 64 * mib, Part: 64 * mib, Maps: tasks(bytes, 64*mib), Reduces: tasks(bytes, 4*gib)}
	}}
}

func tasks(bytes, each float64) int { return max(1, int(bytes/each+0.5)) }

// tuned is a design with the numbers of tasks that are the cheapest by the
// estimate, among those that fit into memory if there are any.
func tuned(name string, like Job) design {
	return design{name: name, job: func(o *options, bytes float64, k int) Job {
		like.Bytes, like.Machines = bytes, k
		best, least, fits := like, 0.0, false
		for split := 64.0 * mib; split <= 16*gib; split *= 2 {
			for each := 64.0 * mib; each <= 64*gib; each *= 2 {
				j := like
				j.Maps, j.Reduces = tasks(bytes, split), tasks(bytes, each)
				s := o.sim(j)
				ok := len(s.walls()) == 0
				if cost := s.guess(); best.Maps == 0 || ok && !fits || ok == fits && cost < least {
					best, least, fits = j, cost, ok
				}
			}
		}
		return best
	}}
}
