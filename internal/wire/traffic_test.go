package wire

import (
	"testing"

	"github.com/mraws/mraws/internal/object"
)

// TestTrafficIsCopied: a message is sent while its counts go on.
func TestTrafficIsCopied(t *testing.T) {
	counts := object.Traffic{Requests: map[string]int64{"GetObject": 1}}
	sent := NewTraffic(counts)
	counts.Add(object.Traffic{Requests: map[string]int64{"GetObject": 1, "PutObject": 1}})
	if len(sent.Requests) != 1 || sent.Requests["GetObject"] != 1 {
		t.Errorf("the message counts on: %v", sent.Requests)
	}
}
