package task

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/output"
	"github.com/mraws/mraws/internal/testkit"
	"github.com/mraws/mraws/mr"
)

// rows writes each line of its input as it is, in reduce tasks in the order of the input.
func rows() mr.App {
	app := testkit.App("rows", nil, nil, nil)
	app.Ordered = true
	app.NewMapper = func(t *mr.Task) (mr.Mapper, error) {
		return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
			switch {
			case strings.HasSuffix(string(rec.Data), "bad"):
				return errors.New("bad")
			case t.MapOnly:
				out.Emit(rec.Data, nil)
			default:
				out.Emit(nil, rec.Data)
			}
			return nil
		}), nil
	}
	app.NewReducer = func(*mr.Task) (mr.Reducer, error) {
		return mr.ReducerFunc(func(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
			for v := range values {
				out.WriteLine(v)
			}
			return nil
		}), nil
	}
	return app
}

// partitionedBy makes the output of the job one that is partitioned.
func (w *fixture) partitionedBy(t *testing.T, format, columns, by string) {
	t.Helper()
	w.Scratch = t.TempDir()
	w.Spec.Output = manifest.Choice{Name: format, Given: true, Options: map[string]string{output.ColumnsOption: columns, output.PartitionOption: by}}
}

// inPartitions are the objects of partitions that the record of an attempt names, by
// name. Each has to be as its record says.
func (w *fixture) inPartitions(t *testing.T, attempt string) map[string]string {
	t.Helper()
	data, err := w.Store.Object(layout.Layout{}.ReduceAttempt(0, attempt))
	if err != nil {
		t.Fatal(err)
	}
	rec, err := manifest.DecodeReduce(data.Data, layout.Layout{}, w.Spec, 0, attempt)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, n := range rec.Besides() {
		o, err := w.Store.Object(n.Key)
		if err != nil {
			t.Fatal(err)
		}
		if o.Info.ETag != n.ETag || int64(len(o.Data)) != n.Size || manifest.DigestOf(o.Data).String() != n.Hash {
			t.Errorf("%+v, and there is %q", n, o.Data)
		}
		all[n.Name] = string(o.Data)
	}
	return all
}

// TestPartitions: the rows of an attempt are in an object for each partition, in the order
// in which they were written, whether they fit into memory or go to a file again and again.
// The output is the list of the objects.
func TestPartitions(t *testing.T) {
	for _, reduces := range []int{1, 0} {
		var text strings.Builder
		want := map[string]string{}
		for i := range 8_000 {
			key := i * i % 7
			line := fmt.Sprintf("%d\trow %d of many%s", key, i, strings.Repeat("-", 150))
			text.WriteString(line + "\n")
			want[fmt.Sprintf("key=%d", key)] += strings.SplitN(line, "\t", 2)[1] + "\n"
		}
		var lists []string
		for _, memory := range []int64{1, 1 << 30} {
			w := newFixture(rows(), reduces, 0, 1, file{"a", text.String()})
			w.partitionedBy(t, "lines", "key:int,row", "key")
			w.Memory = memory
			list := w.run(t)[0]
			if d := cmp.Diff(want, w.inPartitions(t, "r0")); d != "" {
				t.Errorf("-want +got:\n%.2000s", d)
			}
			if n := strings.Count(list, "\n"); n != len(want) || !strings.HasPrefix(list, `{"partition":"key=0","size":`) {
				t.Errorf("the list has %d lines: %s", n, list)
			}
			lists = append(lists, list)
		}
		if lists[0] != lists[1] {
			t.Errorf("%s\n%s", lists[0], lists[1])
		}
	}
}

// TestPartitionSpills: a small budget sends rows to a file, of which attempts have one for
// all partitions.
func TestPartitionSpills(t *testing.T) {
	w := newFixture(rows(), 0, 0, 1, file{"a", "x"})
	w.partitionedBy(t, "csv", "key,row", "key")
	err := w.env(t).runAttempt(context.Background(), Attempt{mr.ReducePhase, 0, "r0"}, func(_ context.Context, a *attempt) (err error) {
		var list strings.Builder
		p, err := a.newPartitions(a.Job.OutputFormat().(*output.Partitioned), &list)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.free()) }()
		p.limit = 1000
		long := strings.Repeat("x", 3000)
		for i := range 500 {
			row := fmt.Sprint(i)
			if i == 250 {
				row = long
			}
			if err := p.Line(fmt.Appendf(nil, "%d\t%s", i%100, row)); err != nil {
				return err
			}
			if p.held > p.limit {
				t.Errorf("%d bytes are held", p.held)
			}
		}
		if p.raw.file == nil || p.made.size > 0 {
			t.Error("nothing is in a file")
		}
		if err := p.Close(); err != nil {
			return err
		}
		if n := len(p.kept); n != 100 || strings.Count(list.String(), "\n") != n {
			t.Errorf("%d objects in the list %s", n, list.String())
		}
		i := slices.IndexFunc(p.kept, func(k kept) bool { return k.Name == "key=50" })
		data := make([]byte, p.kept[i].Size)
		_, err = p.kept[i].body.ReadAt(data, 0)
		if want := "row\n50\n150\n" + long + "\n350\n450\n"; string(data) != want {
			t.Errorf("%q", data)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestPartitionsWithBad: of a record that is skipped nothing is in any partition.
func TestPartitionsWithBad(t *testing.T) {
	w := newFixture(rows(), 0, 0, 1, file{"a", "a\t1\nb\tbad\na\t2\n"})
	w.partitionedBy(t, "tsv", "k,v:int", "k")
	w.Spec.MaxBad = manifest.Budget{Records: 1}
	w.run(t)
	if d := cmp.Diff(map[string]string{"k=a": "v\n1\n2\n"}, w.inPartitions(t, "r0")); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
}

// TestPartitionsRefused: too many partitions, a row that is none, and a value that the
// format finds to be none at the end only fail the attempt, with what to do or what it is.
func TestPartitionsRefused(t *testing.T) {
	var many strings.Builder
	for i := range output.MostPartitions + 1 {
		fmt.Fprintf(&many, "%d\tx\n", i)
	}
	for text, says := range map[string]string{
		many.String(): "write the partition k=1000: the task has rows in 1,000 others, and may have no more; fewer columns",
		"a\n":         `write key "a": a row of 1 fields for the 2 columns k,v:float`,
		"a\tx\n":      `write key "a": column "v" takes a float, not "x"`,
		"a\tnan\n":    `write the partition k=a: column "v" takes a number of JSON, not "nan"`,
	} {
		w := newFixture(rows(), 0, 0, 1, file{"a", text})
		w.partitionedBy(t, "json", "k,v:float", "k")
		if text == many.String() {
			w.Spec.Output.Options[output.ColumnsOption] = "k,v"
		}
		_, err := w.env(t).Run(context.Background(), Attempt{mr.ReducePhase, 0, "r0"})
		var fatal *FatalError
		if !errors.As(err, &fatal) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %s", err, says)
		}
	}
}

// TestPartitionsOfLosers: an attempt that comes later leaves the record that counts, and
// puts it back if it is lost, with objects that hold the same.
func TestPartitionsOfLosers(t *testing.T) {
	w := newFixture(rows(), 0, 0, 1, file{"a", "a\t1\nb\t2\n"})
	w.partitionedBy(t, "csv", "k,v", "k")
	w.run(t)
	want := map[string]string{"k=a": "v\n1\n", "k=b": "v\n2\n"}
	for _, lost := range []bool{false, true} {
		if lost {
			delete(w.Store.Objects, layout.Layout{}.ReduceAttempt(0, "r0"))
		}
		res, err := w.env(t).Run(context.Background(), Attempt{mr.ReducePhase, 0, "late"})
		if err != nil || !res.Superseded {
			t.Errorf("%+v %v", res, err)
		}
		if d := cmp.Diff(want, w.inPartitions(t, "r0")); d != "" {
			t.Errorf("lost %v: -want +got:\n%s", lost, d)
		}
	}
}

// TestReplayPartitions: a replay writes partitions to files and compares them.
func TestReplayPartitions(t *testing.T) {
	w := newFixture(rows(), 0, 0, 1, file{"a", "a\t1\nb\t2\n"})
	w.partitionedBy(t, "csv", "k,v", "k")
	w.run(t)
	got, files, err := w.replay(t, mr.MapPhase, 0)
	if err != nil || len(got.Different) > 0 || files["k=a/mr-out-0.csv"] != "v\n1\n" || files["k=b/mr-out-0.csv"] != "v\n2\n" {
		t.Errorf("%v %+v %q", err, got, files)
	}
	w.App.NewMapper = func(*mr.Task) (mr.Mapper, error) {
		return mr.MapperFunc(func(_ mr.Record, out mr.Emitter) error { out.Emit([]byte("c\t3"), nil); return nil }), nil
	}
	if got, _, err = w.replay(t, mr.MapPhase, 0); err != nil || len(got.Different) != 4 || !strings.Contains(got.Different[2], "partition k=b: 0 lines") {
		t.Errorf("%v %q", err, got.Different)
	}
}
