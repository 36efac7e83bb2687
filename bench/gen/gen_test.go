package gen

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSameEverywhere pins the bytes: a change of one makes all figures ever
// measured incomparable, and needs another name of the input.
func TestSameEverywhere(t *testing.T) {
	cases := []struct {
		name string
		fill func(io.Writer) error
		want string
	}{
		{"text", func(w io.Writer) error { return Text(w, 100_000, 3000, 1) }, "8bf1a4dd06dda196"},
		{"records", func(w io.Writer) error { return Records(w, 1000, 0, 2) }, "7db41e4804d7d108"},
		{"hot", func(w io.Writer) error { return Records(w, 1000, 0.5, 2) }, "47f459daee684676"},
		{"needles", func(w io.Writer) error { return Needles(w, 1000, 3) }, "d6010218c2807ebc"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := sha256.New()
			if err := c.fill(h); err != nil {
				t.Fatal(err)
			}
			if got := hex.EncodeToString(h.Sum(nil))[:16]; got != c.want {
				t.Errorf("SHA-256 begins with %s, want %s", got, c.want)
			}
		})
	}
}

func TestShapes(t *testing.T) {
	words := Words(5000, 1)
	seen := map[string]bool{}
	for _, w := range words {
		if seen[w] || w == "" || strings.Trim(w, "abcdefghijklmnopqrstuvwxyz") != "" {
			t.Fatalf("word %q is no new word", w)
		}
		seen[w] = true
	}
	var b bytes.Buffer
	if err := Records(&b, 500, 0.5, 1); err != nil {
		t.Fatal(err)
	}
	hot := 0
	for i := range 500 {
		rec := b.Bytes()[i*Record : (i+1)*Record]
		if bytes.IndexByte(rec, '\n') != Record-1 {
			t.Fatalf("record %d does not end with its only line end: %q", i, rec)
		}
		if bytes.HasPrefix(rec, []byte("hot key 00")) {
			hot++
		}
	}
	if hot < 200 || hot > 300 {
		t.Errorf("%d of 500 records are hot, want about half", hot)
	}
	b.Reset()
	if err := Needles(&b, 400_000, 1); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b.Bytes(), []byte(Needle)); n < 1 || n > 15 {
		t.Errorf("%d needles in 400,000 records, want about 4", n)
	}
	dir := t.TempDir()
	if err := Small(dir, 3, 1); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "000", "doc-*.txt"))
	if err != nil || len(names) != 3 {
		t.Fatalf("%v, %v: want three files", names, err)
	}
	for _, n := range names {
		if s, err := os.Stat(n); err != nil || s.Size() < 2000 || s.Size() > 14_200 {
			t.Errorf("%s: %v, %v", n, s, err)
		}
	}
}
