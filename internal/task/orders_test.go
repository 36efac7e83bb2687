package task

import (
	"bytes"
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// halves emits the two halves of a line, and writes each key with all its values.
var halves = mr.App{
	Name: "halves", Version: "1",
	NewMapper: func(*mr.Task) (mr.Mapper, error) {
		return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
			key, value, _ := bytes.Cut(rec.Data, []byte("|"))
			out.Emit(key, value)
			return nil
		}), nil
	},
	NewReducer: func(*mr.Task) (mr.Reducer, error) {
		return mr.ReducerFunc(func(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
			var line []byte
			for v := range values {
				line = append(append(line, v...), ';')
			}
			out.Write(line)
			return nil
		}), nil
	},
	// It must not be called where values have an order.
	Combine: mr.CombinerFunc(func(acc, next []byte) []byte { return append(append(acc, ';'), next...) }),
}

// number is what a text begins with.
func number(text string) int {
	end := strings.IndexFunc(text[min(1, len(text)):], func(c rune) bool { return c < '0' || c > '9' })
	if end >= 0 {
		text = text[:end+1]
	}
	n, _ := strconv.Atoi(text)
	return n
}

// keyOrders are orders of keys of one or two fields by options of sort(1).
var keyOrders = map[string]func(a, b string) int{
	"":         strings.Compare,
	"-k1nr":    func(a, b string) int { return cmp.Compare(number(b), number(a)) },
	"-k1,1r":   func(a, b string) int { return strings.Compare(first(b), first(a)) },
	"-k1,1 -n": func(a, b string) int { return cmp.Compare(number(a), number(b)) },
}

func first(key string) string { s, _, _ := strings.Cut(key, "\t"); return s }

// valueOrders are the orders of values.
var valueOrders = map[string]func(a, b string) int{
	manifest.ByInput:                      func(string, string) int { return 0 },
	manifest.ByBytes:                      strings.Compare,
	manifest.ByBytes + manifest.Reversed:  func(a, b string) int { return strings.Compare(b, a) },
	manifest.ByNumber:                     func(a, b string) int { return cmp.Compare(number(a), number(b)) },
	manifest.ByNumber + manifest.Reversed: func(a, b string) int { return cmp.Compare(number(b), number(a)) },
}

// TestOrders: whatever the order of keys and values, the partitioner, the splits and
// the budget of memory, reduce gets keys and values in that order, and each key with
// all its values in its partition; the outputs of key ranges, one after the other, are
// in order too.
func TestOrders(t *testing.T) {
	scratch := t.TempDir()
	key := rapid.SampledFrom([]string{"1", "10", "9", "-2", "01", "a", "a\t1", "9\tb", "10\ta", "a\x00", "a\x00\x01"})
	value := rapid.SampledFrom([]string{"", "3", "12", "-1", "x", "12x", "03", "\x00"})
	rapid.Check(t, func(t *rapid.T) {
		type pair struct{ key, value string }
		var files []file
		var all []pair
		for i := range rapid.IntRange(1, 3).Draw(t, "files") {
			var text strings.Builder
			for range rapid.IntRange(0, 40).Draw(t, "pairs") {
				p := pair{key.Draw(t, "key"), value.Draw(t, "value")}
				all = append(all, p)
				fmt.Fprintf(&text, "%s|%s\n", p.key, p.value)
			}
			files = append(files, file{fmt.Sprint("f", i), text.String()})
		}
		app, n := halves, rapid.IntRange(1, 4).Draw(t, "R")
		keys := rapid.SampledFrom([]string{"", "-k1nr", "-k1,1r", "-k1,1 -n"}).Draw(t, "keys")
		values := rapid.SampledFrom(append(manifest.ValueOrders(), manifest.ByInput)).Draw(t, "values")
		by := rapid.SampledFrom([]string{manifest.Hash, manifest.Range, manifest.ByFields}).Draw(t, "partitioner")
		w := newFixture(app, n, rapid.IntRange(1, 200).Draw(t, "split"), rapid.IntRange(1, 3).Draw(t, "pack"), files...)
		w.Scratch, w.Memory = scratch, int64(rapid.SampledFrom([]int{1, 300, 4000, 1 << 20}).Draw(t, "memory"))
		w.Spec.Order = manifest.Order{Keys: manifest.ByBytes, Values: values, Given: true}
		if keys != "" {
			fields, err := manifest.ParseSortFields(keys)
			if err != nil {
				t.Fatal(err)
			}
			w.Spec.Order.Keys, w.Spec.Order.Fields = manifest.ByFields, fields.String()
		}
		part := func(k string) int { return mr.Partition([]byte(k), n) }
		switch w.Spec.Partitioner = (manifest.Choice{Name: by}); by {
		case manifest.Range:
			w.Spec.Partitioner = manifest.RangesOf(n)
			part = func(string) int { return 0 }
		case manifest.ByFields:
			w.Spec.Partitioner = manifest.PartitionFields(1, 1)
			part = func(k string) int { return mr.Partition([]byte(first(k)), n) }
		}
		slices.SortStableFunc(all, func(a, b pair) int {
			byKey := cmp.Or(keyOrders[keys](a.key, b.key), strings.Compare(a.key, b.key))
			return cmp.Or(byKey, valueOrders[values](a.value, b.value))
		})
		want := make([]strings.Builder, n)
		for i, p := range all {
			if r := part(p.key); i == 0 || all[i-1].key != p.key {
				fmt.Fprintf(&want[r], "%s %s;", p.key, p.value)
			} else {
				fmt.Fprintf(&want[r], "%s;", p.value)
			}
			if i+1 == len(all) || all[i+1].key != p.key {
				want[part(p.key)].WriteByte('\n')
			}
		}
		got := w.run(t)
		if by == manifest.Range {
			got = []string{strings.Join(got, "")}
		}
		for r := range got {
			if d := gocmp.Diff(want[r].String(), got[r]); d != "" {
				t.Fatalf("%q, values by %s, partition %d of %s: -want +got:\n%s", keys, values, r, by, d)
			}
		}
	})
}
