package manifest

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/mraws/mraws/internal/layout"
)

func TestValidate(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Job)
		want   string // of the error; "" is valid
	}{
		{"sample", func(*Job) {}, ""},
		{"id", func(j *Job) { j.ID = "" }, "without an id"},
		{"app", func(j *Job) { j.App.Name = "" }, `app "" in version "1"`},
		{"kind of app", func(j *Job) { j.App.Kind = "jar" }, `unknown kind of app "jar"`},
		{"build", func(j *Job) { j.App.SHA256 = "0" }, `SHA-256 "0"`},
		{"input", func(j *Job) { j.Input.Name = "orc" }, `unknown input "orc"`},
		{"option", func(j *Job) { j.Input.Options = map[string]string{"header": "1"} }, `input lines with the unknown option "header"`},
		{"numbered", func(j *Job) { j.Input.Options = map[string]string{Numbered: "no"} }, `numbered "no"`},
		{"numbered, in pieces", func(j *Job) { j.Input.Options = map[string]string{Numbered: "true"} }, "cannot be cut"},
		{"objects, in pieces", func(j *Job) { j.Input.Name = Objects }, "cannot be cut"},
		{"lines of a task", func(j *Job) { j.Input.Options = map[string]string{PerTask: "0"} }, `per-task "0"`},
		{"lines of a task, numbered", func(j *Job) { j.Input.Options = map[string]string{PerTask: "2", Numbered: "true"} }, `numbered "true"`},
		{"lines of two objects", func(j *Job) { j.Input.Options = map[string]string{PerTask: "2"} }, "is not 2 lines of one object"},
		{"partitioner", func(j *Job) { j.Partitioner.Name = "" }, `unknown partitioner ""`},
		{"ranges", func(j *Job) { j.Partitioner = RangesOf(1000) }, ""},
		{"ranges without a sample", func(j *Job) { j.Partitioner.Name = Range }, "key ranges without a sample"},
		{"half a sample", func(j *Job) { j.Partitioner = RangesOf(3); delete(j.Partitioner.Options, SampleBytes) }, "the sample for key ranges"},
		{"a sample of nothing", func(j *Job) { j.Partitioner = RangesOf(3); j.Partitioner.Options[SampleChunks] = "0" }, "0 chunks"},
		{"a sample of everything", func(j *Job) { j.Partitioner = RangesOf(3); j.Partitioner.Options[SampleBytes] = "1073741824" }, "32 chunks of"},
		{"output", func(j *Job) { j.Output.Name = Objects }, `unknown output "objects"`},
		{"order", func(j *Job) { j.Order.Values = "" }, "unknown order"},
		{"nreduce", func(j *Job) { j.NReduce = -1 }, "nreduce is -1"},
		{"split size", func(j *Job) { j.SplitSize = -1 }, "split size is -1"},
		{"budget", func(j *Job) { j.MaxBad = Budget{Records: -1} }, "max_bad_records is"},
		{"share", func(j *Job) { j.MaxBad = Budget{PPM: 1_000_001} }, "max_bad_records is"},
		{"no name", func(j *Job) { j.Objects[0].Name = "" }, "object 0 has no name"},
		{"order", func(j *Job) { j.Objects[1].Name = "a" }, `"a" does not follow "a.txt"`},
		{"twice", func(j *Job) { j.Objects[1].Name = "a.txt" }, "does not follow"},
		{"etag", func(j *Job) { j.Objects[1].ETag = "" }, `"b.txt" has no etag`},
		{"size", func(j *Job) { j.Objects[0].Size = -1 }, `"a.txt" has size -1`},
		{"elsewhere", func(j *Job) { elsewhere(j, "logs", "2026/a.txt") }, ""},
		{"elsewhere, no bucket", func(j *Job) { elsewhere(j, "", "a.txt") }, `no key "a.txt" in a bucket ""`},
		{"elsewhere, no key", func(j *Job) { elsewhere(j, "logs", "") }, `no key "" in a bucket "logs"`},
		{"elsewhere, a host", func(j *Job) { elsewhere(j, "evil.example.com/", "a.txt") }, `in a bucket "evil.example.com/"`},
		{"elsewhere, out of the bucket", func(j *Job) { elsewhere(j, "logs", "../other/a.txt") }, `no key "../other/a.txt"`},
		{"elsewhere, under another name", func(j *Job) { elsewhere(j, "logs", "a.txt"); j.Objects[1].Name = "s3://logs/b.txt" }, "is not the name of"},
		{"elsewhere, under a plain name", func(j *Job) { elsewhere(j, "logs", "a.txt"); j.Objects[1].Name = "b.txt" }, "is not the name of"},
		{"elsewhere, twice", func(j *Job) { elsewhere(j, "logs", "a.txt"); j.Objects[0] = j.Objects[1] }, "does not follow"},
		{"reached otherwise", func(j *Job) {
			j.Buckets = map[string]Access{"logs": {Server: AWS, Region: "eu-west-1", Unsigned: true}, "more": {RequesterPays: true}}
		}, ""},
		{"reached on a host", func(j *Job) { j.Buckets = map[string]Access{"evil.example/": {}} }, `"evil.example/" cannot be the name of a bucket`},
		{"reached on another server", func(j *Job) { j.Buckets = map[string]Access{"logs": {Server: "http://evil"}} }, `bucket logs on the unknown server "http://evil"`},
		{"reached in no region", func(j *Job) { j.Buckets = map[string]Access{"logs": {Region: "x.evil/"}} }, `bucket logs in the region "x.evil/"`},
		{"compressed and packed", func(j *Job) { *j = *packedJob() }, ""},
		{"unknown compression", func(j *Job) { *j = *packedJob(); j.Objects[1].Compression = "brotli" }, `"b.log.gz" has unknown compression "brotli"`},
		{"compressed, in pieces", func(j *Job) {
			*j = *packedJob()
			j.Tasks[1][0].Length--
			j.Tasks = [][]Piece{j.Tasks[0], j.Tasks[1], {{1, 90<<20 - 1, 1}}, j.Tasks[2]}
		}, `"b.log.gz", which is compressed or of a format that cannot be cut there`},
		{"packed", func(j *Job) { j.Shuffle = ShufflePacked }, ""},
		{"unknown shuffle", func(j *Job) { j.Shuffle = "by-hand" }, `unknown shuffle "by-hand"`},
		{"no ratio", func(j *Job) { *j = *packedJob(); j.Decompress.Ratio = 0 }, "decompress is"},
		{"no limit", func(j *Job) { *j = *packedJob(); j.Decompress.Limit = -1 }, "decompress is"},
		{"no input, no task", func(j *Job) { j.Objects, j.Tasks = nil, nil }, ""},
		{"no task", func(j *Job) { j.Tasks = nil }, `no map task reads input object "a.txt" from byte 0`},
		{"empty task", func(j *Job) { j.Tasks = append(j.Tasks, nil) }, "map task 2 has no piece"},
		{"last byte", func(j *Job) { j.Tasks[1][0].Length-- }, `no map task reads input object "b.txt"`},
		{"gap", func(j *Job) { j.Tasks[1][0].Offset++; j.Tasks[1][0].Length-- }, "input order wants byte"},
		{"overlap", func(j *Job) { j.Tasks[1][0].Offset--; j.Tasks[1][0].Length++ }, "input order wants byte"},
		{"tasks swapped", func(j *Job) { j.Tasks[0], j.Tasks[1] = j.Tasks[1], j.Tasks[0] }, "input order wants byte 0 of object 0"},
		{"outside", func(j *Job) { j.Tasks[1][0].Length++ }, "outside input object"},
		{"overflow", func(j *Job) { j.Tasks[1][0].Length = 1<<63 - 1 }, "outside input object"},
		{"negative", func(j *Job) { j.Tasks[0][0].Offset = -1 }, "outside input object"},
		{"object -1", func(j *Job) { j.Tasks[0][0].Object = -1 }, "names input object -1 of 2"},
		{"object 2", func(j *Job) { j.Tasks[0][0].Object = 2 }, "names input object 2 of 2"},
		{"piece of nothing", func(j *Job) { j.Tasks[0][0].Length = 0 }, "empty piece"},
		{"again", func(j *Job) { j.Tasks = append(j.Tasks, j.Tasks[1]) }, "input order wants"},
		{"empty object without piece", func(j *Job) { j.Objects = append(j.Objects, Object{Name: "c", ETag: "e", Size: 0}) }, ""},
		{"empty object with piece", func(j *Job) {
			j.Objects = append(j.Objects, Object{Name: "c", ETag: "e", Size: 0}, Object{Name: "d", ETag: "e", Size: 0}, Object{Name: "e", ETag: "e", Size: 1})
			j.Tasks = append(j.Tasks, []Piece{{3, 0, 0}, {4, 0, 1}})
		}, ""},
		{"empty object twice", func(j *Job) {
			j.Objects = append(j.Objects, Object{Name: "c", ETag: "e", Size: 0})
			j.Tasks = append(j.Tasks, []Piece{{2, 0, 0}}, []Piece{{2, 0, 0}})
		}, "input order wants"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := samples()["job"].(*Job)
			tt.change(j)
			err := j.Validate(lay)
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// drawJob draws a valid job: sizes, cut into pieces, packed into tasks.
func drawJob(t *rapid.T) *Job {
	j := samples()["job"].(*Job)
	j.Objects, j.Tasks = nil, nil
	var pieces []Piece
	for i, size := range rapid.SliceOfN(rapid.Int64Range(0, 20), 0, 8).Draw(t, "sizes") {
		j.Objects = append(j.Objects, Object{Name: string(rune('a' + i)), ETag: "e", Size: size})
		for off := int64(0); off < size; {
			n := rapid.Int64Range(1, size-off).Draw(t, "length")
			pieces = append(pieces, Piece{i, off, n})
			off += n
		}
		if size == 0 && rapid.Bool().Draw(t, "piece of empty") {
			pieces = append(pieces, Piece{i, 0, 0})
		}
	}
	for len(pieces) > 0 {
		n := rapid.IntRange(1, len(pieces)).Draw(t, "pack")
		j.Tasks = append(j.Tasks, pieces[:n:n])
		pieces = pieces[n:]
	}
	return j
}

// TestValidateProperty: a valid plan passes, and any plan in which one piece
// was dropped, repeated or changed does not.
func TestValidateProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		j := drawJob(t)
		if err := j.Validate(lay); err != nil {
			t.Fatalf("valid job refused: %v", err)
		}
		if len(j.Tasks) == 0 {
			return
		}
		i := rapid.IntRange(0, len(j.Tasks)-1).Draw(t, "task")
		k := rapid.IntRange(0, len(j.Tasks[i])-1).Draw(t, "piece")
		p := j.Tasks[i][k]
		by := rapid.Int64Range(1, 3).Draw(t, "by")
		what := rapid.SampledFrom([]string{"drop", "repeat", "later", "longer", "shorter", "other"}).Draw(t, "what")
		switch what {
		case "drop":
			if p.Length == 0 {
				return // an empty object needs no piece
			}
			j.Tasks = append(j.Tasks[:i], j.Tasks[i+1:]...)
		case "repeat":
			j.Tasks[i] = append(j.Tasks[i], p)
		case "later":
			j.Tasks[i][k].Offset += by
		case "longer":
			j.Tasks[i][k].Length += by
		case "shorter":
			j.Tasks[i][k].Length -= by
		case "other":
			j.Tasks[i][k].Object = (p.Object + 1) % (len(j.Objects) + 1)
			if o := j.Tasks[i][k].Object; o < len(j.Objects) && j.Objects[o].Size == 0 && p.Length == 0 {
				return // the neighbour is empty too
			}
		}
		if err := j.Validate(lay); err == nil {
			t.Fatalf("%s of task %d piece %d went unnoticed", what, i, k)
		}
	})
}

// elsewhere makes the second object one of another bucket.
func elsewhere(j *Job, bucket, key string) {
	o := &j.Objects[1]
	o.Bucket, o.Key, o.Name = bucket, key, layout.Place(bucket, key)
}

// TestElsewhere: how a spec names an object that does not lie below input/, and
// that nothing of one that does has changed.
func TestElsewhere(t *testing.T) {
	o := Object{Name: "a.txt", ETag: "e", Size: 3}
	lay := layout.New("p")
	if data, err := json.Marshal(o); err != nil || string(data) != `{"name":"a.txt","etag":"e","size":3}` {
		t.Errorf("%s, %v", data, err)
	}
	if o.At(lay) != "p/input/a.txt" || o.In(lay) != "p/input/a.txt" {
		t.Errorf("below input/ it lies at %q, in %q", o.At(lay), o.In(lay))
	}
	o.Bucket, o.Key, o.Name = "logs", "d/a.txt", "s3://logs/d/a.txt"
	if data, err := json.Marshal(o); err != nil || string(data) != `{"name":"s3://logs/d/a.txt","bucket":"logs","key":"d/a.txt","etag":"e","size":3}` {
		t.Errorf("%s, %v", data, err)
	}
	if o.At(lay) != "s3://logs/d/a.txt" || o.In(lay) != "d/a.txt" {
		t.Errorf("elsewhere it lies at %q, in %q", o.At(lay), o.In(lay))
	}
}
