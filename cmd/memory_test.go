package cmd

import (
	"errors"
	"os"
	"os/exec"
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

// TestDelayCollector: the collector runs when the heap has some size, and as usual once it
// is full of what is live. Who else sets GOGC keeps it. It has a process of its own: what
// lives in that of the other tests is not little.
func TestDelayCollector(t *testing.T) {
	const alone = "TEST_DELAY_COLLECTOR"
	if os.Getenv(alone) == "" {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		c := exec.CommandContext(t.Context(), self, "-test.run=^TestDelayCollector$")
		c.Env = append(os.Environ(), alone+"=1")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	percent := func() int {
		s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(s)
		return int(s[0].Value.Uint64())
	}
	collectUntil := func(what string, ok func(percent int) bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !ok(percent()); runtime.GC() {
			if time.Now().After(end) {
				t.Fatalf("%s: GOGC is %d after runs of the collector", what, percent())
			}
		}
	}
	defer debug.SetGCPercent(debug.SetGCPercent(usualGC))
	if delayCollector(16 << 20); percent() != usualGC {
		t.Errorf("with a small budget GOGC is %d", percent())
	}
	if delayCollector(128 << 20); percent() != 800 {
		t.Errorf("GOGC is %d, want 800 for a first heap of 32 MiB", percent())
	}
	live := make([]byte, 40<<20)
	collectUntil("with 40 MiB that live", func(percent int) bool { return percent == usualGC })
	runtime.KeepAlive(live)
	collectUntil("with little that lives", func(percent int) bool { return percent > usualGC && percent != 800 })
	debug.SetGCPercent(77)
	for range 3 {
		runtime.GC()
	}
	if delayCollector(1 << 30); percent() != 1600 {
		t.Errorf("GOGC is %d, want 1600 for a first heap of 64 MiB", percent())
	}
	collectUntil("of two that delay", func(percent int) bool { return percent != 1600 })
}
