package main

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/bench/gen"
)

func TestForms(t *testing.T) {
	read := func(f form, text string) (digest, error) {
		name := filepath.Join(t.TempDir(), "result")
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return f.read(name)
	}
	same := []struct {
		name string
		f, g form
		a, b string
	}{
		{"order", words, words, "a 1\nb 2\n", "b 2\na 1\n"},
		{"uniq", words, countsFirst, "a 1\nbc 22\n", "      9 \n     22 bc\n      1 a\n"},
		{"grep", matches, matches, "books/a 3:x y\nbooks/a 12:z\n", "3:x y\n12:z\n"},
	}
	for _, c := range same {
		a, err := read(c.f, c.a)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := read(c.g, c.b); err != nil || a != b {
			t.Errorf("%s: %v and %v, %v: want the same", c.name, a, b, err)
		}
	}
	a, _ := read(words, "a 1\nb 2\n")
	if b, err := read(words, "a 1\nb 3\n"); err != nil || a == b {
		t.Errorf("other counts have the same digest %v, %v", b, err)
	}
	if _, err := read(sorted, "b\na\n"); err == nil {
		t.Error("lines out of order are taken for sorted")
	}
	if d, err := read(sorted, "a\na\nb\n"); err != nil || d.lines != 3 {
		t.Errorf("%v, %v: want 3 lines", d, err)
	}
}

// TestCounts compares the yardstick's word count with a map.
func TestCounts(t *testing.T) {
	var b bytes.Buffer
	if err := gen.Text(&b, 300_000, 20_000, 7); err != nil {
		t.Fatal(err)
	}
	b.WriteString(strings.Repeat("x", 40) + " " + strings.Repeat("x", 41) + " last")
	text := b.Bytes()
	want := map[string]uint64{}
	for _, w := range bytes.FieldsFunc(text, func(r rune) bool { return r > 127 || !letter[r] }) {
		want[string(w)]++
	}
	got := newCounts()
	r := rand.New(rand.NewPCG(1, 2))
	for off := 0; off < len(text); { // cut anywhere, also within words
		end := min(off+1+r.IntN(5000), len(text))
		got.count(text, off, end)
		off = end
	}
	all := map[string]uint64{}
	for i := range got.cells {
		if c := &got.cells[i]; c.n > 0 {
			var w []byte
			if c.length > 16 {
				w = got.word(c)
			} else {
				w = make([]byte, 16)
				for j := range 8 {
					w[j], w[8+j] = byte(c.lo>>(8*j)), byte(c.hi>>(8*j))
				}
				w = w[:c.length]
			}
			all[string(w)] = c.n
		}
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("counts differ (-want +got):\n%s", diff)
	}
}

func TestExecute(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	run, err := execute(context.Background(), os.Environ(), "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; echo $i", out, time.Minute)
	if err != nil || run.Wall <= 0 || run.CPU <= 0 {
		t.Errorf("%+v, %v: want times above 0", run, err)
	}
	if text, err := os.ReadFile(out); err != nil || string(text) != "2000\n" {
		t.Errorf("printed %q, %v", text, err)
	}
	if _, err := execute(context.Background(), os.Environ(), "echo oh no >&2; exit 3", out, time.Minute); err == nil || !strings.Contains(err.Error(), "oh no") {
		t.Errorf("%v: want what the command complained of", err)
	}
	start := time.Now()
	if _, err := execute(context.Background(), os.Environ(), "sleep 1000 & wait", out, 50*time.Millisecond); err == nil || time.Since(start) > time.Minute {
		t.Errorf("%v after %s: want an end by the limit, children included", err, time.Since(start))
	}
}

func TestVerdicts(t *testing.T) {
	us := &Entry{Name: "mraws", Runs: []Run{{Wall: 1, CPU: 2, Peak: 300 << 20}, {Wall: 2, CPU: 2, Peak: 100 << 20}, {Wall: 1.5, CPU: 4, Peak: 200 << 20}}}
	other := &Entry{Name: "other", Runs: []Run{{Wall: 10, CPU: 4}, {Wall: 10, CPU: 4}, {Wall: 10, CPU: 4}}}
	absent := &Entry{Name: "absent", Note: "missing: it"}
	r := &Result{Bytes: 2 * gb, Contestants: []*Entry{us, other, absent}}
	r.sum([]target{{wall, "other", 0.15}, {cpu, "other", 0.4}, {perGB, "", 1}, {peakMiB, "", 150}, {wallS, "", 2}, {slower, "other", 5}, {wall, "absent", 1}})
	want := []Verdict{
		{wall, "other", 0.15, 0.15, true}, {cpu, "other", 0.4, 0.5, false}, {perGB, "", 1, 1, true}, {peakMiB, "", 150, 200, false},
		{wallS, "", 2, 1.5, true}, {slower, "other", 5, 1 / 0.15, false}, {wall, "absent", 1, 0, false},
	}
	if diff := cmp.Diff(want, r.Targets); diff != "" {
		t.Errorf("verdicts differ (-want +got):\n%s", diff)
	}
}

// TestWorkloads holds that targets speak of contestants that there are.
func TestWorkloads(t *testing.T) {
	for _, w := range workloads(1) {
		names := map[string]bool{"": true}
		for _, c := range w.contestants {
			names[c.name] = true
		}
		if w.contestants[0].name != "mraws" {
			t.Errorf("%s: mraws does not come first", w.name)
		}
		for _, v := range w.targets {
			if !names[v.against] {
				t.Errorf("%s: target against %s, who does not take part", w.name, v.against)
			}
		}
	}
}

// TestOlderInPlaceOfPeers holds that with an older mraws each job is followed
// by the same one of the older program, and that nobody else takes part.
func TestOlderInPlaceOfPeers(t *testing.T) {
	o := &options{scale: 1, before: "old"}
	for _, w := range o.workloads() {
		if len(w.contestants) == 0 || len(w.contestants)%2 != 0 || w.targets != nil {
			t.Fatalf("%s: %d contestants, %d targets", w.name, len(w.contestants), len(w.targets))
		}
		for i := 0; i < len(w.contestants); i += 2 {
			now, before := w.contestants[i], w.contestants[i+1]
			if before.name != now.name+" before" || before.command != strings.ReplaceAll(now.command, "$MRAWS", "$BEFORE") || before.command == now.command {
				t.Errorf("%s: %q runs %q after %q, which runs %q", w.name, before.name, before.command, now.name, now.command)
			}
		}
	}
}
