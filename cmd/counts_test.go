package cmd

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/coordinator/sched"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/status"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/internal/worker"
)

// wordsOfCounts reads the table of docs/operations.md: where each word stands.
func wordsOfCounts(t *testing.T) map[string][]string {
	t.Helper()
	doc, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(doc), "\n## Words of counts\n")
	section, _, _ = strings.Cut(section, "\n## ")
	words := map[string][]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `(\\w+)` \\|.*\\| ([^|]+) \\|$").FindAllStringSubmatch(section, -1) {
		words[row[1]] = strings.Split(strings.ReplaceAll(row[2], "`", ""), ", ")
	}
	if len(words) < 15 {
		t.Fatalf("only %d words are in the table", len(words))
	}
	return words
}

// having lists the words that stand in a place, in order.
func having(words map[string][]string, place string) (all []string) {
	for word, places := range words {
		if slices.Contains(places, place) {
			all = append(all, word)
		}
	}
	slices.Sort(all)
	return all
}

// fields lists the names of a struct's fields in the form of JSON, in order.
func fields(v any) (names []string) {
	for i := range reflect.TypeOf(v).NumField() {
		f := reflect.TypeOf(v).Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			name = strings.ToLower(regexp.MustCompile(`(.)([A-Z])`).ReplaceAllString(f.Name, "${1}_$2"))
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// TestWordsOfCounts: what is counted has the same word in the scheduler, on
// the wire, in a status, in the summary and in the metrics, and all words are
// in docs/operations.md.
func TestWordsOfCounts(t *testing.T) {
	words := wordsOfCounts(t)
	same := func(place string, want, got []string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-docs/operations.md +code):\n%s", place, diff)
		}
	}
	same("internal/status", having(words, "status"), fields(status.LivePhase{}))
	same("internal/manifest", having(words, "_SUCCESS"), fields(manifest.Attempts{}))
	var onWire []string
	for d, i := (&wire.PhaseStatus{}).ProtoReflect().Descriptor().Fields(), 0; i < d.Len(); i++ {
		onWire = append(onWire, string(d.Get(i).Name()))
	}
	slices.Sort(onWire)
	same("internal/wire", having(words, "status"), onWire)
	counted := slices.Sorted(slices.Values(append(fields(sched.PhaseStats{}), fields(sched.AttemptCounts{})...)))
	same("internal/coordinator/sched", having(words, "status"), counted)

	var documented, shown []string // metric and word
	for word, places := range words {
		for _, place := range places {
			if strings.HasPrefix(place, "mraws_") {
				documented = append(documented, place+" "+word)
			}
		}
	}
	emit := func(name string, _ float64, labels ...string) {
		word := ""
		if m := regexp.MustCompile(`_(?:attempts|tasks)_(\w+?)(?:_total)?$`).FindStringSubmatch(name); m != nil {
			word = m[1]
		}
		if len(labels) == 2 {
			word = labels[1]
		}
		if pair := name + " " + word; word != "" && !slices.Contains(shown, pair) {
			shown = append(shown, pair)
		}
	}
	emitPhase(emit, "map", nil)
	emitWorker(emit, worker.StatsSnapshot{}, 0, 0)
	slices.Sort(documented)
	slices.Sort(shown)
	same("metrics", documented, shown)
}
