//go:build !failpoint

package cmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

// TestLogLibrary: what the library of the S3 server prints is a line of the
// log, in its form and at a level that -q silences; all else stays. A program
// with failpoints leaves stderr as it is.
func TestLogLibrary(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	usual := os.Stderr
	os.Stderr = w
	defer func() { os.Stderr = usual }()

	var log bytes.Buffer
	p := newPrinter(IO{Err: w})
	p.log = zerolog.New(&log)
	flush := p.logLibrary()
	fmt.Fprint(os.Stderr, "\x1b[31m[INTERNAL ERROR]: unexpected EOF\x1b[0m\nof another\n")
	flush()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	var passed bytes.Buffer
	if _, err := passed.ReadFrom(r); err != nil || passed.String() != "of another\n" {
		t.Errorf("on stderr: %q, %v", passed.String(), err)
	}
	var event struct{ Level, Message, Cause string }
	if err := json.Unmarshal(log.Bytes(), &event); err != nil || event.Level != "warn" || event.Message != "S3 server" || event.Cause != "unexpected EOF" || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("in the log: %q, %v", log.String(), err)
	}
}
