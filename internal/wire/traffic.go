package wire

import "github.com/mraws/mraws/internal/object"

// NewTraffic is a copy of t as a message, nil for none: it is sent while t counts on.
func NewTraffic(t object.Traffic) *Traffic {
	if t.IsZero() {
		return nil
	}
	t = t.Clone()
	return &Traffic{Requests: t.Requests, Sent: t.Sent, Received: t.Received}
}

// Object returns what the message says.
func (t *Traffic) Object() object.Traffic {
	return object.Traffic{Requests: t.GetRequests(), Sent: t.GetSent(), Received: t.GetReceived()}
}

// NewSample is s as a message, nil for none.
func NewSample(s *object.Sample) *Sample {
	if s == nil {
		return nil
	}
	return &Sample{
		CpuMs: int64(s.CPUSeconds * 1000), CpuPercent: s.CPUPercent, Cores: int32(s.Cores), MemoryBytes: s.MemoryBytes, ScratchFreeBytes: s.ScratchFreeBytes,
		S3Requests: s.S3Requests, S3Throttled: s.S3Throttled, S3UsP50: int64(s.S3P50 * 1000), S3UsP95: int64(s.S3P95 * 1000),
	}
}

// Object returns what the message says, nil for none.
func (s *Sample) Object() *object.Sample {
	if s == nil {
		return nil
	}
	return &object.Sample{
		CPUSeconds: float64(s.CpuMs) / 1000, CPUPercent: s.CpuPercent, Cores: int(s.Cores), MemoryBytes: s.MemoryBytes, ScratchFreeBytes: s.ScratchFreeBytes,
		S3Requests: s.S3Requests, S3Throttled: s.S3Throttled, S3P50: float64(s.S3UsP50) / 1000, S3P95: float64(s.S3UsP95) / 1000,
	}
}
