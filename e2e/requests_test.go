//go:build !interop

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/coordinator"
	"github.com/mraws/mraws/internal/datadir"
	"github.com/mraws/mraws/internal/estimate"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/s3fs"
	"github.com/mraws/mraws/internal/task"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/internal/worker"
)

// counted is a job in this process whose requests are counted by the clients
// that make them.
type counted struct {
	*fixture
	at       datadir.Endpoint
	stores   []*s3fs.Store
	announce *s3fs.Store // for the announcement alone
	log      *s3fs.Store // for the event log alone
}

// open returns a client that is counted.
func (c *counted) open(server s3fs.Server) *s3fs.Store {
	c.t.Helper()
	s, err := s3fs.Open(c.t.Context(), s3fs.Options{
		Bucket: "mapreducedata", Region: c.at.Region, Endpoint: c.at.URL, AccessKey: c.at.AccessKey, SecretKey: c.at.SecretKey,
		Server: server,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(s.Close)
	c.stores = append(c.stores, s)
	return s
}

// coordinatorStore has clients of its own for the announcement and for the event log,
// since how often these are written and read is a matter of time.
type coordinatorStore struct {
	*s3fs.Store
	layout   layout.Layout
	announce *s3fs.Store
	log      *s3fs.Store
}

// Put implements coordinator.Store.
func (s coordinatorStore) Put(ctx context.Context, key string, data []byte, o object.PutOptions) (object.Info, error) {
	if key == s.layout.Coordinator() {
		return s.announce.Put(ctx, key, data, o)
	}
	if _, ok := s.layout.ParseEvents(key); ok {
		return s.log.Put(ctx, key, data, o)
	}
	return s.Store.Put(ctx, key, data, o)
}

// countedJob is what a job is made of.
type countedJob struct {
	inputs  map[string]string
	app     string // "" is wc
	reduces int
	split   int64 // 0 is 64 MiB
	shuffle coordinator.Shuffle
	workers int
	slots   int // of each; 0 is 1
	server  s3fs.Server
	shared  bool // the workers are of one process
	packed  bool // what comes of the shuffle, if there are any records
	objects int  // with partitions; 0 is not to look
}

// withDefaults fills in what is not said.
func (j countedJob) withDefaults() countedJob {
	if j.app == "" {
		j.app = "wc"
	}
	if j.split == 0 {
		j.split = 64 << 20
	}
	j.slots = max(j.slots, 1)
	return j
}

// memory is the budget of each worker.
const memory = 64 << 20

// play runs the job to its end.
func (c *counted) play(j countedJob) {
	t := c.t
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	app := app(t, j.app)
	c.announce, c.log = c.open(s3fs.Elsewhere), c.open(s3fs.Elsewhere)
	coord := coordinator.New(coordinator.Options{
		Store: coordinatorStore{c.open(s3fs.Elsewhere), c.layout, c.announce, c.log}, Layout: c.layout, Log: zerolog.Nop(), Version: "v",
		App: &app, NReduce: j.reduces, SplitSize: j.split, Pack: coordinator.PackAuto, Shuffle: j.shuffle,
		Lease: time.Minute, MaxFailures: 1, MaxLost: 1,
		Listener: lis, Addresses: []string{lis.Addr().String()}, Security: wire.ServerOptions{Insecure: true}, EventLog: true,
	})
	g, ctx := errgroup.WithContext(t.Context())
	g.Go(func() error { _, err := coord.Run(ctx); return err })
	var shared *worker.Shared
	if j.shared {
		shared = new(worker.Shared)
	}
	for i := range j.workers {
		store := c.open(j.server)
		g.Go(func() error {
			return worker.Run(ctx, worker.Options{
				Store: store, Bucket: "mapreducedata", Layout: c.layout, Log: zerolog.Nop(), Version: "v", App: &app,
				Addresses: []string{lis.Addr().String()}, Insecure: true, CoordTimeout: time.Minute,
				Name: fmt.Sprintf("w%d", i), Slots: j.slots, Memory: memory, Scratch: c.dir, Shared: shared,
			})
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
}

// segments counts the objects with a partition, and those with several.
func (c *counted) segments() (plain, packed int) {
	for _, key := range c.keys(c.layout.IntermediateDir()) {
		if _, _, ok := c.layout.ParsePartition(key); ok {
			plain++
		} else if _, ok := c.layout.ParsePacked(key); ok {
			packed++
		}
	}
	return plain, packed
}

// requests adds up what the clients have counted.
func (c *counted) requests() map[string]int64 {
	all := map[string]int64{}
	for _, s := range c.stores {
		for name, n := range s.Requests() {
			all[name] += n
		}
	}
	return all
}

// Get implements coordinator.Store.
func (s coordinatorStore) Get(ctx context.Context, key string) ([]byte, object.Info, error) {
	if key == s.layout.Coordinator() {
		return s.announce.Get(ctx, key)
	}
	return s.Store.Get(ctx, key)
}

// record reads a control object.
func record[T any](c *counted, key, schema string) *T {
	c.t.Helper()
	data, _, err := c.store.Get(c.t.Context(), key)
	if err != nil {
		c.t.Fatal(err)
	}
	v, err := manifest.Decode[T](data, schema)
	if err != nil {
		c.t.Fatal(err)
	}
	return v
}

// model fills the formula in from the control objects of the job.
func (c *counted) model(j countedJob) estimate.Model {
	job := record[manifest.Job](c, c.layout.Job(), manifest.JobSchema)
	b := estimate.Model{
		Listed: int64(len(j.inputs)), Maps: int64(len(job.Tasks)), Reduces: int64(job.NReduce), Workers: int64(j.workers),
		Renewals: c.announce.Requests()["PutObject"] - 2, Looks: c.announce.Requests()["GetObject"] - 1,
		LogSegments: c.log.Requests()["PutObject"],
	}
	store := c.open(j.server)
	busy, reducers := map[string]bool{}, map[string]bool{}
	shuffled := make([][]int64, job.NReduce) // sizes of what each reduce task reads
	for m, pieces := range job.Tasks {
		total := int64(0)
		for _, p := range pieces {
			total += p.Length
			if p.Offset > 0 {
				total++
			}
		}
		chunk := task.Chunk(memory, j.slots, total)
		for _, p := range pieces {
			o, length := job.Objects[p.Object], p.Length
			if p.Offset > 0 {
				length++
			}
			if length > 0 {
				reach, _ := store.Reach(length, chunk)
				b.InputReads += estimate.Reads(length, reach)
			}
			if end := p.Offset + p.Length; end < o.Size && j.inputs[o.Name][end-1] != '\n' {
				b.InputReads++
			}
		}
		rec := record[manifest.Map](c, c.layout.MapCommit(m), manifest.MapSchema)
		busy[rec.Worker] = true
		for r, p := range rec.Parts {
			if p.Sum.Records == 0 {
				continue
			}
			shuffled[r] = append(shuffled[r], p.Size)
			if rec.Packed == nil {
				b.Segments.Add(estimate.FileWrites(p.Size))
			}
		}
		if rec.Packed != nil && rec.Packed.Size > 0 {
			b.Segments.Add(estimate.FileWrites(rec.Packed.Size))
		}
	}
	for _, sizes := range shuffled {
		total := int64(0)
		for _, n := range sizes {
			total += n
		}
		for _, n := range sizes {
			b.SegmentReads += estimate.Reads(n, task.Chunk(memory, j.slots, total))
		}
	}
	for r, o := range c.success().Outputs {
		info, err := c.store.Stat(c.t.Context(), o.Key)
		if err != nil {
			c.t.Fatal(err)
		}
		rec := record[manifest.Reduce](c, c.layout.ReduceAttempt(r, info.Meta[manifest.MetaAttempt]), manifest.ReduceSchema)
		part, whole := store.Cut(s3fs.PutOptions{Expect: rec.Read.Bytes, Memory: task.OutputMemory(memory, j.slots)})
		b.Outputs.Add(estimate.StreamWrites(o.Size, part, whole))
		busy[rec.Worker], reducers[rec.Worker] = true, true
	}
	b.Busy, b.Reducers = int64(len(busy)), int64(len(reducers))
	if j.shared {
		b.Busy, b.Reducers = 1, 1
	}
	return b
}

// words returns about n bytes of random words, which hardly compress.
func words(seed uint64, n int) string {
	rnd := rand.New(rand.NewPCG(seed, 1))
	var b strings.Builder
	for b.Len() < n {
		for range 4 + rnd.IntN(8) {
			b.WriteByte(byte('a' + rnd.IntN(26)))
		}
		b.WriteByte(" \n"[rnd.IntN(8)/7])
	}
	return b.String()
}

// TestRequests: whole jobs make the requests that the formula says, each of
// them, and no other.
func TestRequests(t *testing.T) {
	b := newFixture(t)
	at, err := datadir.Find(t.Context(), filepath.Join(b.dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	books, few, many, ten := map[string]string{}, map[string]string{}, map[string]string{}, map[string]string{}
	for i := range 8 {
		books[fmt.Sprintf("pg-book%d.txt", i)] = book(i)
	}
	for i := range 101 {
		few[fmt.Sprint(i)] = words(uint64(i), 200)
	}
	for i := range 1001 {
		many[fmt.Sprint(i)] = "word\n"
	}
	for i := range 10 {
		ten[fmt.Sprint(i)] = words(uint64(i), 20_000)
	}
	rare := map[string]string{"b": "one two\n", "d": "one\n"} // of 15 tasks, two have words
	for i := range 13 {
		rare[fmt.Sprint(i)] = " \n"
	}
	large := map[string]string{"empty": "", "large": words(1, 12<<20), "small": "no end of line"}
	const plain, packed, auto = coordinator.ShufflePlain, coordinator.ShufflePacked, coordinator.ShuffleAuto
	for name, j := range map[string]countedJob{
		"nothing":               {inputs: map[string]string{"empty": ""}, reduces: 1, shuffle: plain, workers: 1},
		"nothing, packed":       {inputs: map[string]string{"empty": ""}, reduces: 2, shuffle: packed, workers: 1},
		"rare words":            {inputs: rare, reduces: 10, shuffle: plain, workers: 1, objects: 3},
		"rare words, packed":    {inputs: rare, reduces: 10, shuffle: packed, workers: 1, objects: 2, packed: true},
		"one file":              {inputs: map[string]string{"a": "a b\n"}, reduces: 1, shuffle: plain, workers: 1},
		"books":                 {inputs: books, reduces: 10, shuffle: plain, workers: 1},
		"books, packed":         {inputs: books, reduces: 10, shuffle: packed, workers: 1, packed: true},
		"books, three":          {inputs: books, reduces: 10, shuffle: plain, workers: 3},
		"books, three, packed":  {inputs: books, reduces: 10, shuffle: packed, workers: 3, packed: true},
		"books, two slots each": {inputs: books, reduces: 10, shuffle: auto, workers: 2, slots: 2},
		"books, one process":    {inputs: books, reduces: 10, shuffle: plain, workers: 3, shared: true},
		"books, indexed":        {inputs: books, app: "indexer", reduces: 3, shuffle: auto, workers: 1},
		"pieces":                {inputs: books, reduces: 3, split: 4000, shuffle: auto, workers: 3},
		"ten by sixty":          {inputs: ten, reduces: 60, shuffle: auto, workers: 3},
		"above ten thousand":    {inputs: few, reduces: 100, shuffle: auto, workers: 3, packed: true},
		"pages of a listing":    {inputs: many, reduces: 2, shuffle: auto, workers: 3},
		"one request":           {inputs: map[string]string{"a": words(1, 9<<20)}, reduces: 1, shuffle: plain, workers: 1, server: s3fs.SameMachine},
		"more than it may be":   {inputs: map[string]string{"a": words(1, 11<<20)}, reduces: 1, shuffle: plain, workers: 1, server: s3fs.SameMachine},
		"parts":                 {inputs: large, reduces: 1, shuffle: plain, workers: 1},
		"near":                  {inputs: large, reduces: 1, shuffle: plain, workers: 1, server: s3fs.SameMachine},
		"near, pieces":          {inputs: large, reduces: 3, split: 5 << 20, shuffle: plain, workers: 3, server: s3fs.SameMachine},
		"parts, packed":         {inputs: large, reduces: 1, split: 5 << 20, shuffle: packed, workers: 3, packed: true},
	} {
		t.Run(name, func(t *testing.T) {
			here := *b
			here.t, here.layout, here.dir = t, layout.New(newPrefix()), t.TempDir()
			c := &counted{fixture: &here, at: at}
			j := j.withDefaults()
			for name, text := range j.inputs {
				if _, err := b.store.Put(t.Context(), c.layout.Input(name), []byte(text), putOptions); err != nil {
					t.Fatal(err)
				}
			}
			c.play(j)
			got, formula := c.requests(), c.model(j)
			if formula.Renewals < 0 || formula.Looks < 0 {
				t.Errorf("the announcement was written and read by %v", c.announce.Requests())
			}
			if d := cmp.Diff(formula.Requests(), got); d != "" {
				t.Errorf("-formula +counted:\n%s%+v", d, formula)
			}
			plain, packed := c.segments()
			if (packed > 0) != j.packed || packed > 0 && plain > 0 {
				t.Errorf("%d packed objects and %d others, want packed: %v", packed, plain, j.packed)
			}
			if n := plain + packed; j.objects > 0 && n != j.objects || len(c.outputs()) != j.reduces {
				t.Errorf("%d objects with partitions, want %d; %d outputs", n, j.objects, len(c.outputs()))
			}
			t.Logf("%d maps, %d reduces, %d renewals, %d looks: %v", formula.Maps, formula.Reduces, formula.Renewals, formula.Looks, got)
		})
	}
}
