package object

// Sample is what the process of a worker takes of its machine and of S3, by its word.
// JSON is that of the event log and of the status.
type Sample struct {
	// CPUSeconds is the processor time since the process started, of itself and of what it
	// has started, and CPUPercent that since the sample before, where 100 is one core.
	CPUSeconds       float64 `json:"cpu_seconds"`
	CPUPercent       float64 `json:"cpu_percent"`
	Cores            int     `json:"cores"` // that it may use
	MemoryBytes      int64   `json:"memory_bytes"`
	ScratchFreeBytes *int64  `json:"scratch_free_bytes,omitempty"` // nil if it is not known
	S3Requests       int64   `json:"s3_requests"`                  // since the process started
	S3Throttled      int64   `json:"s3_throttled"`                 // replies that asked for fewer of them
	// S3P50 and S3P95 are milliseconds: half of the requests since the sample before, and 95%
	// of them, had waited at most so long for the headers of their replies. 0 if there were none.
	S3P50 float64 `json:"s3_ms_p50,omitempty"`
	S3P95 float64 `json:"s3_ms_p95,omitempty"`
}
