package manifest

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/input"
)

// at is a place in an object.
func at(offset, within int64) input.Position {
	return input.Position{Offset: offset, Within: within}
}

// cutJob has one object of 100 bytes in three pieces, each a task, whose readers
// have to guess since it is compressed, and one object that is whole.
func cutJob() *Job {
	j := packedJob()
	j.Objects[1].Size = 100
	j.Tasks = [][]Piece{{{0, 0, 10}, {1, 0, 40}}, {{1, 40, 30}}, {{1, 70, 30}, {2, 0, 30}}}
	return j
}

// TestExtents: a commit record has an extent for each piece that is not all of a
// compressed object, which lies in the object behind the piece's beginning.
func TestExtents(t *testing.T) {
	job := cutJob()
	for name, tt := range map[string]struct {
		task    int
		extents []Extent
		want    string // in the error; "" is none
	}{
		"first":             {0, []Extent{{at(0, 0), at(40, 7)}}, ""},
		"middle":            {1, []Extent{{at(40, 7), at(70, 0)}}, ""},
		"no record":         {1, []Extent{{at(90, 7), at(90, 7)}}, ""},
		"up to the end":     {1, []Extent{{at(40, 7), at(100, 0)}}, ""},
		"last":              {2, []Extent{{at(70, 1<<20), at(100, 0)}}, ""},
		"none":              {1, nil, "does not say where"},
		"two":               {1, []Extent{{at(40, 7), at(70, 0)}, {at(40, 7), at(70, 0)}}, "of 1 pieces that it does not have"},
		"first, later":      {0, []Extent{{at(0, 1), at(40, 7)}}, `begin at byte 1 of what the block at byte 0 holds and go on to byte 7 of what`},
		"last, short":       {2, []Extent{{at(70, 1), at(99, 0)}}, "and go on to byte 99"},
		"before the piece":  {1, []Extent{{at(39, 7), at(70, 0)}}, "begin at"},
		"behind the object": {1, []Extent{{at(40, 7), at(101, 0)}}, "begin at"},
		"behind its end":    {2, []Extent{{at(70, 7), at(100, 1)}}, "begin at"},
		"backwards":         {1, []Extent{{at(60, 7), at(60, 6)}}, "begin at"},
		"below zero":        {1, []Extent{{at(60, -1), at(60, 6)}}, "begin at"},
		"too large":         {1, []Extent{{at(60, 1), at(61, Most+1)}}, "begin at"},
	} {
		err := (&Map{Task: tt.task, Extents: tt.extents}).validateExtents(job)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	plain := &Map{Task: 1, Extents: []Extent{{at(64<<20, 7), at(90<<20, 0)}}}
	if err := plain.validateExtents(theJob); err == nil {
		t.Error("lines that are not compressed need no guess")
	}
}

// TestExtentJSON: an extent is an array of four numbers.
func TestExtentJSON(t *testing.T) {
	data, err := json.Marshal(Map{Extents: []Extent{{at(40, 7), at(100, 0)}}})
	if err != nil || !strings.Contains(string(data), `"extents":[[40,7,100,0]]`) {
		t.Errorf("%s, %v", data, err)
	}
	var m Map
	if err := json.Unmarshal(data, &m); err != nil || m.Extents[0] != (Extent{at(40, 7), at(100, 0)}) {
		t.Errorf("%+v, %v", m, err)
	}
	for _, bad := range []string{`[1,2,3]`, `[1,2,3,4,5]`, `"x"`, `[1,2,3,"4"]`, `{}`} {
		if err := json.Unmarshal([]byte(bad), new(Extent)); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
}

// TestBadRecordInBlock: a record that was skipped lies in what its piece has, block
// and place within it taken together.
func TestBadRecordInBlock(t *testing.T) {
	job := cutJob()
	m := &Map{Task: 1, Extents: []Extent{{at(40, 7), at(70, 3)}}}
	o := job.Objects[1]
	for where, ok := range map[input.Position]bool{at(40, 6): false, at(40, 7): true, at(50, 0): true, at(70, 2): true, at(70, 3): false} {
		err := m.validateBadRecord(BadRecord{Object: o.Name, ETag: o.ETag, Offset: where.Offset, Within: where.Within, Length: 1 << 20}, job)
		if (err == nil) != ok {
			t.Errorf("%v: %v", where, err)
		}
	}
	whole := &Map{Task: 0, Extents: []Extent{{at(0, 0), at(40, 7)}}}
	a := job.Objects[0]
	for within, ok := range map[int64]bool{0: true, 1: false} {
		err := whole.validateBadRecord(BadRecord{Object: a.Name, ETag: a.ETag, Offset: 3, Within: within, Length: 2}, job)
		if (err == nil) != ok {
			t.Errorf("byte 3+%d of an object that is not cut: %v", within, err)
		}
	}
}
