package cmd

import (
	"context"
	"errors"
	"io/fs"
	"sync"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/coordinator"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/s3fs"
	"github.com/mraws/mraws/internal/task"
	"github.com/mraws/mraws/internal/verify"
)

// buckets are those that input lies in besides the one of the job.
type buckets struct {
	mu    sync.Mutex
	found map[asked]inputBucket // for planning
	aws   *s3fs.Store           // any bucket of [manifest.AWS]; nil until one is needed
}

// asked is a bucket of input, and how settings say that it is reached.
type asked struct {
	name, store, payer string
	unsigned           bool
}

// inputBucket is a bucket that a job is planned on.
type inputBucket struct {
	*s3fs.Store
	access manifest.Access
	home   *s3fs.Store // the bucket of the job
}

// Access says how a worker reaches the bucket.
func (b inputBucket) Access() manifest.Access {
	a := b.access
	if r := b.Region(); a.Server != "" || r != b.home.Region() {
		a.Region = r
	}
	return a
}

// closeAWS closes what open has opened.
func (b *buckets) closeAWS() {
	if b.aws != nil {
		b.aws.Close()
	}
}

// reach returns what finds a bucket to plan a job on, as the settings of the job say how
// it is reached.
func (s *store) reach(c *config.Loaded) func(ctx context.Context, name string) (coordinator.Bucket, error) {
	return func(ctx context.Context, name string) (coordinator.Bucket, error) {
		b, is := &s.buckets, asked{name, c.InputStore, c.RequestPayer, c.NoSignRequest}
		b.mu.Lock()
		defer b.mu.Unlock()
		if known, ok := b.found[is]; ok {
			return known, nil
		}
		a, err := s.access(ctx, c, name)
		if err != nil {
			return nil, err
		}
		st, err := s.open(ctx, name, a)
		if err != nil {
			return nil, err
		}
		if b.found == nil {
			b.found = map[asked]inputBucket{}
		}
		b.found[is] = inputBucket{st, a, s.Store}
		return b.found[is], nil
	}
}

// access is how a bucket of input is reached. On the embedded server it is asked with
// the server's own keys.
func (s *store) access(ctx context.Context, c *config.Loaded, name string) (a manifest.Access, err error) {
	other := manifest.Access{Unsigned: c.NoSignRequest, RequesterPays: c.RequestPayer == "requester"}
	there := other
	if s.Embedded || c.Endpoint != "" {
		there.Server = manifest.AWS
	}
	switch {
	case other.Unsigned && other.RequesterPays:
		return a, usagef("requests without credentials are free of charge: leave one of them out", "no-sign-request and request-payer contradict each other")
	case c.InputStore == "aws":
		return there, nil
	case !s.Embedded:
		return other, nil
	}
	err = s.In(name).CheckBucket(ctx)
	switch {
	case err == nil:
		return a, nil
	case !errors.Is(err, fs.ErrNotExist):
		return a, err
	case c.InputStore == "auto" && other != (manifest.Access{}):
		return there, nil
	}
	return a, &Error{Code: ExitUsage, What: "the embedded server has no bucket " + name,
		Hint: "a bucket of AWS is read with --input-store aws, and with --no-sign-request if it is public\n" +
			"or name the bucket of S3 that gets intermediate data and output, such as --bucket " + name}
}

// open returns a bucket that is reached so.
func (s *store) open(ctx context.Context, name string, a manifest.Access) (*s3fs.Store, error) {
	how := s3fs.Access{Region: a.Region, Unsigned: a.Unsigned, RequesterPays: a.RequesterPays}
	if a.Server == "" {
		return s.Other(name, how), nil
	}
	if s.buckets.aws == nil {
		st, err := s3fs.Open(ctx, s3fs.Options{Bucket: name, Region: a.Region, Profile: s.conf.Profile, Follow: true, Beside: s.Store})
		if err != nil {
			return nil, err
		}
		s.buckets.aws = st
	}
	return s.buckets.aws.Other(name, how), nil
}

// input is open for those who read what a job's spec names.
func (s *store) input(ctx context.Context, name string, a manifest.Access) (*s3fs.Store, error) {
	s.buckets.mu.Lock()
	defer s.buckets.mu.Unlock()
	return s.open(ctx, name, a)
}

// source returns a bucket for a task to read input from.
func (s *store) source(ctx context.Context, name string, a manifest.Access) (task.Source, error) {
	st, err := s.input(ctx, name, a)
	if err != nil {
		return nil, err
	}
	return st, nil
}

// verifiable returns a bucket for the verifier to read.
func (s *store) verifiable(ctx context.Context, name string, a manifest.Access) (verify.Store, error) {
	st, err := s.input(ctx, name, a)
	if err != nil {
		return nil, err
	}
	return st, nil
}
