package cmd

import (
	"bufio"
	"os"
	"regexp"
	"strings"
	"sync"

	"github.com/mraws/mraws/internal/failpoint"
)

// The library of the embedded server prints panics and errors other than S3 errors
// to os.Stderr, in colour, whatever log-level and log-format. It takes no logger.

var (
	colours = regexp.MustCompile(`\x1b\[[0-9;]*m`)
	heading = regexp.MustCompile(`^\[(INTERNAL ERROR|PANIC)\]: `)
)

// logLibrary turns these lines into warnings of the log until flush is called, and
// passes all other lines on. It is for commands that run no code of users, which
// may print to os.Stderr and end the process at once. It does not restore
// os.Stderr, since a goroutine of the server may be about to read the variable.
func (p *printer) logLibrary() (flush func()) {
	stderr := os.Stderr
	if p.err.first != stderr || failpoint.Enabled { // which print there and end the process too
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
				p.log.Warn().Str("cause", cause).Msg("S3 server")
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
