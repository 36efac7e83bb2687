package cmd

import (
	"math"

	"github.com/mraws/mraws/internal/metrics"
	"github.com/mraws/mraws/internal/s3fs"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/internal/worker"
)

// The metrics of each part, and how they follow from its counts.
// docs/operations.md has the same table for people, held by a test.

func storeMetrics() []metrics.Desc {
	op := []string{"operation"}
	return []metrics.Desc{
		{Name: "mraws_s3_requests_total", Help: "Completed HTTP requests to S3, by operation and outcome.", Labels: []string{"operation", "outcome"}},
		{Name: "mraws_s3_retries_total", Help: "Retried requests, each paid from the retry budget.", Labels: op},
		{Name: "mraws_s3_sent_bytes_total", Help: "Bytes of request bodies."},
		{Name: "mraws_s3_received_bytes_total", Help: "Bytes of reply bodies."},
		{Name: "mraws_s3_requests_in_flight", Help: "Requests in flight.", Kind: metrics.Gauge},
		{Name: "mraws_s3_requests_queued", Help: "Requests queued for the concurrency limit.", Kind: metrics.Gauge},
		{Name: "mraws_s3_concurrency_limit", Help: "Limit of requests in flight; lowered while the store throttles.", Kind: metrics.Gauge},
		{Name: "mraws_s3_concurrency_halvings_total", Help: "Times that throttling halved the limit."},
		{Name: "mraws_s3_retry_budget", Help: "Retries that the budget allows now without waiting.", Kind: metrics.Gauge},
		{Name: "mraws_s3_retry_budget_max", Help: "Capacity of the retry budget, in retries.", Kind: metrics.Gauge},
		{Name: "mraws_s3_retries_waiting", Help: "Retries waiting for the retry budget.", Kind: metrics.Gauge},
		{Name: "mraws_s3_retries_delayed_total", Help: "Retries that waited for the retry budget."},
	}
}

func emitStore(emit metrics.Emit, a s3fs.Activity) {
	for op, t := range a.Tries {
		emit("mraws_s3_requests_total", float64(t.OK), op, "ok")
		emit("mraws_s3_requests_total", float64(t.Refused), op, "refused")
		emit("mraws_s3_requests_total", float64(t.Throttled), op, "throttled")
		emit("mraws_s3_requests_total", float64(t.Failed), op, "error")
		emit("mraws_s3_requests_total", float64(t.Canceled), op, "canceled")
		emit("mraws_s3_retries_total", float64(t.Retried), op)
	}
	emit("mraws_s3_sent_bytes_total", float64(a.Sent))
	emit("mraws_s3_received_bytes_total", float64(a.Received))
	emit("mraws_s3_requests_in_flight", float64(a.Busy))
	emit("mraws_s3_requests_queued", float64(a.Queued))
	emit("mraws_s3_concurrency_limit", float64(a.Bound))
	emit("mraws_s3_concurrency_halvings_total", float64(a.Cuts))
	emit("mraws_s3_retry_budget", math.Floor(a.Budget))
	emit("mraws_s3_retry_budget_max", a.BudgetMax)
	emit("mraws_s3_retries_waiting", float64(a.Waiting))
	emit("mraws_s3_retries_delayed_total", float64(a.Waited))
}

func workerMetrics() []metrics.Desc {
	phase := []string{"phase"}
	return []metrics.Desc{
		{Name: "mraws_worker_slots", Help: "Slots: tasks that can run at the same time.", Kind: metrics.Gauge},
		{Name: "mraws_worker_attempts_running", Help: "Running attempts.", Kind: metrics.Gauge, Labels: phase},
		{Name: "mraws_worker_attempts_ended_total", Help: "Ended attempts, by outcome.", Labels: []string{"phase", "outcome"}},
		{Name: "mraws_worker_records_read_total", Help: "Records read: input records of map tasks, pairs of reduce tasks.", Labels: phase},
		{Name: "mraws_worker_read_bytes_total", Help: "Uncompressed bytes of the records read.", Labels: phase},
		{Name: "mraws_worker_spills_total", Help: "Sorted runs spilled to scratch.", Labels: phase},
		{Name: "mraws_worker_spilled_bytes_total", Help: "Compressed bytes of the spilled runs.", Labels: phase},
		{Name: "mraws_worker_memory_budget_bytes", Help: "Memory budget for the buffers of all slots, in bytes.", Kind: metrics.Gauge},
		{Name: "mraws_worker_memory_used_bytes", Help: "Memory of the process that counts toward Go's memory limit, in bytes.", Kind: metrics.Gauge},
		{Name: "mraws_worker_memory_limit_bytes", Help: "Go's memory limit in bytes: 1.25 times the budget, plus 32 MiB.", Kind: metrics.Gauge},
	}
}

func emitWorker(emit metrics.Emit, s worker.StatsSnapshot, used, limit int64) {
	emit("mraws_worker_slots", float64(s.Slots))
	for phase, p := range map[string]worker.PhaseStats{"map": s.Map, "reduce": s.Reduce} {
		emit("mraws_worker_attempts_running", float64(p.Running), phase)
		emit("mraws_worker_attempts_ended_total", float64(p.Committed), phase, "committed")
		emit("mraws_worker_attempts_ended_total", float64(p.Superseded), phase, "superseded")
		emit("mraws_worker_attempts_ended_total", float64(p.Failed), phase, "failed")
		emit("mraws_worker_attempts_ended_total", float64(p.Revoked), phase, "revoked")
		emit("mraws_worker_attempts_ended_total", float64(p.Released), phase, "released")
		emit("mraws_worker_records_read_total", float64(p.Records), phase)
		emit("mraws_worker_read_bytes_total", float64(p.Bytes), phase)
		emit("mraws_worker_spills_total", float64(p.Spills), phase)
		emit("mraws_worker_spilled_bytes_total", float64(p.Spilled), phase)
	}
	emit("mraws_worker_memory_budget_bytes", float64(s.Memory))
	emit("mraws_worker_memory_used_bytes", float64(used))
	emit("mraws_worker_memory_limit_bytes", float64(limit))
}

func coordinatorMetrics() []metrics.Desc {
	phase := []string{"phase"}
	return []metrics.Desc{
		{Name: "mraws_coordinator_leading", Help: "1 if the coordinator leads the job, 0 if it is a standby.", Kind: metrics.Gauge},
		{Name: "mraws_coordinator_tasks", Help: "Tasks by state.", Kind: metrics.Gauge, Labels: []string{"phase", "state"}},
		{Name: "mraws_coordinator_tasks_reused", Help: "Tasks found committed when the coordinator started.", Kind: metrics.Gauge, Labels: phase},
		{Name: "mraws_coordinator_attempts_running", Help: "Running attempts; a task with a speculative attempt has two.", Kind: metrics.Gauge, Labels: phase},
		{Name: "mraws_coordinator_attempts_granted_total", Help: "Attempts granted, speculative ones included.", Labels: phase},
		{Name: "mraws_coordinator_attempts_adopted_total", Help: "Attempts adopted from an earlier coordinator.", Labels: phase},
		{Name: "mraws_coordinator_attempts_ended_total", Help: "Ended attempts, by outcome.", Labels: []string{"phase", "outcome"}},
		{Name: "mraws_coordinator_attempts_speculative_total", Help: "Granted attempts that began beside another attempt of their task.", Labels: phase},
		{Name: "mraws_coordinator_attempts_speculative_committed_total", Help: "Speculative attempts that committed their task.", Labels: phase},
		{Name: "mraws_coordinator_commit_lookups_total", Help: "Lookups of a task's commit in the bucket, by result.", Labels: []string{"result"}},
		{Name: "mraws_coordinator_workers", Help: "Workers by state.", Kind: metrics.Gauge, Labels: []string{"state"}},
		{Name: "mraws_coordinator_slots", Help: "Slots of all workers.", Kind: metrics.Gauge},
		{Name: "mraws_coordinator_polls_waiting", Help: "Slots that wait for a task.", Kind: metrics.Gauge},
		{Name: "mraws_coordinator_exclusions_total", Help: "Times that a worker was excluded."},
	}
}

func emitCoordinator(emit metrics.Emit, s *wire.StatusReply) {
	leading := 0.0
	if s.Leading {
		leading = 1
	}
	emit("mraws_coordinator_leading", leading)
	emitPhase(emit, "map", s.Map)
	emitPhase(emit, "reduce", s.Reduce)
	for _, result := range wire.LookupResults() {
		emit("mraws_coordinator_commit_lookups_total", float64(s.CommitLookups[result]), result)
	}
	for _, state := range wire.WorkerStates() {
		emit("mraws_coordinator_workers", float64(s.Workers[state]), state)
	}
	emit("mraws_coordinator_slots", float64(s.Slots))
	emit("mraws_coordinator_polls_waiting", float64(s.PollsWaiting))
	emit("mraws_coordinator_exclusions_total", float64(s.Exclusions))
}

// emitPhase shows a phase; nil is one that is not planned.
func emitPhase(emit metrics.Emit, phase string, p *wire.PhaseStatus) {
	emit("mraws_coordinator_tasks", float64(p.GetTasks()-p.GetDone()-p.GetActive()), phase, "waiting")
	emit("mraws_coordinator_tasks", float64(p.GetActive()), phase, "active")
	emit("mraws_coordinator_tasks", float64(p.GetDone()), phase, "done")
	emit("mraws_coordinator_tasks_reused", float64(p.GetReused()), phase)
	emit("mraws_coordinator_attempts_running", float64(p.GetRunning()), phase)
	emit("mraws_coordinator_attempts_granted_total", float64(p.GetGranted()), phase)
	emit("mraws_coordinator_attempts_adopted_total", float64(p.GetAdopted()), phase)
	for outcome, n := range map[string]int32{
		"committed": p.GetCommitted(), "failed": p.GetFailed(), "lost": p.GetLost(), "released": p.GetReleased(), "superseded": p.GetSuperseded(), "canceled": p.GetCanceled(),
	} {
		emit("mraws_coordinator_attempts_ended_total", float64(n), phase, outcome)
	}
	emit("mraws_coordinator_attempts_speculative_total", float64(p.GetSpeculative()), phase)
	emit("mraws_coordinator_attempts_speculative_committed_total", float64(p.GetSpeculativeCommitted()), phase)
}
