package manifest

import (
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/recordio"
)

func TestCheckParts(t *testing.T) {
	plain := func(j *Job, m *Map) {
		j.Shuffle = ""
		m.Packed, m.Parts[0], m.Parts[1].Offset = nil, Part{Hash: zeroHash}, 0
		m.Parts[1].Key, m.Parts[1].ETag = "p/intermediate/mr-0-1", `"x"`
	}
	bare := func(m *Map, parts ...int) { // packed
		end := int64(0)
		for _, r := range parts {
			m.Parts[r] = Part{Hash: zeroHash}
		}
		for r := range m.Parts {
			m.Parts[r].Offset = end
			end += m.Parts[r].Size
		}
		if m.Packed.Size = end; end == 0 {
			m.Packed.Key, m.Packed.ETag = "", ""
		}
		m.Packed.Hash = PackedHash(m.Parts)
	}
	for name, tt := range map[string]struct {
		change func(*Job, *Map)
		want   string // of the error; "" is none
	}{
		"as it is":         {func(*Job, *Map) {}, ""},
		"plain":            {func(j *Job, m *Map) { *j, *m = *samples()["job"].(*Job), *samples()["map"].(*Map) }, ""},
		"plain, packed":    {func(j *Job, m *Map) { *m = *samples()["map"].(*Map) }, "not packed"},
		"packed, plain":    {func(j *Job, m *Map) { j.Shuffle = "" }, "an object for each"},
		"a gap":            {func(j *Job, m *Map) { m.Parts[1].Offset++ }, "partition 1 is said to have 333 bytes from 101 on"},
		"an overlap":       {func(j *Job, m *Map) { m.Parts[1].Offset = 0 }, "partition 1"},
		"less than none":   {func(j *Job, m *Map) { m.Parts[0].Size = -1 }, "partition 0"},
		"a key":            {func(j *Job, m *Map) { m.Parts[0].Key = "p/intermediate/mr-0-0" }, "partition 0"},
		"larger":           {func(j *Job, m *Map) { m.Packed.Size++ }, "said to have 434"},
		"other records":    {func(j *Job, m *Map) { m.Parts[0].Hash = strings.Repeat("0", 64) }, "the hash"},
		"other boundaries": {func(j *Job, m *Map) { m.Parts[0].Size--; m.Parts[1].Offset--; m.Parts[1].Size++ }, "the hash"},
		"no hash":          {func(j *Job, m *Map) { m.Parts[0].Hash = "x" }, "the hash"},

		"none, plain":             {plain, ""},
		"none, in a file":         {func(j *Job, m *Map) { plain(j, m); m.Parts[1].Sum, m.Parts[1].Hash = recordio.Sum{}, zeroHash }, "partition 1 is said to have 0 records"},
		"none, with records":      {func(j *Job, m *Map) { plain(j, m); m.Parts[0].Sum.Records = 1 }, "partition 0 is said to have 1 records"},
		"none, with another hash": {func(j *Job, m *Map) { plain(j, m); m.Parts[0].Hash = strings.Repeat("0", 64) }, "partition 0"},
		"none, with a key":        {func(j *Job, m *Map) { plain(j, m); m.Parts[0].Key = "k" }, "partition 0"},
		"some, without a key":     {func(j *Job, m *Map) { plain(j, m); m.Parts[1].Key = "" }, "partition 1"},
		"none, packed":            {func(j *Job, m *Map) { bare(m, 0) }, ""},
		"none, packed last":       {func(j *Job, m *Map) { bare(m, 1) }, ""},
		"none at all, packed":     {func(j *Job, m *Map) { bare(m, 0, 1) }, ""},
		"none at all, and a key":  {func(j *Job, m *Map) { bare(m, 0, 1); m.Packed.Key = "k" }, "the key"},
		"packed, without a key":   {func(j *Job, m *Map) { m.Packed.Key = "" }, "the key"},
	} {
		t.Run(name, func(t *testing.T) {
			j, m := packedJob(), packedMap()
			tt.change(j, m)
			err := m.CheckParts(j)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
