package coordinator

import (
	"errors"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/recordio"
)

// TestForgedRecords: somebody who may write to the bucket has written a commit
// record that names other objects than the task's, or says that there are no
// records. The coordinator copies, overwrites and believes nothing of it,
// neither when it takes the job up nor when an attempt reports.
func TestForgedRecords(t *testing.T) {
	none := "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for name, forge := range map[string]func(*fixture, *manifest.Map){
		"an object elsewhere": func(_ *fixture, m *manifest.Map) { m.Parts[0].Key = "private/secret.txt" },
		"an input object":     func(b *fixture, m *manifest.Map) { m.Parts[1].Key = b.lay.Input("in-0") },
		"another task's":      func(b *fixture, m *manifest.Map) { m.Parts[0].Key = b.lay.Partition(1, 0) },
		"another attempt's":   func(b *fixture, m *manifest.Map) { m.Parts[0].Key = b.lay.MapAttempt(0, "x", 0) },
		"a path out of the job": func(b *fixture, m *manifest.Map) {
			m.Attempt = "../../../private"
			m.Parts[0].Key = b.lay.MapAttempt(0, m.Attempt, 0)
		},
		"no records in an object": func(_ *fixture, m *manifest.Map) { m.Parts[0].Sum = recordio.Sum{} },
		"no records at all":       func(_ *fixture, m *manifest.Map) { m.Parts = []manifest.Part{{Hash: none}, {Hash: none}} },
		"less input":              func(_ *fixture, m *manifest.Map) { m.Input.Bytes = 0 },
	} {
		for _, resumed := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				b := newFixture(t, 2)
				s := b.start(nil)
				w := s.join("w", 1)
				a := w.granted()
				b.commit(a)
				secret := b.store.set("private/secret.txt", []byte("secret"), nil)
				key := b.lay.MapCommit(int(a.Task))
				data, _ := b.store.data(key)
				rec, err := manifest.DecodeMap([]byte(data), b.lay, b.plan(), int(a.Task))
				if err != nil {
					t.Fatal(err)
				}
				rec.Parts[0].ETag, rec.Parts[1].ETag = secret.ETag, secret.ETag
				forge(b, rec)
				b.put(key, rec, nil)
				before := map[string]string{}
				for o := range b.store.List(t.Context(), "") {
					before[o.Key], _ = b.store.data(o.Key)
				}
				if resumed {
					s.kill()
					s = b.start(nil)
				} else {
					w.report(a, nil)
				}
				s.ends()
				var conflict *ConflictError
				if !errors.As(s.err, &conflict) || !strings.Contains(conflict.What, key) {
					t.Errorf("Run: %v", s.err)
				}
				for key, was := range before {
					if is, _ := b.store.data(key); is != was && key != b.lay.Coordinator() {
						t.Errorf("%s was %q and is %q", key, was, is)
					}
				}
			})
		}
	}
}

// TestForgedSums: a record that is right in itself and was put in the place of
// the one that the reduces have read from.
func TestForgedSums(t *testing.T) {
	b := newFixture(t, 1)
	s := b.start(nil)
	w := s.join("w", 1)
	w.work(2)
	s.kill()
	data, _ := b.store.data(b.lay.MapCommit(0))
	rec, err := manifest.DecodeMap([]byte(data), b.lay, b.plan(), 0)
	if err != nil {
		t.Fatal(err)
	}
	rec.Parts[0].Sum, rec.Parts[1].Sum = recordio.Sum{Records: 1, Hash: 0, Bytes: 1}, recordio.Sum{Records: 1, Hash: 2, Bytes: 3}
	b.put(b.lay.MapCommit(0), rec, nil)
	s = b.start(nil)
	s.join("w2", 1).work(1)
	s.ends()
	var job *JobError
	if !errors.As(s.err, &job) || !strings.Contains(job.Cause, "for reduce task 0, which read 1") {
		t.Errorf("Run: %v", s.err)
	}
}
