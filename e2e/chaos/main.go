//go:build linux

// Command chaos runs jobs by real processes on a network of their own, and
// kills, stops, restarts and cuts off coordinators, workers and the store
// while they run, over a store that fails by a script. When the faults are
// over the job has to end in time with exactly the bytes of a sequential run,
// and whatever process ended has to have done so with a documented exit code
// and without a trace of a crash.
//
// Each round is made from a seed, which is printed when the round fails. The
// same seed makes the same plan; the processes are real, so it may take a few
// tries until a plan fails as it did before.
//
//	go run ./e2e/chaos -rounds 200
//	go run ./e2e/chaos -rounds 1 -seed 4711
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mraws/mraws/e2e/lab"
)

// options are the flags.
type options struct {
	rounds   int
	budget   time.Duration
	seed     uint64
	parallel int
	race     bool
	loopback bool
	keep     bool
	dir      string
}

func main() {
	var o options
	flag.IntVar(&o.rounds, "rounds", 20, "how many rounds; 0 is as many as there is time for")
	flag.DurationVar(&o.budget, "for", 0, "begin no round after this time; 0 is no limit")
	flag.Uint64Var(&o.seed, "seed", 0, "seed of the first round, the next ones count on; 0 takes one at random")
	flag.IntVar(&o.parallel, "parallel", 2, "rounds at the same time")
	flag.BoolVar(&o.race, "race", false, "build mraws with the race detector")
	flag.BoolVar(&o.loopback, "loopback", false, "no network of its own, and so no cuts: needs no rights")
	flag.BoolVar(&o.keep, "keep", false, "keep the folders of rounds that went well, too")
	flag.StringVar(&o.dir, "dir", "", "folder for what rounds leave; empty makes one below the temporary folder")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	failed, err := run(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(2)
	}
	if failed > 0 || ctx.Err() != nil {
		os.Exit(1)
	}
}

// run plays the rounds and says how many failed.
func run(ctx context.Context, o options) (failed int, err error) {
	if o.dir == "" {
		if o.dir, err = os.MkdirTemp("", "mraws-chaos-"); err != nil {
			return 0, err
		}
	}
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return 0, err
	}
	for o.seed == 0 {
		o.seed = rand.Uint64() >> 20 // of a length that one can type
	}
	flags := []string{"-tags", "failpoint"}
	if o.race {
		flags = append(flags, "-race")
	}
	if !o.loopback {
		if err := allowed(); err != nil {
			return 0, fmt.Errorf("%w; or leave the cuts out with -loopback", err)
		}
	}
	bin, err := lab.Build(o.dir, flags...)
	if err != nil {
		return 0, err
	}
	fmt.Printf("chaos: seed %d, %d rounds at a time, in %s\n", o.seed, o.parallel, o.dir)

	t := &totals{}
	start := time.Now()
	var next atomic.Int64
	var all sync.WaitGroup
	for range o.parallel {
		all.Go(func() {
			for ctx.Err() == nil {
				i := next.Add(1) - 1
				if o.rounds > 0 && i >= int64(o.rounds) || o.budget > 0 && time.Since(start) > o.budget {
					return
				}
				one(ctx, o, o.seed+uint64(i), bin, t)
			}
		})
	}
	all.Wait()
	if t.failed == 0 && !o.keep {
		err = os.RemoveAll(o.dir)
	}
	fmt.Printf("chaos: %s, %d faults; the longest wait for the end of a job after its last fault was %.1fs, seed %d\n%d passed, %d failed\n",
		time.Since(start).Round(time.Second), t.faults, t.longest.Seconds(), t.slowest, t.passed, t.failed)
	return t.failed, err
}

// totals adds up the rounds.
type totals struct {
	mu                     sync.Mutex
	passed, failed, faults int
	longest                time.Duration
	slowest                uint64 // the seed of the longest
}

// allowed makes a host and takes it away again.
func allowed() error {
	net := lab.NewNetwork(0)
	_, err := net.Host("try", 2)
	return errors.Join(err, net.Close())
}

// one plays the round of a seed, and tells of it unless a signal ended it.
func one(ctx context.Context, o options, seed uint64, bin string, t *totals) {
	p := draw(seed, !o.loopback)
	net := lab.NewNetwork(seed)
	if o.loopback {
		net = lab.NewLoopback(byte(seed))
	}
	dir := filepath.Join(o.dir, fmt.Sprint(seed))
	start := time.Now()
	r, err := play(ctx, p, dir, bin, net)
	took := time.Since(start).Seconds()
	if ctx.Err() != nil {
		return
	}
	if err == nil && !o.keep {
		err = os.RemoveAll(dir)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.faults += r.played
	if err != nil {
		t.failed++
		fmt.Printf("FAILED seed %d after %.1fs: %v\n  again: make chaos ROUNDS=1 SEED=%d\n  logs:  %s\n", seed, took, err, seed, dir)
		return
	}
	t.passed++
	if r.after > t.longest {
		t.longest, t.slowest = r.after, seed
	}
	fmt.Printf("ok seed %d: %s, %d inputs, %d reduces, %d workers, %d faults, %d rules of the store; %.1fs, of that %.1fs after the last fault\n",
		seed, p.App, p.Inputs, p.NReduce, len(p.Slots), r.played, len(p.Store)-1, took, r.after.Seconds())
}
