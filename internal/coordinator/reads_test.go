package coordinator

import (
	"testing"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// TestWhatAFailedTaskReads: a failure names the objects of its map task, where its cause
// does not.
func TestWhatAFailedTaskReads(t *testing.T) {
	l := &loop{o: Options{Store: newFake(), Layout: layout.New("p")}, job: &manifest.Job{
		NReduce: 1, Objects: []manifest.Object{{Name: "a"}, {Name: "s3://other/b", Bucket: "other", Key: "b"}, {Name: "c"}, {Name: "d"}, {Name: "e"}},
		Tasks: [][]manifest.Piece{{{Object: 0, Offset: 10, Length: 5}}, {{Object: 1, Length: 7}, {Object: 2, Length: 1}, {Object: 3, Length: 1}, {Object: 4, Length: 1}}},
	}}
	bucket := l.o.Store.Bucket()
	for _, tt := range []struct {
		phase mr.Phase
		index int
		cause string
		want  string
	}{
		{mr.MapPhase, 0, "exit code 1", "the task reads bytes 10 to 15 of s3://" + bucket + "/p/input/a"},
		{mr.MapPhase, 0, "record at byte 12 of a: boom", ""},
		{mr.MapPhase, 1, "exit code 1", "the task reads bytes 0 to 7 of s3://other/b, bytes 0 to 1 of s3://" + bucket + "/p/input/c, bytes 0 to 1 of s3://" + bucket + "/p/input/d, and 1 more"},
		{mr.ReducePhase, 0, "exit code 1", ""},
	} {
		if got := l.reads(sched.TaskID{Phase: tt.phase, Index: tt.index}, tt.cause); got != tt.want {
			t.Errorf("%v %d, %q: %q, want %q", tt.phase, tt.index, tt.cause, got, tt.want)
		}
	}
	l.job.NReduce = 0
	if l.reads(sched.TaskID{Phase: mr.ReducePhase}, "exit code 1") == "" {
		t.Error("the task of a map-only job reads nothing")
	}
}
