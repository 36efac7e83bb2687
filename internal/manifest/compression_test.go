package manifest

import (
	"math"
	"testing"
)

func TestCompressionOf(t *testing.T) {
	for name, want := range map[string]Compression{
		"a.gz": Gzip, "d/A.LOG.GZ": Gzip, ".gz": Gzip, "a.tar.gz": Gzip, "a.zst": Zstd, "a.ZSt": Zstd, ".zst": Zstd,
		"": "", "gz": "", "zst": "", "a.gzip": "", "a.tgz": "", "a.gz.txt": "", "a.gz/b": "", "a.zstd": "", "agz": "", "a.bz2": Bzip2, "a.XZ": XZ, "a.lz4": LZ4, "a.sz": Snappy, "a.s2": S2, "a.bgz": Gzip, "é.gz": Gzip,
	} {
		if got := CompressionOf(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestMost(t *testing.T) {
	d := Decompress{Ratio: 200, Limit: 1 << 40}
	for size, want := range map[int64]int64{
		0: 1 << 30, 1: 1 << 30, 5 << 20: 1 << 30, 6 << 20: 1200 << 20, 1 << 30: 200 << 30, 1 << 40: 1 << 40, math.MaxInt64: 1 << 40,
	} {
		if got := d.Most(size); got != want {
			t.Errorf("%d bytes: %d, want %d", size, got, want)
		}
	}
	if got := (Decompress{Ratio: 1, Limit: 5}).Most(1); got != 5 {
		t.Errorf("a limit below the floor: %d", got)
	}
}

func TestWeight(t *testing.T) {
	f := (&Spec{Input: Choice{Name: Lines}}).InputFormat()
	if got := (Object{}).Weight(f, 7); got != 7 {
		t.Errorf("plain: %d", got)
	}
	if got := (Object{Compression: Gzip}).Weight(f, 7); got != 56 {
		t.Errorf("compressed: %d", got)
	}
	if got := (Object{Compression: Zstd}).Weight(f, math.MaxInt64/2); got != math.MaxInt64 {
		t.Errorf("beyond all numbers: %d", got)
	}
}

func TestMostRecords(t *testing.T) {
	plain, packed := samples()["job"].(*Job), packedJob()
	if got := plain.MostRecords(); got != 100+90<<20+2 {
		t.Errorf("plain: %d", got)
	}
	if got := packed.MostRecords(); got < 1<<61 || got+1<<61 < 0 {
		t.Errorf("compressed: %d", got)
	}
}
