package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/rs/zerolog"
	"golang.org/x/term"

	"github.com/mraws/mraws/internal/escape"
)

// IO is what a command reads and writes: data goes to Out, everything else
// to Err.
type IO struct {
	In       io.Reader
	Out, Err io.Writer
}

// printer is what a command writes to: data to stdout, all else to stderr.
type printer struct {
	io     IO
	err    *lockedWriter // io.Err
	term   terminal
	output string // -o: "text" or "json"
	quiet  bool

	// Known once the configuration is read.
	log          zerolog.Logger
	progress     string // a value of the key progress
	logsProgress bool   // of a service, whose stderr is a log
}

func newPrinter(stdio IO) *printer {
	p := &printer{io: stdio, term: terminalOf(stdio), err: &lockedWriter{first: stdio.Err, w: stdio.Err}}
	p.io.Err = p.err
	return p
}

// note tells people something on stderr, unless they asked for quiet.
func (p *printer) note(format string, args ...any) {
	if !p.quiet {
		fmt.Fprintf(safely{p.io.Err}, format+"\n", args...)
	}
}

// say writes a line of data to stdout.
func (p *printer) say(format string, args ...any) error {
	_, err := fmt.Fprintf(safely{p.io.Out}, format+"\n", args...)
	return err
}

// safely is a stream for text from outside. It escapes control sequences. Each
// write must be whole characters.
type safely struct{ w io.Writer }

// Write implements io.Writer.
func (s safely) Write(p []byte) (int, error) {
	if _, err := io.WriteString(s.w, escape.Lines(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// printData copies the data of write to stdout. It escapes them on a terminal.
func (p *printer) printData(write func(io.Writer) error) error {
	if !p.term.out {
		return write(p.io.Out)
	}
	w := &escape.Writer{W: p.io.Out}
	return errors.Join(write(w), w.Close())
}

// printJSON writes v to stdout, indented, with a line break.
func (p *printer) printJSON(v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write result as JSON: %w", err)
	}
	_, err = safely{p.io.Out}.Write(append(b, '\n'))
	return err
}

// printTable writes plain columns to stdout, without lines and colours, so
// that awk and people read them alike.
func (p *printer) printTable(header []string, rows [][]string) error {
	_, err := fmt.Fprintln(p.io.Out, tableText(header, rows))
	return err
}

func tableText(header []string, rows [][]string) string {
	t := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft = ""
	style.Box.PaddingRight = "  "
	t.SetStyle(style)
	row := func(cells []string) table.Row {
		r := make(table.Row, len(cells))
		for i, c := range cells {
			r[i] = escape.Line(c)
		}
		return r
	}
	if header != nil {
		t.AppendHeader(row(header))
	}
	for _, r := range rows {
		t.AppendRow(row(r))
	}
	t.SuppressTrailingSpaces()
	return t.Render()
}

// bytesText writes a number of bytes for people, in powers of 1024.
func bytesText(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// countText writes "1 object" or "12,345 objects".
func countText(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return humanize.Comma(n) + " " + noun
}

// terminal says which of the streams are terminals.
type terminal struct{ in, out, err bool }

func terminalOf(stdio IO) terminal {
	return terminal{in: isTerminal(stdio.In), out: isTerminal(stdio.Out), err: isTerminal(stdio.Err)}
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// lockedWriter keeps the lines of concurrent writers apart, and can be
// turned to another target for a while.
type lockedWriter struct {
	first io.Writer // what it was made for

	mu sync.Mutex
	w  io.Writer
}

// Write implements io.Writer.
func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// turn sends what is written from now on to w.
func (l *lockedWriter) turn(w io.Writer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.w = w
}
