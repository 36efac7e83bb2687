package coordinator

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/pick"
	"github.com/mraws/mraws/internal/wire"
)

// gathered is another bucket in memory.
type gathered struct {
	*fake
	access manifest.Access
}

func (g gathered) Access() manifest.Access { return g.access }

// only has one other bucket, whatever its name.
func only(f *fake) func(context.Context, string) (Bucket, error) {
	return func(context.Context, string) (Bucket, error) { return gathered{f, manifest.Access{}}, nil }
}

// csv is a file of an inventory, compressed.
func csv(t *testing.T, rows ...string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	for _, row := range rows {
		if _, err := io.WriteString(z, row+"\n"); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func list(format, schema string) string {
	return `{"sourceBucket":"logs","destinationBucket":"arn:aws:s3:::lists","fileFormat":"` + format + `","fileSchema":"` + schema + `","files":[{"key":"data/1.csv.gz"}]}`
}

// TestSources: what is input where a job has sources, in which order, and how
// it is named.
func TestSources(t *testing.T) {
	l := layout.New("p")
	buckets := map[string]map[string]string{
		"bucket": {"p/input/a": "1", "p/input/_b": "1", "p/output/mr-out-0": "1", "raw/x.gz": "1", "raw/d/": "", "p2/output/mr-out-0": "1", "p2/output/_SUCCESS": "1"},
		"logs":   {"2026/b": "22", "2026/a": "1", "2025/c": "1", "2026/.d": "1", "[x]/y": "1", "20*": "1"},
		"folder": {"d/": "x"},
		"lists": {
			"m.json": list("CSV", "Bucket, Key, Size, ETag"), "data/1.csv.gz": csv(t, `"logs","2026/b","22","aa"`, `"logs","2026/.d","1","bb"`),
			"vague.json": strings.Replace(list("CSV", "Bucket, Key"), "1.csv", "2.csv", 1), "data/2.csv.gz": csv(t, `"logs","2025/c"`, `"logs","gone"`),
			"orc.json": list("ORC", "struct<x>"), "bad.json": "{}", "evil.json": strings.Replace(list("CSV", "Bucket, Key"), `"logs"`, `"../x"`, 1),
			"own.json": strings.NewReplacer("1.csv", "3.csv", `"logs"`, `"bucket"`).Replace(list("CSV", "Bucket, Key")), "data/3.csv.gz": csv(t, `"bucket","p/output/mr-out-0"`),
			"broken.json": strings.Replace(list("CSV", "Bucket, Key, Size, ETag"), "1.csv", "2.csv", 1),
		},
	}
	logs := func(prefix string, k Kind) []Source { return []Source{{Bucket: "logs", Prefix: prefix, Kind: k}} }
	listed := func(key string) []Source { return []Source{{Bucket: "lists", Prefix: key, Kind: Listed}} }
	here := func(prefix string, k Kind) []Source { return []Source{{Bucket: "bucket", Prefix: prefix, Kind: k}} }
	for _, tt := range []struct {
		name    string
		sources []Source
		pick    pick.Filter
		want    []string
		err     string
	}{
		{name: "none", want: []string{"a"}},
		{name: "its own", sources: []Source{{}}, want: []string{"a"}},
		{name: "its own, filtered", pick: pick.Filter{Exclude: []string{"a"}}},
		{name: "its own, by name", sources: here("p/input/", Below), want: []string{"a"}},
		{name: "its own, by name, filtered", sources: here("p/input/", Below), pick: pick.Filter{Include: []string{"s3://bucket/p/input/b"}}},
		{name: "another bucket", sources: logs("2026/", Below), want: []string{"s3://logs/2026/a logs", "s3://logs/2026/b logs"}},
		{name: "filtered", sources: logs("2026/", Below), pick: pick.Filter{Include: []string{"2026/*"}, Exclude: []string{"s3://logs/2026/a", "[x]/**"}}, want: []string{"s3://logs/2026/b logs"}},
		{name: "several, in order of name", sources: []Source{{Bucket: "logs", Prefix: "2026/"}, {Bucket: "bucket", Prefix: "raw/"}, {}, {Bucket: "logs", Prefix: "2025/"}},
			want: []string{"a", "s3://bucket/raw/x.gz bucket gzip", "s3://logs/2025/c logs", "s3://logs/2026/a logs", "s3://logs/2026/b logs"}},
		{name: "one within another", sources: append(logs("20", Below), logs("2026/b", Object)...), want: []string{"s3://logs/20* logs", "s3://logs/2025/c logs", "s3://logs/2026/a logs", "s3://logs/2026/b logs"}},
		{name: "the output of another job", sources: here("p2/output/", Below), want: []string{"s3://bucket/p2/output/mr-out-0 bucket"}},
		{name: "an object alone", sources: logs("2026/a", Object), want: []string{"s3://logs/2026/a logs"}},
		{name: "a hidden object alone", sources: logs("2026/.d", Named), want: []string{"s3://logs/2026/.d logs"}},
		{name: "an object that is not there", sources: logs("2026", Object), err: "there is no object and no folder s3://logs/2026"},
		{name: "a name of a folder", sources: logs("2026", Named), want: []string{"s3://logs/2026/a logs", "s3://logs/2026/b logs"}},
		{name: "a name of nothing", sources: logs("202", Named), err: "there is no object and no folder s3://logs/202"},
		{name: "a pattern", sources: logs("202?/[ac]", Matching), want: []string{"s3://logs/2025/c logs", "s3://logs/2026/a logs"}},
		{name: "a pattern of folders", sources: logs("202*", Matching), want: []string{"s3://logs/2025/c logs", "s3://logs/2026/a logs", "s3://logs/2026/b logs"}},
		{name: "a pattern that is a name", sources: logs("20*", Matching), want: []string{"s3://logs/20* logs"}},
		{name: "a pattern that is a folder", sources: logs("[x]/", Matching), want: []string{"s3://logs/[x]/y logs"}},
		{name: "a pattern of nothing", sources: logs("2026/*.gz", Matching), err: "nothing matches s3://logs/2026/*.gz"},
		{name: "a pattern of its bucket", sources: here("**/*.gz", Matching), want: []string{"s3://bucket/raw/x.gz bucket gzip"}},
		{name: "a pattern of its own output", sources: here("*/output/*", Matching), err: "what the job writes: s3://bucket/p/output/"},
		{name: "an inventory", sources: listed("m.json"), want: []string{"s3://logs/2026/b logs"}},
		{name: "an inventory of keys alone", sources: listed("vague.json"), want: []string{"s3://logs/2025/c logs"}},
		{name: "an inventory in ORC", sources: listed("orc.json"), err: "list the input s3://lists/orc.json: an inventory in ORC is not read, only one in CSV or Parquet"},
		{name: "no inventory", sources: listed("bad.json"), err: "list the input s3://lists/bad.json: it is no manifest of an inventory"},
		{name: "an inventory of no bucket", sources: listed("evil.json"), err: `there can be no bucket "lists" or "../x", which it names`},
		{name: "an inventory of its own output", sources: listed("own.json"), err: "what the job writes: s3://bucket/p/output/"},
		{name: "a broken inventory", sources: listed("broken.json"), err: "s3://lists/data/2.csv.gz: read the list: record on line 1: wrong number of fields"},
		{name: "its own output", sources: here("p/output/mr-", Below), err: "s3://bucket/p/output/mr- has objects in common with what the job writes: s3://bucket/p/output/"},
		{name: "all of its bucket", sources: here("", Below), err: "what the job writes"},
		{name: "a folder with bytes", sources: []Source{{Bucket: "folder", Prefix: ""}}, err: "s3://folder/d/ has 1"},
		{name: "no bucket", sources: []Source{{Bucket: "Evil/", Prefix: "x"}}, err: `"Evil/" cannot be the name of a bucket`},
		{name: "a bucket that cannot be opened", sources: []Source{{Bucket: "closed", Prefix: "x"}}, err: "list the input s3://closed/x: injected fault"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stores := map[string]*fake{}
			for bucket, objects := range buckets {
				stores[bucket] = newFake()
				for key, data := range objects {
					stores[bucket].set(key, []byte(data), nil)
				}
			}
			access := manifest.Access{Region: "eu-west-3", RequesterPays: true}
			c := New(Options{
				Store: stores["bucket"], Layout: l, Sources: tt.sources, Pick: tt.pick, Decompress: manifest.Decompress{Ratio: 1, Limit: 1},
				Buckets: func(_ context.Context, name string) (Bucket, error) {
					if stores[name] == nil {
						return nil, errInjected
					}
					return gathered{stores[name], access}, nil
				},
			})
			got, reached, err := c.inputs(t.Context(), lines)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			want := map[string]manifest.Access{}
			for _, o := range got {
				names = append(names, strings.TrimSpace(o.Name+" "+o.Bucket+" "+string(o.Compression)))
				if o.Bucket != "" && o.Bucket != "bucket" {
					want[o.Bucket] = access
				}
			}
			if d := cmp.Diff(tt.want, names); d != "" {
				t.Error(d)
			}
			if d := cmp.Diff(want, reached); d != "" {
				t.Error(d)
			}
		})
	}
	c := New(Options{Store: newFake(), Layout: l, Sources: []Source{{Bucket: "logs", Prefix: ""}}})
	if _, _, err := c.inputs(t.Context(), lines); err == nil || !strings.Contains(err.Error(), "s3://logs") {
		t.Errorf("without other buckets: %v", err)
	}
	c = New(Options{Store: newFake(), Layout: l, Pick: pick.Filter{Exclude: []string{"["}}})
	if err := c.Survey(t.Context()); err == nil || !strings.Contains(err.Error(), "malformed") {
		t.Errorf("a malformed filter: %v", err)
	}
}

// TestArchived: objects that must be restored first are no input, wherever they lie.
func TestArchived(t *testing.T) {
	home, logs := newFake(), newFake()
	for i, f := range []*fake{home, logs} {
		for _, name := range []string{"a", "b", "c", "d"} {
			key := []string{"input/", "x/"}[i] + name
			f.set(key, []byte("x"), nil)
			o := f.objects[key]
			if name == "b" || name == "c" {
				o.info.Archived = "DEEP_ARCHIVE"
			}
			f.objects[key] = o
		}
	}
	for _, tt := range []struct {
		sources []Source
		exclude []string
		want    string
	}{
		{nil, nil, "s3://bucket/input/b is in the storage class DEEP_ARCHIVE: it cannot be read before it is restored, nor can 1 more objects of the input"},
		{[]Source{{Bucket: "logs", Prefix: "x/"}}, []string{"c"}, "s3://logs/x/b is in the storage class DEEP_ARCHIVE: it cannot be read before it is restored"},
		{[]Source{{Bucket: "logs", Prefix: "x/b", Kind: Named}}, nil, "s3://logs/x/b is in"},
		{[]Source{{}, {Bucket: "logs", Prefix: "x/"}}, []string{"[bc]"}, ""},
	} {
		c := New(Options{Store: home, Layout: layout.New(""), Sources: tt.sources, Buckets: only(logs), Pick: pick.Filter{Exclude: tt.exclude}})
		_, _, err := c.inputs(t.Context(), lines)
		var archived *ArchivedError
		if tt.want == "" && err == nil {
			continue
		}
		if !errors.As(err, &archived) || tt.want == "" || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%v, want %q", err, tt.want)
		}
	}
	restored := logs.objects["x/b"] // as a listing has it, but not as a HEAD
	logs.heads = map[string]object.Info{"x/b": {Key: "x/b", Size: 1, ETag: restored.info.ETag}}
	c := New(Options{Store: home, Layout: layout.New(""), Sources: []Source{{Bucket: "logs", Prefix: "x/"}}, Buckets: only(logs), Pick: pick.Filter{Exclude: []string{"c"}}})
	if got, _, err := c.inputs(t.Context(), lines); err != nil || len(got) != 3 {
		t.Errorf("restored: %v, %v", got, err)
	}
}

// TestChangedSource: a job over another bucket is planned, claims about its input
// are held against that bucket, and it does not resume over other bytes.
func TestChangedSource(t *testing.T) {
	b := newFixture(t, 0)
	logs := newFake()
	logs.set("d/x", []byte("x\n"), nil)
	with := func(o *Options) {
		o.Sources, o.Buckets = []Source{{Bucket: "logs", Prefix: "d/"}}, only(logs)
	}
	s := b.start(with)
	one, two := s.join("one", 1), s.join("two", 1)
	a := one.granted()
	if got := b.plan().Objects; len(got) != 1 || got[0].Bucket != "logs" || got[0].Key != "d/x" {
		t.Fatalf("planned %+v", got)
	}
	claim := func(q *wire.ReportRequest) {
		failed("input changed")(q)
		q.Fatal, q.Object = true, "s3://logs/d/x"
	}
	one.report(a, claim) // a lie
	s.until("it is noted", func(l *loop) bool { return l.counters.Map.Failed == 1 })
	next := two.granted()
	logs.set("d/x", []byte("y\n"), nil)
	two.report(next, claim)
	s.until("it is over", func(l *loop) bool { return l.final != nil })
	for _, h := range []*fakeWorker{one, two} {
		h.heartbeat()
	}
	s.ends()
	var job *JobError
	if !errors.As(s.err, &job) || !job.Input {
		t.Errorf("Run: %v", s.err)
	}
	s = b.start(with)
	s.ends()
	var conflict *ConflictError
	if !errors.As(s.err, &conflict) || !strings.Contains(conflict.What, "the input below s3://logs/d/ has changed") {
		t.Errorf("Run again: %v", s.err)
	}
}
