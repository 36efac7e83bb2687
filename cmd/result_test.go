package cmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/mraws/mraws/internal/apps"
	"github.com/mraws/mraws/mr"
)

// TestOneDocument: a run writes one JSON document, whatever it does besides,
// that says where the result is.
func TestOneDocument(t *testing.T) {
	clean(t)
	if err := os.WriteFile("in.txt", []byte("a b a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Schema, Bucket, Prefix, Output, Job, Fetched string
		DataDir                                      string `json:"data_dir"`
		AlreadyDone                                  bool   `json:"already_done"`
		Seconds                                      float64
		Counters                                     map[string]int64
		Outputs                                      []struct{ Lines int64 }
		Verify                                       *struct{ Schema string }
	}
	parse := func(r result) {
		t.Helper()
		d := json.NewDecoder(strings.NewReader(r.out))
		if err := d.Decode(&doc); err != nil || r.code != ExitOK {
			t.Fatalf("%v; %+v", err, r)
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			t.Errorf("something follows the document: %v\n%s", err, r.out)
		}
		if doc.Schema != "mraws/run/v1" || doc.Bucket != "mapreducedata" || doc.Output != "s3://mapreducedata/"+doc.Prefix+"/output/" ||
			doc.Job == "" || doc.DataDir == "" || len(doc.Outputs) != 2 || doc.Counters == nil || doc.Seconds <= 0 {
			t.Errorf("%+v", doc)
		}
	}
	parse(execute(t, apps.Table(), "run", "-o", "json", "--verify", "--out", "out", "--app", "wc", "--nreduce", "2", "in.txt"))
	if doc.Verify == nil || !strings.HasSuffix(doc.Fetched, "/out") || !strings.HasPrefix(doc.Prefix, "wc-") || doc.AlreadyDone {
		t.Errorf("%+v", doc)
	}
	prefix := doc.Prefix
	doc.Verify, doc.Counters = nil, nil
	parse(execute(t, apps.Table(), "run", "-o", "json", "--local", "--prefix", prefix, "--app", "wc", "--nreduce", "2"))
	if !doc.AlreadyDone || doc.Prefix != prefix || doc.Verify != nil {
		t.Errorf("%+v", doc)
	}
	doc.Counters = nil
	parse(execute(t, apps.Table(), "coordinator", "-o", "json", "--local", "--prefix", prefix, "--app", "wc", "--nreduce", "2", "--port", "0"))
}

// seen is a stream that calls back once what it has got contains a text.
type seen struct {
	mu   sync.Mutex
	all  bytes.Buffer
	text string
	then func()
}

// Write implements io.Writer.
func (s *seen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all.Write(p)
	if s.then != nil && strings.Contains(s.all.String(), s.text) {
		s.then()
		s.then = nil
	}
	return len(p), nil
}

// TestStopped: who stops a job learns how to go on with it and how to remove
// it, by lines that name it.
func TestStopped(t *testing.T) {
	clean(t)
	if err := os.WriteFile("in.txt", []byte("a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	slow := testApp("slow")
	slow.NewMapper = func(*mr.Task) (mr.Mapper, error) {
		return mr.MapperFunc(func(mr.Record, mr.Emitter) error { <-release; return nil }), nil
	}
	for _, tt := range []struct {
		args    []string
		at      string
		resume  string
		remove  string
		nothing bool
	}{
		{[]string{"run", "--app", "slow", "in.txt"}, `"message":"joined"`, "mraws run --prefix slow-[0-9a-z]+ --app slow in.txt", "mraws reset --yes --input --local --prefix slow-[0-9a-z]+", false},
		{[]string{"coordinator", "--local", "--app", "slow", "--prefix", "p", "--allow-empty", "--port", "0", "--nreduce", "2", "--lease", "200ms"}, `"message":"job ready"`,
			"mraws coordinator --local --app slow --prefix p .*", "mraws reset --yes --local --prefix p", false},
		{[]string{"worker", "--local", "--app", "slow", "--coord-timeout", "1h"}, "waiting for a coordinator", "", "", true},
	} {
		ctx, cancel := context.WithCancelCause(t.Context())
		stderr := &seen{text: tt.at, then: func() {
			cancel(Signal{os.Interrupt})
			if tt.args[0] == "run" {
				close(release)
			}
		}}
		code := Execute(ctx, "mraws", nil, tt.args, IO{In: strings.NewReader(""), Out: io.Discard, Err: stderr}, []mr.App{slow}, embeddedServer)
		said := stderr.all.String()
		want := regexp.MustCompile("(?m)^mraws: error: stopped by signal: interrupt\n  hint: committed tasks are kept; to resume: `" + tt.resume + "`\n  hint: to remove the job: `" + tt.remove + "`$")
		if code != ExitInterrupt || want.MatchString(said) == tt.nothing || tt.nothing && strings.Contains(said, "hint:") {
			t.Errorf("%v: code %d\n%s", tt.args, code, said)
		}
	}
}
