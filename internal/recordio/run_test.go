package recordio

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// writeRun returns a run of the given partitions.
func writeRun(t tb, o Options, parts map[int][]rec) []byte {
	t.Helper()
	var b bytes.Buffer
	w := NewRunWriter(&b, o)
	want := Sum{}
	for _, p := range slices.Sorted(maps.Keys(parts)) {
		if err := w.StartPartition(p); err != nil {
			t.Fatalf("start: %v", err)
		}
		for _, r := range parts[p] {
			if err := w.Write([]byte(r.K), []byte(r.V)); err != nil {
				t.Fatalf("write: %v", err)
			}
		}
		sum := summarize(parts[p]).Sum
		sum.Hash = 0
		want.Add(sum)
	}
	s, err := w.Close()
	if err != nil {
		t.Fatalf("close: %v", err)
	}
	if s != (Summary{Sum: want, Bytes: int64(b.Len())}) {
		t.Fatalf("got %+v, want %+v in %d bytes", s, want, b.Len())
	}
	return b.Bytes()
}

// readRun opens a run and reads partitions 0 to n-1.
func readRun(data []byte, n int) ([][]rec, error) {
	run, err := OpenRun(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	parts := make([][]rec, n)
	for p := range parts {
		if parts[p], err = collect(run.partition(p)); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// TestRun: each partition of a run holds what was written to it, in a reader
// of its own and in one that is reused.
func TestRun(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := map[int][]rec{}
		for _, p := range rapid.SliceOfDistinct(rapid.IntRange(0, 9), rapid.ID).Draw(t, "partitions") {
			parts[p] = drawRecs(t, 6)
		}
		data := writeRun(t, drawOptions(t), parts)
		run, err := OpenRun(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		reused := NewReader(nil)
		total := int64(0)
		for p := range 11 {
			want, started := parts[p]
			fresh := run.partition(p)
			run.PartitionInto(reused, p)
			for _, rd := range []*Reader{fresh, reused} {
				got, err := collect(rd)
				if err != nil {
					t.Fatal(err)
				}
				equal(t, want, got)
				if s, err := rd.Summary(); err != nil || s.Sum.Records != int64(len(want)) || s.Bytes != run.bytes(p) {
					t.Fatalf("partition %d: %+v, %v", p, s, err)
				}
			}
			if run.Records(p) != int64(len(want)) || run.bytes(p) > 0 != started {
				t.Fatalf("partition %d: %d records in %d bytes", p, run.Records(p), run.bytes(p))
			}
			total += run.bytes(p)
		}
		if total >= int64(len(data)) {
			t.Fatalf("partitions of %d bytes in a run of %d", total, len(data))
		}
	})
}

func TestRunOrder(t *testing.T) {
	w := NewRunWriter(io.Discard, Options{})
	if err := w.Write(nil, nil); err == nil {
		t.Error("write outside a partition")
	}
	for _, step := range []struct {
		r  int
		ok bool
	}{{-1, false}, {1, true}, {1, false}, {0, false}, {2, true}} {
		if err := w.StartPartition(step.r); (err == nil) != step.ok {
			t.Errorf("start partition %d: %v", step.r, err)
		}
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err == nil {
		t.Error("second close")
	}
	if err := w.StartPartition(3); err == nil {
		t.Error("start after close")
	}
	if err := w.Write(nil, nil); err == nil {
		t.Error("write after close")
	}
	var b bytes.Buffer
	w.Reset(&b)
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRun(bytes.NewReader(b.Bytes()), int64(b.Len())); err != nil {
		t.Errorf("run without partitions: %v", err)
	}
}

// TestRunDamage: every flipped bit and every cut of a run is detected, by
// opening it or by reading it.
func TestRunDamage(t *testing.T) {
	data := writeRun(t, Options{BlockSize: 20}, map[int][]rec{0: sampleRecs(), 1: nil, 3: {{"k", "v"}}})
	for i := range 8 * len(data) {
		data[i/8] ^= 1 << (i % 8)
		_, err := readRun(data, 4)
		wantCorrupt(t, err, "bit %d of byte %d", i%8, i/8)
		data[i/8] ^= 1 << (i % 8)
	}
	for n := range data {
		_, err := readRun(data[:n], 4)
		wantCorrupt(t, err, "cut at %d", n)
	}
	if _, err := readRun(data, 4); err != nil {
		t.Fatal(err)
	}
}

// TestRunForged: an index with the right checksum that does not fit the run.
func TestRunForged(t *testing.T) {
	good := writeRun(t, Options{Codec: None}, map[int][]rec{0: {{"a", "1"}}, 2: {{"b", "2"}}})
	end := len(good) - tailLen
	start := end - checksumLen - 2*entryLen - headerLen
	first, second := headerLen, headerLen+entryLen
	for name, change := range map[string]func(index []byte){
		"partition twice":      func(b []byte) { b[second] = 0 },
		"partition backwards":  func(b []byte) { b[first] = 3 },
		"negative records":     func(b []byte) { b[first+11] = 0x80 },
		"first not at 0":       func(b []byte) { b[first+12] = 1 },
		"overlap":              func(b []byte) { b[second+12]-- },
		"gap":                  func(b []byte) { b[second+12]++ },
		"shorter":              func(b []byte) { b[second+20]-- },
		"longer":               func(b []byte) { b[second+20]++ },
		"negative length":      func(b []byte) { b[second+27] = 0x80 },
		"kind":                 func(b []byte) { b[0] = 1 },
		"codec":                func(b []byte) { b[1] = 0 },
		"reserved":             func(b []byte) { b[2] = 1 },
		"number of partitions": func(b []byte) { b[4]++ },
	} {
		bad := bytes.Clone(good)
		index := bad[start : end-checksumLen]
		change(index)
		copy(bad[end-checksumLen:], seal(bytes.Clone(index))[len(index):])
		_, err := OpenRun(bytes.NewReader(bad), int64(len(bad)))
		wantCorrupt(t, err, "%s", name)
	}
}

// failAt is a sink or source that fails at a byte.
type failAt struct {
	data []byte
	at   int
}

var errBroken = errors.New("broken")

func (f *failAt) Write(p []byte) (int, error) {
	if f.at -= len(p); f.at < 0 {
		return 0, errBroken
	}
	return len(p), nil
}

func (f *failAt) ReadAt(p []byte, off int64) (int, error) {
	if int(off)+len(p) > f.at {
		return 0, errBroken
	}
	return copy(p, f.data[off:]), nil
}

func TestRunErrors(t *testing.T) {
	data := writeRun(t, Options{}, map[int][]rec{0: {{"a", "1"}}, 1: {{"b", "2"}}})
	for at := range data {
		w := NewRunWriter(&failAt{at: at}, Options{})
		err := w.StartPartition(0)
		err = errors.Join(err, w.Write([]byte("a"), []byte("1")), w.StartPartition(1), w.Write([]byte("b"), []byte("2")))
		_, cerr := w.Close()
		if !errors.Is(errors.Join(err, cerr), errBroken) {
			t.Errorf("sink of %d bytes: %v, %v", at, err, cerr)
		}
		if _, err := OpenRun(&failAt{data, at}, int64(len(data))); !errors.Is(err, errBroken) {
			t.Errorf("source of %d bytes: %v", at, err)
		}
	}
}
