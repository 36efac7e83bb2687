package cmd

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/mraws/mraws/internal/runner/execrunner"
	"github.com/mraws/mraws/internal/s3fs"
)

// TestSampler: processor time never runs backwards, the part of it is within what the
// cores give, and two samples at once are one.
func TestSampler(t *testing.T) {
	st, err := s3fs.Open(t.Context(), s3fs.Options{Bucket: "b", Region: "us-east-1", Endpoint: "http://127.0.0.1:1", AccessKey: "a", SecretKey: "s"})
	if err != nil {
		t.Fatal(err)
	}
	m := &sampler{host: execrunner.NewHost(execrunner.Options{}), store: st, scratch: t.TempDir()}
	first := m.sample()
	if first.CPUSeconds <= 0 || first.CPUPercent != 0 || first.Cores < 1 || first.MemoryBytes <= 0 || first.ScratchFreeBytes == nil || *first.ScratchFreeBytes <= 0 {
		t.Errorf("%+v", first)
	}
	if m.sample() != first {
		t.Error("another sample within a second")
	}
	m.at = m.at.Add(-time.Hour)
	m.last.CPUSeconds += 1e6 // as of a process that was missed this time
	m.scratch = filepath.Join(m.scratch, "none")
	if s := m.sample(); s == first || s.CPUSeconds != first.CPUSeconds || s.CPUPercent != 0 || s.ScratchFreeBytes != nil {
		t.Errorf("%+v after %+v", s, first)
	}
	m.at = m.at.Add(-time.Second)
	m.last.CPUSeconds = 0
	if s := m.sample(); s.CPUPercent <= 0 || s.CPUPercent > 100*float64(s.Cores) {
		t.Errorf("%+v", s)
	}
}
