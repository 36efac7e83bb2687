package cmd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/datadir"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/internal/s3fs"
)

// store is an open bucket and how it was chosen.
type store struct {
	*s3fs.Store
	Embedded bool   // it is on the embedded server
	DataDir  string // of the embedded server
	Why      string // what decided, such as "flag --bucket"

	server Server // started here; nil if another process serves
	heir   *heir  // of a server of another process; nil for none

	conf    *config.Loaded
	buckets buckets
}

// Close closes the store. If this process serves it, Close also ends the server. Other
// processes that use it go on: see heir.
func (s *store) Close() error {
	s.Store.Close()
	s.buckets.closeAWS()
	switch {
	case s.server != nil:
		return s.server.Close()
	case s.heir != nil:
		return s.heir.Close()
	}
	return nil
}

// Served reports whether the embedded server runs in this process.
func (s *store) Served() bool { return s.server != nil }

// target is the store and the prefix of a command.
type target struct {
	conf   *config.Loaded
	verb   string        // the name of the command
	layout layout.Layout // of the prefix: the configured one, or that of ownPrefix
	serves bool          // the program has the embedded server

	chosen    bool // the store has been, and local says whether it is embedded
	local     bool
	said      bool   // on stderr
	ownPrefix bool   // run made the prefix up for this job alone
	step      bool   // the job is a step of a chain
	asks      bool   // a word is completed: nothing is created, and nothing is served for others
	job       string // that JOB names and that is not found yet; "" for none
	nameGiven bool   // the layout is that of --name
	// spent are the words of INPUT once they are uploaded, if a pipe is among them:
	// nobody can read that again, and the job has it.
	spent []string
	// spentFor is INPUT in place of spent, "" for none.
	spentFor string
	// outputAt is the place of its own for the output of the job that this command
	// runs; zero for none.
	outputAt manifest.Place
}

// where is the bucket with the prefix.
func (t *target) where() string {
	return strings.TrimSuffix(t.conf.Bucket+"/"+t.layout.Prefix(), "/")
}

// place is the store of a command without settings that name one.
type place int

const (
	// found is the embedded server if the program has it and its data folder
	// exists, else S3.
	found place = iota
	// embedded is the embedded server if the program has it, for `run`, which
	// needs no set-up.
	embedded
)

// awsVariables are the variables that select S3.
var awsVariables = []string{
	"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE",
	"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
}

// choose decides between the embedded server and S3, without a request. The setting
// with the higher origin wins (--endpoint over MRAWS_LOCAL). At the same level
// --local wins, except over --endpoint and --profile, which contradict it. A data
// folder selects the server of that folder. Settings win over variables of AWS.
func choose(conf *config.Loaded, otherwise place, dirExists bool) (local bool, why string, err error) {
	var remote config.Origin
	for _, key := range []string{"endpoint", "profile", "region", "bucket"} {
		if o := conf.Origin(key); o.Level > remote.Level {
			remote = o
		}
	}
	if conf.Local {
		o := conf.Origin("local")
		for _, key := range []string{"endpoint", "profile"} {
			switch other := conf.Origin(key); {
			case other.Level > o.Level:
				return false, other.String(), nil
			case other.Level == o.Level:
				return false, "", usagef("leave one of them out", "%s and %s contradict each other", o, other)
			}
		}
		return true, o.String(), nil
	}
	folder := conf.Origin("data-dir")
	if folder.Level > conf.Origin("local").Level && (folder.Level > remote.Level || folder.Level == config.Flag) {
		for _, key := range []string{"endpoint", "profile"} {
			if other := conf.Origin(key); other.Level == config.Flag {
				return false, "", usagef("leave one of them out", "%s and %s contradict each other", folder, other)
			}
		}
		return true, folder.String(), nil
	}
	if remote.Level > config.Default {
		return false, remote.String(), nil
	}
	for _, name := range awsVariables {
		if os.Getenv(name) != "" {
			return false, "env " + name, nil
		}
	}
	switch {
	case otherwise == embedded:
		return true, "default of this command", nil
	case dirExists:
		return true, "its data folder exists", nil
	}
	return false, "default", nil
}

// choose is choose for this target.
func (t *target) choose(otherwise place) (local bool, why string, err error) {
	if !t.serves {
		return choose(t.conf, found, false)
	}
	return choose(t.conf, otherwise, t.hasData())
}

// hasData tells whether the data folder of the embedded server exists.
func (t *target) hasData() bool {
	_, err := os.Stat(filepath.Join(t.conf.DataDir, "s3"))
	return t.conf.DataDir != "" && err == nil
}

// openStore opens the bucket of the configuration and names it on stderr. A missing
// bucket of the embedded server is created. Any other bucket must exist.
func (s *session) openStore(ctx context.Context, otherwise place) (*store, error) {
	local, why, err := s.choose(otherwise)
	if err != nil {
		return nil, err
	}
	s.chosen, s.local = true, local
	if local {
		return s.openEmbedded(ctx, why)
	}
	return s.openS3(ctx, why)
}

// withStore opens the store for do and closes it.
func (s *session) withStore(ctx context.Context, do func(st *store) error) error {
	st, err := s.openStore(ctx, found)
	if err != nil {
		return err
	}
	return errors.Join(do(st), st.Close())
}

// bucketLine is the command line of the AWS CLI that creates the bucket.
func bucketLine(c *config.Loaded) string {
	words := []string{"aws", "s3", "mb", "s3://" + c.Bucket}
	for _, flag := range [][2]string{{"--endpoint-url", c.Endpoint}, {"--region", c.Region}, {"--profile", c.Profile}} {
		if flag[1] != "" {
			words = append(words, flag[0], flag[1])
		}
	}
	return quoteAll(words)
}

// maxSkew is the difference of this machine's clock from the store's above which
// the command warns. S3 refuses requests signed with a time 15 minutes off.
const maxSkew = 5 * time.Minute

// checkBucketNamed refuses the default bucket on AWS: the names of buckets are
// one space for all accounts there, so a default name is somebody's.
func (t *target) checkBucketNamed(why string) error {
	c := t.conf
	if c.IsSet("bucket") || c.Endpoint != "" || os.Getenv("AWS_ENDPOINT_URL") != "" || os.Getenv("AWS_ENDPOINT_URL_S3") != "" {
		return nil
	}
	hint := "name one with --bucket or MRAWS_BUCKET"
	if t.serves {
		hint += "; --local is the embedded server, which needs none"
	}
	return usagef(hint, "no bucket is named, and the store is S3 (%s)", why)
}

// s3Options are the options of a store that is not embedded.
func s3Options(c *config.Loaded, requests int) s3fs.Options {
	return s3fs.Options{Bucket: c.Bucket, Region: c.Region, Endpoint: c.Endpoint, Profile: c.Profile, Concurrency: requests}
}

func (s *session) openS3(ctx context.Context, why string) (*store, error) {
	c := s.conf
	if err := s.checkBucketNamed(why); err != nil {
		return nil, err
	}
	if err := s.fitRequests(c.S3Concurrency, false, s.log); err != nil {
		return nil, err
	}
	st, err := s3fs.Open(ctx, s3Options(c, s.requests))
	if err != nil {
		return nil, err
	}
	s.waits.toStore(storeName(c.Endpoint, c.Bucket), st.Patience())
	s.activity.store.Store(st)
	if err = st.CheckBucket(ctx); err != nil {
		st.Close()
		if errors.Is(err, fs.ErrNotExist) {
			return nil, &Error{Code: ExitUsage, What: "there is no bucket " + c.Bucket, Cause: err,
				Hint: "`" + bucketLine(c) + "` creates it; or name another with --bucket, or use --local"}
		}
		return nil, err
	}
	if skew := st.Skew(); skew.Abs() > maxSkew {
		side := "behind"
		if skew < 0 {
			side = "ahead of"
		}
		s.note("warning: this machine's clock is %v %s the store's; requests are signed with the store's time", skew.Abs().Round(time.Minute), side)
	}
	at := ""
	if c.Endpoint != "" {
		at = " at " + c.Endpoint
	}
	out := &store{Store: st, Why: why, conf: s.conf}
	if err := s.findJob(ctx, out); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	s.sayStore("s3://%s%s (%s)", s.where(), at, why)
	return out, nil
}

func (s *session) openEmbedded(ctx context.Context, why string) (*store, error) {
	dir := s.conf.DataDir
	if dir == "" { // no home folder to have a default in
		return nil, usagef("name one with --data-dir", "the embedded store has no data folder")
	}
	over := s.waits.during("the server of "+dir, settle)
	at, server, err := s.findOrServe(ctx, dir)
	over()
	if err != nil {
		return nil, fmt.Errorf("open the embedded store in %s: %w", dir, serverError(err))
	}
	out := &store{Embedded: true, DataDir: dir, Why: why, server: server, conf: s.conf}
	o := s3fs.Options{
		Bucket: s.conf.Bucket, Region: at.Region, Endpoint: at.URL, AccessKey: at.AccessKey, SecretKey: at.SecretKey,
		Server: s3fs.SameMachine,
	}
	if server != nil {
		o.Server, o.Dial = s3fs.SameProcess, server.Dial
	}
	if err = s.fitRequests(s.conf.S3Concurrency, server != nil, s.log); err == nil {
		o.Concurrency = s.requests
		out.Store, err = s3fs.Open(ctx, o)
	}
	if err == nil {
		s.waits.toStore(at.URL, out.Patience())
		s.activity.store.Store(out.Store)
		if s.asks {
			err = out.CheckBucket(ctx)
		} else {
			err = out.EnsureBucket(ctx)
		}
		if err != nil {
			out.Store.Close()
		}
	}
	if err != nil {
		if server != nil {
			err = errors.Join(err, server.Close())
		}
		return nil, err
	}
	if server == nil && s.verb != "worker" && !s.asks { // a worker has nothing to do without its coordinator
		out.heir = newHeir(dir, at, s.starter(), s.log)
	}
	who := fmt.Sprintf("served by process %d", at.PID)
	if server != nil {
		who = "served here"
	}
	if err := s.findJob(ctx, out); err != nil {
		return nil, errors.Join(err, out.Close())
	}
	s.sayStore("s3://%s embedded in %s, %s (%s)", s.where(), dir, who, why)
	return out, nil
}

// sayStore names the store on stderr, once.
func (s *session) sayStore(format string, args ...any) {
	if !s.said {
		s.said = true
		s.note("store: "+format, args...)
	}
}

// starter starts the embedded server, if the program has it.
func (s *session) starter() startServer {
	if s.start == nil {
		return noServer
	}
	return s.start
}

// settle is the maximum wait for another process that starts or ends a server on the
// same data folder.
const settle = 5 * time.Second

// findOrServe returns the server that runs on a data folder, or starts one.
func (s *session) findOrServe(ctx context.Context, dir string) (datadir.Endpoint, Server, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, settle, nil)
	defer cancel()
	for {
		at, err := datadir.Find(ctx, dir)
		if err == nil {
			return at, nil, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return datadir.Endpoint{}, nil, err
		}
		server, err := s.starter()(ctx, ServerOptions{DataDir: dir})
		if err == nil {
			return server.Endpoint(), server, nil
		}
		if !errors.Is(err, datadir.ErrLocked) {
			return datadir.Endpoint{}, nil, err
		}
		// Another process holds the lock, and its server starts or ends.
		select {
		case <-ctx.Done():
			return datadir.Endpoint{}, nil, err
		case <-time.After(50 * time.Millisecond):
		}
	}
}
