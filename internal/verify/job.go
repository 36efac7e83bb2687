package verify

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/mraws/mraws/internal/keyorder"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/mr"
)

// loaded tells how the reading of a control object went: "" is well,
// notThere that there is none, and anything else why it is of no use.
type loaded string

const notThere loaded = "not there"

// control is a control object as it was read; v is nil unless state is "".
type control[T any] struct {
	v      *T
	state  loaded
	data   []byte // nil if it could not be read
	digest manifest.Digest
	// bare: it came without the hash that every record of a job has in its
	// metadata.
	bare bool
}

// load reads a control object. An error is one of the store's. This is not
// package jobstate on purpose: verify is to find what those miss by which a job
// was made.
func load[T any](ctx context.Context, store Store, key, schema string) (c control[T], err error) {
	data, obj, err := store.Get(ctx, key)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return control[T]{state: notThere}, nil
	case errors.Is(err, object.ErrDamaged):
		return control[T]{state: loaded(err.Error())}, nil
	case err != nil:
		return c, err
	}
	want := obj.Meta[manifest.MetaHash]
	c = control[T]{data: data, digest: manifest.DigestOf(data), bare: want == ""}
	if !c.bare && c.digest.String() != want {
		c.state = "its bytes do not have the SHA-256 that its metadata says"
		return c, nil
	}
	if c.v, err = manifest.Decode[T](data, schema); err != nil {
		c.state = loaded(err.Error())
	}
	return c, nil
}

// readSpec reads the job's spec. It says where the output lies; what else it says,
// loadJob judges.
func (a *audit) readSpec(ctx context.Context) (err error) {
	if a.spec, err = load[manifest.Job](ctx, a.store, a.lay.Job(), manifest.JobSchema); err != nil || a.spec.state != "" {
		return err
	}
	a.lay = a.spec.v.Layout(a.lay)
	at := a.spec.v.OutputAt
	if at.Validate() != nil { // which the judge says, unless there is none
		return nil
	}
	if a.opt.Buckets == nil {
		return fmt.Errorf("the output lies in %s: no other bucket can be read here", at)
	}
	place, err := a.opt.Buckets(ctx, at.Bucket, manifest.Access{})
	if err == nil {
		a.store = &placed{a.store, place, a.lay}
	}
	return err
}

// checkOwner looks whether the place of its own that the output has belongs to the
// job.
func (a *audit) checkOwner(ctx context.Context) error {
	if a.lay.OutputBucket() == "" {
		return nil
	}
	key := a.lay.Owner()
	c, err := load[manifest.Owner](ctx, a.store, key, manifest.OwnerSchema)
	switch {
	case err != nil:
		return err
	case c.state == notThere:
		a.rep.add(Missing, key, "it says that the place of the output belongs to the job")
	case c.state != "":
		a.rep.add(BadRecord, key, "%s", c.state)
	case c.v.Job != a.job.ID:
		a.rep.add(Foreign, key, "the place of the output belongs to job %q", c.v.Job)
	}
	return nil
}

// loadJob judges the job's spec. A spec that cannot be used is a finding, and
// ends the verification.
func (a *audit) loadJob(ctx context.Context) error {
	key, c := a.lay.Job(), a.spec
	if c.state == notThere {
		why, err := a.whyMissed(ctx)
		switch {
		case err != nil:
			return err
		case why == "":
			return &NoJobError{Prefix: a.lay.Prefix(), Key: key}
		}
		c.state = loaded(why)
	} else if why := a.unsealed(a.sealed.Job, c.digest); why != "" && c.data != nil {
		c.state = loaded(why)
	}
	if c.state != "" {
		a.rep.add(BadJob, key, "%s", c.state)
		a.stop("the job's spec cannot be used")
		return nil
	}
	a.job = c.v
	a.rep.Job, a.rep.App = a.job.ID, a.job.App.Name
	a.rep.Maps, a.rep.Reduces = len(a.job.Tasks), a.job.NReduce
	if err := a.job.Validate(a.lay); err != nil {
		a.rep.add(BadJob, key, "%v", err)
		a.stop("the job's spec cannot be used")
	}
	a.outLines, a.outTable = a.opt.linesOf(a.job.Output.Unnamed()), tableOf(a.job.Output)
	if a.parts = a.opt.partitionedOf(a.job.Output); a.parts != nil {
		a.outTable = a.parts.all
	}
	return nil
}

// plainLines tells whether the bytes of an output are its lines.
func (a *audit) plainLines() bool {
	return a.job.Output.Name == manifest.Lines && len(a.job.Output.Unnamed().Options) == 0
}

// stop ends the verification with the findings that there are.
func (a *audit) stop(why string) {
	a.stopped = true
	a.rep.Structure.State = Failed
	a.rep.Reference.Why = why
}

// whyMissed says what shows that there was a spec, which is not there; "" if
// nothing does.
func (a *audit) whyMissed(ctx context.Context) (string, error) {
	if a.summed != notThere {
		return fmt.Sprintf("it is not there, and %s is", a.lay.Success()), nil
	}
	for o, err := range a.store.List(ctx, a.lay.CommitDir()) {
		if err != nil {
			return "", err
		}
		if _, ok := a.lay.ParseMapCommit(o.Key); ok {
			return fmt.Sprintf("it is not there, and %s is", o.Key), nil
		}
	}
	if a.opt.Seal != "" {
		return "it is not there, and nothing else of the job that was sealed", nil
	}
	return "", nil
}

// chooseApp finds the code of the job's application and holds it against
// what was asked for.
func (a *audit) chooseApp() error {
	a.order, a.codes = newKeyOrder(a.job.KeyOrder()), keyorder.New(a.job.KeyOrder())
	name := a.job.App.Name
	switch {
	case a.opt.App != "" && (a.opt.App != name || a.apart()):
		return &ConflictError{What: "app", Job: name, Mine: a.opt.App}
	case a.apart():
		a.app = a.execApp()
		return nil
	}
	app := a.opt.Lookup(name)
	switch {
	case app == nil && a.opt.App != "":
		return &UnknownAppError{Name: name}
	case app == nil:
		return nil
	case app.Version == a.job.App.Version:
		a.app = app
		if a.job.KeyOrder().Values != manifest.ByInput { // pairs are told apart by their values too
			a.app = withoutCombiner(app)
		}
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
	ordered := a.job.Partitioner.Name == manifest.Range && a.job.NReduce > 1
	if !ordered && !a.isSealed {
		return true, nil
	}
	key := a.lay.Ranges()
	c, err := load[manifest.Ranges](ctx, a.store, key, manifest.RangesSchema)
	if err != nil {
		return false, err
	}
	sealed := a.isSealed && a.sealed.Ranges != ""
	switch {
	case c.state == notThere && !sealed && !slices.ContainsFunc(a.maps, func(m *mapFacts) bool { return m != nil }):
		return true, nil // nothing has been put into a partition yet
	case c.state == notThere && !ordered && !sealed:
		return true, nil
	case c.data != nil && a.isSealed && !sealed:
		a.rep.add(Foreign, key, "there were no key ranges when the job was sealed")
		return true, nil
	case c.data != nil && sealed:
		if why := a.unsealed(a.sealed.Ranges, c.digest); why != "" {
			c.state = loaded(why)
		}
	}
	if c.state == "" {
		if err := c.v.Validate(a.job.ID, a.job.NReduce); err != nil {
			c.state = loaded(err.Error())
		}
	}
	if c.state != "" {
		a.rep.add(BadJob, key, "%s: the partition of a key cannot be told", c.state)
		if ordered {
			a.rep.Reference.Why = "the key ranges cannot be used"
		}
		return !ordered, nil
	}
	if ordered {
		ranges := c.v.Partitioner()
		a.ranges = func(internal []byte, n int) int { return ranges(a.codes.Head(internal), n) }
	}
	return true, nil
}

// withoutCombiner is the application, and its reference, without a combiner.
func withoutCombiner(app *mr.App) *mr.App {
	plain := *app
	plain.Combine = nil
	if app.Reference != nil {
		plain.Reference = withoutCombiner(app.Reference)
	}
	return &plain
}

// partitioner returns the partitioner of the job's application, or of its
// reference. It is one of internal keys, where the job names an order.
func (a *audit) partitioner(app *mr.App) func(key []byte) (int, error) {
	f, o := app.Partition, a.job.KeyOrder()
	switch {
	case a.job.Partitioner.Name == manifest.Range:
		if f = a.ranges; f == nil { // one partition, or none committed
			f = func([]byte, int) int { return 0 }
		}
		return partitioner(app, f, a.job.NReduce)
	case o.To > 0:
		f = func(key []byte, n int) int { return mr.Partition(partitionFields(o, key), n) }
	case f == nil:
		f = mr.Partition
	}
	return partitioner(app, func(internal []byte, n int) int {
		key, ok := a.order.key(internal)
		if !ok {
			return -1
		}
		return f(key, n)
	}, a.job.NReduce)
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
