package sched

import (
	"strconv"
	"strings"

	"github.com/mraws/mraws/mr"
)

// WorkerID names one worker process; a process that starts again takes a new
// id, since the numbers of its polls start again too.
type WorkerID string

// AttemptID names one attempt of one task: "<epoch>.m<index>.<n>" for a map
// task and "<epoch>.r<index>.<n>" for a reduce task, n counting from 1.
// Epochs differ between coordinators, so no two attempts of a job share an id.
type AttemptID string

// TaskID names a task.
type TaskID struct {
	Phase mr.Phase
	Index int // 0..Planned.Maps-1 or 0..Planned.Reduces-1
}

// String returns "map-7" or "reduce-7".
func (t TaskID) String() string { return t.Phase.String() + "-" + strconv.Itoa(t.Index) }

// Task returns the task in the name of an attempt of any coordinator; ok is
// false for a string that is no such name.
func (id AttemptID) Task() (task TaskID, ok bool) {
	_, task, ok = id.parse()
	return task, ok
}

func (id AttemptID) parse() (epoch string, task TaskID, ok bool) {
	epoch, rest, ok := strings.Cut(string(id), ".")
	if !ok || len(rest) < 2 {
		return "", TaskID{}, false
	}
	switch rest[0] {
	case 'm':
		task.Phase = mr.MapPhase
	case 'r':
		task.Phase = mr.ReducePhase
	default:
		return "", TaskID{}, false
	}
	index, _, ok := strings.Cut(rest[1:], ".")
	n, err := strconv.Atoi(index)
	task.Index = n
	return epoch, task, ok && err == nil
}

// number is how many attempts of its task the coordinator had granted or adopted with
// this one; 0 for what is no name of an attempt.
func (id AttemptID) number() int {
	n, _ := strconv.Atoi(string(id[strings.LastIndexByte(string(id), '.')+1:]))
	return n
}

// attemptID names the n-th attempt of the task under the coordinator of that
// epoch.
func attemptID(epoch string, id TaskID, n int) AttemptID {
	b := make([]byte, 0, len(epoch)+16)
	b = append(b, epoch...)
	if id.Phase == mr.MapPhase {
		b = append(b, ".m"...)
	} else {
		b = append(b, ".r"...)
	}
	b = strconv.AppendInt(b, int64(id.Index), 10)
	b = append(b, '.')
	b = strconv.AppendInt(b, int64(n), 10)
	return AttemptID(b)
}
