package object

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestTally: the traffic of a part of some work is counted by the part and by the whole.
func TestTally(t *testing.T) {
	var whole, part, other Tally
	ctx := WithTally(t.Context(), &whole)
	inner := WithTally(ctx, &part)
	TalliesOf(inner).Request("PutObject")
	TalliesOf(inner).Sent(10)
	TalliesOf(WithTally(ctx, &other)).Received(3)
	TalliesOf(ctx).Request("GetObject")
	TalliesOf(t.Context()).Request("GetObject") // by nobody
	for _, tt := range []struct {
		name string
		of   *Tally
		want Traffic
	}{
		{"whole", &whole, Traffic{Requests: map[string]int64{"PutObject": 1, "GetObject": 1}, Sent: 10, Received: 3}},
		{"part", &part, Traffic{Requests: map[string]int64{"PutObject": 1}, Sent: 10}},
		{"other", &other, Traffic{Received: 3}},
	} {
		if d := cmp.Diff(tt.want, tt.of.Traffic()); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
	if d := cmp.Diff(part.Traffic(), TrafficOf(inner)); d != "" {
		t.Errorf("of the context (-want +got):\n%s", d)
	}
	if got := TrafficOf(t.Context()); !got.IsZero() {
		t.Errorf("of a context without a tally: %+v", got)
	}
}

// TestTrafficSum: what is added and taken away again leaves nothing.
func TestTrafficSum(t *testing.T) {
	a := Traffic{Requests: map[string]int64{"GetObject": 2}, Sent: 1}
	b := Traffic{Requests: map[string]int64{"GetObject": 1, "PutObject": 3}, Received: 7}
	sum := a.Clone()
	sum.Add(b)
	if sum.Count() != 6 || sum.Sent != 1 || sum.Received != 7 || a.Count() != 2 {
		t.Errorf("%+v of %+v", sum, a)
	}
	if sum.Sub(b); !cmp.Equal(sum, a) {
		t.Errorf("%+v, want %+v", sum, a)
	}
	if sum.Sub(a); !sum.IsZero() {
		t.Errorf("%+v is left", sum)
	}
}
