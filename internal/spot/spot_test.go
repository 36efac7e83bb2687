package spot

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	tokenPath  = "/latest/api/token"
	actionPath = "/latest/meta-data/spot/instance-action"
	advicePath = "/latest/meta-data/events/recommendations/rebalance"
	going      = `{"action": "terminate", "time": "2026-11-22T08:22:00Z"}`
)

// service is an IMDSv2: who has no token that it gave gets 401.
type service struct {
	mu     sync.Mutex
	ttl    string         // of tokens, in seconds
	token  int            // the one that is valid
	refuse int            // status for who wants one; 0: none
	lose   bool           // the token expires with each use
	down   int            // so many requests get no answer
	said   map[string]int // requests, by path
	notice func(asked int) string
	advice string
}

func (s *service) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said[q.URL.Path]++
	if s.down > 0 {
		s.down--
		panic(http.ErrAbortHandler)
	}
	if q.URL.Path == tokenPath {
		if q.Method != http.MethodPut || q.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds") == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		if s.refuse != 0 {
			w.WriteHeader(s.refuse)
			return
		}
		s.token++
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", s.ttl)
		fmt.Fprintf(w, "token-%d", s.token)
		return
	}
	if q.Method != http.MethodGet || q.Header.Get("X-Aws-Ec2-Metadata-Token") != fmt.Sprintf("token-%d", s.token) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if s.lose {
		s.token++
	}
	text := s.advice
	if q.URL.Path == actionPath {
		text = s.notice(s.said[actionPath])
	}
	if text == "" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	fmt.Fprint(w, text)
}

// asked returns how often a path was asked for.
func (s *service) asked(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.said[path]
}

// serve starts the service where the SDK looks for it.
func serve(t *testing.T, h http.Handler) {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.URL)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "")
	t.Setenv("AWS_PROFILE", "")
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1") // which is never asked
}

// watch is Watch with little patience, and what it logged.
func watch(ctx context.Context, t *testing.T) (*Notice, string) {
	t.Helper()
	var log bytes.Buffer
	w := &watcher{log: zerolog.New(&log), every: time.Millisecond}
	if err := w.open(ctx); err != nil {
		t.Fatal(err)
	}
	n := w.watch(ctx)
	return n, log.String()
}

// after answers with a notice from the n-th question on, and before with text.
func after(n int, text string) func(int) string {
	return func(asked int) string {
		if asked < n {
			return text
		}
		return going
	}
}

func TestWatch(t *testing.T) {
	tests := map[string]struct {
		service *service
		notice  bool // comes
		tokens  int  // at least so many were asked for, and at most one more
		logs    string
		quiet   string // not logged
	}{
		"a notice":              {&service{notice: after(1, "")}, true, 1, "", "warn"},
		"a notice later":        {&service{notice: after(6, "")}, true, 1, "", "warn"},
		"tokens run out":        {&service{notice: after(4, ""), ttl: "0"}, true, 4, "", "warn"},
		"tokens are taken back": {&service{notice: after(7, ""), lose: true}, true, 4, "", "warn"},
		"a recommendation": {&service{notice: after(9, ""), advice: `{"noticeTime": "2026-11-22T08:00:00Z"}`}, true, 1,
			"EC2 recommends", "warn"},
		"no JSON":          {&service{notice: after(9, "<html>")}, true, 1, "cannot be read", "recommends"},
		"no fields":        {&service{notice: after(9, "{}")}, true, 1, "cannot be read", "recommends"},
		"no time":          {&service{notice: after(9, `{"action": "stop"}`)}, true, 1, "cannot be read", "recommends"},
		"a time that none": {&service{notice: after(9, `{"action": "stop", "time": "soon"}`)}, true, 1, "cannot be read", "recommends"},
		"no tokens: 400":   {&service{refuse: 400}, false, tries, "no instance metadata", "warn"},
		"no tokens: 403":   {&service{refuse: 403}, false, tries, "no instance metadata", "warn"},
		"no tokens: 404":   {&service{refuse: 404}, false, tries, "no instance metadata", "warn"},
		"no tokens: 405":   {&service{refuse: 405}, false, tries, "no instance metadata", "warn"},
		"a page for all":   {&service{ttl: "never"}, false, tries, "no instance metadata", "warn"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := tt.service
			s.said = map[string]int{}
			if s.ttl == "" {
				s.ttl = "300"
			}
			serve(t, s)
			n, log := watch(t.Context(), t)
			if (n != nil) != tt.notice {
				t.Errorf("notice: %v", n)
			}
			if n != nil && (n.Action != "terminate" || !n.Time.Equal(time.Date(2026, 11, 22, 8, 22, 0, 0, time.UTC))) {
				t.Errorf("notice: %v", n)
			}
			if got := s.asked(tokenPath); got < tt.tokens {
				t.Errorf("asked for a token %d times, want %d", got, tt.tokens)
			}
			if !tt.notice && s.asked(actionPath) > 0 {
				t.Errorf("asked %d times without a token", s.asked(actionPath))
			}
			if !strings.Contains(log, tt.logs) || strings.Contains(log, tt.quiet) || strings.Count(log, "\n") > 1 {
				t.Errorf("logged: %s", log)
			}
		})
	}
}

// TestUnauthorized: an IMDS that takes no token of its own is none.
func TestUnauthorized(t *testing.T) {
	asked := 0
	serve(t, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method == http.MethodPut {
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "300")
			fmt.Fprint(w, "token")
			return
		}
		asked++
		w.WriteHeader(http.StatusUnauthorized)
	}))
	if n, _ := watch(t.Context(), t); n != nil || asked < tries {
		t.Errorf("after %d questions: %v", asked, n)
	}
}

// TestComesBack: an IMDS that has answered once is not given up, however long
// it does not answer.
func TestComesBack(t *testing.T) {
	s := &service{ttl: "0", said: map[string]int{}}
	s.notice = func(asked int) string {
		if asked == 1 {
			s.down = 2 * (tries + 1) // each question is put twice
			return ""
		}
		return going
	}
	serve(t, s)
	n, log := watch(t.Context(), t)
	if n == nil || strings.Count(log, "may be missed") != 1 {
		t.Errorf("%v; logged: %s", n, log)
	}
}

// TestHang: an IMDS that takes requests and never answers, as one does from
// inside of a container that is a hop too far away, is given up.
func TestHang(t *testing.T) {
	release := make(chan struct{})
	asked := make(chan struct{}, 100)
	serve(t, http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
		asked <- struct{}{}
		select {
		case <-release:
		case <-q.Context().Done():
		}
	}))
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if n, log := watch(ctx, t); n != nil || log != "" { // ctx ends the wait at once
		t.Errorf("%v, %s", n, log)
	}
	if n, log := watch(t.Context(), t); n != nil || !strings.Contains(log, "no instance metadata") {
		t.Errorf("%v, %s", n, log)
	}
}

// TestNobodyThere: nothing listens, or nobody is to be asked.
func TestNobodyThere(t *testing.T) {
	s := &service{said: map[string]int{}}
	serve(t, s)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	if n, _ := watch(t.Context(), t); n != nil || len(s.said) > 0 {
		t.Errorf("%v; asked: %v", n, s.said)
	}
	t.Setenv("AWS_EC2_METADATA_DISABLED", "")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1")
	if n, _ := watch(t.Context(), t); n != nil {
		t.Errorf("%v", n)
	}
	t.Setenv("AWS_PROFILE", "none")
	if n := Watch(t.Context(), zerolog.Nop()); n != nil {
		t.Errorf("with a broken configuration: %v", n)
	}
}

func TestLeave(t *testing.T) {
	now := time.Now()
	for in, want := range map[time.Duration]time.Duration{
		2 * time.Minute: 110 * time.Second,
		time.Hour:       110 * time.Second, // a slow clock
		time.Minute:     50 * time.Second,
		-time.Hour:      -time.Hour - 10*time.Second,
	} {
		n := &Notice{Action: "terminate", Time: now.Add(in)}
		if got := n.Leave(now).Sub(now); got != want {
			t.Errorf("%v ahead: leaves in %v, want %v", in, got, want)
		}
	}
}
