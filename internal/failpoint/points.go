package failpoint

import "slices"

// Points lists every point. e2e/crash_cases_test.go has the cases that reach each
// of them.
func Points() []Point {
	return slices.Concat(worker(), coordinator())
}

func worker() []Point {
	return []Point{
		// finding the coordinator, and being told what to do
		"worker.list.prefixes",
		"worker.get.announcement",
		"worker.get.job", "worker.stat.job",
		"worker.get.success",
		"worker.get.control", "worker.put.control.before", "worker.put.control.after",
		"worker.call.discover.before", "worker.call.discover.after",
		"worker.call.register.before", "worker.call.register.after",
		"worker.call.poll.before", "worker.call.poll.after",
		"worker.call.heartbeat.before", "worker.call.heartbeat.after",
		"worker.call.report.before", "worker.call.report.after",
		"worker.call.leave.before", "worker.call.leave.after",

		// a map attempt
		"worker.open.input", "worker.read.input",
		"worker.spill.create", "worker.spill.write", "worker.spill.read", "worker.spill.close",
		"worker.merge.create", "worker.merge.write", "worker.merge.read", "worker.merge.close",
		"worker.segments.create", "worker.segments.write", "worker.segments.read", "worker.segments.close",
		"worker.record.create", "worker.record.write", "worker.record.read", "worker.record.close",
		"worker.bad-list.create", "worker.bad-list.write", "worker.bad-list.read", "worker.bad-list.close",
		"worker.put.partition.before", "worker.put.partition.after",
		"worker.stat.partition",
		"worker.put.displaced.before", "worker.put.displaced.after",
		"worker.stat.displaced",
		"worker.put.bad.before", "worker.put.bad.after",
		"worker.stat.bad",
		"worker.put.map-record.before", "worker.put.map-record.after",
		"worker.get.map-record",

		// a reduce attempt
		"worker.open.partition", "worker.read.partition",
		"worker.open.displaced", "worker.read.displaced",
		"worker.shuffle.create", "worker.shuffle.write", "worker.shuffle.read", "worker.shuffle.close",
		"worker.get.owner", // of a job whose output has a place of its own
		"worker.create.output", "worker.write.output", "worker.abort.output",
		"worker.named.create", "worker.named.write", "worker.named.read", "worker.named.close",
		"worker.put.named.before", "worker.put.named.after",
		"worker.put.reduce-record.before", "worker.put.reduce-record.after",
		"worker.commit.output.before", "worker.commit.output.after",
		"worker.stat.output",
		"worker.open.output", "worker.read.output", // of an earlier job, taken over
		"worker.get.reduce-record",

		// side files of the application
		"worker.put.side.before", "worker.put.side.after",
		"worker.stat.side", "worker.get.side", "worker.list.side",
	}
}

func coordinator() []Point {
	return []Point{
		// saying that it is there
		"coordinator.try.preflight.before", "coordinator.try.preflight.after",
		"coordinator.stat.announcement",
		"coordinator.put.announcement.before", "coordinator.put.announcement.after",
		"coordinator.get.announcement",

		// planning, or going on where another one was
		"coordinator.list.input", "coordinator.open.input", "coordinator.read.input",
		"coordinator.put.job.before", "coordinator.put.job.after",
		"coordinator.get.job",
		"coordinator.list.map-record", "coordinator.get.map-record", "coordinator.stat.map-record",
		"coordinator.list.output", "coordinator.stat.output", "coordinator.get.reduce-record",
		"coordinator.get.owner", "coordinator.put.owner.before", "coordinator.put.owner.after",

		// serving workers
		"coordinator.serve.discover.before", "coordinator.serve.discover.after",
		"coordinator.serve.register.before", "coordinator.serve.register.after",
		"coordinator.serve.poll.before", "coordinator.serve.poll.after",
		"coordinator.serve.heartbeat.before", "coordinator.serve.heartbeat.after",
		"coordinator.serve.report.before", "coordinator.serve.report.after",
		"coordinator.serve.leave.before", "coordinator.serve.leave.after",
		"coordinator.copy.partition.before", "coordinator.copy.partition.after",
		"coordinator.copy.bad.before", "coordinator.copy.bad.after",

		// the event log
		"coordinator.put.events.before", "coordinator.put.events.after",
		"coordinator.get.events", "coordinator.list.events",

		// the end
		"coordinator.list.named", "coordinator.stat.named", "coordinator.copy.named.before", "coordinator.copy.named.after",
		"coordinator.list.control", "coordinator.get.control",
		"coordinator.put.success.before", "coordinator.put.success.after",
		"coordinator.stat.success", "coordinator.get.success",
		"coordinator.stat.job",
	}
}
