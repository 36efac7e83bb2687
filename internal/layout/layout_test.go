package layout

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// allKeys builds one key with every method, a line each.
func allKeys(l Layout) string {
	side, ok := l.Side("mtiming/map-3.start")
	if !ok {
		side = "refused"
	}
	return strings.Join([]string{
		"Prefix          " + l.Prefix(),
		"InputDir        " + l.InputDir(),
		"Input           " + l.Input("books/pg-grimm.txt"),
		"IntermediateDir " + l.IntermediateDir(),
		"Partition       " + l.Partition(12, 3),
		"Packed          " + l.Packed(12),
		"Job             " + l.Job(),
		"Ranges          " + l.Ranges(),
		"Coordinator     " + l.Coordinator(),
		"CommitDir       " + l.CommitDir(),
		"MapCommit       " + l.MapCommit(12),
		"MapAttempt      " + l.MapAttempt(12, "map-12.1", 3),
		"MapAttemptPacked " + l.MapAttemptPacked(12, "map-12.1"),
		"MapAttemptBad   " + l.MapAttemptBad(12, "map-12.1"),
		"ReduceAttempt   " + l.ReduceAttempt(3, "reduce-3.1"),
		"PreflightDir    " + l.PreflightDir(),
		"CodeDir         " + l.CodeDir(),
		"Code            " + l.Code("9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
		"EventsDir       " + l.EventsDir(),
		"Events          " + l.Events(12),
		"SideDir         " + l.SideDir(),
		"Side            " + side,
		"OutputDir       " + l.OutputDir(),
		"Output          " + l.Output(3),
		"BadDir          " + l.BadDir(),
		"Bad             " + l.Bad(12),
		"Success         " + l.Success(),
	}, "\n") + "\n"
}

// TestGolden lists every key: what stands in these files stands in users'
// buckets, so a change of them is a change of the format.
func TestGolden(t *testing.T) {
	for name, prefix := range map[string]string{"root": "", "prefix": "/teams/a b/"} {
		t.Run(name, func(t *testing.T) {
			got := allKeys(New(prefix))
			path := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", path, diff)
			}
		})
	}
}

func TestNew(t *testing.T) {
	for prefix, want := range map[string]string{
		"": "", "/": "", "//": "", "a": "a", "a/": "a", "/a/b/": "a/b", "a//b": "a//b",
	} {
		if got := New(prefix).Prefix(); got != want {
			t.Errorf("New(%q).Prefix() = %q, want %q", prefix, got, want)
		}
		if New(prefix) != New(New(prefix).Prefix()) {
			t.Errorf("New(%q) differs from New of its own prefix", prefix)
		}
	}
	if New("") != (Layout{}) {
		t.Error("the zero value is not the root")
	}
}

func TestParse(t *testing.T) {
	l := New("p")
	index := func(f func(string) (int, bool)) func(string) (any, bool) {
		return func(key string) (any, bool) { return f(key) }
	}
	events := index(l.ParseEvents)
	commit, output, bad, packed := index(l.ParseMapCommit), index(l.ParseOutput), index(l.ParseBad), index(l.ParsePacked)
	part := func(key string) (any, bool) {
		m, r, ok := l.ParsePartition(key)
		return [2]int{m, r}, ok
	}
	input := func(key string) (any, bool) { return l.InputName(key) }
	tests := []struct {
		parse func(string) (any, bool)
		key   string
		want  any // nil is refused
	}{
		{commit, "p/intermediate/_commit/map-0", 0},
		{commit, "p/intermediate/_commit/map-10", 10},
		{commit, "p/intermediate/_commit/map-", nil},
		{commit, "p/intermediate/_commit/map-01", nil},
		{commit, "p/intermediate/_commit/map-+1", nil},
		{commit, "p/intermediate/_commit/map--1", nil},
		{commit, "p/intermediate/_commit/map-1 ", nil},
		{commit, "p/intermediate/_commit/map-1/", nil},
		{commit, "p/intermediate/_commit/map-0x1", nil},
		{commit, "p/intermediate/_commit/map-99999999999999999999", nil},
		{commit, "p/intermediate/_commit/reduce-1", nil},
		{commit, "intermediate/_commit/map-1", nil},
		{commit, "q/p/intermediate/_commit/map-1", nil},
		{events, "p/intermediate/_events/00000001.jsonl.zst", 1},
		{events, "p/intermediate/_events/123456789.jsonl.zst", 123456789},
		{events, "p/intermediate/_events/00000000.jsonl.zst", nil},
		{events, "p/intermediate/_events/1.jsonl.zst", nil},
		{events, "p/intermediate/_events/0000000a.jsonl.zst", nil},
		{events, "p/intermediate/_events/00000001.jsonl", nil},
		{events, "p/00000001.jsonl.zst", nil},
		{part, "p/intermediate/mr-12-3", [2]int{12, 3}},
		{part, "p/intermediate/mr-0-0", [2]int{0, 0}},
		{part, "p/intermediate/mr-12", nil},
		{part, "p/intermediate/mr-12-", nil},
		{part, "p/intermediate/mr--3", nil},
		{part, "p/intermediate/mr-12-03", nil},
		{part, "p/intermediate/mr-1-2-3", nil},
		{part, "p/intermediate/mr-out-3", nil},
		{part, "intermediate/mr-1-3", nil},
		{part, "", nil},
		{packed, "p/intermediate/00/mr-0", 0},
		{packed, "p/intermediate/6a/mr-12", 12},
		{packed, "p/intermediate/6A/mr-12", nil},
		{packed, "p/intermediate/6b/mr-12", nil},
		{packed, "p/intermediate/6a/mr-012", nil},
		{packed, "p/intermediate/6a/mr-12-3", nil},
		{packed, "p/intermediate/6a/mr-12-", nil},
		{packed, "p/intermediate/6a/mr--12", nil},
		{packed, "p/intermediate/6a/mr-", nil},
		{packed, "p/intermediate/6a/", nil},
		{packed, "p/intermediate//mr-12", nil},
		{packed, "p/intermediate/mr-12", nil},
		{packed, "intermediate/6a/mr-12", nil},
		{packed, "mr-12", nil},
		{packed, "", nil},
		{bad, "p/output/_bad/map-7", 7},
		{bad, "p/output/_bad/map-7-x", nil},
		{bad, "p/output/_bad/map-", nil},
		{bad, "output/_bad/map-7", nil},
		{output, "p/output/mr-out-7", 7},
		{output, "p/output/mr-out-7.tmp", nil},
		{output, "p/output/_SUCCESS", nil},
		{output, "output/mr-out-7", nil},
		{input, "p/input/a", "a"},
		{input, "p/input/a/b", "a/b"},
		{input, "p/input//a", "/a"},
		{input, "p/input/", nil},
		{input, "p/input/a/", nil},
		{input, "p/output/a", nil},
		{input, "input/a", nil},
	}
	for _, tt := range tests {
		got, ok := tt.parse(tt.key)
		if ok != (tt.want != nil) || ok && got != tt.want {
			t.Errorf("parse(%q) = %v, %v, want %v", tt.key, got, ok, tt.want)
		}
	}
}

func TestSide(t *testing.T) {
	l := New("p")
	for name, ok := range map[string]bool{
		"a": true, "A-z_0.9": true, "a/b/c.d": true, "...": true, "..a": true, ".a": true,
		"": false, ".": false, "..": false, "/": false, "/a": false, "a/": false, "a//b": false, "../a": false,
		"a/../b": false, "a/./b": false, "./a": false, "a b": false, "ä": false, "a\x00": false, "a\\b": false,
		"a\xff": false, "a:b": false,
	} {
		key, got := l.Side(name)
		if got != ok || ok && key != l.SideDir()+name || !ok && key != "" {
			t.Errorf("Side(%q) = %q, %v, want %v", name, key, got, ok)
		}
	}
}

// TestFolders: packed objects spread evenly, and those of tasks that follow on
// each other over all that a store may have split the keys into.
func TestFolders(t *testing.T) {
	count := map[string]int{}
	for m := range 5821 {
		count[folder(m)]++
	}
	for f, n := range count {
		if n < 20 || n > 25 {
			t.Errorf("%d tasks of 5,821 are in %s", n, f)
		}
	}
	if len(count) != 256 {
		t.Errorf("%d folders", len(count))
	}
	for first := range 1000 {
		digits := map[byte]bool{}
		for m := first; m < first+16; m++ {
			digits[folder(m)[0]] = true
		}
		if len(digits) < 10 {
			t.Errorf("16 tasks from %d on have %d first digits", first, len(digits))
		}
	}
}

// TestDistinct: no two things share a key, whatever their numbers.
func TestDistinct(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := New(rapid.StringMatching(`[a-z/]{0,5}`).Draw(t, "prefix"))
		num := rapid.IntRange(0, 120)
		id := rapid.StringMatching(`[a-z0-9.-]{1,4}`)
		build := func(what string) (string, []any) {
			m, r := num.Draw(t, "m"), num.Draw(t, "r")
			switch what {
			case "partition":
				return l.Partition(m, r), []any{what, m, r}
			case "packed":
				return l.Packed(m), []any{what, m}
			case "attempt's packed":
				a := id.Draw(t, "attempt")
				return l.MapAttemptPacked(m, a), []any{what, m, a}
			case "commit":
				return l.MapCommit(m), []any{what, m}
			case "map attempt":
				a := id.Draw(t, "attempt")
				return l.MapAttempt(m, a, r), []any{what, m, r, a}
			case "bad":
				return l.Bad(m), []any{what, m}
			case "attempt's bad":
				a := id.Draw(t, "attempt")
				return l.MapAttemptBad(m, a), []any{what, m, a}
			case "reduce attempt":
				a := id.Draw(t, "attempt")
				return l.ReduceAttempt(r, a), []any{what, r, a}
			}
			return l.Output(r), []any{what, r}
		}
		kind := rapid.SampledFrom([]string{"partition", "packed", "attempt's packed", "commit", "map attempt", "bad", "attempt's bad", "reduce attempt", "output"})
		k1, what1 := build(kind.Draw(t, "kind"))
		k2, what2 := build(kind.Draw(t, "kind"))
		if (k1 == k2) != cmp.Equal(what1, what2) {
			t.Fatalf("%v has key %q, %v has key %q", what1, k1, what2, k2)
		}
	})
}

// FuzzRoundTrip: parse is the inverse of build in both directions.
func FuzzRoundTrip(f *testing.F) {
	f.Add("", "a.txt", 0)
	f.Add("p/q", "output/mr-out-1", 1<<31)
	f.Add("input", "input/", -1)
	f.Fuzz(func(t *testing.T, prefix, name string, n int) {
		l := New(prefix)
		if n >= 0 {
			if m, ok := l.ParseMapCommit(l.MapCommit(n)); !ok || m != n {
				t.Errorf("ParseMapCommit(MapCommit(%d)) = %d, %v", n, m, ok)
			}
			if m, r, ok := l.ParsePartition(l.Partition(n, n/2)); !ok || m != n || r != n/2 {
				t.Errorf("ParsePartition(Partition(%d, %d)) = %d, %d, %v", n, n/2, m, r, ok)
			}
			if m, ok := l.ParsePacked(l.Packed(n)); !ok || m != n {
				t.Errorf("ParsePacked(Packed(%d)) = %d, %v", n, m, ok)
			}
			if m, ok := l.ParseBad(l.Bad(n)); !ok || m != n {
				t.Errorf("ParseBad(Bad(%d)) = %d, %v", n, m, ok)
			}
			if r, ok := l.ParseOutput(l.Output(n)); !ok || r != n {
				t.Errorf("ParseOutput(Output(%d)) = %d, %v", n, r, ok)
			}
		}
		if name != "" && !strings.HasSuffix(name, "/") {
			if got, ok := l.InputName(l.Input(name)); !ok || got != name {
				t.Errorf("InputName(Input(%q)) = %q, %v", name, got, ok)
			}
		}
		// The other way, name being any key at all.
		if got, ok := l.InputName(name); ok && l.Input(got) != name {
			t.Errorf("InputName(%q) = %q", name, got)
		}
		if got, ok := l.ParseMapCommit(name); ok && l.MapCommit(got) != name {
			t.Errorf("ParseMapCommit(%q) = %d", name, got)
		}
		if m, r, ok := l.ParsePartition(name); ok && l.Partition(m, r) != name {
			t.Errorf("ParsePartition(%q) = %d, %d", name, m, r)
		}
		if got, ok := l.ParsePacked(name); ok && l.Packed(got) != name {
			t.Errorf("ParsePacked(%q) = %d", name, got)
		}
		if got, ok := l.ParseOutput(name); ok && l.Output(got) != name {
			t.Errorf("ParseOutput(%q) = %d", name, got)
		}
		if got, ok := l.ParseBad(name); ok && l.Bad(got) != name {
			t.Errorf("ParseBad(%q) = %d", name, got)
		}
		if key, ok := l.Side(name); ok && key != l.SideDir()+name {
			t.Errorf("Side(%q) = %q", name, key)
		}
	})
}

// TestParseAttempt: each name of an attempt comes back, and no other key is
// taken for one.
func TestParseAttempt(t *testing.T) {
	l := New("p")
	type parsed struct {
		reduce  bool
		task    int
		attempt string
		part    int
	}
	for key, want := range map[string]parsed{
		l.MapAttempt(3, "e.m3.1", 7):    {false, 3, "e.m3.1", 7},
		l.MapAttemptPacked(3, "e.m3.1"): {false, 3, "e.m3.1", -1},
		l.MapAttemptBad(0, "x"):         {false, 0, "x", -1},
		l.ReduceAttempt(12, "e.r12.1"):  {true, 12, "e.r12.1", -1},
	} {
		reduce, task, attempt, part, ok := l.ParseAttempt(key)
		if got := (parsed{reduce, task, attempt, part}); !ok || got != want {
			t.Errorf("%s: %+v, %v, want %+v", key, got, ok, want)
		}
	}
	for _, name := range []string{
		"", "x", "map-0", "map-0/", "map-0/a", "map-0/a/", "map-0/a/x", "map-0/a/01", "map-0/a/-1", "map-0/a/0/0", "map-0//0", "map-x/a/0",
		"reduce-0", "reduce-0/", "reduce-0/a/b", "reduce-x/a", "reduce-01/a", "map-01/a/0",
	} {
		if _, _, _, _, ok := l.ParseAttempt(l.AttemptsDir() + name); ok {
			t.Errorf("%q is taken for what an attempt writes", name)
		}
	}
	if _, _, _, _, ok := l.ParseAttempt("q/intermediate/_attempts/reduce-0/a"); ok {
		t.Error("a key of another prefix is taken for what an attempt writes")
	}
}

func TestValidBucket(t *testing.T) {
	for name, want := range map[string]bool{
		"logs": true, "a-b.c-0": true, "abc": true, strings.Repeat("a", 63): true,
		"": false, "ab": false, strings.Repeat("a", 64): false, "Logs": false, "a_b": false, "a/b": false, "a..b": false,
		"-ab": false, "ab-": false, ".ab": false, "ab.": false, "a@b.c": false, "a?b": false, "a b": false, "a\x00b": false, "läge": false,
	} {
		if got := ValidBucket(name); got != want {
			t.Errorf("%q: %t", name, got)
		}
	}
}

// TestOutputElsewhere: with a place of its own for the output, outputs, summary and owner
// lie there and all else where it was. No key of the job's own folders lies in the place,
// whatever the prefixes are.
func TestOutputElsewhere(t *testing.T) {
	for _, prefix := range []string{"", "a", "a/b"} {
		for _, dir := range []string{"a/", "a/b/", "c/"} {
			own := New(prefix)
			l := own.WithOutput("results", dir)
			for key, want := range map[string]string{
				l.Output(3): dir + "mr-out-3", l.Success(): dir + "_SUCCESS", l.Owner(): dir + "_owner.json", l.OutputDir(): dir,
			} {
				if key != want || !l.Outside(key) || own.Outside(key) {
					t.Errorf("prefix %q: %s, want %s; outside: %t, %t", prefix, key, want, l.Outside(key), own.Outside(key))
				}
			}
			if r, ok := l.ParseOutput(dir + "mr-out-12"); !ok || r != 12 {
				t.Errorf("%d, %t", r, ok)
			}
			for key, want := range map[string]string{
				l.Job(): own.Job(), l.MapCommit(1): own.MapCommit(1), l.ReduceAttempt(1, "x"): own.ReduceAttempt(1, "x"), l.Bad(2): own.Bad(2),
				l.Partition(1, 2): own.Partition(1, 2), l.Packed(3): own.Packed(3), l.Input("mr-out-1"): own.Input("mr-out-1"), l.InputDir(): own.InputDir(),
				l.OwnOutputDir(): own.OutputDir(), l.IntermediateDir(): own.IntermediateDir(), l.CommitDir(): own.CommitDir(),
			} {
				if key != want || l.Outside(key) {
					t.Errorf("prefix %q, place %q: %s, want %s; outside: %t", prefix, dir, key, want, l.Outside(key))
				}
			}
			if l.WithOutput("", "") != own {
				t.Error("no place is another layout than that of the job")
			}
		}
	}
}
