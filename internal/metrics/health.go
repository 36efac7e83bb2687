package metrics

import (
	"context"
	"fmt"
	"net/http"
	"net/http/pprof"
	"slices"
	"sync"
	"time"
)

// Check tells whether a part of the process is fit: nil, or why it is not. Several may
// ask at the same time.
type Check func(context.Context) error

// checks are those of a page.
type checks struct {
	mu  sync.Mutex
	all []Check
}

// checkFor bounds how long checks may take together. Kubernetes gives a probe 1 s
// unless it is told otherwise.
const checkFor = 900 * time.Millisecond

// Ready adds a check of /readyz. A process that fails it does no work yet, and so does
// one that has no check.
func (p *Page) Ready(c Check) {
	p.fit.mu.Lock()
	defer p.fit.mu.Unlock()
	p.fit.all = append(p.fit.all, c)
}

// Debug makes [Page.Handler] serve profiles too. They show what the program does, and
// its command line.
func (p *Page) Debug() { p.debug = true }

// healthz answers while the process serves.
func healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprintln(w, "ok")
}

// readyz answers 200, or 503 and the first check's reason.
func (f *checks) readyz(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	all := slices.Clone(f.all)
	f.mu.Unlock()
	if len(all) == 0 {
		http.Error(w, "the process starts", http.StatusServiceUnavailable)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), checkFor)
	defer cancel()
	for _, check := range all {
		if err := check(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	healthz(w, r)
}

// profiles adds the pages of net/http/pprof.
func profiles(mux *http.ServeMux) {
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
}
