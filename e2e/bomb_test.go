//go:build !interop

package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/manifest"
)

// TestBomb: objects that become far too much end the job soon and within the
// worker's memory.
func TestBomb(t *testing.T) {
	lines := gzipped(t, strings.Repeat(strings.Repeat("x", 4095)+"\n", 2048))
	zeros := gzipped(t, string(make([]byte, 64*mib)))
	for name, tc := range map[string]struct {
		data    []byte
		largest int64 // record, bytes
		says    []string
	}{
		"lines": {bytes.Repeat(lines, 140), 4096, []string{fmt.Sprintf("%d decompressed: it decompresses to more than the limit\n", manifest.DecompressFloor), "hint: if the object is sound, raise --decompress-ratio or --decompress-limit"}},
		"zeros": {bytes.Repeat(zeros, 100), 64 * mib, []string{"record at byte 0 of bomb.gz is longer than"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newHeavyFixture(t)
			b.upload(map[string][]byte{"bomb.gz": tc.data})
			c, address := b.coordinator("--app", "wc", "--nreduce", "1")
			w := b.start("worker", "--coord", address, "--app", "wc", "--slots", "1", "--memory", "64MiB")
			peak := b.peakMemory(w)
			for _, p := range []*process{c, w} {
				if code := b.exit(p); code != 4 {
					t.Fatalf("mraws %s: exit code %d", p.name, code)
				}
			}
			wants(t, c.errout.String(), append(tc.says, "bomb.gz")...)
			if most := maxMemory(64*mib, tc.largest); peak() > most {
				t.Errorf("the worker took %d MiB, want at most %d", peak()/mib, most/mib)
			}
			t.Logf("%d bytes, the worker took %d MiB", len(tc.data), peak()/mib)
		})
	}
}
