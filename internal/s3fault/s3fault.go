// Package s3fault puts faults between an S3 client and a real S3 server. A
// [Proxy] is an HTTP handler that passes requests on, with everything that
// their signatures cover left as it is, and harms those that its [Script]
// picks: it answers in the server's place, loses the reply of a request that
// was carried out, breaks bodies, flips bits, or hides pages of a listing.
// docs/faults.md explains the language.
//
// It knows requests with the bucket in the path only. It is made for tests
// and for people who want to see what a fault does; nothing in it is for
// production.
package s3fault

import (
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Options of a proxy.
type Options struct {
	// AccessKey and SecretKey are those of the clients. Only
	// ignore-condition needs them: it takes signed headers away and has to
	// sign again. Requests of other keys keep their conditions.
	AccessKey, SecretKey string
	// Played, if not nil, is called for every fault that happens. It must
	// be safe for concurrent use.
	Played func(r Rule, operation, key string)
	// Allowed, if not nil, is asked for each right that a request needs,
	// before the script is. A request without one of its rights is answered
	// with AccessDenied. It must be safe for concurrent use.
	Allowed func(Right) bool
}

// Proxy passes requests on to a server and plays a script of faults. It is
// safe for concurrent use. Close it before the HTTP server that it is the
// handler of, so that requests that hang are let go.
type Proxy struct {
	target  *url.URL
	o       Options
	seed    uint64
	state   atomic.Pointer[state]
	rt      *http.Transport
	closing sync.Once
	done    chan struct{}
}

// New returns a proxy in front of the server at target, a URL such as
// http://127.0.0.1:9000. The seed fixes which calls a rule with p= picks and
// where a flip hits: the same calls in the same order meet the same faults.
func New(target string, s *Script, seed uint64, o Options) (*Proxy, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("put faults in front of %q: %w", target, err)
	}
	if u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" && u.Path != "/" {
		return nil, fmt.Errorf("put faults in front of %q: want a URL of scheme, host and port only", target)
	}
	p := &Proxy{
		target: u, o: o, seed: seed, done: make(chan struct{}),
		rt: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 256, ExpectContinueTimeout: time.Second},
	}
	p.Play(s)
	return p, nil
}

// Play replaces the script. Counts start anew; requests that have begun keep
// their faults.
func (p *Proxy) Play(s *Script) { p.state.Store(newState(s, p.seed)) }

// Counts returns, for each rule of the script in its order, how often it
// came into play so far.
func (p *Proxy) Counts() []Count { return p.state.Load().counts() }

// Close ends what hangs and closes idle connections to the server.
func (p *Proxy) Close() {
	p.closing.Do(func() { close(p.done) })
	p.rt.CloseIdleConnections()
}

// ServeHTTP passes a request on, or not, as the script has it.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, st := callOf(r), p.state.Load()
	if c.operation == "" { // nothing that a rule can name
		(&exchange{p: p, w: w, r: r, st: st}).pass()
		return
	}
	if !p.allowed(w, r, c) {
		return
	}
	plan := st.decide(c, time.Now())
	e := &exchange{p: p, w: w, r: r, c: c, st: st, fault: plan.fault}
	for i := range plan.before {
		if !e.prepare(&plan.before[i]) {
			return
		}
	}
	e.run()
}
