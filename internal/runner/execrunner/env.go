package execrunner

import (
	"fmt"
	"strconv"

	"github.com/mraws/mraws/mr"
)

// taskEnv are the variables that tell what is run: those of Hadoop, with dots as
// underscores, by their names of today and of before 2.0, and our own.
func (a *attempt) taskEnv() []string {
	t := a.task
	letter, isMap := "r", "false"
	if t.Phase == mr.MapPhase {
		letter, isMap = "m", "true"
	}
	task := fmt.Sprintf("task_%s_%s_%06d", t.Job, letter, t.Index)
	attempt := fmt.Sprintf("attempt_%s_%s_%06d_%s", t.Job, letter, t.Index, t.Attempt)
	index := strconv.Itoa(t.Index)
	maps, reduces := strconv.Itoa(len(a.job.Tasks)), strconv.Itoa(a.job.NReduce)
	if a.exec.Reducer == "" {
		reduces = "0"
	}
	return pairs(
		"MRAWS_JOB", t.Job, "MRAWS_PHASE", t.Phase.String(), "MRAWS_TASK", index, "MRAWS_ATTEMPT", t.Attempt, "MRAWS_WORKER", t.Worker,
		"mapreduce_job_id", t.Job, "mapred_job_id", t.Job,
		"mapreduce_job_name", a.job.App.Name, "mapred_job_name", a.job.App.Name,
		"mapreduce_task_id", task, "mapred_tip_id", task,
		"mapreduce_task_attempt_id", attempt, "mapred_task_id", attempt,
		"mapreduce_task_partition", index, "mapred_task_partition", index,
		"mapreduce_task_ismap", isMap, "mapred_task_is_map", isMap,
		"mapreduce_job_maps", maps, "mapred_map_tasks", maps,
		"mapreduce_job_reduces", reduces, "mapred_reduce_tasks", reduces,
	)
}

// mapEnv are the variables that tell of the input which a mapper reads: the piece
// of the object with that name.
func (a *attempt) mapEnv(object string, offset int64) []string {
	length := int64(0)
	place := object
	for _, p := range a.job.Tasks[a.task.Index] {
		o := a.job.Objects[p.Object]
		if o.Name != object {
			continue
		}
		offset, length = p.Offset, p.Length
		if o.Bucket == "" {
			place = "s3://" + a.host.o.Bucket + "/" + a.layout.Input(object)
		}
		break
	}
	start, size := strconv.FormatInt(offset, 10), strconv.FormatInt(length, 10)
	return pairs(
		"MRAWS_INPUT", object,
		"mapreduce_map_input_file", place, "map_input_file", place,
		"mapreduce_map_input_start", start, "map_input_start", start,
		"mapreduce_map_input_length", size, "map_input_length", size,
	)
}

// pairs makes variables of names and values.
func pairs(all ...string) []string {
	var env []string
	for ; len(all) >= 2; all = all[2:] {
		env = append(env, all[0]+"="+all[1])
	}
	return env
}
