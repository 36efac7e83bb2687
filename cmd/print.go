package cmd

import (
	"errors"
	"fmt"
	"io"
	"os"

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
	out    *dataWriter   // io.Out
	term   terminal
	output string // -o, one of formats; "" is text
	quiet  bool

	// Known once the configuration is read.
	log          zerolog.Logger
	progress     string // a value of the key progress
	logsProgress bool   // of a service, whose stderr is a log
	activity     activity
}

func newPrinter(stdio IO) *printer {
	p := &printer{io: stdio, term: terminalOf(stdio), err: &lockedWriter{first: stdio.Err}}
	p.out = &dataWriter{first: stdio.Out, err: p.err, shown: p.term.out}
	p.io.Err, p.io.Out = p.err, p.out
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

// defaultWidth and defaultHeight are those of a terminal that does not say.
const defaultWidth, defaultHeight = 80, 24

// width is how many columns stdout has.
func (p *printer) width() int { return widthOf(p.out.first) }

func widthOf(stream any) int {
	width, _ := sizeOf(stream)
	return width
}

// sizeOf is how many columns and lines a terminal has.
func sizeOf(stream any) (columns, lines int) {
	if f, ok := stream.(*os.File); ok {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil && w > 0 && h > 0 {
			return w, h
		}
	}
	return defaultWidth, defaultHeight
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
