package manifest

import (
	"strings"
	"testing"
)

func TestCheckPacked(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*Job, *Map)
		want   string // of the error; "" is none
	}{
		"as it is":         {func(*Job, *Map) {}, ""},
		"plain":            {func(j *Job, m *Map) { *j, *m = *samples()["job"].(*Job), *samples()["map"].(*Map) }, ""},
		"plain, packed":    {func(j *Job, m *Map) { *m = *samples()["map"].(*Map) }, "not packed"},
		"packed, plain":    {func(j *Job, m *Map) { j.Shuffle = "" }, "an object for each"},
		"packed as v1":     {func(j *Job, m *Map) { m.Schema = MapSchema }, "another version"},
		"plain as v2":      {func(j *Job, m *Map) { m.Packed = nil }, "another version"},
		"a gap":            {func(j *Job, m *Map) { m.Parts[1].Offset++ }, "partition 1 is said to have 333 bytes from 101 on"},
		"an overlap":       {func(j *Job, m *Map) { m.Parts[1].Offset = 0 }, "partition 1"},
		"less than none":   {func(j *Job, m *Map) { m.Parts[0].Size = -1 }, "partition 0"},
		"a key":            {func(j *Job, m *Map) { m.Parts[0].Key = "p/intermediate/mr-0-0" }, "partition 0"},
		"larger":           {func(j *Job, m *Map) { m.Packed.Size++ }, "said to have 434"},
		"other records":    {func(j *Job, m *Map) { m.Parts[0].Hash = strings.Repeat("0", 64) }, "the hash"},
		"other boundaries": {func(j *Job, m *Map) { m.Parts[0].Size--; m.Parts[1].Offset--; m.Parts[1].Size++ }, "the hash"},
		"no hash":          {func(j *Job, m *Map) { m.Parts[0].Hash = "x" }, "the hash"},
	} {
		t.Run(name, func(t *testing.T) {
			j, m := packedJob(), packedMap()
			tt.change(j, m)
			err := m.CheckPacked(j)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
