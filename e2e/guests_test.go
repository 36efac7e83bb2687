//go:build guests

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestWasmGuests: the examples in C, Rust and Go, which scripts/guests.sh has built
// into the folder MRAWS_GUESTS, count the words of a text in ASCII as the app wc does.
func TestWasmGuests(t *testing.T) {
	dir := os.Getenv("MRAWS_GUESTS")
	if dir == "" {
		t.Fatal("MRAWS_GUESTS is not set: run scripts/guests.sh")
	}
	b := newPlainFixture(t)
	var text strings.Builder
	for _, c := range book(3) + strings.Repeat("a long line of one word ", 10_000) + "\n" {
		if c < 0x80 {
			text.WriteRune(c)
		}
	}
	input := b.write("in.txt", text.String(), 0o644)
	counts := func(app string) string {
		prefix := newPrefix()
		b.run(0, "run", "--app", app, "--prefix", prefix, "--nreduce", "1", "--verify", "--out", prefix, input)
		out, err := os.ReadFile(filepath.Join(b.dir, prefix, "mr-out-0"))
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	want := counts("wc")
	if strings.Count(want, "\n") < 100 {
		t.Fatalf("the app counts %q", want)
	}
	for _, guest := range []string{"c", "rust", "go"} {
		if diff := cmp.Diff(want, counts(filepath.Join(dir, guest+".wasm"))); diff != "" {
			t.Errorf("%s: -want +got:\n%s", guest, diff)
		}
	}
}
