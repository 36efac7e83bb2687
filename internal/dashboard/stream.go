package dashboard

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	// writeTime is how long a client may take for a message. One that is slower is dropped;
	// it may come back and go on where it was.
	writeTime = 30 * time.Second
	// streamTime bounds a stream. Its client comes back.
	streamTime = time.Hour
)

// stream answers /api/stream: what is known of the job, then what changes, at most once a
// second. What a client has not read yet is not kept for it: it is told of the state as it
// is when it reads on.
func (s *Server) stream(w http.ResponseWriter, r *http.Request) {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		refuse(w, http.StatusServiceUnavailable, "too many pages are open")
		return
	}
	if !s.enter() {
		refuse(w, http.StatusServiceUnavailable, "the server ends")
		return
	}
	defer s.pages.Done()
	f := s.open(w, r)
	if f == nil {
		return
	}
	defer f.leave()
	out := newOutlet(w, r)
	defer out.close()
	at := parseCursor(cmp.Or(r.Header.Get("Last-Event-ID"), r.URL.Query().Get("after")))
	end := time.NewTimer(streamTime)
	defer end.Stop()
	alive := time.NewTicker(s.o.alive)
	defer alive.Stop()
	started, version := false, 0
	for {
		over, changed, ok := f.tell(out, &at, &started, &version)
		if !ok || over {
			return
		}
		select {
		case <-changed:
		case <-alive.C:
			if !out.write([]byte(": alive\n\n")) || !out.flush() {
				return
			}
		case <-end.C:
			return
		case <-r.Context().Done():
			return
		case <-s.told:
			f.tell(out, &at, &started, &version)
			return
		case <-s.ctx.Done():
			return
		}
	}
}

// enter counts a stream, unless the server ends.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.pages.Add(1)
	return true
}

// tell sends a client all that it has not, and returns what is closed when there is more.
func (f *follower) tell(out *outlet, at *cursor, started *bool, version *int) (over bool, changed <-chan struct{}, ok bool) {
	for first := true; ; first = false {
		f.mu.Lock()
		fold, view, is := f.fold, f.view, f.version
		over, changed = f.over, f.changed
		from := fold.begin(*at)
		begins := !*started || from.job != at.job
		ids, attempts, next := fold.next(from)
		f.mu.Unlock()
		if begins {
			*started = true
			out.message("start", "", encoded(struct {
				Job   string `json:"job"`
				After int    `json:"after"`
			}{fold.job, from.change}))
		}
		if first && *version != is {
			*version = is
			out.message("view", "", view)
		}
		if ids != nil {
			out.message("ids", "", ids)
		}
		if attempts != nil {
			out.message("attempts", next.String(), attempts)
		}
		if *at = next; attempts != nil {
			if !out.flush() {
				return false, nil, false
			}
			continue
		}
		if over {
			out.message("end", "", []byte("{}"))
		}
		return over, changed, out.flush()
	}
}

// outlet is the connection of a stream, compressed if the client reads that.
type outlet struct {
	w       http.ResponseWriter
	control *http.ResponseController
	zip     *gzip.Writer // nil for none
	buf     bytes.Buffer
	failed  bool
}

// newOutlet begins the answer.
func newOutlet(w http.ResponseWriter, r *http.Request) *outlet {
	o := &outlet{w: w, control: http.NewResponseController(w)}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no")
	var to io.Writer = w
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		o.zip, _ = gzip.NewWriterLevel(to, gzip.BestSpeed) // the level is one that there is
	}
	// The server's own bounds are those of short answers.
	_ = o.control.SetReadDeadline(time.Time{})
	o.write([]byte("retry: 1000\n\n"))
	return o
}

// message writes one message. JSON has no line breaks.
func (o *outlet) message(event, id string, data []byte) {
	o.buf.Reset()
	if id != "" {
		o.buf.WriteString("id: " + id + "\n")
	}
	o.buf.WriteString("event: " + event + "\ndata: ")
	o.buf.Write(data)
	o.buf.WriteString("\n\n")
	o.write(o.buf.Bytes())
}

// write writes, and says whether all is well so far.
func (o *outlet) write(p []byte) bool {
	if o.failed {
		return false
	}
	_ = o.control.SetWriteDeadline(time.Now().Add(writeTime))
	var err error
	if o.zip != nil {
		_, err = o.zip.Write(p)
	} else {
		_, err = o.w.Write(p)
	}
	o.failed = err != nil
	return !o.failed
}

// flush sends what was written.
func (o *outlet) flush() bool {
	if !o.failed && o.zip != nil {
		o.failed = o.zip.Flush() != nil
	}
	if !o.failed {
		o.failed = o.control.Flush() != nil
	}
	return !o.failed
}

func (o *outlet) close() {
	if o.zip != nil && !o.failed {
		_ = o.zip.Close() // the client may have gone
	}
}
