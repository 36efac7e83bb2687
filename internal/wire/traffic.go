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
