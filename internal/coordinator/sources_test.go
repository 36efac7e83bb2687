package coordinator

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/wire"
)

// TestSources: what is input where a job has sources, in which order, and how
// it is named.
func TestSources(t *testing.T) {
	l := layout.New("p")
	buckets := map[string]map[string]string{
		"bucket": {"p/input/a": "1", "p/input/_b": "1", "p/output/mr-out-0": "1", "raw/x.gz": "1", "raw/d/": "", "p2/output/mr-out-0": "1", "p2/output/_SUCCESS": "1"},
		"logs":   {"2026/b": "22", "2026/a": "1", "2025/c": "1", "2026/.d": "1"},
		"folder": {"d/": "x"},
	}
	for _, tt := range []struct {
		name    string
		sources []Source
		want    []string
		err     string
	}{
		{"none", nil, []string{"a"}, ""},
		{"its own", []Source{{}}, []string{"a"}, ""},
		{"its own, by name", []Source{{Bucket: "bucket", Prefix: "p/input/"}}, []string{"a"}, ""},
		{"another bucket", []Source{{Bucket: "logs", Prefix: "2026/"}}, []string{"s3://logs/2026/a logs", "s3://logs/2026/b logs"}, ""},
		{"several, in order of name", []Source{{Bucket: "logs", Prefix: "2026/"}, {Bucket: "bucket", Prefix: "raw/"}, {}, {Bucket: "logs", Prefix: "2025/"}},
			[]string{"a", "s3://bucket/raw/x.gz bucket gzip", "s3://logs/2025/c logs", "s3://logs/2026/a logs", "s3://logs/2026/b logs"}, ""},
		{"one within another", []Source{{Bucket: "logs", Prefix: "20"}, {Bucket: "logs", Prefix: "2026/b"}}, []string{"s3://logs/2025/c logs", "s3://logs/2026/a logs", "s3://logs/2026/b logs"}, ""},
		{"the output of another job", []Source{{Bucket: "bucket", Prefix: "p2/output/"}}, []string{"s3://bucket/p2/output/mr-out-0 bucket"}, ""},
		{"an object alone", []Source{{Bucket: "logs", Prefix: "2026/a", Object: true}}, []string{"s3://logs/2026/a logs"}, ""},
		{"an object that is not there", []Source{{Bucket: "logs", Prefix: "2026/", Object: true}}, nil, ""},
		{"its own output", []Source{{Bucket: "bucket", Prefix: "p/output/mr-"}}, nil, "s3://bucket/p/output/mr- has objects in common with what the job writes: s3://bucket/p/output/"},
		{"all of its bucket", []Source{{Bucket: "bucket", Prefix: ""}}, nil, "what the job writes"},
		{"a folder with bytes", []Source{{Bucket: "folder", Prefix: ""}}, nil, "s3://folder/d/ has 1"},
		{"no bucket", []Source{{Bucket: "Evil/", Prefix: "x"}}, nil, `"Evil/" cannot be the name of a bucket`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stores := map[string]*fake{}
			for bucket, objects := range buckets {
				stores[bucket] = newFake()
				for key, data := range objects {
					stores[bucket].set(key, []byte(data), nil)
				}
			}
			c := New(Options{
				Store: stores["bucket"], Buckets: func(name string) Lister { return stores[name] }, Layout: l, Sources: tt.sources,
				Decompress: manifest.Decompress{Ratio: 1, Limit: 1},
			})
			got, err := c.inputs(t.Context(), lines)
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
			for _, o := range got {
				names = append(names, strings.TrimSpace(o.Name+" "+o.Bucket+" "+string(o.Compression)))
			}
			if d := cmp.Diff(tt.want, names); d != "" {
				t.Error(d)
			}
		})
	}
	c := New(Options{Store: newFake(), Layout: l, Sources: []Source{{Bucket: "logs", Prefix: ""}}})
	if _, err := c.inputs(t.Context(), lines); err == nil || !strings.Contains(err.Error(), "s3://logs") {
		t.Errorf("without other buckets: %v", err)
	}
}

// TestChangedSource: a job over another bucket is planned, claims about its input
// are held against that bucket, and it does not resume over other bytes.
func TestChangedSource(t *testing.T) {
	b := newFixture(t, 0)
	logs := newFake()
	logs.set("d/x", []byte("x\n"), nil)
	with := func(o *Options) {
		o.Sources, o.Buckets = []Source{{Bucket: "logs", Prefix: "d/"}}, func(string) Lister { return logs }
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
