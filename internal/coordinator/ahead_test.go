package coordinator

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/recordio"
)

// List is slow for each page of a thousand.
func (d *door) List(ctx context.Context, prefix string) iter.Seq2[object.Info, error] {
	return func(yield func(object.Info, error) bool) {
		n := 0
		for o, err := range d.fake.List(ctx, prefix) {
			if n%1000 == 0 {
				time.Sleep(5 * time.Duration(d.delay.Load()))
			}
			if n++; !yield(o, err) {
				return
			}
		}
	}
}

// TestReadsAhead: a standby goes on with a large job, of which most is
// committed, within half a second over a store that takes 20 ms for each
// object, and 50 ms for each page of a listing. Without having read ahead it
// takes that time for each of its records.
func TestReadsAhead(t *testing.T) {
	const maps = 2000
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, maps)
		job := b.spec()
		b.known = job
		commit := func(m int) {
			part := func(r int) manifest.Part {
				return manifest.Part{Key: b.lay.Partition(m, r), ETag: "e", Size: 1, Hash: partHash, Sum: recordio.Sum{Records: 1}}
			}
			rec := manifest.Map{
				Schema: manifest.MapSchema, Job: job.ID, Task: m, Attempt: fmt.Sprintf("e.m%d.1", m), Input: b.inputOf(m), Emitted: 2,
				Parts: []manifest.Part{part(0), part(1)},
			}
			b.put(b.lay.MapCommit(m), rec, nil)
		}
		for m := range maps - 300 {
			commit(m)
		}
		first, second := b.active(), b.standby(func(o *Options) { o.SplitSize, o.Pack = 1<<20, PackNever })
		defer second.kill()
		second.door.delay.Store(int64(10 * time.Millisecond))
		time.Sleep(3 * aheadEvery)
		for m := maps - 300; m < maps-1; m++ { // since it last looked
			commit(m)
		}
		first.kill()
		renewed := readAnnouncement(b).Renewed
		second.awaitLed(renewed, testLease, testLease+2*within)
		led := time.Now()
		app := spec{met: true, App: job.App}
		s, err := second.c.prepare(t.Context(), app)
		if err != nil || len(s.maps) != maps-1 || s.maps[7].Attempt != "e.m7.1" || s.created {
			t.Fatalf("%v", err)
		}
		t.Logf("prepared in %v", time.Since(led))
		if took := time.Since(led); took > time.Second/2 {
			t.Errorf("it took %v", took)
		}
		if second.c.memory.kept != nil {
			t.Error("it keeps the records twice")
		}
		second.kill()
		led = time.Now()
		second.c.compared = ""
		if _, err := second.c.prepare(t.Context(), app); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(led); took < 1200*time.Millisecond {
			t.Errorf("without reading ahead it takes %v: the test shows nothing", took)
		} else {
			t.Logf("without reading ahead it takes %v", took)
		}
	})
}

// TestRecall: what was read is read again only if it is another version.
func TestRecall(t *testing.T) {
	var m memory
	reads := 0
	read := func() (*manifest.Map, error) { reads++; return &manifest.Map{Task: reads}, nil }
	get := func(etag string) int {
		rec, err := recall(&m, "k", etag, read)
		if err != nil {
			t.Fatal(err)
		}
		return rec.Task
	}
	if get("a") != 1 || get("a") != 2 {
		t.Error("it remembers although nobody asked it to")
	}
	m.start()
	for i, key := range []string{"a", "a", "b", "b"} {
		if want := 3 + i/2; get(key) != want {
			t.Errorf("it does not remember %s, which was %d", key, want)
		}
	}
	if _, err := recall(&m, "k", "b", func() (*manifest.Reduce, error) { return nil, errInjected }); err == nil {
		t.Error("it took a map's record for a reduce's")
	}
	m.stop()
	if get("b") != 5 {
		t.Error("it does not forget")
	}
}
