package cmd

import (
	"errors"
	"testing"
)

// TestAutoMemory: what is too little is refused with the limit, where it comes
// from, and what is enough; and that is enough.
func TestAutoMemory(t *testing.T) {
	const mib = 1 << 20
	if got, err := autoMemory(104*mib, "/f"); got != 32*mib || err != nil {
		t.Errorf("of 104 MiB: %d, %v", got, err)
	}
	for _, limit := range []int64{1, 64 * mib, 104*mib - 5} {
		_, err := autoMemory(limit, "/f")
		var e *Error
		if !errors.As(err, &e) || e.Code != ExitUsage {
			t.Errorf("of %d bytes: %v", limit, err)
		}
	}
	_, err := autoMemory(80*mib, "/f")
	if want := "too little memory: /f allows 80MiB, --memory auto needs 104MiB"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestCores(t *testing.T) {
	for memory, most := range map[int64]int{32 << 20: 3, 1: 1} {
		if got := (&session{memory: memory}).cores(); got < 1 || got > most {
			t.Errorf("%d slots with %d bytes, want at most %d", got, memory, most)
		}
	}
}
