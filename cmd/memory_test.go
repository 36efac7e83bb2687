package cmd

import (
	"errors"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"
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
		if got := (&budget{memory: memory}).cores(); got < 1 || got > most {
			t.Errorf("%d slots with %d bytes, want at most %d", got, memory, most)
		}
	}
}

// TestDelayCollector: the first run of the collector comes late, and then it
// runs as usual.
func TestDelayCollector(t *testing.T) {
	percent := func() int {
		s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(s)
		return int(s[0].Value.Uint64())
	}
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	if delayCollector(16 << 20); percent() != 100 {
		t.Errorf("with a small budget GOGC is %d", percent())
	}
	if delayCollector(128 << 20); percent() != 800 {
		t.Errorf("GOGC is %d, want 800 for a first heap of 32 MiB", percent())
	}
	for end := time.Now().Add(time.Minute); percent() != 100; {
		if time.Now().After(end) {
			t.Fatalf("GOGC is %d after runs of the collector", percent())
		}
		runtime.GC()
	}
}
