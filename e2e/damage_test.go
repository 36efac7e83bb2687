//go:build !interop

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/coordinator"
	"github.com/mraws/mraws/internal/datadir"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/s3fs"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/internal/worker"
	"github.com/mraws/mraws/mr"
)

// A table of damages: every class of object, harmed in every way, at every time
// of a job. What a cell of it has to come to stands in damageTable.

// moment is a step of the job at which the harm is done, before the step.
type moment string

const (
	beforeMap    moment = "before map"    // the plan is made; no input has been read
	beforeReduce moment = "before reduce" // all maps are committed; no reduce has read a record
	duringReduce moment = "during reduce" // one output is there, another one is about to be written
	afterReduce  moment = "after reduce"  // all outputs are reported; the coordinator looks at them
)

// watched is a store that calls at before each request.
type watched struct {
	*s3fs.Store
	at func(op, key string)
}

func (w watched) Get(ctx context.Context, key string) ([]byte, object.Info, error) {
	w.at("get", key)
	return w.Store.Get(ctx, key)
}

func (w watched) Create(ctx context.Context, key string, o object.PutOptions) (object.Writer, error) {
	w.at("create", key)
	return w.Store.Create(ctx, key, o)
}

func (w watched) List(ctx context.Context, prefix string) iter.Seq2[object.Info, error] {
	w.at("list", prefix)
	return w.Store.List(ctx, prefix)
}

// damagedJob is one job of the table.
type damagedJob struct {
	*fixture
	at      datadir.Endpoint
	app     mr.App
	shuffle coordinator.Shuffle
}

const damagedReduces = 3

// run runs the job to its end with two workers, and calls harm at the moment.
func (d *damagedJob) run(when moment, harm func()) error {
	open := func(server s3fs.Server) *s3fs.Store {
		s, err := s3fs.Open(d.t.Context(), s3fs.Options{
			Bucket: "mapreducedata", Region: d.at.Region, Endpoint: d.at.URL, AccessKey: d.at.AccessKey, SecretKey: d.at.SecretKey,
			Server: server, BackoffBase: time.Millisecond,
		})
		if err != nil {
			d.t.Fatal(err)
		}
		d.t.Cleanup(s.Close)
		return s
	}
	var mu sync.Mutex // held while harm is done, so that nobody gets past
	done, creates := false, 0
	at := func(op, key string) {
		mu.Lock()
		defer mu.Unlock()
		if op == "create" {
			creates++
		}
		var now bool
		switch when {
		case beforeMap:
			now = op == "get" && key == d.layout.Job()
		case beforeReduce:
			now = op == "get" && strings.HasPrefix(key, d.layout.CommitDir())
		case duringReduce:
			now = op == "create" && creates == 2
		case afterReduce:
			now = op == "list" && key == d.layout.ControlPrefix()
		}
		if now && !done {
			done = true
			harm()
		}
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		d.t.Fatal(err)
	}
	coordAddress := at
	if when == beforeReduce || when == beforeMap { // the coordinator reads these as well
		coordAddress = func(string, string) {}
	}
	coord := coordinator.New(coordinator.Options{
		Store: watched{open(s3fs.Elsewhere), coordAddress}, Layout: d.layout, Log: zerolog.Nop(), Version: "v",
		App: &d.app, NReduce: damagedReduces, SplitSize: 64 << 20, Pack: coordinator.PackAuto, Shuffle: d.shuffle,
		Lease: 2 * time.Second, MaxFailures: 2, MaxLost: 8, Unsafe: true,
		Listener: lis, Addresses: []string{lis.Addr().String()}, Security: wire.ServerOptions{Insecure: true},
	})
	g, ctx := errgroup.WithContext(d.t.Context())
	var failure error
	g.Go(func() error { _, failure = coord.Run(ctx); return nil })
	for i := range 2 {
		store := watched{open(s3fs.Server(i)), at} // the second as on this machine
		g.Go(func() error {
			_ = worker.Run(ctx, worker.Options{ // how the job ended the coordinator says
				Store: store, Bucket: "mapreducedata", Layout: d.layout, Log: zerolog.Nop(), Version: "v", App: &d.app,
				Addresses: []string{lis.Addr().String()}, Insecure: true, CoordTimeout: time.Minute,
				Name: fmt.Sprintf("w%d", i), Slots: 1, Memory: memory, Scratch: d.dir,
			})
			return nil
		})
	}
	_ = g.Wait() // of nothing
	if !done {
		d.t.Errorf("the job never came to %q", when)
	}
	return failure
}

// harms are the ways in which others than the job harm an object: in the files
// of the server, where the version and all else stay, and by requests.
func harms() map[string]func(d *damagedJob, key string) error {
	atRest := func(change func([]byte) []byte) func(*damagedJob, string) error {
		return func(d *damagedJob, key string) error {
			f, err := os.OpenFile(d.fileOf(key), os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			data, err := io.ReadAll(f)
			if err != nil {
				return err
			}
			data = change(data)
			_, err = f.WriteAt(data, 0)
			return errors.Join(err, f.Truncate(int64(len(data))))
		}
	}
	flip := func(data []byte) []byte {
		data = bytes.Clone(data)
		data[len(data)/2] ^= 0x01
		return data
	}
	put := func(change func([]byte) []byte, meta bool) func(*damagedJob, string) error {
		return func(d *damagedJob, key string) error {
			data, info, err := d.store.Get(d.t.Context(), key)
			if err != nil {
				return err
			}
			o := s3fs.PutOptions{}
			if meta {
				o.Meta = info.Meta
			}
			_, err = d.store.Put(d.t.Context(), key, change(data), o)
			return err
		}
	}
	return map[string]func(*damagedJob, string) error{
		"deleted":          func(d *damagedJob, key string) error { return d.store.Delete(d.t.Context(), key) },
		"unlinked":         func(d *damagedJob, key string) error { return os.Remove(d.fileOf(key)) },
		"flipped":          atRest(flip),
		"cut":              atRest(func(data []byte) []byte { return data[:len(data)/2] }),
		"emptied":          atRest(func([]byte) []byte { return nil }),
		"lengthened":       atRest(func(data []byte) []byte { return append(bytes.Clone(data), data...) }),
		"put":              put(func([]byte) []byte { return []byte("something else\n") }, false),
		"put with meta":    put(flip, true),
		"put empty":        put(func([]byte) []byte { return nil }, true),
		"put cut":          put(func(data []byte) []byte { return data[:len(data)/2] }, true),
		"put other's meta": put(bytes.Clone, false),
	}
}

// class is a kind of object. key names the one that is harmed; "" is that there
// is none yet.
type class struct {
	name string
	key  func(d *damagedJob) string
}

func classes() []class {
	first := func(prefix func(layout.Layout) string) func(*damagedJob) string {
		return func(d *damagedJob) string {
			for _, key := range d.keys(prefix(d.layout)) {
				return key
			}
			return ""
		}
	}
	fixed := func(key func(layout.Layout) string) func(*damagedJob) string {
		return func(d *damagedJob) string {
			if slices.Contains(d.keys(key(d.layout)), key(d.layout)) {
				return key(d.layout)
			}
			return ""
		}
	}
	return []class{
		{"input", fixed(func(l layout.Layout) string { return l.Input("b") })},
		{"segment", func(d *damagedJob) string {
			key := d.layout.Partition(1, 1)
			if d.shuffle == coordinator.ShufflePacked {
				key = d.layout.Packed(1)
			}
			return fixed(func(layout.Layout) string { return key })(d)
		}},
		{"commit record", fixed(func(l layout.Layout) string { return l.MapCommit(1) })},
		{"attempt record", first(func(l layout.Layout) string { return l.ControlPrefix() + "attempts/reduce-" })},
		{"output", first(func(l layout.Layout) string { return l.OutputDir() + "mr-out-" })},
		{"spec", fixed(layout.Layout.Job)},
		{"key ranges", fixed(layout.Layout.Ranges)},
		{"announcement", fixed(layout.Layout.Coordinator)},
	}
}

// ending is what has to come of a cell of the table.
type ending int

const (
	right ending = iota // the job ends well, with the outputs of a job to which nothing happened
	named               // the job fails and says which object
	found               // the job ends well, and whoever reads the object is told that it is damaged: at rest, behind its last reader
)

func (e ending) String() string {
	return [...]string{"ends right", "fails and names the object", "ends, and the object is found to be damaged"}[e]
}

// want is what has to come of a cell. Some have several ends, by who comes
// first.
func want(c class, how string, when moment) []ending {
	atRest := !strings.HasPrefix(how, "put")
	gone := how == "deleted" || how == "unlinked"
	switch c.name {
	case "input":
		if when == beforeMap && how != "lengthened" { // what is planned is there
			return []ending{named}
		}
		if atRest && !gone { // of what nobody reads any more
			return []ending{right, found}
		}
	case "commit record", "attempt record", "spec":
		if how == "flipped" { // the size is right, so that only who reads it sees it
			return []ending{right, found}
		}
	case "segment":
		if atRest && !gone && (when != beforeReduce || how == "lengthened") {
			return []ending{right, found}
		}
	case "output":
		switch {
		case gone:
			return []ending{right}
		case how == "flipped":
			return []ending{found}
		case how == "put other's meta":
			return []ending{right, named}
		}
		return []ending{named}
	case "key ranges":
		if !atRest && how != "put other's meta" && (when == beforeReduce || when == duringReduce) {
			return []ending{right, named} // whoever reads them first
		}
	}
	return []ending{right}
}

// TestDamages plays the table.
func TestDamages(t *testing.T) {
	b := newPlainFixture(t)
	at, err := datadir.Find(t.Context(), filepath.Join(b.dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	cells := map[ending]int{}
	for _, j := range []struct {
		app     string
		shuffle coordinator.Shuffle
		classes []string // nil is all
	}{
		{"wc", coordinator.ShufflePlain, nil},
		{"wc", coordinator.ShufflePacked, []string{"segment", "commit record"}},
		{"indexer", coordinator.ShufflePacked, []string{"segment", "output"}},
		{"sort", coordinator.ShufflePlain, []string{"segment", "key ranges", "input"}},
		{"sort", coordinator.ShufflePacked, []string{"segment"}},
	} {
		t.Run(fmt.Sprintf("%s, %s", j.app, j.shuffle), func(t *testing.T) {
			start := func(t *testing.T) *damagedJob {
				t.Helper()
				here := *b
				here.t, here.layout = t, layout.New(newPrefix())
				d := &damagedJob{fixture: &here, at: at, app: app(t, j.app), shuffle: j.shuffle}
				for i, name := range []string{"a", "b", "c"} {
					if _, err := b.store.Put(t.Context(), d.layout.Input(name), []byte(book(i)), putOptions); err != nil {
						t.Fatal(err)
					}
				}
				return d
			}
			clean := start(t)
			if err := clean.run(afterReduce, func() {}); err != nil {
				t.Fatal(err)
			}
			outputs := clean.outputs()
			for _, c := range classes() {
				if j.classes != nil && !slices.Contains(j.classes, c.name) {
					continue
				}
				for _, when := range []moment{beforeMap, beforeReduce, duringReduce, afterReduce} {
					for _, how := range slices.Sorted(maps.Keys(harms())) {
						t.Run(strings.Join([]string{c.name, string(when), how}, ", "), func(t *testing.T) {
							d := start(t)
							if end, played := d.cell(c, when, how, outputs); played {
								mu.Lock()
								cells[end]++
								mu.Unlock()
							}
						})
					}
				}
			}
		})
	}
	t.Logf("%d cells: %d jobs ended right, %d named the object, %d objects were found to be damaged",
		cells[right]+cells[named]+cells[found], cells[right], cells[named], cells[found])
	if cells[right] < 100 || cells[named] < 20 || cells[found] < 5 {
		t.Errorf("the table has not been played: %v", cells)
	}
}

// cell plays one cell and returns what came of it, and whether there was an
// object to harm.
func (d *damagedJob) cell(c class, when moment, how string, outputs map[int]string) (end ending, played bool) {
	d.t.Helper()
	key := ""
	err := d.run(when, func() {
		if key = c.key(d); key == "" {
			return
		}
		if err := harms()[how](d, key); err != nil {
			d.t.Errorf("%s %s: %v", how, key, err)
		}
	})
	if key == "" {
		if err != nil {
			d.t.Error(err)
		}
		return right, false
	}
	text := ""
	var conflict *coordinator.ConflictError
	if errors.As(err, &conflict) {
		text = strings.Join(conflict.Diff, "\n")
	}
	wanted := want(c, how, when)
	switch {
	case err != nil:
		end = named
		if text = err.Error() + "\n" + text; !strings.Contains(text, key) {
			d.t.Errorf("the job fails and does not name %s: %s", key, text)
		}
		if len(d.keys(d.layout.Success())) > 0 {
			d.t.Error("the job failed, and _SUCCESS is there")
		}
	default:
		if _, _, err := d.store.Get(d.t.Context(), key); errors.Is(err, object.ErrDamaged) {
			end = found
		} else {
			end = right
		}
		if c.name == "output" && end == found {
			break
		}
		got := d.outputs()
		for r := range damagedReduces {
			if got[r] != outputs[r] {
				d.t.Errorf("the job ended well and output %d has %d bytes, want %d", r, len(got[r]), len(outputs[r]))
			}
		}
		d.sound()
	}
	if !slices.Contains(wanted, end) {
		d.t.Errorf("the job %v, want one that %v: %s", end, wanted, text)
	}
	return end, true
}

// sound checks that the control objects of a job that has ended well are there.
func (d *damagedJob) sound() {
	d.t.Helper()
	for m := range 3 {
		if len(d.keys(d.layout.MapCommit(m))) == 0 {
			d.t.Errorf("the commit record of map task %d is not there", m)
		}
	}
	if len(d.keys(d.layout.Job())) == 0 {
		d.t.Error("the spec is not there")
	}
	if n := len(d.keys(d.layout.ControlPrefix() + "attempts/reduce-")); n < damagedReduces {
		d.t.Errorf("%d records of reduce attempts, want %d", n, damagedReduces)
	}
	if d.app.Ordered && len(d.keys(d.layout.Ranges())) == 0 {
		d.t.Error("the key ranges are not there")
	}
}
