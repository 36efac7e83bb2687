package main

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ample is a world in which nothing takes time; tests make one thing dear.
func ample(j Job) *Sim {
	const much = 1e18
	return &Sim{
		Job: j, Machine: Machine{VCPUs: 16, Memory: 1e15, Net: much, Disk: much},
		S3: S3{PutRate: much, GetRate: much, Conn: much}, Seed: 1,
		Costs: Costs{Map: 1e-15, Reduce: 1e-15, Ratio: 1},
	}
}

// TestClosedForm compares the model with what can be worked out by hand. A
// stage takes one step at least, so phases that are to take no time have few
// tasks.
func TestClosedForm(t *testing.T) {
	job := Job{Bytes: 1e12, Maps: 1600, Reduces: 1600, Machines: 10, Shuffle: Packed, Read: least, Part: least}
	for _, tt := range []struct {
		name  string
		alter func(*Sim)
		want  float64 // seconds
	}{
		// bytes × cost ÷ cores
		{"cpu", func(s *Sim) { s.Costs.Map, s.Costs.Reduce = 10e-9, 6e-9 }, 1e12 * 16e-9 / 160},
		{"one machine", func(s *Sim) { s.Job.Machines, s.Job.Reduces = 1, 16; s.Costs.Map = 10e-9 }, 1e12 * 10e-9 / 16},
		// one wave of 100 tasks on 160 cores: the time of one task
		{"few tasks", func(s *Sim) { s.Job.Maps, s.Job.Reduces = 100, 160; s.Costs.Map = 10e-9 }, 1e12 / 100 * 10e-9},
		// every byte comes in and goes out twice, in turn
		{"network", func(s *Sim) { s.Machine.Net = 1e9 }, 4 * 1e12 / 10e9},
		{"shuffle that shrinks", func(s *Sim) { s.Machine.Net = 1e9; s.Costs.Ratio = 0.25 }, 2.5 * 1e12 / 10e9},
		// requests ÷ rate: maps × reduces GETs of one prefix, and 60 of 10 MiB
		// for the input of a map
		{"gets", func(s *Sim) { s.S3.GetRate = 1e4; s.Job.Read, s.Job.Part = 1e9, 1e9 }, 1600 * (1600 + 60) / 1e4},
		// four prefixes take the ranged reads of partitions, and one the input
		{"gets of shards", func(s *Sim) { s.S3.GetRate = 1e4; s.Job.Read, s.Job.Part = 1e9, 1e9; s.Job.Shards = 4 }, 1600*60/1e4 + 1600*1600/4e4},
		{"puts", func(s *Sim) {
			s.S3.PutRate, s.Job.Shuffle, s.Job.Reduces, s.Job.Part = 1e4, Plain, 160, 1e9
		}, (1600*160 + 160*(64+2)) / 1e4}, // and outputs of 6 GB in 64 parts
		// latency × requests of a task ÷ how many it has in flight, in ten waves
		{"connections", func(s *Sim) { s.S3.Latency = 0.1; s.Job.Bytes = 1e9 }, 10 * (0.1 + (0.1 + 0.1) + 1600*0.1/16 + (0.1 + 0.2))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := ample(job)
			s.Job.Direct = true // no records but where they are the point
			tt.alter(s)
			r, err := s.Run()
			if err != nil {
				t.Fatal(err)
			}
			if off := r.Seconds/tt.want - 1; math.Abs(off) > 0.03 {
				t.Errorf("takes %.1f s, want %.1f (%+.1f%%); slots wait for %s", r.Seconds, tt.want, 100*off, r.waits())
			}
			if e := s.estimate(); e > 1.02*r.Seconds {
				t.Errorf("the lower bound is %.1f s, and it took %.1f", e, r.Seconds)
			}
		})
	}
}

// TestSame holds that a seed always tells the same story.
func TestSame(t *testing.T) {
	play := func(seed uint64) *Result {
		o, err := flags([]string{"-seed", fmt.Sprint(seed)})
		if err != nil {
			t.Fatal(err)
		}
		r, err := o.sim(Job{Bytes: 1e11, Maps: 400, Reduces: 100, Machines: 5, Shuffle: Plain, Read: least, Part: least}).Run()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	a, b, c := play(1), play(1), play(2)
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("two runs differ:\n%s", diff)
	}
	if cmp.Equal(a, c) {
		t.Error("another seed tells the same")
	}
}

// TestRequests counts the requests of a small job by hand.
func TestRequests(t *testing.T) {
	s := ample(Job{Bytes: 100 * mib, Maps: 4, Reduces: 2, Machines: 1, Shuffle: Plain, Read: least, Part: least})
	r, err := s.Run()
	if err != nil {
		t.Fatal(err)
	}
	// 4 maps of 4 chunks, 2 reduces of 4 segments of 2 chunks, the records
	// once for the worker and once for the coordinator, which also looks at the outputs
	const slots = 16
	if want := 4*4.0 + 2*4*2 + 2*4/slots*1.0 + 4 + 2; math.Abs(r.Gets-want) > 1 {
		t.Errorf("%v GETs, want %v", r.Gets, want)
	}
	// 8 partitions, 4 records, 2 records, 2 outputs in 7 parts with begin and end, a LIST
	if want := 8.0 + 4 + 2 + 2*(7+2) + 1; r.Puts != want {
		t.Errorf("%v PUTs, want %v", r.Puts, want)
	}
}

// TestPasses: 64 segments with room for readers of 10 or so.
func TestPasses(t *testing.T) {
	for _, tt := range []struct {
		n      float64
		memory float64
		want   int
	}{{10, 10 * reader, 0}, {11, 10 * reader, 1}, {100, 10 * reader, 1}, {101, 10 * reader, 2}, {3, 0, 1}} {
		if got := passes(tt.n, math.Inf(1), tt.memory); got != tt.want {
			t.Errorf("%v segments in %v readers take %d passes, want %d", tt.n, tt.memory/reader, got, tt.want)
		}
	}
}
