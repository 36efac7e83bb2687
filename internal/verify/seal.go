package verify

import (
	"context"
	"fmt"

	"github.com/mraws/mraws/internal/manifest"
)

// summary is what the job's summary says and seals.
type summary struct {
	success *manifest.Success // nil if there is none that can be read
	summed  loaded            // how it was read
	// sealed is what the summary seals, if isSealed: its own seal is right.
	sealed   manifest.Sealed
	isSealed bool
	// Digests of the records, [m] and [r].
	mapSeals, reduceSeals recordSeals
}

// loadSuccess reads the summary, if the job has one, and looks at its seal:
// what it seals is what all other objects are held against.
func (a *audit) loadSuccess(ctx context.Context) error {
	key := a.lay.Success()
	c, err := load[manifest.Success](ctx, a.store, key, manifest.SuccessSchema)
	if err != nil {
		return err
	}
	a.summed = c.state
	switch {
	case c.state == notThere: // which is for compareRecords to say
		return nil
	case c.state != "":
		a.rep.add(BadSummary, key, "%s", c.state)
		return nil
	}
	a.success, a.rep.Finished = c.v, true
	a.rep.Job, a.rep.App = c.v.Job, c.v.App.Name // or what the spec says
	a.rep.Maps, a.rep.Reduces = c.v.Map.Tasks, c.v.NReduce
	seal, err := manifest.CheckSeal(c.data)
	if err == nil {
		err = c.v.Validate(a.lay)
	}
	switch {
	case err != nil:
		a.rep.add(BadSummary, key, "%v", err)
	case c.v.Seal != seal.String():
		a.rep.add(BadSummary, key, "it names the seal %q besides its own", c.v.Seal)
	default:
		a.isSealed, a.sealed = true, c.v.Sealed
	}
	return nil
}

// judge ends the verification: a job in which nothing was found has its seal.
// want is what that must be, "" for any; key is that of the summary.
func (s *summary) judge(rep *Report, key, want string) {
	switch {
	case !s.isSealed: // which is a finding already, or the job is not finished
		if want != "" && rep.OK() {
			rep.add(OtherSeal, key, "the job has no seal")
		}
	case want != "" && want != s.success.Seal:
		rep.add(OtherSeal, key, "the job has the seal %s, not %s: it is another job, or another run of it", s.success.Seal, want)
	case rep.OK():
		rep.Seal = s.success.Seal
	}
}

// unsealed says how an object differs from what is sealed; "" if it does not,
// or if nobody can tell.
func (s *summary) unsealed(want string, got manifest.Digest) string {
	if !s.isSealed || want == got.String() {
		return ""
	}
	return fmt.Sprintf("its bytes are not those that were sealed: they have the SHA-256 %s, the seal says %q", got, want)
}

// recordSeals are the digests of the records of one kind, by task.
type recordSeals []recordSeal

type recordSeal struct {
	digest manifest.Digest
	read   bool
	bare   bool
}

// note takes the digest of record i.
func note[T any](s recordSeals, i int, c *control[T]) {
	s[i] = recordSeal{digest: c.digest, read: c.data != nil, bare: c.bare}
}

// checkSealed holds all records of a kind against what is sealed. dir is where
// they lie, key the key of one.
func (s *summary) checkSealed(rep *Report, records recordSeals, want, what, dir string, key func(i int) string) {
	for _, rec := range records {
		if !rec.read {
			return // which is a finding already
		}
	}
	got := manifest.DigestOfAll(len(records), func(i int) manifest.Digest { return records[i].digest })
	if !s.isSealed || got == want {
		return
	}
	rep.add(BadRecord, dir, "the bytes of the %d %s are not those that were sealed: they have the SHA-256 %s, the seal says %q", len(records), what, got, want)
	for i, rec := range records {
		if rec.bare {
			rep.add(BadRecord, key(i), "no worker of this job wrote it: its metadata has no SHA-256")
		}
	}
}
