// Package dashboard is the server of the page that shows jobs: a list of the jobs of a
// bucket, and each of them live. It reads the bucket and nothing else, so that it shows
// a job that runs in another process, on other machines, or ended long ago.
// docs/dashboard.md is its documentation for users.
//
//	dashboard.go what is served, and to whom
//	door.go      who may read it: names of hosts, the token
//	jobs.go      the list of jobs
//	follow.go    the reader of one job, which all its viewers share
//	fold.go      what the events of a job come to: rows of attempts with their changes
//	stream.go    server-sent events: the view and what changed, with resume
//	view.go      the figures of a job, a pure function; panels.go has the longer ones
//	attempt.go   one attempt with all that is known of it
//
// Text of users' data is only ever a JSON string.
package dashboard

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/escape"
	"github.com/mraws/mraws/internal/events"
	"github.com/mraws/mraws/internal/jobs"
	"github.com/mraws/mraws/internal/layout"
	"github.com/mraws/mraws/internal/manifest"
)

// Store is what a dashboard needs of the bucket: reading. Errors are those of
// [jobs.Store] and [events.Bucket].
type Store interface {
	jobs.Store
	events.Bucket
}

// Options say what is shown, and to whom.
type Options struct {
	Store Store
	// Jobs say which jobs are shown: those below Jobs.Base.
	Jobs jobs.Options
	// Files are those of the page: index.html, and what it asks for below /assets/.
	Files fs.FS
	Log   zerolog.Logger
	// Token is what every reader must bring; "" is none, and then only those are served
	// that call this server by a name of the loopback interface.
	Token string
	// Explain says what cost a job most time: a document for machines, and what people
	// are shown of it. It is called by one goroutine at a time for each job.
	Explain func(prefix string, s *events.State, job *manifest.Job) (report any, list []Finding)
	// Hurry is called every few seconds while somebody looks at the job below a prefix:
	// a coordinator of this process may then write its event log sooner. Nil is nobody.
	Hurry func(prefix string)
	// MaxUSD is the cap on the dollars of the job that this process runs; 0 for none.
	MaxUSD float64

	// Times, which tests shorten. Zero is the default.
	every, control, linger, alive time.Duration
	rest                          int // how many times as long as it worked a reader rests, at least
}

// Finding is one cause of lost time, as [Options.Explain] tells people of it.
type Finding struct {
	Cause   string   `json:"cause"`
	Title   string   `json:"title"`
	Seconds float64  `json:"seconds"`
	Share   float64  `json:"share"`
	Phases  []string `json:"phases,omitempty"`
	Text    string   `json:"text"`
	Setting string   `json:"setting"` // what would help
}

const (
	// every is how often a job is read at most, and control how often its control objects.
	every, control = time.Second, 5 * time.Second
	// linger is for how long a job that nobody watches is kept.
	linger = time.Minute
	// alive is how often a stream says something at least.
	alive = 15 * time.Second
	// lastTime bounds what Close waits for.
	lastTime = 2 * time.Second
	// rest leaves a reader a twentieth of a processor.
	rest = 20
	// mostStreams bounds the streams, and mostJobs the jobs that are in memory.
	mostStreams, mostJobs = 32, 8
)

// Server is the dashboard of the jobs of one bucket.
type Server struct {
	o       Options
	door    door
	mux     *http.ServeMux
	list    list
	ctx     context.Context // ends with Close
	end     context.CancelFunc
	streams chan struct{} // holds one for each stream
	last    chan struct{} // closed by Close: followers read once more
	told    chan struct{} // closed when they have: streams send that, and end

	mu        sync.Mutex
	followers map[string]*follower // by prefix
	closed    bool
	running   sync.WaitGroup // followers
	pages     sync.WaitGroup // streams
}

// New returns a dashboard that reads nothing before somebody asks. [Server.Close] ends it.
func New(o Options) *Server {
	for _, t := range []struct {
		of *time.Duration
		is time.Duration
	}{{&o.every, every}, {&o.control, control}, {&o.linger, linger}, {&o.alive, alive}} {
		if *t.of == 0 {
			*t.of = t.is
		}
	}
	if o.rest == 0 {
		o.rest = rest
	}
	s := &Server{o: o, door: newDoor(o.Token), mux: http.NewServeMux(), followers: map[string]*follower{}}
	s.streams, s.last, s.told = make(chan struct{}, mostStreams), make(chan struct{}), make(chan struct{})
	s.ctx, s.end = context.WithCancel(context.Background())
	s.list.find = func(ctx context.Context) (*jobs.List, error) { return jobs.Find(ctx, o.Jobs) }
	s.mux.HandleFunc("/{$}", s.page)
	s.mux.HandleFunc("/job/", s.page)
	s.mux.HandleFunc("/assets/{name}", s.asset)
	s.mux.HandleFunc("/favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	s.mux.HandleFunc("/api/jobs", s.jobs)
	s.mux.HandleFunc("/api/stream", s.stream)
	s.mux.HandleFunc("/api/attempt", s.attempt)
	s.mux.HandleFunc("/api/explain", s.explain)
	s.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusNotFound, "there is no such page") })
	return s
}

// Close ends all streams and readers. Those who look at a job are told how it stands, so
// that the page of a process that ends with its job shows the end; that takes lastTime at
// most. A client that does not read is not waited for longer.
func (s *Server) Close() error {
	s.mu.Lock()
	closed := s.closed
	s.closed = true
	s.mu.Unlock()
	if closed {
		return nil
	}
	late := time.AfterFunc(lastTime, s.end)
	defer late.Stop()
	close(s.last)
	s.running.Wait()
	close(s.told)
	told := make(chan struct{})
	go func() { s.pages.Wait(); close(told) }()
	select {
	case <-told:
	case <-s.ctx.Done():
	}
	s.end()
	return nil
}

// policy lets the page load what this server serves, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	for name, value := range map[string]string{
		"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin", "Cache-Control": "no-store",
	} {
		h.Set(name, value)
	}
	if r.Method != http.MethodGet {
		h.Set("Allow", http.MethodGet)
		refuse(w, http.StatusMethodNotAllowed, "only GET")
		return
	}
	if s.door.passes(w, r) {
		s.mux.ServeHTTP(w, r)
	}
}

// refuse answers with an error.
func refuse(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": text}) // the client may have gone
}

// answer answers with a document.
func answer(w http.ResponseWriter, doc any) {
	data, err := json.Marshal(doc)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "the answer cannot be encoded")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(data)
}

// page serves the page, which is the same for all jobs.
func (s *Server) page(w http.ResponseWriter, r *http.Request) { s.file(w, "index.html") }

// asset serves a file of the page.
func (s *Server) asset(w http.ResponseWriter, r *http.Request) { s.file(w, r.PathValue("name")) }

// kinds are the types of files of the page. What a machine knows of types is not asked.
func kinds() map[string]string {
	return map[string]string{
		".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".png": "image/png",
	}
}

func (s *Server) file(w http.ResponseWriter, name string) {
	kind := kinds()[path.Ext(name)]
	data, err := fs.ReadFile(s.o.Files, name)
	if err != nil || kind == "" {
		refuse(w, http.StatusNotFound, "there is no such file")
		return
	}
	w.Header().Set("Content-Type", kind)
	_, _ = w.Write(data)
}

// errNoJob says that no job is meant.
var errNoJob = errors.New("there is no such job")

// prefix returns the prefix of the job that a request is about.
func (s *Server) prefix(r *http.Request) (string, error) {
	given, ok := r.URL.Query()["job"]
	if !ok || len(given) != 1 {
		return "", errNoJob
	}
	prefix, err := layout.CheckPrefix(given[0])
	base := layout.New(s.o.Jobs.Base)
	if err != nil || prefix != base.Prefix() && !strings.HasPrefix(prefix+"/", base.Root()) {
		return "", errNoJob
	}
	return prefix, nil
}

// open returns the reader of the job that a request is about, once that is read. If it
// is nil the request is answered. The caller calls leave.
func (s *Server) open(w http.ResponseWriter, r *http.Request) *follower {
	prefix, err := s.prefix(r)
	var f *follower
	if err == nil {
		f, err = s.follow(r.Context(), prefix)
	}
	switch {
	case err == nil:
		return f
	case errors.Is(err, errNoJob):
		refuse(w, http.StatusNotFound, errNoJob.Error())
	default:
		refuse(w, http.StatusServiceUnavailable, escape.Short(err.Error(), 1000))
	}
	return nil
}
