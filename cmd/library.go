package cmd

import (
	"bufio"
	"os"
	"regexp"
	"strings"
	"sync"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/failpoint"
)

// The library of the embedded server prints panics and errors that are no
// answer of S3 to os.Stderr and in colour, whatever the level and the form of
// the log. It takes no logger.

var (
	colours = regexp.MustCompile(`\x1b\[[0-9;]*m`)
	heading = regexp.MustCompile(`^\[(INTERNAL ERROR|PANIC)\]: `)
)

// logLibrary turns these lines into warnings of log, until flush has been
// called, and passes all others on. It is for commands that run no code of
// users, which may print there and end the process at once. The variable is not
// set back: a goroutine of the server may be about to read it.
func (f *frame) logLibrary(log zerolog.Logger) (flush func()) {
	stderr := os.Stderr
	if f.err.first != stderr || failpoint.Enabled { // which print there and end the process too
		return func() {}
	}
	r, w, err := os.Pipe()
	if err != nil {
		return func() {}
	}
	os.Stderr = w
	const end = "\x00end"
	ended := make(chan struct{})
	over := sync.OnceFunc(func() { close(ended) })
	go func() {
		defer over()
		for lines := bufio.NewReader(r); ; {
			line, err := lines.ReadString('\n')
			text := colours.ReplaceAllString(strings.TrimSuffix(line, "\n"), "")
			switch cause := heading.ReplaceAllString(text, ""); {
			case err != nil:
				return
			case text == end:
				over()
			case cause != text:
				log.Warn().Str("cause", cause).Msg("S3 server")
			default:
				_, _ = stderr.WriteString(line) // nowhere else to go
			}
		}
	}()
	return func() {
		if _, err := w.WriteString(end + "\n"); err == nil {
			<-ended
		}
	}
}
