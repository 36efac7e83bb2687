package cmd

import (
	"bufio"
	"os"
	"regexp"
	"strings"
	"sync"

	"github.com/rs/zerolog"
)

// The library of the embedded server prints what it calls internal errors, such
// as a client that went away in the middle of a body, to os.Stderr and in
// colour, whatever the level and the form of the log. It takes no logger.

var (
	colours = regexp.MustCompile(`\x1b\[[0-9;]*m`)
	heading = regexp.MustCompile(`^\[[A-Z ]+\]: `)
)

// logLibrary turns what is printed to os.Stderr into warnings of log, until
// flush has been called. It is for commands that run no code of users, which
// may print there too. The variable is not set back: a goroutine of the server
// may be about to read it.
func (f *frame) logLibrary(log zerolog.Logger) (flush func()) {
	if f.err.first != os.Stderr {
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
			switch text := heading.ReplaceAllString(colours.ReplaceAllString(strings.TrimSuffix(line, "\n"), ""), ""); {
			case err != nil:
				return
			case text == end:
				over()
			case text != "":
				log.Warn().Str("cause", text).Msg("S3 server")
			}
		}
	}()
	return func() {
		if _, err := w.WriteString(end + "\n"); err == nil {
			<-ended
		}
	}
}
