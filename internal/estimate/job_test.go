package estimate

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/recordio"
)

// job has 3 tasks: an object of two pieces, and a small one.
func job(reduces int) *manifest.Job {
	return &manifest.Job{
		Spec: manifest.Spec{Input: manifest.Choice{Name: manifest.Lines}, Output: manifest.Choice{Name: manifest.Lines}}, NReduce: reduces,
		Objects: []manifest.Object{{Name: "a", Size: 2000}, {Name: "b", Size: 10}},
		Tasks:   [][]manifest.Piece{{{Object: 0, Length: 1000}}, {{Object: 0, Offset: 1000, Length: 1000}}, {{Object: 1, Length: 10}}},
	}
}

func setup(u Usual) Setup {
	return Setup{
		Workers: 2, Processes: 1, Usual: u, Trusted: true, Lease: 3 * time.Second, Events: true,
		Chunk: func(int64) int64 { return 400 },
		Reach: func(n, chunk int64) int64 { return min(n, chunk) },
		Cut:   func(int64) (part, whole int64) { return 5 << 20, 5 << 20 },
	}
}

// TestOf: a piece is read in chunks, one that ends within a line once more, and one that
// begins within the object from a byte before.
func TestOf(t *testing.T) {
	e := Of(job(2), setup(Assumed()))
	if e.InputReads != 3+1+3+1 || e.Bytes != 2010 || e.Objects != 2 || e.Time != 0 {
		t.Errorf("%+v", e)
	}
	if e.Segments != (Writes{Put: 6}) || e.SegmentReads != 6 || e.Outputs != (Writes{Put: 2}) || e.Sent != 2010 || e.Received != 3015 {
		t.Errorf("%+v", e)
	}
	if only := Of(job(0), setup(Assumed())); only.Maps != 0 || only.Reduces != 3 || only.Segments != (Writes{}) || only.SegmentReads != 0 || only.InputReads != e.InputReads || only.Outputs != (Writes{Put: 3}) {
		t.Errorf("map-only: %+v", only)
	}
}

// TestTime: what is known of a job before decides about partitions, bytes, and what depends
// on time.
func TestTime(t *testing.T) {
	before := &manifest.Success{
		NReduce: 2, Map: manifest.Attempts{Tasks: 3}, Seconds: 1, Shuffled: recordio.Sum{Bytes: 201}, Outputs: []manifest.Output{{Size: 67}, {Size: 134}},
		Receipt: &manifest.Receipt{Committed: object.Traffic{Requests: map[string]int64{"PutObject": 4}, Sent: 67}},
	}
	u := UsualOf(before, 201)
	want := Usual{Segments: 67.0 / 201, Pairs: 1, Output: 1, Filled: 4.0 / 6, Seconds: 1.0 / 201}
	if d := cmp.Diff(want, u); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	e := Of(job(2), setup(u))
	if e.Time.Round(time.Millisecond) != 10*time.Second || e.Segments != (Writes{Put: 4}) || e.Renewals < 10 || e.Renewals > 11 || e.LogSegments != 5 {
		t.Errorf("%+v", e)
	}
	if long := logSegments(time.Hour); long < 430 || long > 450 {
		t.Errorf("%d segments in an hour", long)
	}
}
