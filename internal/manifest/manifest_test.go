package manifest

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/recordio"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var (
	started  = time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)
	countApp = App{Kind: Go, Name: "grep", Version: "1", SHA256: someHash, Params: map[string]string{"pattern": "<b>&"}}
)

const (
	zeroHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	someHash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
)

var lay = layout.New("p")

// samples holds one of each control object, every field set.
func samples() map[string]any {
	sum := recordio.Sum{Records: 3, Hash: 0x00ab54a98ceb1f0a, Bytes: 21}
	out := Output{Key: "p/output/mr-out-0", Size: 42, Lines: 4, Hash: someHash}
	return map[string]any{
		"job": &Job{
			Schema: JobSchema, ID: "grep-01kjm5", Created: started, Spec: spec(countApp, Hash), NReduce: 3, SplitSize: 64 << 20,
			MaxBad:  Budget{PPM: 1000},
			Objects: []Object{{Name: "a.txt", ETag: `"e1"`, Size: 100}, {Name: "b.txt", ETag: `"e2-3"`, Size: 90 << 20}},
			Tasks:   [][]Piece{{{0, 0, 100}, {1, 0, 64 << 20}}, {{1, 64 << 20, 26 << 20}}},
		},
		"job-packed": packedJob(),
		"job-exec":   execJob(),
		"map-packed": packedMap(),
		"map": &Map{
			Schema: MapSchema, Job: "grep-01kjm5", Task: 1, Attempt: "map-1.2", Worker: "w3", Started: started,
			Seconds: 1.25, Input: Input{Records: 10, Bytes: 26 << 20}, Emitted: 12,
			Delays: Delays{WaitSeconds: 0.25, UploadSeconds: 0.5, Throttled: 3, ThrottledSeconds: 0.125, Spills: 2, SpilledBytes: 30 << 20, SpillSeconds: 0.375},
			Parts: []Part{
				{Key: "p/intermediate/mr-1-0", ETag: `"x"`, Size: 333, Hash: someHash, Sum: sum},
				{Key: "p/intermediate/_attempts/map-1/map-1.2/1", ETag: `"z"`, Size: 333, Hash: someHash, Sum: sum},
				{Hash: zeroHash},
			},
			Bad: &Quarantine{
				Key: "p/output/_bad/map-1", ETag: `"y"`, Size: 100, Hash: someHash, Records: 1,
				First: []BadRecord{{Object: "b.txt", ETag: `"e2-3"`, Offset: 67108870, Length: 17, Error: "unexpected end of JSON input"}},
			},
			Counters: map[string]int64{"matches": 12},
			S3:       object.Traffic{Requests: map[string]int64{"GetObject": 4, "PutObject": 3}, Sent: 666, Received: 26 << 20},
		},
		"reduce": &Reduce{
			Schema: ReduceSchema, Job: "grep-01kjm5", Task: 0, Attempt: "reduce-0.1", Worker: "w3", Started: started,
			Seconds: 0.5, Delays: Delays{Spills: 1, SpilledBytes: 66, SpillSeconds: 0.001}, Read: sum, Keys: 2, Output: out, Counters: map[string]int64{"keys": 2},
			Heaviest: []HeavyKey{{Text: `"the"`, Records: 2, Bytes: 14}, {Text: `"whale\xff"`, Records: 1, Bytes: 7}},
			S3:       object.Traffic{Requests: map[string]int64{"GetObject": 2}, Received: 666},
		},
		"success": sealedSuccess(sum, out),
		"ranges":  &Ranges{Schema: RangesSchema, Job: "sort-01kjm5", Bounds: [][]byte{[]byte("apple"), {0xff, 0}}},
		"owner":   &Owner{Schema: OwnerSchema, Job: "sort-01kjm5", Home: Place{Bucket: "jobs", Dir: "sorts/"}},
		"coordinator": &Coordinator{
			Schema: CoordinatorSchema, Version: "0.1.0", Epoch: "01kjm5", Addresses: []string{"10.0.0.7:1234"},
			CertPEM: "-----BEGIN CERTIFICATE-----\n", Token: "secret", App: "grep",
			Started: started, Renewed: started.Add(time.Minute), LeaseMS: 10000, Workers: 3, Released: true, Failure: "map task 7: boom",
			Cancelled: &Cancel{At: started.Add(30 * time.Second), By: "ann@host"},
			S3:        object.Traffic{Requests: map[string]int64{"ListObjectsV2": 3, "PutObject": 5}, Sent: 42, Received: 24},
			Receipt: &Receipt{
				Sent: 708, Received: 1024, USD: 0.00006, Region: "eu-west-1", Prices: "2026-09-28",
				Committed: object.Traffic{Requests: map[string]int64{"PutObject": 4}, Sent: 666, Received: 1000},
			},
			Process: Process{Boot: "9f3c", PIDNS: "pid:[4026531836]", PID: 4711, Start: 123456, NetNS: "net:[4026531840]", Listen: "[::]:1234"},
		},
	}
}

// sealedSuccess is a summary with its seal.
func sealedSuccess(sum recordio.Sum, out Output) *Success {
	out.Attempt = "reduce-0.1"
	s := &Success{
		Schema: SuccessSchema, Job: "grep-01kjm5", App: countApp, NReduce: 2, Finished: started, Seconds: 12,
		Map:    Attempts{Tasks: 2, Reused: 1, Granted: 4, Failed: 1, Lost: 1, Released: 1, Superseded: 1, Speculative: 1, SpeculativeCommitted: 1},
		Reduce: Attempts{Tasks: 2, Granted: 2}, Input: Input{Records: 10, Bytes: 1000}, Emitted: 12, Skipped: 1,
		Shuffled: sum, Read: sum, Keys: 2, Outputs: []Output{out, {Key: "p/output/mr-out-1", Hash: zeroHash, Attempt: "reduce-1.1"}},
		Counters: map[string]int64{"matches": 12}, Requests: map[string]int64{"PutObject": 9},
		Receipt: &Receipt{
			Sent: 708, Received: 1024, USD: 0.000045, Region: "eu-west-1", Prices: "2026-09-28",
			Committed: object.Traffic{Requests: map[string]int64{"PutObject": 4}, Sent: 666, Received: 1000},
		},
		Waited: 1.5, Skew: &Skew{Partition: 1, Records: 2, Bytes: 20, Heaviest: []HeavyKey{{Text: `"the"`, Records: 2, Bytes: 20}}},
		Sealed: Sealed{
			Job: DigestOf([]byte("job")).String(), Ranges: DigestOf([]byte("ranges")).String(),
			Maps: DigestOf([]byte("maps")).String(), Reduces: DigestOf([]byte("reduces")).String(),
		},
	}
	if _, err := EncodeSealed(s); err != nil {
		panic(err)
	}
	return s
}

// spec is what an app of lines with that partitioner decides.
func spec(app App, partitioner string) Spec {
	s := Spec{App: app, Input: Choice{Name: Lines}, Partitioner: Choice{Name: partitioner}, Output: Choice{Name: Lines}, Order: Order{Keys: ByBytes, Values: ByInput}}
	if partitioner == Range {
		s.Partitioner = RangesOf(2)
	}
	return s
}

// packedJob is a job with objects of each kind, whose map tasks write one
// object each.
func packedJob() *Job {
	return &Job{
		Schema: JobSchema, ID: "sort-01kjm7", Created: started, Spec: spec(App{Kind: Go, Name: "sort", Version: "1"}, Range), NReduce: 2, SplitSize: 64 << 20,
		Shuffle: ShufflePacked, Decompress: Decompress{Ratio: 200, Limit: 1 << 40},
		Objects: []Object{
			{Name: "a.log", ETag: `"e1"`, Size: 10}, {Name: "b.log.gz", ETag: `"e2"`, Size: 90 << 20, Compression: Gzip},
			{Name: "c.log.zst", ETag: `"e3"`, Size: 30, Compression: Zstd},
		},
		Tasks: [][]Piece{{{0, 0, 10}}, {{1, 0, 90 << 20}}, {{2, 0, 30}}},
	}
}

// execJob is a job of executables, every field set.
func execJob() *Job {
	e := &Exec{
		Mapper: "python3 m.py", Combiner: "./sum.sh", Reducer: "./sum.sh",
		Files: []CodeFile{
			{Name: "m.py", SHA256: someHash, Size: 120},
			{Name: "names.tgz", SHA256: someHash, Size: 5000, Archive: TarGz},
			{Name: "sum.sh", SHA256: someHash, Size: 80, Executable: true},
		},
		Env: map[string]string{"LC_ALL": "C"}, InheritAWS: true, Separator: ",", KeyFields: 2, PartitionFields: 1,
	}
	return &Job{
		Schema: JobSchema, ID: "exec-01kjm9", Created: started, Spec: *e.Spec("exec"), NReduce: 2, SplitSize: 64 << 20,
		Objects: []Object{{Name: "a.txt", ETag: `"e1"`, Size: 100}}, Tasks: [][]Piece{{{0, 0, 100}}},
	}
}

// packedMap is the commit record of its first task.
func packedMap() *Map {
	m := &Map{
		Schema: MapSchema, Job: "sort-01kjm7", Task: 0, Attempt: "map-0.1", Worker: "w3", Started: started,
		Seconds: 1.25, Input: Input{Records: 4, Bytes: 10}, Emitted: 12,
		Parts: []Part{
			{Size: 100, Hash: someHash, Sum: recordio.Sum{Records: 1, Hash: 1, Bytes: 2}},
			{Offset: 100, Size: 333, Hash: someHash, Sum: recordio.Sum{Records: 3, Hash: 0x00ab54a98ceb1f0a, Bytes: 21}},
		},
	}
	m.Packed = &Packed{Key: "p/intermediate/00/mr-0", ETag: `"x"`, Size: 433, Hash: PackedHash(m.Parts)}
	return m
}

// decode reads data as a fresh value of the type of like.
func decode(data []byte, like any) (any, error) {
	switch like.(type) {
	case *Job:
		return Decode[Job](data, JobSchema)
	case *Map:
		return Decode[Map](data, MapSchema)
	case *Reduce:
		return Decode[Reduce](data, ReduceSchema)
	case *Success:
		return Decode[Success](data, SuccessSchema)
	case *Ranges:
		return Decode[Ranges](data, RangesSchema)
	case *Owner:
		return Decode[Owner](data, OwnerSchema)
	}
	return Decode[Coordinator](data, CoordinatorSchema)
}

func TestGolden(t *testing.T) {
	for name, v := range samples() {
		t.Run(name, func(t *testing.T) {
			got, err := Encode(v)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".json")
			if *update {
				if err := os.WriteFile(path, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", path, diff)
			}
			back, err := decode(want, v)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(v, back); diff != "" {
				t.Errorf("decode(encode(v)) (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeSchema(t *testing.T) {
	tests := []struct {
		name, data string
		want       string // of the error; "" is success
		typed      bool
	}{
		{"right", `{"schema":"mraws/job/v1","id":"x"}`, "", false},
		{"unknown fields", `{"schema":"mraws/job/v1","id":"x","colour":{"a":[1]},"app":{"nick":1}}`, "", false},
		{"none", `{}`, `no schema, want "mraws/job/v1"`, true},
		{"other kind", `{"schema":"mraws/map/v1"}`, `schema "mraws/map/v1", want "mraws/job/v1"`, true},
		{"other version", `{"schema":"mraws/job/v2"}`, `schema "mraws/job/v2" is of another version of mraws, this one reads "mraws/job/v1"`, true},
		{"newer with other types", `{"schema":"mraws/job/v10","id":7}`, "another version", true},
		{"foreign", `{"schema":"x"}`, `schema "x", want`, true},
		{"cut short", `{"schema":"mraws/job/v1"`, "decode mraws/job/v1: unexpected end", false},
		{"two values", `{"schema":"mraws/job/v1"}{}`, "decode mraws/job/v1: invalid character", false},
		{"wrong type", `{"schema":"mraws/job/v1","nreduce":"2"}`, "decode mraws/job/v1: json: cannot unmarshal", false},
		{"array", `[]`, "cannot unmarshal array", false},
		{"empty", ``, "unexpected end", false},
		{"piece of two", `{"schema":"mraws/job/v1","tasks":[[[0,1]]]}`, "want [object, offset, length]", false},
		{"piece of four", `{"schema":"mraws/job/v1","tasks":[[[0,1,2,3]]]}`, "want [object, offset, length]", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j, err := Decode[Job]([]byte(tt.data), JobSchema)
			if tt.want == "" {
				if err != nil || j.ID != "x" {
					t.Fatalf("got %+v, %v", j, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) || j != nil {
				t.Fatalf("got %v, %v, want error %q", j, err, tt.want)
			}
			var s *SchemaError
			if errors.As(err, &s) != tt.typed {
				t.Errorf("errors.As(%T, SchemaError) = %v", err, !tt.typed)
			}
		})
	}
}

func TestEncodeRefuses(t *testing.T) {
	if _, err := Encode(func() {}); err == nil {
		t.Error("a function was encoded")
	}
}

func FuzzDecode(f *testing.F) {
	for _, v := range samples() {
		data, err := Encode(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, v := range samples() {
			got, err := decode(data, v)
			if err != nil {
				continue
			}
			if j, ok := got.(*Job); ok {
				_ = j.Validate(lay) // must not panic
			}
			again, err := Encode(got)
			if err != nil {
				t.Fatalf("what was decoded cannot be encoded: %v", err)
			}
			back, err := decode(again, v)
			if err != nil {
				t.Fatalf("what was encoded cannot be decoded: %v", err)
			}
			third, err := Encode(back)
			if err != nil || string(again) != string(third) {
				t.Fatalf("encoding is not stable, %v:\n%s%s", err, again, third)
			}
		}
	})
}
