package estimate

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFileAndStreamWrites(t *testing.T) {
	for _, tt := range []struct {
		size         int64
		file, stream Writes
	}{
		{0, Writes{Put: 1}, Writes{Put: 1}},
		{8 << 20, Writes{Put: 1}, Writes{Put: 1}},
		{8<<20 + 1, Writes{Put: 1}, Writes{Create: 1, Part: 2, Complete: 1}},
		{64 << 20, Writes{Put: 1}, Writes{Create: 1, Part: 8, Complete: 1}},
		{64<<20 + 1, Writes{Create: 1, Part: 9, Complete: 1}, Writes{Create: 1, Part: 9, Complete: 1}},
		{512 << 20, Writes{Create: 1, Part: 64, Complete: 1}, Writes{Create: 1, Part: 64, Complete: 1}},
		{1024 << 20, Writes{Create: 1, Part: 64, Complete: 1}, Writes{Create: 1, Part: 128, Complete: 1}},
		{8000 << 20, Writes{Create: 1, Part: 125, Complete: 1}, Writes{Create: 1, Part: 1000, Complete: 1}},
		{8016 << 20, Writes{Create: 1, Part: 126, Complete: 1}, Writes{Create: 1, Part: 1001, Complete: 1}},
		{160_000 << 20, Writes{Create: 1, Part: 2500, Complete: 1}, Writes{Create: 1, Part: 5834, Complete: 1}},
	} {
		if d := cmp.Diff(tt.file, FileWrites(tt.size)); d != "" {
			t.Errorf("a file of %d bytes (-want +got):\n%s", tt.size, d)
		}
		if d := cmp.Diff(tt.stream, StreamWrites(tt.size, part, part)); d != "" {
			t.Errorf("a stream of %d bytes (-want +got):\n%s", tt.size, d)
		}
	}
}

// TestStreamPartSize: a stream whose parts are larger.
func TestStreamPartSize(t *testing.T) {
	for size, want := range map[int64]Writes{
		8 << 20: {Create: 1, Part: 8, Complete: 1}, 16 << 20: {Create: 1, Part: 4, Complete: 1}, 64 << 20: {Put: 1},
	} {
		if d := cmp.Diff(want, StreamWrites(64<<20, size, size)); d != "" {
			t.Errorf("parts of %d bytes (-want +got):\n%s", size, d)
		}
	}
}

// TestStreamInOneRequest: a stream up to the given size is one request.
func TestStreamInOneRequest(t *testing.T) {
	for whole, want := range map[int64]Writes{
		8 << 20: {Create: 1, Part: 8, Complete: 1}, 64<<20 - 1: {Create: 1, Part: 8, Complete: 1}, 64 << 20: {Put: 1},
	} {
		if d := cmp.Diff(want, StreamWrites(64<<20, part, whole)); d != "" {
			t.Errorf("up to %d bytes in one (-want +got):\n%s", whole, d)
		}
	}
}
