package sched

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// ourJob has the times of our own tasks: in the commit records of a word
// count over the source of Go, packed into splits of 2 MiB and of 64 MiB, on
// two cores that had five times as much to do, a map took 0.27 s for each
// MiB, so that one of 64 MiB takes 17 s; the logarithm of the times deviated
// by 0.7 for maps and by 0.5 for reduces.
func ourJob() cluster {
	return cluster{
		maps: 1000, reduces: 40, workers: 26, slots: 2,
		mapMedian: 17 * time.Second, reduceMedian: 17 * time.Second, taskSigma: 0.5, runSigma: 0.5,
		speculate: true, progress: true,
	}
}

// cost is how much longer jobs take in one cluster than in another.
type cost struct {
	mean        float64 // all the time with over all the time without
	median, p95 float64 // of single jobs
	job         time.Duration
	speculative int // a job, with
}

func (c cost) String() string {
	return fmt.Sprintf("%+.1f%% (single jobs: median %+.1f%%, p95 %+.1f%%; a job takes %v without, and has %d speculative attempts with)",
		100*(c.mean-1), 100*(c.median-1), 100*(c.p95-1), c.job.Round(time.Second), c.speculative)
}

// compare plays the job of each seed in both. In with, fault says when of
// the time that the job takes without.
func compare(seeds int, without, with cluster, fault func(c *cluster, took time.Duration, seed int)) cost {
	var sum, base float64
	ratios := make([]float64, seeds)
	speculative := 0
	for i := range ratios {
		b := without.run(uint64(i))
		c := with
		if fault != nil {
			fault(&c, b.took, i)
		}
		o := c.run(uint64(i))
		speculative += o.counts.Map.Speculative + o.counts.Reduce.Speculative
		sum, base = sum+float64(o.took), base+float64(b.took)
		ratios[i] = float64(o.took) / float64(b.took)
	}
	slices.Sort(ratios)
	return cost{
		mean: sum / base, median: ratios[seeds/2], p95: ratios[seeds*19/20],
		job: time.Duration(base / float64(seeds)), speculative: speculative / seeds,
	}
}

// TestSlowWorker holds a worker at a tenth of the others' speed to a cost of
// 20%, its own share of the work included, and shows what it costs without
// speculative attempts.
func TestSlowWorker(t *testing.T) {
	for _, tt := range []struct {
		name     string
		change   func(*cluster)
		at, most float64 // the cost with speculative attempts is at least and at most this
	}{
		{"26 workers", func(*cluster) {}, 0.9, 1.10},
		{"26 workers that tell no progress", func(c *cluster) { c.progress = false }, 0.9, 1.15},
		{"10 workers", func(c *cluster) { c.workers, c.maps, c.reduces = 10, 400, 15 }, 0.95, 1.20},
		{"without speculative attempts", func(c *cluster) { c.speculate = false }, 1.25, 9},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			without := ourJob()
			tt.change(&without)
			with := without
			with.slow = 0.1
			c := compare(30, without, with, nil)
			t.Logf("a worker at a tenth of the speed costs %v", c)
			if c.mean < tt.at || c.mean > tt.most {
				t.Errorf("a worker at a tenth of the speed costs a factor of %.3f, want %.2f to %.2f", c.mean, tt.at, tt.most)
			}
		})
	}
}

// TestKilledWorkers holds the death of 11.5% of all workers, at any one time
// of the job, to a cost of 10%: 200 of 1,746 were killed in section 5.5 of
// Dean and Ghemawat, and started again at once.
func TestKilledWorkers(t *testing.T) {
	for _, tt := range []struct {
		name    string
		respawn time.Duration
		most    float64
	}{
		{"started again", time.Second, 1.06},
		{"gone for good", 0, 1.10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			with := ourJob()
			with.kill, with.respawn = 0.115, tt.respawn
			const seeds = 40
			c := compare(seeds, ourJob(), with, func(c *cluster, took time.Duration, seed int) {
				c.killAt = time.Duration(float64(took) * (float64(seed) + 0.5) / seeds)
			})
			t.Logf("11.5%% of the workers killed cost %v", c)
			if c.mean > tt.most {
				t.Errorf("11.5%% of the workers killed cost a factor of %.3f, want at most %.2f", c.mean, tt.most)
			}
		})
	}
}

// TestHangingStores holds a store that answers 11.5% of the workers nothing
// any more to the cost of killing these, which is what it comes to: the time
// until the attempts are taken from them is two leases in place of one. If
// they were left to the store layer's own patience, of almost three minutes,
// it would be 15% without speculative attempts.
func TestHangingStores(t *testing.T) {
	for _, tt := range []struct {
		name      string
		speculate bool
		most      float64
	}{
		{"with speculative attempts", true, 1.08},
		{"without speculative attempts", false, 1.08},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			without := ourJob()
			without.speculate = tt.speculate
			with := without
			with.kill, with.hang, with.patience = 0.115, true, 171*time.Second
			const seeds = 40
			c := compare(seeds, without, with, func(c *cluster, took time.Duration, seed int) {
				c.killAt = time.Duration(float64(took) * (float64(seed) + 0.5) / seeds)
			})
			t.Logf("a store that hangs for 11.5%% of the workers costs %v", c)
			if c.mean > tt.most {
				t.Errorf("a store that hangs for 11.5%% of the workers costs a factor of %.3f, want at most %.2f", c.mean, tt.most)
			}
		})
	}
}
