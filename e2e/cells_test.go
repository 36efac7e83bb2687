//go:build !interop

package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"iter"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/mraws/mraws/internal/coordinator"
	"github.com/mraws/mraws/internal/jobstate"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/parquet"
	"github.com/mraws/mraws/internal/s3fs"
	"github.com/mraws/mraws/internal/verify"
	"github.com/mraws/mraws/internal/wire"
	"github.com/mraws/mraws/internal/worker"
	"github.com/mraws/mraws/mr"
)

var update = flag.Bool("update", false, "write the table of formats and compressions into docs/own-data.md, and testdata/cells, in place of comparing them")

// What the table says of a cell.
const (
	cutCell     = "cut"
	wholeCell   = "one task"
	refusedCell = "refused"
	noCell      = "–"
)

// cellObject is the name of the object of a cell, which tells nothing.
const cellObject = "cells/the object"

// cellApp chains the records of an object in its order into a few lines, so that a
// record or an order that is another shows.
func cellApp() *mr.App {
	return &mr.App{
		Name: "cells", Version: "1",
		NewMapper: func(*mr.Task) (mr.Mapper, error) {
			return mr.MapperFunc(func(rec mr.Record, out mr.Emitter) error {
				sum := sha256.Sum256(rec.Data)
				out.Emit([]byte{'a' + sum[0]%8}, sum[:8])
				return nil
			}), nil
		},
		NewReducer: func(*mr.Task) (mr.Reducer, error) {
			return mr.ReducerFunc(func(_ []byte, values iter.Seq[[]byte], out mr.Output) error {
				h, n := sha256.New(), 0
				for v := range values {
					h.Write(v)
					n++
				}
				out.Write(fmt.Appendf(nil, "%d %x", n, h.Sum(nil)))
				return nil
			}), nil
		},
	}
}

// cellStore is where the jobs of cells lie.
type cellStore struct {
	*s3fs.Store
	mu   sync.Mutex
	jobs int
}

func newCellStore(t *testing.T) *cellStore {
	t.Helper()
	return &cellStore{Store: servedStore(t, "cells")}
}

// cellJob is a job over one object.
type cellJob struct {
	format manifest.Choice
	data   []byte
	later  []byte // what the object is once the job is planned; nil for the same
	split  int64
	budget int64 // of bad records
}

// cellResult is what became of it.
type cellResult struct {
	err    error // of the job; the plan has none if tasks is above 0
	tasks  int
	output string
	bad    []manifest.BadRecord
}

// run runs the job with one worker, and verifies it.
func (s *cellStore) run(t *testing.T, j cellJob) (r cellResult) {
	t.Helper()
	s.mu.Lock()
	s.jobs++
	lay := layout.New(fmt.Sprint("job-", s.jobs))
	s.mu.Unlock()
	put := func(data []byte) {
		if _, err := s.Put(t.Context(), lay.Input(cellObject), data, object.PutOptions{}); err != nil {
			t.Error(err)
		}
	}
	put(j.data)
	store := watched{s.Store, func(op, key string) {
		if op == "get" && key == lay.Job() && j.later != nil { // by the worker
			put(j.later)
		}
	}}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	app := cellApp()
	c := coordinator.New(coordinator.Options{
		Store: s.Store, Layout: lay, Log: zerolog.Nop(), Version: "v", App: app, Input: &j.format,
		NReduce: 1, SplitSize: j.split, Pack: coordinator.PackAuto, Lease: time.Minute, MaxFailures: 1, MaxLost: 1, Unsafe: true,
		MaxBad: manifest.Budget{Records: j.budget}, Decompress: manifest.Decompress{Ratio: 200, Limit: 1 << 40},
		Listener: lis, Addresses: []string{lis.Addr().String()}, Security: wire.ServerOptions{Insecure: true},
	})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var g errgroup.Group
	g.Go(func() error {
		return worker.Run(ctx, worker.Options{
			Store: store, Bucket: "cells", Layout: lay, Log: zerolog.Nop(), Version: "v", App: app, Addresses: []string{lis.Addr().String()},
			Insecure: true, CoordTimeout: time.Minute, Name: "w", Slots: 1, Memory: memory, Scratch: t.TempDir(), Parquet: parquet.Read,
		})
	})
	if _, r.err = c.Run(t.Context()); r.err != nil {
		stop()
	}
	if err := g.Wait(); r.err == nil && err != nil {
		t.Fatal(err)
	}
	if job, _, err := jobstate.ReadJob(t.Context(), s.Store, lay); err == nil {
		r.tasks = len(job.Tasks)
	}
	if r.err != nil {
		return r
	}
	data, _, err := s.Get(t.Context(), lay.Output(0))
	if err != nil {
		t.Fatal(err)
	}
	r.output = string(data)
	for m := range r.tasks {
		if data, _, err := s.Get(t.Context(), lay.Bad(m)); err == nil {
			for line := range bytes.Lines(data) {
				var bad manifest.BadRecord
				if err := json.Unmarshal(line, &bad); err != nil {
					t.Fatal(err)
				}
				r.bad = append(r.bad, bad)
			}
		}
	}
	rep, err := verify.Run(t.Context(), s.Store, lay, verify.Options{App: app.Name, Lookup: func(string) *mr.App { return app }, Parquet: parquet.Rows})
	if err != nil || !rep.OK() || rep.Reference.State != verify.OK {
		t.Errorf("verify: %v, %+v", err, rep)
	}
	return r
}

// TestCells is the table of formats and compressions of docs/own-data.md. In each cell
// a job over the object gives what one over the plain object gives, as one task and
// cut, and its verification agrees. The same object with a byte that is another, or
// without its end, ends the job with an error that names object and place, or is a bad
// record, which is left out and listed where the job may skip one. What is cut and what
// is not the plan says, and the document has that.
func TestCells(t *testing.T) {
	t.Parallel()
	store := newCellStore(t)
	formats := cellFormats()
	says := make([][]string, len(formats))
	t.Run("jobs", func(t *testing.T) {
		for i, f := range formats {
			says[i] = make([]string, len(compressions))
			t.Run(strings.ReplaceAll(f.name, "`", ""), func(t *testing.T) {
				t.Parallel()
				c := &cell{cellStore: store, cellFormat: f}
				for n, compression := range compressions {
					t.Run(compression, func(t *testing.T) { says[i][n] = c.check(t, compression) })
				}
			})
		}
	})
	table := "| format | " + strings.Join(compressions, " | ") + " |\n|---" + strings.Repeat("|---", len(compressions)) + "|\n"
	for i, f := range formats {
		if slices.Contains(says[i], "") {
			return // not all cells ran, or one failed
		}
		table += "| " + f.name + " | " + strings.Join(says[i], " | ") + " |\n"
	}
	const path = "../docs/own-data.md"
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	was := regexp.MustCompile(`(?m)^\| format \| none \|.*\n(\|.*\n)+`).FindString(string(doc))
	switch {
	case was == "":
		t.Errorf("%s has no table of formats and compressions", path)
	case *update:
		if err := os.WriteFile(path, []byte(strings.Replace(string(doc), was, table, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
	case was != table:
		t.Errorf("%s has another table than jobs: go test ./e2e -run TestCells -update writes it.\n%s", path, table)
	}
}

// cell runs the jobs of the cells of a format.
type cell struct {
	*cellStore
	cellFormat
	plain string     // the output of the plain object
	rest  cellResult // of the object without its broken record
}

// unsplit is a split size above that of all objects.
const unsplit = 1 << 30

// check runs the jobs of a cell, and returns what the table says of it.
func (c *cell) check(t *testing.T, compression string) string {
	data := c.object(t, compression)
	if data == nil {
		return noCell
	}
	job := cellJob{format: c.choice, data: data, split: unsplit}
	good := c.run(t, job)
	if good.err != nil {
		c.names(t, "refused", good.err, "")
		return refusedCell
	}
	if compression == plainCell {
		c.plain = good.output
	}
	if good.tasks != 1 || good.output != c.plain || len(good.bad) > 0 {
		t.Errorf("%d tasks, %d bad records, the output is\n%s, not\n%s", good.tasks, len(good.bad), good.output, c.plain)
	}
	c.damaged(t, compression, job)
	c.bad(t, compression, job)
	job.split = int64(len(data))/6 + 1
	if compression != plainCell && c.choice.Name != "parquet" {
		job.split *= 4 // of a compressed object a byte weighs 8
	}
	r := c.run(t, job)
	if r.err != nil || r.output != c.plain || len(r.bad) > 0 {
		t.Errorf("%d tasks: %v, %d bad records, the output is\n%s, not\n%s", r.tasks, r.err, len(r.bad), r.output, c.plain)
	}
	if r.tasks <= 1 {
		return wholeCell
	}
	c.damaged(t, compression, job)
	c.bad(t, compression, job)
	return cutCell
}

// names looks for the object and the place in an error.
func (c *cell) names(t *testing.T, what string, err error, place string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), cellObject) || !regexp.MustCompile(place).MatchString(err.Error()) {
		t.Errorf("%s: the error does not name object and place (%s): %v", what, place, err)
	}
}

// damaged runs jobs over the twins that are damaged and cut off.
func (c *cell) damaged(t *testing.T, compression string, job cellJob) {
	if compression == plainCell || c.choice.Name == "parquet" {
		switch {
		case c.cut == nil: // any text is sound: what shows is that it is another than was planned
			data := job.data
			for what, later := range map[string][]byte{"a byte": flipped(data), "the end": data[:len(data)*2/3]} {
				job.later = later
				r := c.run(t, job)
				c.names(t, what, r.err, "changed")
			}
		default:
			job.data = c.cut(job.data)
			r := c.run(t, job)
			place := c.place
			if c.sized {
				place = "bytes"
			} else if c.choice.Name == "parquet" {
				place = "PAR1"
			}
			c.names(t, "the end", r.err, place)
		}
		return
	}
	// The checksum of gzip, for one, stands behind the text: what is wrong in it may be
	// met before, as bad records. One may be skipped here.
	job.budget = 1
	for what, data := range map[string][]byte{"a byte": flipped(job.data), "the end": job.data[:len(job.data)*2/3]} {
		job.data = data
		c.names(t, what, c.run(t, job).err, `byte \d+|bytes at \d+`)
	}
}

func flipped(data []byte) []byte {
	data = bytes.Clone(data)
	data[len(data)/2] ^= 4
	return data
}

// bad runs jobs over the twin with a broken record.
func (c *cell) bad(t *testing.T, compression string, job cellJob) {
	if c.broken == nil || c.sized && compression == plainCell {
		return
	}
	job.data = c.broken(t, compression)
	if job.split == unsplit {
		c.names(t, "a broken record", c.run(t, job).err, c.place)
	}
	job.budget = 1
	got := c.run(t, job)
	if c.rest.output == "" { // which is the same in all compressions
		c.rest = c.run(t, cellJob{format: c.choice, data: c.left(t, compression), split: unsplit})
	}
	if want := c.rest; got.err != nil || want.err != nil || got.output != want.output {
		err := errors.Join(got.err, want.err)
		t.Errorf("a broken record is skipped: %v, the output is\n%s, not\n%s", err, got.output, want.output)
	}
	if len(got.bad) != 1 || got.bad[0].Object != cellObject || got.bad[0].Offset+got.bad[0].Within == 0 {
		t.Errorf("a broken record is listed as %+v", got.bad)
	}
}
