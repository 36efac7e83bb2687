package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/dustin/go-humanize"
	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/mraws/mraws/internal/escape"
)

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
func (f *frame) printData(write func(io.Writer) error) error {
	if !f.term.out {
		return write(f.io.Out)
	}
	w := &escape.Writer{W: f.io.Out}
	return errors.Join(write(w), w.Close())
}

// printJSON writes v to stdout, indented, with a line break.
func (f *frame) printJSON(v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write result as JSON: %w", err)
	}
	_, err = safely{f.io.Out}.Write(append(b, '\n'))
	return err
}

// printTable writes plain columns to stdout, without lines and colours, so
// that awk and people read them alike.
func (f *frame) printTable(header []string, rows [][]string) error {
	_, err := fmt.Fprintln(f.io.Out, tableText(header, rows))
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
