package coordinator

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/wire"
)

// commitBad commits what is granted next; a map task as one that skipped bad
// of its records.
func (h *fakeWorker) commitBad(records, bad int64) {
	h.t.Helper()
	a := h.granted()
	h.commit(a)
	m := int(a.Task)
	if a.Phase == wire.Phase_PHASE_MAP {
		data, _ := h.store.data(h.lay.MapCommit(m))
		rec, err := manifest.Decode[manifest.Map]([]byte(data), manifest.MapSchema)
		if err != nil {
			h.t.Fatal(err)
		}
		rec.Input.Records = records
		if bad > 0 {
			in := h.plan().Objects[m]
			first := slices.Repeat([]manifest.BadRecord{{Object: in.Name, ETag: in.ETag, Offset: 7, Length: 3, Error: "no JSON"}}, int(min(bad, manifest.FirstBad)))
			rec.Bad = &manifest.Quarantine{Key: h.lay.Bad(m), ETag: "e", Size: 9, Hash: partHash, Records: bad, First: first}
		}
		h.put(h.lay.MapCommit(m), rec, nil)
	}
	h.report(a, nil)
}

// TestBadRecords: what the tasks skipped is held against the budget of the
// whole job, which fails no sooner than it must.
func TestBadRecords(t *testing.T) {
	ppm := func(n int64) manifest.Budget { return manifest.Budget{PPM: n} }
	for _, tc := range []struct {
		name   string
		budget manifest.Budget
		bad    []int64 // of each task's 10 records
		want   string  // of the error; "" is success
	}{
		{"none", manifest.Budget{}, []int64{0, 0, 0}, ""},
		{"within", manifest.Budget{Records: 3}, []int64{2, 0, 1}, ""},
		{"over", manifest.Budget{Records: 2}, []int64{2, 0, 1}, "3 bad records, max-bad-records is 2: 3 bytes at 7 of in-0: no JSON; 3 bytes at 7 of in-0: no JSON; 3 bytes at 7 of in-2: no JSON"},
		{"at once", manifest.Budget{Records: 2}, []int64{3}, "3 bad records, max-bad-records is 2: 3 bytes at 7 of in-0: no JSON; 3 bytes at 7 of in-0: no JSON; 3 bytes at 7 of in-0: no JSON"},
		{"share, clustered", ppm(100_000), []int64{3, 0, 0}, ""},
		{"share, over", ppm(99_999), []int64{3, 0, 0}, "3 bad records, max-bad-records is 9.9999%: 3 bytes at 7 of in-0: no JSON; 3 bytes at 7 of in-0: no JSON; 3 bytes at 7 of in-0: no JSON"},
		{"nothing may be bad", manifest.Budget{}, []int64{1}, "1 bad record, max-bad-records is 0: 3 bytes at 7 of in-0: no JSON"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := newFixture(t, 3)
			for i := range 3 { // large enough for 10 records
				b.store.set(b.lay.Input(fmt.Sprintf("in-%d", i)), make([]byte, 50), nil)
			}
			s := b.start(func(o *Options) { o.MaxBad = tc.budget })
			w := s.join("w", 1)
			sum := int64(0)
			for _, bad := range tc.bad {
				sum += bad
				w.commitBad(10, bad)
			}
			if tc.want == "" {
				w.work(2)
				if got := s.succeeds(); got.Skipped != sum || got.Input.Records != 30 {
					t.Errorf("%+v", got)
				}
				return
			}
			s.ends()
			var failed *JobError
			if !errors.As(s.err, &failed) || failed.Cause != tc.want {
				t.Errorf("got %v, want %s", s.err, tc.want)
			}
			// The same line again finds the same.
			s = b.start(func(o *Options) { o.MaxBad = tc.budget })
			s.ends()
			if !errors.As(s.err, &failed) || failed.Cause != tc.want {
				t.Errorf("again: got %v, want %s", s.err, tc.want)
			}
		})
	}
}

// TestPromoteBad: a list that met another one gets the plain name once its
// attempt is committed.
func TestPromoteBad(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(func(o *Options) { o.MaxBad = manifest.Budget{Records: 1} })
	w := s.join("w", 1)
	a := w.granted()
	b.store.set(b.lay.Bad(0), []byte("of an attempt that died\n"), nil)
	info := b.store.set(b.lay.MapAttemptBad(0, a.Id), []byte("ours\n"), nil)
	b.commit(a)
	data, _ := b.store.data(b.lay.MapCommit(0))
	rec, err := manifest.Decode[manifest.Map]([]byte(data), manifest.MapSchema)
	if err != nil {
		t.Fatal(err)
	}
	in := b.plan().Objects[0]
	rec.Bad = &manifest.Quarantine{
		Key: info.Key, ETag: info.ETag, Size: info.Size, Hash: partHash, Records: 1,
		First: []manifest.BadRecord{{Object: in.Name, ETag: in.ETag, Length: 1, Error: "?"}},
	}
	b.put(b.lay.MapCommit(0), rec, nil)
	w.report(a, nil)
	w.work(2)
	s.succeeds()
	if data, _ := b.store.data(b.lay.Bad(0)); data != "ours\n" {
		t.Errorf("the plain name has %q", data)
	}
}
