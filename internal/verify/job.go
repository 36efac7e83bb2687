package verify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/mr"
)

// loaded tells how the reading of a control object went: "" is well,
// notThere that there is none, and anything else why it is of no use.
type loaded string

const notThere loaded = "not there"

// load reads a control object. An error is one of the store's.
func load[T any](ctx context.Context, store Store, key, schema string) (*T, loaded, error) {
	data, obj, err := store.Get(ctx, key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notThere, nil
	}
	if errors.Is(err, object.ErrDamaged) {
		return nil, loaded(err.Error()), nil
	}
	if err != nil {
		return nil, "", err
	}
	// The hash covers what no other object repeats, such as a worker's name.
	if want := obj.Meta[manifest.MetaHash]; want != "" {
		if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != want {
			return nil, "its bytes do not have the SHA-256 that its metadata says", nil
		}
	}
	v, err := manifest.Decode[T](data, schema)
	if err != nil {
		return nil, loaded(err.Error()), nil
	}
	return v, "", nil
}

// loadJob reads the job's spec. A spec that cannot be used is a finding, and
// ends the verification.
func (a *audit) loadJob(ctx context.Context) error {
	key := a.lay.Job()
	job, state, err := load[manifest.Job](ctx, a.store, key, manifest.JobSchema)
	switch {
	case err != nil:
		return err
	case state == notThere:
		return &NoJobError{Prefix: a.lay.Prefix(), Key: key}
	case state != "":
		a.rep.add(BadJob, key, "%s", state)
	default:
		a.job = job
		a.rep.Job, a.rep.App = job.ID, job.App.Name
		a.rep.Maps, a.rep.Reduces = len(job.Tasks), job.NReduce
		if err := job.Validate(); err != nil {
			a.rep.add(BadJob, key, "%v", err)
		}
	}
	if !a.rep.OK() {
		a.rep.Structure.State = Failed
		a.rep.Reference.Why = "the job's spec cannot be used"
	}
	return nil
}

// chooseApp finds the code of the job's application and holds it against
// what was asked for.
func (a *audit) chooseApp() error {
	name := a.job.App.Name
	if a.opt.App != "" && a.opt.App != name {
		return &ConflictError{What: "app", Job: name, Mine: a.opt.App}
	}
	app := a.opt.Lookup(name)
	switch {
	case app == nil && a.opt.App != "":
		return &UnknownAppError{Name: name}
	case app == nil:
		return nil
	case app.Version == a.job.App.Version:
		a.app = app
		return nil
	case a.opt.App != "":
		return &ConflictError{What: "version of app " + name, Job: a.job.App.Version, Mine: app.Version}
	}
	a.rep.note("the job ran version %q of app %s, this binary has %q: its partitioner is not used",
		a.job.App.Version, name, app.Version)
	return nil
}

// loadRanges reads the key ranges of a job whose output is ordered, once
// its commit records are known. Ranges that cannot be used are a finding and
// end the verification: ok is false.
func (a *audit) loadRanges(ctx context.Context) (ok bool, err error) {
	if a.app == nil || !a.app.Ordered || a.job.NReduce == 1 {
		return true, nil
	}
	key := a.lay.Ranges()
	r, state, err := load[manifest.Ranges](ctx, a.store, key, manifest.RangesSchema)
	if err != nil {
		return false, err
	}
	if state == notThere && !slices.ContainsFunc(a.maps, func(m *mapFacts) bool { return m != nil }) {
		return true, nil // nothing has been put into a partition yet
	}
	if state == "" {
		if err := r.Validate(a.job.ID, a.job.NReduce); err != nil {
			state = loaded(err.Error())
		}
	}
	if state != "" {
		a.rep.add(BadJob, key, "%s: nobody can tell which partition a key belongs to", state)
		a.rep.Reference.Why = "the key ranges cannot be used"
		return false, nil
	}
	a.ranges = r.Partitioner()
	return true, nil
}

// partitioner returns the partitioner of the job's application, or of its
// reference.
func (a *audit) partitioner(app *mr.App) func(key []byte) (int, error) {
	f := app.Partition
	if app.Ordered {
		if f = a.ranges; f == nil { // one partition, or none committed
			f = func([]byte, int) int { return 0 }
		}
	}
	return partitioner(app, f, a.job.NReduce)
}

// partitioner returns f, nil for the usual partitioner, made safe: a result
// outside 0..n-1, which the engine refuses as well, becomes an error.
func partitioner(app *mr.App, f func(key []byte, n int) int, n int) func(key []byte) (int, error) {
	if f == nil {
		f = mr.Partition
	}
	return func(key []byte) (int, error) {
		p := f(key, n)
		if p < 0 || p >= n {
			return 0, fmt.Errorf("app %s puts key %s into partition %d of %d", app.Name, quote(key), p, n)
		}
		return p, nil
	}
}
