package trace

// Variable names, in programs built with -tags failpoint, the file to which
// each process appends what it tells, a line of JSON for each event. Processes
// of one machine may share the file: a line is written before the process goes
// on, so that a later line tells of nothing that an earlier one depends on.
const Variable = "MRAWS_TRACE"
