package trace

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestRead: what is written is read, in order, and what is no event is an
// error that says which line.
func TestRead(t *testing.T) {
	want := []Event{
		{Kind: LeaseAcquired, At: time.Unix(5, 7).UTC(), Coordinator: "e", From: "d", Cause: Expired, Lasts: time.Second},
		{Kind: Granted, At: time.Unix(6, 0).UTC(), Coordinator: "e", Job: "j", Phase: "map", Attempt: "e.m0.1", Worker: "w", Speculative: true, Again: true},
		{Kind: AttemptRan, At: time.Unix(7, 0).UTC(), Job: "j", Phase: "reduce", Task: 3, Attempt: "e.r3.1", Object: "output/mr-out-3", Bytes: 9, Outcome: Committed},
		{Kind: JobPlanned, At: time.Unix(8, 0).UTC(), Maps: 2, Reduces: 3},
	}
	var text strings.Builder
	for _, e := range want {
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		text.Write(append(line, '\n'))
	}
	got, err := Read(strings.NewReader(text.String()))
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Error(err, d)
	}
	for _, other := range []string{"{", `{"kind":"granted","tusk":1}`} {
		if _, err := Read(strings.NewReader(text.String() + other)); err == nil || !strings.Contains(err.Error(), "event 5") {
			t.Errorf("%s: %v", other, err)
		}
	}
}

// TestTell: nobody listens by default, and an event has a time.
func TestTell(t *testing.T) {
	Listener(nil).Tell(Event{Kind: Ticked})
	var got Event
	Listener(func(e Event) { got = e }).Tell(Event{Kind: Ticked})
	if got.At.IsZero() || got.Kind != Ticked {
		t.Errorf("%+v", got)
	}
}

// TestBoth: either may be nobody, and two hear the same.
func TestBoth(t *testing.T) {
	var a, b int
	one, two := Listener(func(Event) { a++ }), Listener(func(Event) { b++ })
	if Both(nil, nil) != nil {
		t.Error("somebody listens")
	}
	Both(one, nil).Tell(Event{})
	Both(nil, two).Tell(Event{})
	Both(one, two).Tell(Event{})
	if a != 2 || b != 2 {
		t.Errorf("heard %d and %d times", a, b)
	}
}
