package cmd

import (
	"context"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/datadir"
	"github.com/mraws/mraws/internal/s3fault"
)

// faults stand in front of the embedded server.
type faults struct {
	script *s3fault.Script
	seed   uint64
	proxy  *s3fault.Proxy
	server *http.Server
	served chan error
}

// readFaults reads a script; a seed of 0 is replaced by a random one.
func readFaults(name string, seed uint64) (*faults, error) {
	const hint = "docs/faults.md explains the language"
	file, err := os.Open(name)
	if err != nil {
		return nil, usagef(hint, "read the faults: %w", err)
	}
	defer file.Close()
	script, err := s3fault.Parse(file)
	if err != nil {
		return nil, usagef(hint, "%s: %w", name, err)
	}
	for seed == 0 {
		seed = rand.Uint64()
	}
	return &faults{script: script, seed: seed}, nil
}

// front starts the proxy at address, in front of the server.
func (f *faults) front(ctx context.Context, logger zerolog.Logger, address string, at datadir.Endpoint, o s3fault.Options) (url string, err error) {
	o.AccessKey, o.SecretKey = at.AccessKey, at.SecretKey
	if f.proxy, err = s3fault.New(at.URL, f.script, f.seed, o); err != nil {
		return "", err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return "", fmt.Errorf("listen for the faults: %w", err)
	}
	f.server = &http.Server{Handler: f.proxy, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(warnings{logger}, "", 0)}
	f.served = make(chan error, 1)
	go func() { f.served <- f.server.Serve(l) }()
	return "http://" + l.Addr().String(), nil
}

// warnings makes a warning of the log of each line that is written to it.
type warnings struct{ zerolog.Logger }

// Write implements io.Writer.
func (w warnings) Write(line []byte) (int, error) {
	w.Warn().Str("cause", strings.TrimSpace(string(line))).Msg("fault proxy")
	return len(line), nil
}

// Close ends the proxy. It does nothing if the proxy never started.
func (f *faults) Close() error {
	if f.proxy != nil {
		f.proxy.Close()
	}
	if f.server == nil {
		return nil
	}
	err := f.server.Close()
	if e := <-f.served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

// serve is the s3 command behind the faults of a script: clients that go by the
// data folder or by what this prints find the proxy.
func (f *faults) serve(ctx context.Context, s *session, o ServerOptions) (err error) {
	s.note("faults: %s, --fault-seed %d", countText(int64(len(f.script.Rules)), "rule"), f.seed)
	address := o.Address
	o.Address = ""
	o.Front = func(at datadir.Endpoint) (string, error) {
		if err := makeBucket(ctx, at, s.conf.Bucket); err != nil { // before anything can fail
			return "", err
		}
		return f.front(ctx, s.log, address, at, s3fault.Options{Played: func(r s3fault.Rule, operation, key string) {
			s.log.Debug().Int("line", r.Line).Stringer("rule", r).Str("op", operation).Str("key", key).Msg("fault")
		}})
	}
	defer func() {
		if f.proxy == nil {
			return
		}
		for _, c := range f.proxy.Counts() {
			s.log.Info().Int("line", c.Rule.Line).Stringer("rule", c.Rule).Int64("seen", c.Seen).Int64("played", c.Played).Msg("faults")
		}
	}()
	return serve(ctx, s, o, f.Close)
}
